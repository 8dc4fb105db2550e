import { type Decimal, decimalString } from '../model/money.ts';
import type { OrderSnapshot } from '../model/order.ts';
import type { OrderReport } from '../model/report.ts';
import type { AccountPosition, Holding } from './books.ts';
import type { LocalOrder } from './order-match.ts';
import type { DiscrepancyKind } from './types.ts';

/*
 * The sentences of discrepancies, for somebody who was woken by them: what each side says, what may be the cause, and
 * what to look at before SYNC_TO_BROKER takes the broker's word.
 */

export type QuantityKind = Extract<
  DiscrepancyKind,
  'position_missing_at_broker' | 'position_missing_locally' | 'position_quantity' | 'position_side'
>;

export function position(kind: QuantityKind, ours: AccountPosition, theirs: Decimal): string {
  const { asset, amount } = ours;
  const here = `the books hold ${decimalString(amount)} ${asset}${shares(ours)}`;
  const there = decimalString(theirs);
  switch (kind) {
    case 'position_missing_at_broker':
      return `${capital(here)}, the broker holds none: it was closed outside this host, or its fills were lost. Look for ${asset} in the broker's activities; do not let a strategy close it again.`;
    case 'position_missing_locally':
      return `The broker holds ${there} ${asset}, and the sum of the books is 0${shares(ours)}: it was opened outside this host, or its fills were lost. Look for ${asset} in the broker's activities, and decide who owns it.`;
    case 'position_side':
      return `The position is on the other side: ${here}, the broker holds ${there}. Strategies act on the wrong sign: stop ${owners(ours)} before anything else, then look for ${asset} in the broker's activities.`;
    case 'position_quantity':
      return `${capital(here)}, the broker holds ${there} (${signed(theirs.minus(amount))}): a trade outside this host, a corporate action, or a lost fill. Look for ${signed(theirs.minus(amount))} ${asset} in the broker's activities.`;
  }
}

export function costBasis(holding: Holding, here: Decimal, there: Decimal): string {
  const { asset } = holding.position;
  return `${holding.strategy} holds its ${asset} at an average of ${decimalString(here)}, the broker at ${decimalString(there)}. The quantity is right, profit figures are not: the broker may count costs otherwise, or the position is older than the book. Widen the tolerance if this is its way.`;
}

export function cash(currency: string, ours: Decimal, theirs: Decimal): string {
  return `The books have ${decimalString(ours)} ${currency}, the broker has ${decimalString(theirs)} (${signed(theirs.minus(ours))}): a deposit, withdrawal, dividend, interest or fee that no book knows, or a lost fill. Look for it in the broker's activities; small fees are what the cash tolerance is for.`;
}

export function orderMissing({ strategy, order }: LocalOrder, asked: boolean): string {
  const what = `${strategy} has order ${order.order_id} (${orderText(order)}) as ${order.status}`;
  return asked
    ? `${what}, and the broker, asked for it by this id, has none: it never arrived, or the account is another. Check the account before you send it again.`
    : `${what}; it is not among the broker's open orders, and the broker was not or could not be asked for it by id. Look it up at the broker; nothing is changed on this evidence.`;
}

export function orderStatus({ strategy, order }: LocalOrder, report: OrderReport): string {
  const reason = report.reason === null ? '' : ` ("${report.reason}")`;
  return `${strategy} has order ${order.order_id} (${orderText(order)}) as ${orderState(order)}, the broker as ${orderState(report)}${reason}: an update was lost, or it was changed outside this host. The broker's word on it is evidence; check that its executions are booked.`;
}

export function orderUnknown(report: OrderReport): string {
  const id =
    report.order_id === null
      ? `broker id ${report.broker_order_id}`
      : `client id ${report.order_id}, broker id ${report.broker_order_id}`;
  return `The broker has an order that no book knows (${id}: ${orderText(report)}, ${orderState(report)}): somebody else trades on this account, or an intent was lost. Find out who placed it; cancel it at the broker if nobody did.`;
}

export function orderState(order: Pick<OrderSnapshot, 'status' | 'filled_amount' | 'amount'>): string {
  return `${order.status}, ${order.filled_amount} of ${order.amount} filled`;
}

function orderText(
  order: Pick<OrderReport, 'amount' | 'asset' | 'order_type'> & { limit_price?: string | null },
): string {
  const side = order.amount.startsWith('-') ? 'sell' : 'buy';
  const at = order.limit_price === undefined || order.limit_price === null ? '' : ` at ${order.limit_price}`;
  return `${side} ${order.amount.replace('-', '')} ${order.asset} ${order.order_type}${at}`;
}

function shares(ours: AccountPosition): string {
  if (ours.holdings.length === 0) return '';
  const each = ours.holdings.slice(0, 5).map(({ strategy, amount }) => `${strategy} ${decimalString(amount)}`);
  if (ours.holdings.length > 5) each.push(`${ours.holdings.length - 5} more`);
  return ` (${each.join(', ')})`;
}

function owners(ours: AccountPosition): string {
  return ours.holdings.map(({ strategy }) => strategy).join(', ');
}

function signed(difference: Decimal): string {
  return `${difference.isPositive() ? '+' : ''}${decimalString(difference)}`;
}

function capital(text: string): string {
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}`;
}
