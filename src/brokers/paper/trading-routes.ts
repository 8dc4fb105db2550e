/** The paths of the Alpaca Trading API, v2. */
import { randomUUID } from 'node:crypto';
import { z } from 'zod';
import type { DecimalString } from '../../model/money.ts';
import type { OrderType, TimeInForce } from '../../model/order.ts';
import { micros } from '../../model/time.ts';
import type { ReplaceRequest } from '../adapter.ts';
import { accountJson, activityJson, assetJson, clockJson, orderJson, positionJson } from './alpaca-json.ts';
import type { PaperExchange } from './exchange.ts';
import { errorAnswer, type PaperAnswer, type PaperRoute } from './http.ts';
import type { PaperFill, PaperOrder } from './orders.ts';
import { refuse } from './refusals.ts';

export function tradingRoutes(exchange: PaperExchange): readonly PaperRoute[] {
  const order = (found: PaperOrder | null, name: string): PaperAnswer =>
    found === null
      ? errorAnswer(404, 40410000, `order not found for ${name}`)
      : { status: 200, body: orderJson(exchange, found) };
  return [
    get(/^\/v2\/account$/, () => ({ status: 200, body: accountJson(exchange) }), 'fetchAccount'),
    get(
      /^\/v2\/account\/activities(?:\/FILL)?$/,
      ({ query }) => ({ status: 200, body: activities(exchange, query) }),
      'fetchFills',
    ),
    get(
      /^\/v2\/positions$/,
      () => ({ status: 200, body: exchange.readPositions().map((position) => positionJson(exchange, position)) }),
      'fetchPositions',
    ),
    get(/^\/v2\/positions\/([^/]+)$/, (_, [symbol]) => {
      const found = exchange.positions().find(({ asset }) => asset === symbol || asset.replace('/', '') === symbol);
      if (found === undefined) return errorAnswer(404, 40410000, 'position does not exist');
      return { status: 200, body: positionJson(exchange, found) };
    }),
    {
      method: 'POST',
      path: /^\/v2\/orders$/,
      operation: 'submitOrder',
      handle: ({ body }) => ({ status: 200, body: orderJson(exchange, exchange.submit(newOrder(body))) }),
    },
    get(/^\/v2\/orders$/, ({ query }) => ({ status: 200, body: orders(exchange, query) }), 'fetchOpenOrders'),
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
        return order(exchange.order(id), id);
      },
      'fetchOrder',
    ),
    get(/^\/v2\/orders\/([^/]+)$/, (_, [id = '']) => order(exchange.orderByBrokerId(id), id), 'fetchOrder'),
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
    get(/^\/v2\/clock$/, () => ({ status: 200, body: clockJson(exchange) })),
    get(/^\/v2\/assets\/(.+)$/, (_, [symbol = '']) => {
      const asset = exchange.asset(symbol);
      if (asset === undefined) return errorAnswer(404, 40410000, `asset not found for ${symbol}`);
      return { status: 200, body: assetJson(asset, exchange.shorts) };
    }),
  ];
}

function get(path: RegExp, handle: PaperRoute['handle'], operation?: PaperRoute['operation']): PaperRoute {
  return { method: 'GET', path, handle, ...(operation === undefined ? {} : { operation }) };
}

/** The real one takes numbers as well as strings; whole ones are taken here, others have been floats already. */
const numeric = z.union([z.string(), z.int().transform(String)]);

const newOrderSchema = z.object({
  symbol: z.string(),
  qty: numeric,
  side: z.enum(['buy', 'sell']),
  type: z.string(),
  time_in_force: z.string(),
  limit_price: numeric.nullish(),
  stop_price: numeric.nullish(),
  client_order_id: z.string().nullish(),
  order_class: z.enum(['', 'simple']).nullish(),
});

function newOrder(body: unknown): Parameters<PaperExchange['submit']>[0] {
  const { symbol, qty, side, type, time_in_force, limit_price, stop_price, client_order_id } = parse(
    newOrderSchema,
    body,
  );
  return {
    order_id: client_order_id ?? randomUUID(),
    asset: symbol,
    amount: withSide(qty, side),
    order_type: type as OrderType,
    limit_price: limit_price ?? null,
    stop_price: stop_price ?? null,
    time_in_force: time_in_force as TimeInForce,
  };
}

const replaceSchema = z.object({
  client_order_id: z.string().nullish(),
  qty: numeric.nullish(),
  limit_price: numeric.nullish(),
  stop_price: numeric.nullish(),
});

function replaceOrder(exchange: PaperExchange, id: string, body: unknown): PaperOrder {
  const { client_order_id, qty, limit_price, stop_price } = parse(replaceSchema, body);
  const side = exchange.orderByBrokerId(id)?.amount.startsWith('-') ? 'sell' : 'buy';
  const request: ReplaceRequest = {
    order_id: client_order_id ?? randomUUID(),
    ...(qty == null ? {} : { amount: withSide(qty, side) }),
    ...(limit_price == null ? {} : { limit_price }),
    ...(stop_price == null ? {} : { stop_price }),
  };
  return exchange.replace({ order_id: id, broker_order_id: id }, request);
}

function withSide(qty: string, side: 'buy' | 'sell'): DecimalString {
  if (qty.startsWith('-')) throw refuse('invalid_request', 'qty must be greater than 0');
  return side === 'sell' && qty !== '0' ? `-${qty}` : qty;
}

function orders(exchange: PaperExchange, query: URLSearchParams): readonly object[] {
  const { status, limit, direction, after, until, symbols, side, after_order_id, before_order_id } = parse(
    z.object({
      status: z.enum(['open', 'closed', 'all']).default('open'),
      limit: z.coerce.number().int().min(1).max(500).default(50),
      direction: z.enum(['asc', 'desc']).default('desc'),
      after: z.string().optional(),
      until: z.string().optional(),
      symbols: z.string().optional(),
      side: z.enum(['buy', 'sell']).optional(),
      after_order_id: z.string().optional(),
      before_order_id: z.string().optional(),
    }),
    Object.fromEntries(query),
  );
  const place = (id: string) => exchange.orderByBrokerId(id)?.sequence ?? raise(`order not found for ${id}`);
  const from = after === undefined ? null : instant(after, 'after');
  const to = until === undefined ? null : instant(until, 'until');
  const first = after_order_id === undefined ? null : place(after_order_id);
  const last = before_order_id === undefined ? null : place(before_order_id);
  const wanted = symbols?.split(',');
  // Open ones are few; all there ever were are looked through only when they are asked for.
  const found = (status === 'open' ? exchange.openOrders() : exchange.orders()).filter(
    (order) =>
      (status !== 'closed' || (order.status !== 'open' && order.status !== 'partially_filled')) &&
      (from === null || micros(order.created_at) > from) &&
      (to === null || micros(order.created_at) < to) &&
      (first === null || order.sequence > first) &&
      (last === null || order.sequence < last) &&
      (wanted === undefined || wanted.includes(order.asset) || wanted.includes(order.asset.replace('/', ''))) &&
      (side === undefined || order.amount.startsWith('-') === (side === 'sell')),
  );
  const sorted = direction === 'asc' ? found : found.toReversed();
  return sorted.slice(0, limit).map((order) => orderJson(exchange, order));
}

function activities(exchange: PaperExchange, query: URLSearchParams): readonly object[] {
  const { activity_types, after, until, date, direction, page_size, page_token } = parse(
    z.object({
      activity_types: z.string().optional(),
      after: z.string().optional(),
      until: z.string().optional(),
      date: z.string().optional(),
      direction: z.enum(['asc', 'desc']).default('desc'),
      page_size: z.coerce.number().int().min(1).max(100).default(100),
      page_token: z.string().optional(),
    }),
    Object.fromEntries(query),
  );
  if (activity_types !== undefined && !activity_types.split(',').includes('FILL')) return [];
  const from = after === undefined ? null : instant(after, 'after');
  const to = until === undefined ? null : instant(until, 'until');
  const upwards = direction === 'asc';
  const fits = (fill: PaperFill) =>
    (from === null || micros(fill.at) > from) &&
    (to === null || micros(fill.at) < to) &&
    (date === undefined || fill.at.startsWith(date.slice(0, 10))) &&
    (page_token === undefined || upwards || fill.activity_id < page_token);
  // Ids sort in the order of execution, so a token is a place among them whether or not it is one of them.
  const candidates = exchange.fills({ activity_id: upwards ? (page_token ?? null) : null, at: null }).filter(fits);
  const page = (upwards ? candidates : candidates.toReversed()).slice(0, page_size);
  return page.map(activityJson);
}

/** "2025-10-02" or a full time. */
function instant(text: string, name: string): number {
  try {
    return micros(/^\d{4}-\d{2}-\d{2}$/.test(text) ? `${text}T00:00:00Z` : text);
  } catch {
    return raise(`invalid ${name}`);
  }
}

function parse<T>(schema: z.ZodType<T>, value: unknown): T {
  const parsed = schema.safeParse(value ?? {});
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  return raise(`${issue?.path.join('.') || 'body'}: ${issue?.message ?? 'invalid'}`);
}

function raise(message: string): never {
  throw refuse('invalid_request', message);
}
