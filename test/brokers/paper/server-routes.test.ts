import { describe, expect, it } from 'vitest';
import { limit, market, trade } from '../../contract/broker-requests.ts';
import { order, serveEach } from '../support/served.ts';

const at = serveEach();

describe('the paths of the Trading API', () => {
  it('tell positions with the words of the real one', async () => {
    at.exchange.submit(market('a', 'MSFT', '-2'));
    at.exchange.submit(market('b', 'BTC/USD', '0.01'));
    at.exchange.onMarket(trade('MSFT', '50', '2'));
    at.exchange.onMarket(trade('BTC/USD', '60000', '2'));
    at.exchange.onMarket(trade('MSFT', '40', '2'));
    at.exchange.submit(limit('c', 'MSFT', '1', '30'));
    const { body } = await at.call('GET', '/v2/positions');
    expect(body).toMatchObject([
      { symbol: 'BTCUSD', qty: '0.01', side: 'long', asset_class: 'crypto', market_value: '600' },
      {
        symbol: 'MSFT',
        qty: '-2',
        qty_available: '-1',
        side: 'short',
        avg_entry_price: '50',
        cost_basis: '-100',
        market_value: '-80',
        unrealized_pl: '20',
        unrealized_plpc: '0.2',
      },
    ]);
    expect((await at.call('GET', '/v2/positions/BTCUSD')).body).toMatchObject({ symbol: 'BTCUSD' });
    expect(await at.call('GET', '/v2/positions/AAPL')).toMatchObject({
      status: 404,
      body: { code: 40410000, message: 'position does not exist' },
    });
    expect((await at.call('GET', '/v2/account')).body).toMatchObject({
      cash: '9500',
      equity: '10020',
      long_market_value: '600',
      short_market_value: '-80',
      holdfast: { cash: { USD: '9500', USDT: '500' } },
    });
  });

  it.each([
    ['an unknown asset', { ...order, symbol: 'NOPE' }, 422, { code: 42210000, message: 'asset "NOPE" not found' }],
    [
      'too little buying power',
      { ...order, qty: '1000' },
      403,
      { code: 40310000, message: 'insufficient buying power', buying_power: '10000', cost_basis: '100000' },
    ],
    [
      'a missing limit',
      { ...order, limit_price: undefined },
      422,
      { code: 42210000, message: 'limit orders require limit_price' },
    ],
    ['an unknown side', { ...order, side: 'hold' }, 422, { code: 42210000 }],
    ['a negative quantity', { ...order, qty: '-1' }, 422, { code: 42210000, message: 'qty must be greater than 0' }],
    ['a number that was a float', { ...order, qty: 0.1 }, 422, { code: 42210000 }],
    ['a bracket', { ...order, order_class: 'bracket' }, 422, { code: 42210000 }],
    ['half a body', '{"symbol":', 400, { code: 40010000 }],
    ['a body without end', `"${'x'.repeat(70_000)}"`, 400, { code: 40010000 }],
  ])('refuse %s in the real one’s form', async (_, body, status, expected) => {
    const answer = await at.call('POST', '/v2/orders', body);
    expect(answer.status).toBe(status);
    expect(answer.body).toMatchObject(expected);
    expect(at.exchange.orders()).toEqual([]);
  });

  it('refuse a client order id that was used, and a sale of more than is held', async () => {
    await at.call('POST', '/v2/orders', {
      ...order,
      client_order_id: 'a',
      type: 'market',
      limit_price: undefined,
      qty: 2,
    });
    at.exchange.onMarket(trade('AAPL', '100', '5'));
    expect(await at.call('POST', '/v2/orders', { ...order, client_order_id: 'a' })).toMatchObject({
      status: 422,
      body: { code: 40010001, message: 'client_order_id must be unique' },
    });
    expect(await at.call('POST', '/v2/orders', { ...order, side: 'sell', qty: '3' })).toMatchObject({
      status: 403,
      body: { code: 40310000, available: '2', existing_qty: '2', held_for_orders: '0', symbol: 'AAPL' },
    });
    const id = at.exchange.order('a')?.broker_order_id;
    expect(await at.call('DELETE', `/v2/orders/${id}`)).toMatchObject({
      status: 422,
      body: { message: 'order is already in "filled" state' },
    });
  });

  it('name orders that the client did not', async () => {
    const { body } = await at.call('POST', '/v2/orders', order);
    expect(body.client_order_id).toMatch(/^[0-9a-f-]{36}$/);
  });

  it('page activities in both directions', async () => {
    at.exchange.submit(limit('a', 'AAPL', '5', '100'));
    for (let count = 0; count < 5; count += 1) at.exchange.onMarket(trade('AAPL', '100', '1'));
    const ids = at.exchange.fills().map((fill) => fill.activity_id);
    const page = async (query: string) =>
      (await at.call('GET', `/v2/account/activities/FILL?${query}`)).body.map(({ id }: { id: string }) => id);
    expect(await page('')).toEqual(ids.toReversed());
    expect(await page('direction=asc&page_size=2')).toEqual(ids.slice(0, 2));
    expect(await page(`direction=asc&page_size=2&page_token=${ids[1]}`)).toEqual(ids.slice(2, 4));
    expect(await page(`direction=desc&page_size=2&page_token=${ids[3]}`)).toEqual([ids[2], ids[1]]);
    expect(await page('after=2000-01-01')).toHaveLength(5);
    expect(await page('until=2000-01-01T00:00:00Z')).toEqual([]);
    expect(await page('date=2000-01-01')).toEqual([]);
    expect((await at.call('GET', '/v2/account/activities?activity_types=DIV')).body).toEqual([]);
    expect((await at.call('GET', '/v2/account/activities?page_size=101')).status).toBe(422);
    expect((await at.call('GET', '/v2/account/activities?after=yesterday')).status).toBe(422);
  });

  it('find activities of types that are names of several, and refuse a day that is none', async () => {
    at.exchange.submit(market('a', 'AAPL', '1'));
    at.exchange.onMarket(trade('AAPL', '100', '1'));
    for (const type of ['CSD', 'CSW', 'DIV', 'INT'] as const) at.exchange.bookActivity({ type, cash: '1' });
    const types = async (path: string) =>
      (await at.call('GET', `/v2/account/activities${path}`)).body.map(
        (found: { activity_type: string }) => found.activity_type,
      );
    expect(await types('/TRANS')).toEqual(['CSW', 'CSD']);
    expect(await types('?activity_types=FILL,MISC')).toEqual(['INT', 'FILL']);
    expect(await types(`?date=${at.exchange.now()}`)).toHaveLength(5);
    expect((await at.call('GET', '/v2/account/activities?date=yesterday')).status).toBe(422);
  });

  it('filter and page orders', async () => {
    for (const [id, amount] of [
      ['a', '1'],
      ['b', '-1'],
      ['c', '1'],
    ] as const)
      at.exchange.submit(limit(id, id === 'c' ? 'MSFT' : 'AAPL', amount, id === 'b' ? '60' : '50'));
    at.exchange.cancel({ order_id: 'a', broker_order_id: null });
    const list = async (query: string) =>
      (await at.call('GET', `/v2/orders?${query}`)).body.map(
        (found: { client_order_id: string }) => found.client_order_id,
      );
    expect(await list('')).toEqual(['c', 'b']);
    expect(await list('status=closed')).toEqual(['a']);
    expect(await list('status=all&direction=asc')).toEqual(['a', 'b', 'c']);
    expect(await list('status=all&symbols=MSFT,TSLA')).toEqual(['c']);
    expect(await list('status=all&side=sell')).toEqual(['b']);
    expect(await list('status=all&limit=1')).toEqual(['c']);
    at.exchange.submit(limit('coin', 'BTC/USD', '0.01', '50'));
    expect(await list('asset_class=crypto')).toEqual(['coin']);
    expect(await list('status=all&asset_class=us_equity,us_option')).toEqual(['c', 'b', 'a']);
    expect(await list('asset_class=all')).toEqual(['coin', 'c', 'b']);
    at.exchange.cancel({ order_id: 'coin', broker_order_id: null });
    expect(
      await list(`status=all&side=buy&direction=asc&after_order_id=${at.exchange.order('a')?.broker_order_id}`),
    ).toEqual(['c', 'coin']);
    expect(await list(`status=all&before_order_id=${at.exchange.order('b')?.broker_order_id}`)).toEqual(['a']);
    expect(await list('status=all&after=2999-01-01')).toEqual([]);
    expect(await list('status=all&until=2000-01-01')).toEqual([]);
    expect((await at.call('GET', '/v2/orders?after_order_id=x')).status).toBe(422);
  });

  it('do not know other paths', async () => {
    expect((await at.call('GET', '/v2/watchlists')).status).toBe(404);
    expect((await at.call('PUT', '/v2/orders')).status).toBe(404);
    expect((await at.call('GET', '/v2/positions/%E0%A4%A')).status).toBe(404);
    expect((await at.call('GET', '/v2/assets/NOPE')).status).toBe(404);
    expect((await at.call('GET', '/v2/orders/nope')).body).toEqual({
      code: 40410000,
      message: 'order not found for nope',
    });
  });
});
