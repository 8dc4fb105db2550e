import { HoldfastError } from '../model/errors.ts';
import type { Fill } from '../model/fill.ts';
import { Decimal, type DecimalString, decimal, decimalString } from '../model/money.ts';
import { isFinal, type OrderSnapshot, type OrderStatus } from '../model/order.ts';
import type { FillReport, OrderReport } from '../model/report.ts';
import type { Timestamp } from '../model/time.ts';
import { nextStatus, type OrderEvidence } from './order-transitions.ts';

/** What a report or an execution tells about an order beside its status. */
export interface OrderFacts {
  broker_order_id?: string;
  amount?: DecimalString;
  filled_amount?: DecimalString;
  average_fill_price?: DecimalString;
}

/** Digits after the point of an average price: for reading, since the executions are the exact figures. */
const averagePlaces = 18;

export function averagePrice(order: OrderSnapshot, fill: Fill, before: Decimal, after: Decimal): DecimalString {
  const known = order.average_fill_price;
  if (known == null || before.isZero() || after.isZero()) return fill.price;
  const value = before.times(known).plus(decimal(fill.amount).times(fill.price));
  return decimalString(value.div(after).toDecimalPlaces(averagePlaces, Decimal.ROUND_HALF_EVEN));
}

/** The first evidence after an intent, the lack of it, and the end are kept as events; what lies between is an entry. */
export function tellsOutcome(before: OrderStatus, after: OrderStatus): boolean {
  if (before === after) return false;
  return isFinal(after) || after === 'unknown' || before === 'pending' || before === 'unknown';
}

/** What it means that the broker has no such order: one that it had shown is gone, any other never came. */
function missingEvidence(status: OrderStatus): OrderEvidence {
  return status === 'pending' || status === 'unknown' ? 'never_received' : 'canceled';
}

export function fillOf(report: FillReport, orderId: string): Fill {
  return {
    execution_id: report.execution_id,
    order_id: orderId,
    broker_order_id: report.broker_order_id,
    asset: report.asset,
    amount: report.amount,
    price: report.price,
    fee: report.fee,
    at: report.at,
    ...(report.currency === null ? {} : { currency: report.currency }),
    ...(report.fee_currency === null ? {} : { fee_currency: report.fee_currency }),
  };
}

/** An order as the broker has it; null: the broker has none, so that one which it had shown is gone, and any other never came. */
export function overruled(
  before: OrderSnapshot,
  report: OrderReport | null,
  reason: string,
  at: Timestamp,
): OrderSnapshot {
  if (report === null) {
    const status = nextStatus(before.status, missingEvidence(before.status), false);
    return { ...before, status, reason, updated_at: at };
  }
  return {
    ...before,
    amount: report.amount,
    limit_price: report.limit_price,
    stop_price: report.stop_price,
    time_in_force: report.time_in_force,
    broker_order_id: report.broker_order_id,
    status: report.status,
    filled_amount: report.filled_amount,
    average_fill_price: report.average_fill_price,
    reason,
    updated_at: at,
  };
}

/** When an open order was made here, by our clock; null where it was found at the broker, whose time it has. */
export function intendedAt(order: OrderSnapshot | undefined): Timestamp | null {
  return order === undefined || order.reason === foundAtBroker ? null : (order.created_at ?? null);
}

const foundAtBroker = 'found at the broker';

/** The order of a report that nobody here has a record of. */
export function adopted(report: OrderReport, sid: number, at: Timestamp): OrderSnapshot {
  return {
    order_id: report.order_id ?? report.broker_order_id,
    asset: report.asset,
    sid,
    amount: report.amount,
    order_type: report.order_type,
    limit_price: report.limit_price,
    stop_price: report.stop_price,
    time_in_force: report.time_in_force,
    broker_order_id: report.broker_order_id,
    status: report.status === 'pending' || report.status === 'unknown' ? 'open' : report.status,
    filled_amount: report.filled_amount,
    average_fill_price: report.average_fill_price,
    created_at: report.created_at,
    updated_at: at,
    replaces: null,
    reason: foundAtBroker,
  };
}

/** What a broker's refusal says, for `reason`. */
export function reasonOf(error: unknown): string {
  const text = error instanceof HoldfastError ? `${error.code}: ${error.message}` : String(error);
  return text.slice(0, 500);
}
