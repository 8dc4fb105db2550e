/** Every way in which the paper broker says no, beside what the Trading API's description says of it; the documentation has the same table. */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { limit, market, trade } from '../../contract/broker-requests.ts';
import { readOpenApi } from '../support/open-api.ts';
import { headers, order, serveEach } from '../support/served.ts';

const at = serveEach();
const none = '00000000-0000-4000-8000-000000000000';

interface Row {
  /** As in the documentation's table. */
  readonly name: string;
  readonly method: 'GET' | 'POST' | 'PATCH' | 'DELETE';
  /** `:live`, `:ended` and `:none` are ids of an order that is open, one that has ended, and none. */
  readonly path: string;
  readonly route: string;
  readonly body?: unknown;
  readonly sent?: Record<string, string>;
  readonly answers: readonly [status: number, code: number, message: string | RegExp];
  readonly more?: object;
  /** What the description says of the status; it has no body for any of them. */
  readonly says: 'nothing' | 'status only';
}

const post = { method: 'POST', path: '/v2/orders', route: '/v2/orders' } as const;
const bad = (name: string, change: object, message: string | RegExp): Row => ({
  ...post,
  name,
  body: { ...order, ...change },
  answers: [422, 42210000, message],
  says: 'status only',
});
const one = '/v2/orders/{order_id}';

const rows: readonly Row[] = [
  {
    ...post,
    name: 'client order id used before',
    body: { ...order, client_order_id: 'ended' },
    answers: [422, 40010001, 'client_order_id must be unique'],
    says: 'status only',
  },
  {
    ...post,
    name: 'too little buying power',
    body: { ...order, qty: '1000' },
    answers: [403, 40310000, 'insufficient buying power'],
    more: { buying_power: '9630', cost_basis: '100000' },
    says: 'status only',
  },
  {
    ...post,
    name: 'more than is held, or through zero',
    body: { ...order, side: 'sell', qty: '4', limit_price: '500' },
    answers: [403, 40310000, 'insufficient qty available for order (requested: 4, available: 3)'],
    more: { available: '3', existing_qty: '3', held_for_orders: '0', symbol: 'AAPL' },
    says: 'status only',
  },
  {
    ...post,
    name: 'a coin that is not held',
    body: { ...order, symbol: 'BTC/USD', side: 'sell', qty: '1' },
    answers: [403, 40310000, 'insufficient balance for BTC (requested: 1, available: 0)'],
    says: 'status only',
  },
  {
    ...post,
    name: 'would trade with an own order',
    body: { ...order, side: 'sell', qty: '1', type: 'market', limit_price: undefined },
    answers: [403, 40310000, 'potential wash trade detected. use complex orders'],
    more: { reject_reason: 'opposite side limit order exists' },
    says: 'status only',
  },
  bad('unknown symbol', { symbol: 'NOPE' }, 'asset "NOPE" not found'),
  bad('symbol missing', { symbol: undefined }, /^symbol/),
  bad('quantity missing', { qty: undefined }, 'qty is required'),
  bad('quantity of nothing, or below', { qty: '0' }, 'qty must be greater than 0'),
  bad('quantity that is no decimal', { qty: '1e3' }, 'qty must be a decimal string'),
  bad('quantity of too many places', { qty: '0.0000000001' }, 'qty must have at most 9 decimal places'),
  bad('part of a share beyond the day', { qty: '1.5' }, 'fractional orders must be DAY orders'),
  bad(
    'part of a share, sold short',
    { symbol: 'MSFT', qty: '0.5', side: 'sell', time_in_force: 'day' },
    'fractional orders cannot be sold short',
  ),
  bad('quantity and notional', { notional: '5' }, 'only one of qty or notional is accepted'),
  bad('side missing or unknown', { side: 'hold' }, /^side/),
  bad('type unknown', { type: 'magic' }, 'invalid order type "magic"'),
  bad('time in force unknown', { time_in_force: 'later' }, 'invalid time_in_force "later"'),
  bad('limit price missing', { limit_price: undefined }, 'limit orders require limit_price'),
  bad('limit price not above zero', { limit_price: '0' }, 'limit_price must be greater than 0'),
  bad('limit price where there is none', { type: 'market' }, 'market orders must not have limit_price'),
  bad('stop price missing', { type: 'stop', limit_price: undefined }, 'stop orders require stop_price'),
  bad('client order id too long', { client_order_id: 'x'.repeat(129) }, /client_order_id must be 1 to 128/),
  bad('extended hours without a limit', { extended_hours: true, time_in_force: 'ioc' }, /^extended hours order/),
  bad('coin for the day', { symbol: 'BTC/USD', time_in_force: 'day' }, 'invalid crypto time_in_force'),
  bad('order class beyond simple', { order_class: 'bracket' }, /^order_class/),
  bad('legs of an order', { take_profit: { limit_price: '5' } }, 'take_profit is not supported by the paper broker'),
  bad('position intent', { position_intent: 'sell_to_close' }, 'position_intent is not supported by the paper broker'),
  {
    ...post,
    name: 'body that is no JSON',
    body: '{"symbol":',
    answers: [400, 40010000, 'request body format is invalid'],
    says: 'nothing',
  },
  {
    name: 'unknown order, read',
    method: 'GET',
    path: '/v2/orders/:none',
    route: one,
    answers: [404, 40410000, `order not found for ${none}`],
    says: 'nothing',
  },
  {
    name: 'unknown client order id, read',
    method: 'GET',
    path: '/v2/orders:by_client_order_id?client_order_id=no',
    route: '/v2/orders:by_client_order_id',
    answers: [404, 40410000, 'order not found for no'],
    says: 'nothing',
  },
  {
    name: 'unknown order, canceled',
    method: 'DELETE',
    path: '/v2/orders/:none',
    route: one,
    answers: [404, 40410000, `order not found for ${none}`],
    says: 'nothing',
  },
  {
    name: 'ended order, canceled',
    method: 'DELETE',
    path: '/v2/orders/:ended',
    route: one,
    answers: [422, 42210000, 'order is already in "filled" state'],
    says: 'status only',
  },
  {
    name: 'unknown order, replaced',
    method: 'PATCH',
    path: '/v2/orders/:none',
    route: one,
    body: { qty: '5' },
    answers: [404, 40410000, `order not found for ${none}`],
    says: 'nothing',
  },
  {
    name: 'ended order, replaced',
    method: 'PATCH',
    path: '/v2/orders/:ended',
    route: one,
    body: { qty: '5' },
    answers: [422, 42210000, 'order is already in "filled" state'],
    says: 'nothing',
  },
  {
    name: 'replaced by the same',
    method: 'PATCH',
    path: '/v2/orders/:live',
    route: one,
    body: {},
    answers: [422, 42210000, 'order parameters are not changed'],
    says: 'nothing',
  },
  {
    name: 'replaced under a used id',
    method: 'PATCH',
    path: '/v2/orders/:live',
    route: one,
    body: { qty: '5', client_order_id: 'ended' },
    answers: [422, 40010001, 'client_order_id must be unique'],
    says: 'nothing',
  },
  {
    name: 'list of orders, wrong parameter',
    method: 'GET',
    path: '/v2/orders?limit=501',
    route: '/v2/orders',
    answers: [422, 42210000, /^limit/],
    says: 'nothing',
  },
  {
    name: 'list of activities, wrong parameter',
    method: 'GET',
    path: '/v2/account/activities?activity_types=FILL&category=trade_activity',
    route: '/v2/account/activities',
    answers: [422, 42210000, 'only one of activity_types or category is accepted'],
    says: 'nothing',
  },
  {
    name: 'no position',
    method: 'GET',
    path: '/v2/positions/MSFT',
    route: '/v2/positions/{symbol_or_asset_id}',
    answers: [404, 40410000, 'position does not exist'],
    says: 'nothing',
  },
  {
    name: 'no asset',
    method: 'GET',
    path: '/v2/assets/NOPE',
    route: '/v2/assets/{symbol_or_asset_id}',
    answers: [404, 40410000, 'asset not found for NOPE'],
    says: 'status only',
  },
  {
    name: 'wrong or missing keys',
    method: 'GET',
    path: '/v2/account',
    route: '/v2/account',
    sent: { ...headers, 'APCA-API-SECRET-KEY': 'wrong' },
    answers: [401, 40110000, 'request is not authorized'],
    says: 'nothing',
  },
  {
    name: 'unknown path',
    method: 'GET',
    path: '/v2/nothing',
    route: '/v2/nothing',
    answers: [404, 40410000, 'endpoint not found'],
    says: 'nothing',
  },
];

describe('the paper broker says no', () => {
  const api = readOpenApi();
  const text = readFileSync(new URL('../../../docs/internals/paper-broker.md', import.meta.url), 'utf8');

  it.each(rows.map((row) => [row.name, row] as const))('to: %s', async (_, row) => {
    at.exchange.submit(market('ended', 'AAPL', '3'));
    at.exchange.onMarket(trade('AAPL', '90', '3'));
    at.exchange.submit(limit('live', 'AAPL', '1', '100'));
    const ids = { ':live': 'live', ':ended': 'ended' };
    let path = row.path.replace(':none', none);
    for (const [mark, id] of Object.entries(ids)) {
      path = path.replace(mark, at.exchange.order(id)?.broker_order_id ?? '');
    }
    const before = [at.exchange.orders(), at.exchange.account(), at.exchange.positions()];
    const [status, code, message] = row.answers;
    const answer = await at.call(row.method, path, row.body, row.sent);
    expect(answer.status).toBe(status);
    expect(answer.body).toMatchObject({
      code,
      message: typeof message === 'string' ? message : expect.stringMatching(message),
      ...row.more,
    });
    expect([at.exchange.orders(), at.exchange.account(), at.exchange.positions()], 'nothing changed').toEqual(before);
    if (api !== null) expect(api.says(row.method.toLowerCase(), row.route, status)).toBe(row.says);
    // The documentation's row: case, what the description says, what is answered.
    const said = row.says === 'nothing' ? 'silent' : `${status}, no body`;
    expect(text).toContain(`| ${row.name} | ${said} | ${status}, ${code} |`);
  });
});
