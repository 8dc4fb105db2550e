/** Every answer of the paper broker against the published description of the Trading API, where the machine has it. */
import { describe, expect, it } from 'vitest';
import { tradingRoutes } from '../../../src/brokers/paper/trading-routes.ts';
import { limit, market, trade } from '../../contract/broker-requests.ts';
import { readOpenApi } from '../support/open-api.ts';
import { headers, order, serveEach } from '../support/served.ts';

const at = serveEach();
const api = readOpenApi();

describe.skipIf(api === null)('answers are as the Alpaca Trading API describes them', () => {
  it('for every route, with an account that has everything, and for every refusal', async () => {
    if (api === null) return;
    const routes = tradingRoutes(at.exchange);
    const seen = new Set<string>();
    const count = { answers: 0, refusals: 0, invalid: 0, undescribed: 0 };
    const problems: string[] = [];
    const check = async (
      method: string,
      path: string,
      route: string,
      status: number,
      body?: unknown,
      sent?: Record<string, string>,
    ) => {
      const answer = await at.call(method, path, body, sent);
      const what = `${method} ${path}`;
      const matched = routes.find((one) => one.method === method && one.path.test(new URL(path, 'http://x').pathname));
      expect(matched, what).toBeDefined();
      seen.add(`${matched?.method} ${matched?.path}`);
      expect(answer.status, `${what}: ${JSON.stringify(answer.body)}`).toBe(status);
      if (status < 300) count.answers += 1;
      else count.refusals += 1;
      const found = api.problems(method.toLowerCase(), route, status, answer.body);
      if (found.length > 0) {
        count.invalid += 1;
        problems.push(...found.map((problem) => `${what}: ${problem}`));
      }
      return answer.body;
    };
    const ok = (path: string, route = path.replace(/\?.*/, '')) => check('GET', path, route, 200);

    // An account with positions on both sides, orders in every state, and activities of both kinds.
    at.exchange.submit(market('long', 'AAPL', '3'));
    at.exchange.submit(market('short', 'MSFT', '-2'));
    at.exchange.submit(market('coin', 'BTC/USD', '0.01'));
    at.exchange.onMarket(trade('AAPL', '100', '2'));
    at.exchange.onMarket(trade('AAPL', '101', '2'));
    at.exchange.onMarket(trade('MSFT', '50', '2'));
    at.exchange.onMarket(trade('BTC/USD', '60000', '2'));
    at.exchange.bookActivity({ type: 'DIV', asset: 'AAPL', cash: '0.75' });
    at.exchange.bookActivity({ type: 'INT', cash: '-0.02' });
    at.exchange.bookActivity({ type: 'SPLIT', asset: 'AAPL', amount: '3' });
    at.exchange.bookActivity({ type: 'CFEE', asset: 'BTC/USD', amount: '-0.00001' });
    const placed = await check('POST', '/v2/orders', '/v2/orders', 200, {
      ...order,
      limit_price: '10',
      client_order_id: 'a',
    });
    const patched = await check('PATCH', `/v2/orders/${placed.id}`, '/v2/orders/{order_id}', 200, { qty: '5' });
    const stopped = { ...order, type: 'stop_limit', side: 'sell', qty: '1', limit_price: '40', stop_price: '41' };
    await check('POST', '/v2/orders', '/v2/orders', 200, { ...stopped, symbol: 'AAPL', client_order_id: 'stop' });
    const orders = await ok('/v2/orders?status=all&limit=500', '/v2/orders');
    for (const one of orders) expect(api.undescribed('Order', one)).toEqual(['holdfast']);
    await ok(`/v2/orders/${placed.id}`, '/v2/orders/{order_id}');
    await ok('/v2/orders:by_client_order_id?client_order_id=a', '/v2/orders:by_client_order_id');
    expect(api.undescribed('Account', await ok('/v2/account'))).toEqual(['holdfast']);
    const positions = await ok('/v2/positions');
    expect(positions).toHaveLength(3);
    for (const one of positions) expect(api.undescribed('Position', one)).toEqual(['holdfast']);
    await ok('/v2/positions/MSFT', '/v2/positions/{symbol_or_asset_id}');
    await ok('/v2/positions/BTCUSD', '/v2/positions/{symbol_or_asset_id}');
    await ok(`/v2/positions/${positions[0].asset_id}`, '/v2/positions/{symbol_or_asset_id}');
    for (const one of await ok('/v2/account/activities')) {
      const schema = one.activity_type === 'FILL' ? 'TradingActivities' : 'NonTradeActivities';
      expect(api.against(`#/components/schemas/${schema}`, one)).toEqual([]);
      expect(api.undescribed(schema, one).filter((field) => field !== 'holdfast')).toEqual([]);
    }
    await ok('/v2/account/activities/FILL', '/v2/account/activities/{activity_type}');
    await ok('/v2/account/activities/DIV', '/v2/account/activities/{activity_type}');
    await ok('/v2/clock');
    await ok('/v2/calendar?start=2025-10-01&end=2025-10-07', '/v2/calendar');
    await ok('/v2/calendar');
    for (const one of await ok('/v2/assets')) expect(api.undescribed('Assets', one)).toEqual([]);
    await ok('/v2/assets/AAPL', '/v2/assets/{symbol_or_asset_id}');
    await ok('/v2/assets/BTC%2FUSD', '/v2/assets/{symbol_or_asset_id}');
    await ok('/v2/assets/BTCUSD', '/v2/assets/{symbol_or_asset_id}');

    // What is refused. Where the description has no body for a status, the body is checked against its general form of an error.
    for (const change of [
      { symbol: 'NOPE' },
      { client_order_id: 'a' },
      { qty: '0' },
      { side: 'hold' },
      { type: 'magic' },
      { time_in_force: 'sometimes' },
      { order_class: 'bracket' },
      { notional: '100' },
    ]) {
      await check('POST', '/v2/orders', '/v2/orders', 422, { ...order, ...change });
    }
    await check('POST', '/v2/orders', '/v2/orders', 403, { ...order, qty: '100000' });
    await check('POST', '/v2/orders', '/v2/orders', 403, { ...order, side: 'sell', qty: '7' });
    await check('POST', '/v2/orders', '/v2/orders', 403, { ...order, type: 'market', limit_price: undefined });
    const none = '00000000-0000-4000-8000-000000000000';
    await check('GET', `/v2/orders/${none}`, '/v2/orders/{order_id}', 404);
    await check('GET', '/v2/orders:by_client_order_id?client_order_id=no', '/v2/orders:by_client_order_id', 404);
    await check('DELETE', `/v2/orders/${none}`, '/v2/orders/{order_id}', 404);
    await check('DELETE', `/v2/orders/${placed.id}`, '/v2/orders/{order_id}', 422);
    await check('PATCH', `/v2/orders/${none}`, '/v2/orders/{order_id}', 404, { qty: '5' });
    await check('PATCH', `/v2/orders/${placed.id}`, '/v2/orders/{order_id}', 422, { qty: '5' });
    await check('GET', '/v2/positions/NOPE', '/v2/positions/{symbol_or_asset_id}', 404);
    await check('GET', '/v2/assets/NOPE', '/v2/assets/{symbol_or_asset_id}', 404);
    for (const { method, path } of [
      { method: 'GET', path: '/v2/account' },
      { method: 'POST', path: '/v2/orders' },
      { method: 'GET', path: '/v2/clock' },
    ]) {
      await check(method, path, path, 401, method === 'POST' ? order : undefined, {
        ...headers,
        'APCA-API-SECRET-KEY': 'wrong',
      });
    }
    at.exchange.misbehave({ kind: 'http_429' });
    await check('GET', '/v2/account', '/v2/account', 429);
    at.exchange.misbehave({ kind: 'http_500' });
    await check('GET', '/v2/account', '/v2/account', 500);

    await check('DELETE', `/v2/orders/${patched.id}`, '/v2/orders/{order_id}', 204);
    at.exchange.submit(limit('b', 'MSFT', '1', '1'));
    expect(await check('DELETE', '/v2/orders', '/v2/orders', 207)).toHaveLength(2);

    const unseen = routes.map((one) => `${one.method} ${one.path}`).filter((one) => !seen.has(one));
    expect(unseen, 'routes that no answer was checked of').toEqual([]);
    process.stdout.write(
      `alpaca description: ${routes.length} routes, ${count.answers} answers and ${count.refusals} refusals checked, ${count.invalid} not as described\n`,
    );
    expect(problems).toEqual([]);
  });

  it('and the check would see what is not', async () => {
    const { body } = await at.call('POST', '/v2/orders', order);
    const problems = (changed: object) => api?.problems('post', '/v2/orders', 200, changed);
    expect(problems(body)).toEqual([]);
    expect(problems({ ...body, qty: 10 })).toEqual(['/qty must be string']);
    expect(problems({ ...body, id: 'x' })).toEqual(['/id must match format "uuid"']);
    expect(problems({ ...body, status: 'open' })).toEqual(['/status must be equal to one of the allowed values']);
    expect(problems({ ...body, canceled_at: 'soon' })).toEqual(['/canceled_at must match format "date-time"']);
    expect(problems({ ...body, type: undefined })).toHaveLength(1);
    expect(api?.problems('post', '/v2/orders', 403, { message: 'no' })).toHaveLength(1);
  });
});
