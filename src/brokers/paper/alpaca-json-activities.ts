/** Activities and stream updates in the shapes of the Alpaca Trading API. */
import type { PaperActivity } from './activities.ts';
import { type AlpacaJson, orderJson, sideOf, unsigned } from './alpaca-json.ts';
import type { PaperExchange } from './exchange.ts';
import type { PaperFill, PaperUpdate } from './orders.ts';

export type { AlpacaJson } from './alpaca-json.ts';

export function activityJson(fill: PaperFill): AlpacaJson {
  return {
    id: fill.activity_id,
    activity_type: 'FILL',
    transaction_time: fill.at,
    type: fill.order_status === 'filled' ? 'fill' : 'partial_fill',
    price: fill.price,
    qty: unsigned(fill.amount),
    side: sideOf(fill.amount),
    symbol: fill.asset,
    leaves_qty: unsigned(fill.leaves_amount),
    cum_qty: unsigned(fill.cumulative_amount),
    order_id: fill.broker_order_id,
    order_status: fill.order_status,
    holdfast: money(fill),
  };
}

/** A dividend's `qty` is the number of shares that it was paid for, and no change; of other types it is the change. */
export function nonTradeJson(activity: PaperActivity): AlpacaJson {
  const { type, asset, amount } = activity;
  const qty = type === 'DIV' ? activity.held : amount === '0' ? null : amount;
  return {
    id: activity.activity_id,
    activity_type: type,
    ...(activity.sub_type === null ? {} : { activity_sub_type: activity.sub_type }),
    created_at: activity.at,
    date: activity.at,
    net_amount: activity.cash,
    currency: activity.currency,
    ...(asset === null ? {} : { symbol: asset.replace('/', '') }),
    ...(qty === null ? {} : { qty }),
    status: 'executed',
  };
}

/** The data of a trade_updates message. */
export function updateJson(exchange: PaperExchange, update: PaperUpdate): AlpacaJson {
  const { fill } = update;
  return {
    event: update.event,
    timestamp: update.at,
    execution_id: fill?.execution_id ?? null,
    order: orderJson(exchange, update.order),
    ...(fill === null
      ? {}
      : { price: fill.price, qty: unsigned(fill.amount), position_qty: update.position_amount, holdfast: money(fill) }),
  };
}

function money(fill: PaperFill): AlpacaJson {
  return { currency: fill.currency, fee: fill.fee, fee_currency: fill.fee_currency };
}
