/**
 * Account, positions and orders in the shapes of the Alpaca Trading API. What that API has no place for stands in an object `holdfast`: the
 * cash of other currencies, an asset's currency, fees of an execution, why an order ended.
 */
import { Decimal, decimal, decimalString, zero } from '../../model/money.ts';
import type { PositionReport } from '../../model/report.ts';
import type { PaperExchange } from './exchange.ts';
import { uuidOf } from './ids.ts';
import { type PaperOrder, quotient } from './orders.ts';

export type AlpacaJson = Readonly<Record<string, unknown>>;

export function accountJson(exchange: PaperExchange): AlpacaJson {
  const account = exchange.account();
  const cash = account.cash[account.currency] ?? '0';
  const equity = account.equity ?? cash;
  const worth = exchange
    .positions()
    .filter((position) => position.currency === account.currency)
    .map(marketValue);
  const long = sum(worth.filter((value) => value.gt(0)));
  const short = sum(worth.filter((value) => value.lt(0)));
  return {
    id: account.account_id,
    account_number: `PA${account.account_id.slice(0, 8).toUpperCase()}`,
    status: 'ACTIVE',
    crypto_status: 'ACTIVE',
    currency: account.currency,
    cash,
    buying_power: account.buying_power,
    non_marginable_buying_power: account.buying_power,
    regt_buying_power: account.buying_power,
    equity,
    last_equity: equity,
    portfolio_value: equity,
    long_market_value: decimalString(long),
    short_market_value: decimalString(short),
    initial_margin: decimalString(long.minus(short)),
    maintenance_margin: decimalString(long.minus(short)),
    last_maintenance_margin: '0',
    sma: '0',
    accrued_fees: '0',
    pending_transfer_in: '0',
    multiplier: '1',
    shorting_enabled: exchange.shorts,
    trading_blocked: false,
    transfers_blocked: false,
    account_blocked: false,
    trade_suspended_by_user: false,
    created_at: exchange.now(),
    balance_asof: exchange.now().slice(0, 10),
    holdfast: { cash: account.cash },
  };
}

export function positionJson(exchange: PaperExchange, position: PositionReport): AlpacaJson {
  const asset = exchange.asset(position.asset);
  const amount = decimal(position.amount);
  const entry = decimal(position.cost_basis ?? '0');
  const value = marketValue(position);
  const cost = amount.times(entry);
  const profit = value.minus(cost);
  const share = cost.isZero() ? zero : quotient(profit, cost.abs());
  const price = position.last_price ?? decimalString(entry);
  return {
    asset_id: uuidOf(position.asset),
    // As the real one, which tells positions of "BTC/USD" as "BTCUSD" and orders as "BTC/USD".
    symbol: asset?.assetClass === 'crypto' ? position.asset.replace('/', '') : position.asset,
    exchange: 'NASDAQ',
    asset_class: asset?.assetClass ?? 'us_equity',
    asset_marginable: false,
    qty: decimalString(amount),
    qty_available: exchange.availableAmount(position.asset),
    side: amount.isNegative() ? 'short' : 'long',
    avg_entry_price: decimalString(entry),
    cost_basis: decimalString(cost),
    market_value: decimalString(value),
    unrealized_pl: decimalString(profit),
    unrealized_plpc: decimalString(share),
    unrealized_intraday_pl: decimalString(profit),
    unrealized_intraday_plpc: decimalString(share),
    current_price: price,
    lastday_price: price,
    change_today: '0',
    holdfast: { currency: position.currency },
  };
}

export function orderJson(exchange: PaperExchange, order: PaperOrder): AlpacaJson {
  const ended = (status: string) => (order.status === status ? order.updated_at : null);
  return {
    id: order.broker_order_id,
    client_order_id: order.order_id,
    created_at: order.created_at,
    updated_at: order.updated_at,
    submitted_at: order.created_at,
    filled_at: ended('filled'),
    expired_at: ended('expired'),
    canceled_at: ended('canceled'),
    failed_at: null,
    replaced_at: ended('replaced'),
    replaced_by: order.replaced_by,
    replaces: order.replaces,
    asset_id: uuidOf(order.asset),
    symbol: order.asset,
    asset_class: exchange.asset(order.asset)?.assetClass ?? 'us_equity',
    notional: null,
    qty: unsigned(order.amount),
    filled_qty: unsigned(order.filled_amount),
    filled_avg_price: order.average_fill_price,
    order_class: '',
    order_type: order.order_type,
    type: order.order_type,
    side: sideOf(order.amount),
    time_in_force: order.time_in_force,
    limit_price: order.limit_price,
    stop_price: order.stop_price,
    status: order.status === 'open' ? 'new' : order.status,
    extended_hours: false,
    legs: null,
    trail_percent: null,
    trail_price: null,
    hwm: null,
    holdfast: { reason: order.reason },
  };
}

function marketValue(position: PositionReport): Decimal {
  return decimal(position.amount).times(position.last_price ?? position.cost_basis ?? '0');
}

function sum(values: readonly Decimal[]): Decimal {
  return values.length === 0 ? zero : Decimal.sum(...values);
}

export function unsigned(amount: string): string {
  return amount.replace(/^-/, '');
}

export function sideOf(amount: string): 'buy' | 'sell' {
  return amount.startsWith('-') ? 'sell' : 'buy';
}
