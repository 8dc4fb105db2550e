import { type Decimal, type DecimalString, decimal, isDecimalString } from '../../model/money.ts';
import { type OrderType, orderTypes, type TimeInForce, timesInForce } from '../../model/order.ts';
import type { OrderRequest } from '../adapter.ts';
import { amountPlaces, pricePlaces } from './matching.ts';
import type { ListedAsset } from './options.ts';
import { refuse } from './refusals.ts';

/** Amounts and prices are below this, so that what they multiply to can be written. */
const magnitudeMax = 1e12;

export interface CheckedRequest {
  readonly orderId: string;
  readonly side: 'buy' | 'sell';
  readonly amount: Decimal;
  readonly type: OrderType;
  readonly limit: Decimal | null;
  readonly stop: Decimal | null;
  readonly timeInForce: TimeInForce;
}

/** The form of a request: what can be said without looking at the account. @throws BrokerError BROKER_REJECTED */
export function checkRequest(request: OrderRequest): CheckedRequest {
  const { order_id, order_type, time_in_force } = request;
  if (typeof order_id !== 'string' || order_id.length < 1 || order_id.length > 128) {
    throw refuse('invalid_request', 'client_order_id must be 1 to 128 characters');
  }
  if (!orderTypes.includes(order_type)) throw refuse('invalid_request', `invalid order type "${order_type}"`);
  if (!timesInForce.includes(time_in_force))
    throw refuse('invalid_request', `invalid time_in_force "${time_in_force}"`);
  const amount = number(request.amount, 'qty', amountPlaces);
  if (amount.isZero()) throw refuse('invalid_request', 'qty must not be 0');
  return {
    orderId: order_id,
    side: amount.isNegative() ? 'sell' : 'buy',
    amount: amount.abs(),
    type: order_type,
    limit: price(request.limit_price, 'limit_price', order_type === 'limit' || order_type === 'stop_limit', order_type),
    stop: price(request.stop_price, 'stop_price', order_type === 'stop' || order_type === 'stop_limit', order_type),
    timeInForce: time_in_force,
  };
}

/** What an asset does not take, whatever the account holds. @throws BrokerError BROKER_REJECTED */
export function checkAsset(request: CheckedRequest, asset: ListedAsset): void {
  if (asset.fractions === 'day' && !request.amount.isInteger() && request.timeInForce !== 'day')
    throw refuse('invalid_request', 'fractional orders must be DAY orders');
  if (asset.assetClass !== 'crypto') return;
  if (request.timeInForce !== 'gtc' && request.timeInForce !== 'ioc')
    throw refuse('invalid_request', 'invalid crypto time_in_force');
  if (request.type === 'stop') throw refuse('invalid_request', 'invalid order type for crypto order');
}

function price(text: DecimalString | null, name: string, wanted: boolean, type: OrderType): Decimal | null {
  if (text === null) {
    if (wanted) throw refuse('invalid_request', `${type} orders require ${name}`);
    return null;
  }
  if (!wanted) throw refuse('invalid_request', `${type} orders must not have ${name}`);
  const value = number(text, name, pricePlaces);
  if (value.lte(0)) throw refuse('invalid_request', `${name} must be greater than 0`);
  return value;
}

function number(text: unknown, name: string, places: number): Decimal {
  if (!isDecimalString(text)) throw refuse('invalid_request', `${name} must be a decimal string`);
  const value = decimal(text);
  if (value.decimalPlaces() > places)
    throw refuse('invalid_request', `${name} must have at most ${places} decimal places`);
  if (value.abs().gte(magnitudeMax)) throw refuse('invalid_request', `${name} must be below ${magnitudeMax}`);
  return value;
}
