/**
 * What moves an account's cash or quantities without a trade: dividends, interest, fees, splits, transfers. Alpaca tells them among
 * the account's activities, beside the fills and under types of their own.
 */
import { Decimal, type DecimalString, decimal, decimalString, isDecimalString } from '../../model/money.ts';
import type { Timestamp } from '../../model/time.ts';
import type { PaperAccount } from './accounts.ts';
import type { PaperIds } from './ids.ts';
import type { ListedAsset } from './options.ts';
import { refuse } from './refusals.ts';

/** Those of Alpaca's types that the paper broker can book. */
export const paperActivityTypes = ['DIV', 'INT', 'FEE', 'CFEE', 'SPLIT', 'CSD', 'CSW', 'JNLC', 'JNLS'] as const;
export type PaperActivityType = (typeof paperActivityTypes)[number];

export interface PaperActivityRequest {
  readonly type: PaperActivityType;
  /** What it is about; needed where a quantity changes. */
  readonly asset?: string;
  /** Change of cash, signed. */
  readonly cash?: DecimalString;
  /** Change of quantity, signed. Cost stays what it was, as in a split. */
  readonly amount?: DecimalString;
  /** Where absent, the asset's currency, or else the account's. */
  readonly currency?: string;
}

export interface PaperActivity {
  readonly activity_id: string;
  readonly type: PaperActivityType;
  readonly sub_type: string | null;
  readonly asset: string | null;
  readonly cash: DecimalString;
  readonly amount: DecimalString;
  /** What was held before it; what a dividend was paid for. */
  readonly held: DecimalString;
  readonly currency: string;
  readonly at: Timestamp;
}

interface Booking {
  readonly account: PaperAccount;
  readonly ids: PaperIds;
  readonly at: Timestamp;
  readonly atMicros: number;
  readonly asset: ListedAsset | null;
  readonly currency: string;
}

/** Books it, and says what was booked. @throws BrokerError BROKER_REJECTED; nothing is changed then */
export function bookActivity(request: PaperActivityRequest, booking: Booking): PaperActivity {
  const { account, asset } = booking;
  const cash = change(request.cash, 'cash');
  const amount = change(request.amount, 'amount');
  const moves = quantityTypes.has(request.type);
  if (amount.isZero() && cash.isZero()) throw refuse('invalid_request', 'an activity changes cash or amount');
  if (!amount.isZero() && !moves) throw refuse('invalid_request', `${request.type} changes no amount`);
  if (!amount.isZero() && asset === null) throw refuse('invalid_request', 'amount needs an asset');
  const held = asset === null ? new Decimal(0) : account.holding(asset.name).amount;
  const currency = request.currency ?? asset?.currency ?? booking.currency;
  if (!cash.isZero()) account.addCash(currency, cash);
  if (asset !== null && !amount.isZero()) account.rescale(asset.name, amount);
  return Object.freeze({
    activity_id: booking.ids.execution(booking.atMicros).activity_id,
    type: request.type,
    sub_type: subTypeOf(request.type, amount),
    asset: asset?.name ?? null,
    cash: decimalString(cash),
    amount: decimalString(amount),
    held: decimalString(held),
    currency,
    at: booking.at,
  });
}

const quantityTypes: ReadonlySet<PaperActivityType> = new Set(['CFEE', 'SPLIT', 'JNLS']);

function subTypeOf(type: PaperActivityType, amount: Decimal): string | null {
  if (type === 'DIV') return 'CDIV';
  if (type === 'SPLIT') return amount.isNegative() ? 'RSPLIT' : 'FSPLIT';
  return null;
}

function change(text: unknown, name: string): Decimal {
  if (text === undefined) return new Decimal(0);
  if (!isDecimalString(text)) throw refuse('invalid_request', `${name} must be a decimal string`);
  return decimal(text);
}
