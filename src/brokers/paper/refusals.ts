import { BrokerError } from '../../model/errors.ts';

/** Why the exchange says no; `details.refusal` of the error. */
export type Refusal =
  | 'invalid_request'
  | 'duplicate_order_id'
  | 'unknown_asset'
  | 'insufficient_buying_power'
  | 'insufficient_amount'
  | 'shorts_not_allowed'
  | 'wash_trade'
  | 'order_not_found'
  | 'order_not_live'
  | 'nothing_changed';

const codes: Partial<Record<Refusal, string>> = {
  duplicate_order_id: 'BROKER_DUPLICATE_ORDER_ID',
  order_not_found: 'BROKER_NOT_FOUND',
};

/** A refusal in the broker's own words: nothing was changed. */
export function refuse(refusal: Refusal, message: string, details: Readonly<Record<string, string>> = {}): BrokerError {
  return new BrokerError(codes[refusal] ?? 'BROKER_REJECTED', message, { details: { ...details, refusal } });
}
