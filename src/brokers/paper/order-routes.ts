/** The paths of the Alpaca Trading API, v2, that have to do with orders. */
import { randomUUID } from 'node:crypto';
import { z } from 'zod';
import type { DecimalString } from '../../model/money.ts';
import type { OrderType, TimeInForce } from '../../model/order.ts';
import { micros } from '../../model/time.ts';
import { orderJson } from './alpaca-json.ts';
import type { PaperExchange, PaperReplaceRequest } from './exchange.ts';
import { errorAnswer, get, type PaperAnswer, type PaperRoute } from './http.ts';
import type { PaperOrder } from './orders.ts';
import { instant, invalid, numeric, parse } from './request-forms.ts';

export function orderRoutes(exchange: PaperExchange): readonly PaperRoute[] {
  const found = (order: PaperOrder | null, name: string): PaperAnswer =>
    order === null
      ? errorAnswer(404, 40410000, `order not found for ${name}`)
      : { status: 200, body: orderJson(exchange, order) };
  return [
    {
      method: 'POST',
      path: /^\/v2\/orders$/,
      operation: 'submitOrder',
      handle: ({ body }) => ({ status: 200, body: orderJson(exchange, exchange.submit(newOrder(exchange, body))) }),
    },
    get(
      /^\/v2\/orders$/,
      ({ query }) => {
        const list = exchange.faults.list('fetchOpenOrders', orders(exchange, query), ({ asset }) => asset);
        return { status: 200, body: list.map((order) => orderJson(exchange, order)) };
      },
      'fetchOpenOrders',
    ),
    {
      method: 'DELETE',
      path: /^\/v2\/orders$/,
      operation: 'cancelOrder',
      handle: () => ({
        status: 207,
        body: exchange.openOrders().map(({ order_id, broker_order_id }) => {
          exchange.cancel({ order_id, broker_order_id });
          return { id: broker_order_id, status: 200 };
        }),
      }),
    },
    get(
      /^\/v2\/orders:by_client_order_id$/,
      ({ query }) => {
        const id = query.get('client_order_id') ?? '';
        return found(exchange.order(id), id);
      },
      'fetchOrder',
    ),
    get(/^\/v2\/orders\/([^/]+)$/, (_, [id = '']) => found(exchange.orderByBrokerId(id), id), 'fetchOrder'),
    {
      method: 'PATCH',
      path: /^\/v2\/orders\/([^/]+)$/,
      operation: 'replaceOrder',
      handle: ({ body }, [id = '']) => ({ status: 200, body: orderJson(exchange, replaceOrder(exchange, id, body)) }),
    },
    {
      method: 'DELETE',
      path: /^\/v2\/orders\/([^/]+)$/,
      operation: 'cancelOrder',
      handle: (_, [id = '']) => {
        exchange.cancel({ order_id: id, broker_order_id: id });
        return { status: 204 };
      },
    },
  ];
}

const newOrderSchema = z.object({
  symbol: z.string(),
  qty: numeric.nullish(),
  notional: numeric.nullish(),
  side: z.enum(['buy', 'sell']),
  type: z.string(),
  time_in_force: z.string(),
  limit_price: numeric.nullish(),
  stop_price: numeric.nullish(),
  client_order_id: z.string().nullish(),
  order_class: z.enum(['', 'simple']).nullish(),
  extended_hours: z.boolean().nullish(),
});

/** What the real one would act on and this one cannot: better refused than taken for a plain order. */
const notTaken = [
  'take_profit',
  'stop_loss',
  'legs',
  'trail_price',
  'trail_percent',
  'advanced_instructions',
  'position_intent',
];

function newOrder(exchange: PaperExchange, body: unknown): Parameters<PaperExchange['submit']>[0] {
  const order = parse(newOrderSchema, body);
  const { symbol, qty, side, type, time_in_force } = order;
  for (const name of notTaken) {
    const value = (body as Readonly<Record<string, unknown>>)[name];
    if (value !== undefined && value !== null) throw invalid(`${name} is not supported by the paper broker`);
  }
  if (order.notional != null && qty != null) throw invalid('only one of qty or notional is accepted');
  if (order.notional != null) throw invalid('notional is not supported by the paper broker');
  if (qty == null) throw invalid('qty is required');
  if (order.extended_hours === true && (type !== 'limit' || (time_in_force !== 'day' && time_in_force !== 'gtc'))) {
    throw invalid('extended hours order must be DAY or GTC limit orders');
  }
  return {
    order_id: order.client_order_id ?? randomUUID(),
    asset: exchange.findAsset(symbol)?.name ?? symbol,
    amount: withSide(qty, side),
    order_type: type as OrderType,
    limit_price: order.limit_price ?? null,
    stop_price: order.stop_price ?? null,
    time_in_force: time_in_force as TimeInForce,
  };
}

const replaceSchema = z.object({
  client_order_id: z.string().nullish(),
  qty: numeric.nullish(),
  limit_price: numeric.nullish(),
  stop_price: numeric.nullish(),
  time_in_force: z.string().nullish(),
});

function replaceOrder(exchange: PaperExchange, id: string, body: unknown): PaperOrder {
  const { client_order_id, qty, limit_price, stop_price, time_in_force } = parse(replaceSchema, body);
  const side = exchange.orderByBrokerId(id)?.amount.startsWith('-') ? 'sell' : 'buy';
  const request: PaperReplaceRequest = {
    order_id: client_order_id ?? randomUUID(),
    ...(qty == null ? {} : { amount: withSide(qty, side) }),
    ...(limit_price == null ? {} : { limit_price }),
    ...(stop_price == null ? {} : { stop_price }),
    ...(time_in_force == null ? {} : { time_in_force: time_in_force as TimeInForce }),
  };
  return exchange.replace({ order_id: id, broker_order_id: id }, request);
}

function withSide(qty: string, side: 'buy' | 'sell'): DecimalString {
  if (qty.startsWith('-') || /^0*(\.0*)?$/.test(qty)) throw invalid('qty must be greater than 0');
  return side === 'sell' ? `-${qty}` : qty;
}

const listSchema = z.object({
  status: z.enum(['open', 'closed', 'all']).default('open'),
  limit: z.coerce.number().int().min(1).max(500).default(50),
  direction: z.enum(['asc', 'desc']).default('desc'),
  after: z.string().optional(),
  until: z.string().optional(),
  symbols: z.string().optional(),
  side: z.enum(['buy', 'sell']).optional(),
  asset_class: z.string().optional(),
  after_order_id: z.string().optional(),
  before_order_id: z.string().optional(),
});

function orders(exchange: PaperExchange, query: URLSearchParams): readonly PaperOrder[] {
  const given = parse(listSchema, Object.fromEntries(query));
  const { status, limit, direction, after, until, symbols, side, asset_class, after_order_id, before_order_id } = given;
  const place = (id: string) => {
    const order = exchange.orderByBrokerId(id);
    if (order === null) throw invalid(`order not found for ${id}`);
    return order.sequence;
  };
  if (after_order_id !== undefined && before_order_id !== undefined) {
    throw invalid('only one of after_order_id or before_order_id is accepted');
  }
  const from = after === undefined ? null : instant(after, 'after');
  const to = until === undefined ? null : instant(until, 'until');
  const first = after_order_id === undefined ? null : place(after_order_id);
  const last = before_order_id === undefined ? null : place(before_order_id);
  const wanted = symbols?.split(',');
  const classes = asset_class === undefined || asset_class === 'all' ? null : asset_class.split(',');
  // Open ones are few; all there ever were are looked through only when they are asked for.
  const found = (status === 'open' ? exchange.openOrders() : exchange.orders()).filter(
    (order) =>
      (status !== 'closed' || (order.status !== 'open' && order.status !== 'partially_filled')) &&
      (from === null || micros(order.created_at) > from) &&
      (to === null || micros(order.created_at) < to) &&
      (first === null || order.sequence > first) &&
      (last === null || order.sequence < last) &&
      (wanted === undefined || wanted.includes(order.asset) || wanted.includes(order.asset.replace('/', ''))) &&
      (classes === null || classes.includes(exchange.asset(order.asset)?.assetClass ?? '')) &&
      (side === undefined || order.amount.startsWith('-') === (side === 'sell')),
  );
  return (direction === 'asc' ? found : found.toReversed()).slice(0, limit);
}
