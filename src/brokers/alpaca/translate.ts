/** From Alpaca's answers to our reports: pure functions, one for each kind. */
import { type DecimalString, decimal, decimalString } from '../../model/money.ts';
import type { OrderStatus, OrderType, TimeInForce } from '../../model/order.ts';
import type { AccountReport, FillReport, OrderReport, PositionReport } from '../../model/report.ts';
import { micros, type Timestamp, timestamp } from '../../model/time.ts';
import type { ActivityReport } from '../adapter.ts';
import type {
  AlpacaAccount,
  AlpacaActivity,
  AlpacaNonTrade,
  AlpacaOrder,
  AlpacaPosition,
  AlpacaTradeUpdate,
} from './schemas.ts';

/** Asset for each symbol whose name is another. */
export type AssetNames = Readonly<Record<string, string>>;

export function accountReport(account: AlpacaAccount): AccountReport {
  return {
    account_id: account.id,
    currency: account.currency,
    cash: account.holdfast?.cash ?? { [account.currency]: account.cash },
    equity: account.equity ?? null,
    buying_power: account.buying_power ?? null,
    blocked:
      account.status !== 'ACTIVE' ||
      account.trading_blocked ||
      account.account_blocked ||
      account.trade_suspended_by_user,
  };
}

export function positionReport(position: AlpacaPosition, names: AssetNames): PositionReport {
  return {
    asset: position.asset_class === 'crypto' ? pairOf(position.symbol, names) : assetOf(position.symbol, names),
    // Short positions have been seen with and without a minus sign; the side is what is documented.
    amount: signed(position.side === 'short', position.qty),
    cost_basis: position.avg_entry_price ?? null,
    last_price: position.current_price ?? null,
    currency: position.holdfast?.currency ?? null,
  };
}

export function orderReport(order: AlpacaOrder, names: AssetNames): OrderReport {
  const sells = order.side === 'sell';
  const filled = order.filled_qty ?? '0';
  // An order by amount of money, placed elsewhere, has no quantity: what it filled is all that is known of it.
  const byMoney = order.qty === null || order.qty === undefined;
  const status = orderStatus(order.status, filled, order.qty ?? null);
  return {
    order_id: order.client_order_id || null,
    broker_order_id: order.id,
    asset: assetOf(order.symbol, names),
    amount: signed(sells, order.qty ?? filled),
    order_type: orderTypes[order.type] ?? 'market',
    limit_price: order.limit_price ?? null,
    stop_price: order.stop_price ?? null,
    time_in_force: timesInForce[order.time_in_force] ?? 'day',
    status,
    filled_amount: signed(sells, filled),
    average_fill_price: order.filled_avg_price ?? null,
    reason: order.holdfast?.reason ?? explain(order, status, byMoney),
    created_at: order.created_at,
    updated_at: order.updated_at ?? order.created_at,
  };
}

/**
 * The execution id is the part of the activity's id after "::". Alpaca's documentation shows that part as a UUID, as the stream's
 * execution_id is, and nowhere says that the two are the same.
 * The part before it is a time in New York, so times are read from transaction_time only.
 */
export function activityFill(activity: AlpacaActivity, names: AssetNames, orderId: string | null): FillReport {
  return {
    execution_id: activity.id.slice(activity.id.lastIndexOf('::') === -1 ? 0 : activity.id.lastIndexOf('::') + 2),
    activity_id: activity.id,
    // Activities name the order by the broker's id only.
    order_id: orderId,
    broker_order_id: activity.order_id,
    asset: assetOf(activity.symbol, names),
    // "sell_short" is a sale as well.
    amount: signed(activity.side.startsWith('sell'), activity.qty),
    price: activity.price,
    ...money(activity.holdfast),
    at: activity.transaction_time,
  };
}

/** Types whose `qty` is a change of what is held. */
const quantityTypes = new Set([
  ...['CFEE', 'SPLIT', 'SPIN', 'JNLS', 'ACATS', 'FOPT', 'OPASN', 'OPEXC', 'OPEXP', 'OPTRD', 'REORG', 'MA', 'NC'],
]);
/** Types whose `qty`, where they have one, is not a change; a stock dividend's may be, and Alpaca's documentation does not say. */
const cashTypes = /^(DIV(?!$)|INT|FEE$|CSD$|CSW$|TRANS$|JNLC$|ACATC$|PTC$|PTR$|CGD$|OPCSH$)/;

/** What is no trade, as what it changed. Null where it has no time that can be read. */
export function activityReport(activity: AlpacaNonTrade, names: AssetNames): ActivityReport | null {
  const { activity_type: type, activity_sub_type, symbol, qty } = activity;
  const at = timeOf(activity);
  if (at === null) return null;
  const cashOnly = cashTypes.test(type) || (type === 'DIV' && activity_sub_type !== 'SDIV');
  const change = quantityTypes.has(type) ? (qty ?? '0') : null;
  return {
    activity_id: activity.id,
    type,
    sub_type: activity_sub_type || null,
    asset: !symbol ? null : type === 'CFEE' ? pairOf(symbol, names) : assetOf(symbol, names),
    cash: activity.net_amount ?? '0',
    currency: activity.currency || null,
    amount: cashOnly || !qty ? '0' : change,
    canceled: activity.status === 'canceled',
    at,
  };
}

/** A date is told without a time: its beginning, in UTC. */
function timeOf({ created_at, date }: AlpacaNonTrade): Timestamp | null {
  if (created_at) return created_at;
  if (!date) return null;
  try {
    return timestamp(micros(/^\d{4}-\d{2}-\d{2}$/.test(date) ? `${date}T00:00:00Z` : date));
  } catch {
    return null;
  }
}

/** The execution that a stream update tells; null for other updates, undefined for one that should tell one and does not. */
export function updateFill(update: AlpacaTradeUpdate, names: AssetNames): FillReport | null | undefined {
  if (update.event !== 'fill' && update.event !== 'partial_fill') return null;
  const { execution_id, price, qty, timestamp } = update;
  if (!execution_id || !price || !qty) return undefined;
  return {
    execution_id,
    activity_id: null,
    order_id: update.order.client_order_id || null,
    broker_order_id: update.order.id,
    asset: assetOf(update.order.symbol, names),
    amount: signed(update.order.side === 'sell', qty),
    price,
    ...money(update.holdfast),
    at: timestamp ?? update.order.updated_at ?? update.order.created_at,
  };
}

function assetOf(symbol: string, names: AssetNames): string {
  return Object.hasOwn(names, symbol) ? (names[symbol] ?? symbol) : symbol;
}

/**
 * A crypto pair is told as "BTCUSD" among positions and as "BTC/USD" among orders: taken for two assets, each would look as if it
 * lacked what the other has. What Alpaca quotes in is a short list.
 */
function pairOf(symbol: string, names: AssetNames): string {
  if (Object.hasOwn(names, symbol) || symbol.includes('/')) return assetOf(symbol, names);
  const [, unit, quote] = /^(.+)(USD|USDT|USDC|BTC)$/.exec(symbol) ?? [];
  return unit === undefined ? symbol : assetOf(`${unit}/${quote}`, names);
}

function signed(negative: boolean, text: DecimalString): DecimalString {
  const amount = decimal(text).abs();
  return decimalString(negative ? amount.negated() : amount);
}

/** Alpaca tells fees as activities of their own, days later: no fee is known with an execution, except from the paper broker. */
function money(own: AlpacaTradeUpdate['holdfast']): Pick<FillReport, 'currency' | 'fee' | 'fee_currency'> {
  return { currency: own?.currency ?? null, fee: own?.fee ?? '0', fee_currency: own?.fee_currency ?? null };
}

const orderTypes: Readonly<Record<string, OrderType>> = {
  market: 'market',
  limit: 'limit',
  stop: 'stop',
  stop_limit: 'stop_limit',
  // Not ours to place; an external one behaves as a stop that moves.
  trailing_stop: 'stop',
};

const timesInForce: Readonly<Record<string, TimeInForce>> = { day: 'day', gtc: 'gtc', ioc: 'ioc', fok: 'fok' };

const liveStatuses = new Set([
  'new',
  'accepted',
  'pending_new',
  'accepted_for_bidding',
  'stopped',
  'suspended',
  'held',
  'done_for_day',
  'calculated',
  'partially_filled',
]);
const sameStatuses: ReadonlySet<string> = new Set<OrderStatus>([
  'filled',
  'canceled',
  'expired',
  'replaced',
  'rejected',
  'pending_cancel',
  'pending_replace',
]);

function orderStatus(status: string, filled: DecimalString, amount: DecimalString | null): OrderStatus {
  if (sameStatuses.has(status)) return status as OrderStatus;
  // A status that we have never heard of is no evidence of anything.
  if (!liveStatuses.has(status)) return 'unknown';
  if (status === 'calculated' && filled === amount) return 'filled';
  return filled === '0' ? 'open' : 'partially_filled';
}

function explain(order: AlpacaOrder, status: OrderStatus, byMoney: boolean): string | null {
  if (status === 'unknown') return `the broker says "${order.status.slice(0, 60)}"`;
  if (byMoney) return `an order for ${order.notional ?? 'an unknown amount'} of money: its quantity is not known`;
  return null;
}
