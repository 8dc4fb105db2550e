import { Decimal, type DecimalString, decimalString, zero } from '../../model/money.ts';
import type { OrderType, TimeInForce } from '../../model/order.ts';
import type { FillReport, OrderReport } from '../../model/report.ts';
import type { Timestamp } from '../../model/time.ts';
import type { CheckedRequest } from './checks.ts';

/** An order as the exchange holds it. Amounts are positive; the side says the rest. */
export interface LiveOrder {
  readonly id: string;
  readonly clientId: string;
  readonly asset: string;
  readonly side: 'buy' | 'sell';
  readonly amount: Decimal;
  readonly type: OrderType;
  readonly limit: Decimal | null;
  readonly stop: Decimal | null;
  readonly timeInForce: TimeInForce;
  /** Place in time priority. */
  readonly sequence: number;
  readonly createdAt: Timestamp;
  readonly replaces: string | null;
  replacedBy: string | null;
  status: PaperOrderStatus;
  filled: Decimal;
  /** Exact sum of amount × price over the fills. */
  paid: Decimal;
  /** A stop that the market reached; true from the start for other types. */
  triggered: boolean;
  /** Whether a market event has passed it while it was active: from then on it rests. */
  seen: boolean;
  /** UTC date of the first market event that it saw: what a day order lives for. */
  day: string | null;
  updatedAt: Timestamp;
  reason: string | null;
}

export type PaperOrderStatus = 'open' | 'partially_filled' | 'filled' | 'canceled' | 'expired' | 'replaced';

/** An order's report with what only this broker tells. */
export interface PaperOrder extends OrderReport {
  readonly order_id: string;
  readonly status: PaperOrderStatus;
  readonly sequence: number;
  /** Broker order ids of the orders before and after it in a chain of replacements. */
  readonly replaces: string | null;
  readonly replaced_by: string | null;
}

/** An execution with what the broker's list of activities tells of it. */
export interface PaperFill extends FillReport {
  readonly activity_id: string;
  readonly order_id: string;
  readonly currency: string;
  readonly fee_currency: string;
  /** What the order has filled with this execution, and what is left of it; signed like the order. */
  readonly cumulative_amount: DecimalString;
  readonly leaves_amount: DecimalString;
  readonly order_status: PaperOrderStatus;
}

/** One update on the stream. */
export interface PaperUpdate {
  readonly event: 'new' | 'fill' | 'partial_fill' | 'canceled' | 'expired' | 'replaced';
  readonly order: PaperOrder;
  readonly fill: PaperFill | null;
  /** The account's amount of the asset after it. */
  readonly position_amount: DecimalString;
  readonly at: Timestamp;
}

/** An order as it is when it is taken. */
export function newOrder(
  request: CheckedRequest,
  own: Pick<LiveOrder, 'id' | 'asset' | 'sequence' | 'replaces'> & { readonly at: Timestamp },
): LiveOrder {
  return {
    id: own.id,
    clientId: request.orderId,
    asset: own.asset,
    side: request.side,
    amount: request.amount,
    type: request.type,
    limit: request.limit,
    stop: request.stop,
    timeInForce: request.timeInForce,
    sequence: own.sequence,
    createdAt: own.at,
    replaces: own.replaces,
    replacedBy: null,
    status: 'open',
    filled: zero,
    paid: zero,
    triggered: request.stop === null,
    seen: false,
    day: null,
    updatedAt: own.at,
    reason: null,
  };
}

/** An execution of an order that has just been filled by it. */
export function newFill(
  order: LiveOrder,
  execution: {
    readonly activity_id: string;
    readonly execution_id: string;
    readonly amount: Decimal;
    readonly price: Decimal;
    readonly currency: string;
    readonly fee: { readonly amount: Decimal; readonly currency: string };
  },
): PaperFill {
  const { activity_id, execution_id, amount, price, currency, fee } = execution;
  return Object.freeze({
    activity_id,
    execution_id,
    order_id: order.clientId,
    broker_order_id: order.id,
    asset: order.asset,
    amount: decimalString(signed(order.side, amount)),
    price: decimalString(price),
    currency,
    fee: decimalString(fee.amount),
    fee_currency: fee.currency,
    at: order.updatedAt,
    cumulative_amount: decimalString(signed(order.side, order.filled)),
    leaves_amount: decimalString(signed(order.side, remaining(order))),
    order_status: order.status,
  });
}

export function isLive(order: LiveOrder): boolean {
  return order.status === 'open' || order.status === 'partially_filled';
}

export function remaining(order: LiveOrder): Decimal {
  return order.amount.minus(order.filled);
}

export function signed(side: 'buy' | 'sell', amount: Decimal): Decimal {
  return side === 'buy' ? amount : amount.negated();
}

/** Quotients are for reading only, and are rounded to this many places. */
export const quotientPlaces = 12;

export function reportOrder(order: LiveOrder): PaperOrder {
  return Object.freeze({
    order_id: order.clientId,
    broker_order_id: order.id,
    asset: order.asset,
    amount: decimalString(signed(order.side, order.amount)),
    order_type: order.type,
    limit_price: order.limit === null ? null : decimalString(order.limit),
    stop_price: order.stop === null ? null : decimalString(order.stop),
    time_in_force: order.timeInForce,
    status: order.status,
    filled_amount: decimalString(signed(order.side, order.filled)),
    average_fill_price: order.filled.isZero() ? null : decimalString(quotient(order.paid, order.filled)),
    reason: order.reason,
    created_at: order.createdAt,
    updated_at: order.updatedAt,
    sequence: order.sequence,
    replaces: order.replaces,
    replaced_by: order.replacedBy,
  });
}

export function quotient(dividend: Decimal, divisor: Decimal): Decimal {
  return dividend.dividedBy(divisor).toDecimalPlaces(quotientPlaces, Decimal.ROUND_HALF_EVEN);
}
