import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { PaperExchange } from '../../../src/brokers/paper/exchange.ts';
import { type PaperServer, startPaperServer } from '../../../src/brokers/paper/server.ts';
import { limit, market, trade } from '../../contract/broker-contract.ts';
import { readOpenApi } from '../support/open-api.ts';

const keys = { keyId: 'PKTESTKEYID', secretKey: 'canary-secret-0123456789' };
const headers = { 'APCA-API-KEY-ID': keys.keyId, 'APCA-API-SECRET-KEY': keys.secretKey };

let exchange: PaperExchange;
let server: PaperServer;
beforeEach(async () => {
  exchange = new PaperExchange({
    assets: { AAPL: 'USD', MSFT: 'USD', 'BTC/USD': 'USD', BTCUSDT: 'USDT' },
    cash: { USD: '10000', USDT: '500' },
    seed: 3,
  });
  server = await startPaperServer({ exchange, keys });
});
afterEach(() => server.close());

async function call(method: string, path: string, body?: unknown, sent: Record<string, string> = headers) {
  const response = await fetch(`${server.url}${path}`, {
    method,
    headers: sent,
    ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
  });
  const text = await response.text();
  return { status: response.status, headers: response.headers, body: text === '' ? undefined : JSON.parse(text) };
}

const order = { symbol: 'AAPL', qty: '10', side: 'buy', type: 'limit', time_in_force: 'gtc', limit_price: '100' };

describe('keys', () => {
  it.each([
    ['no keys', {}],
    ['a wrong secret', { ...headers, 'APCA-API-SECRET-KEY': 'wrong' }],
    ['a wrong key id', { ...headers, 'APCA-API-KEY-ID': 'wrong' }],
  ])('answers 401 to %s, on the control paths too', async (_, sent) => {
    for (const path of ['/v2/account', '/paper/status']) {
      expect(await call('GET', path, undefined, sent as Record<string, string>)).toMatchObject({
        status: 401,
        body: { code: 40110000, message: 'request is not authorized' },
      });
    }
  });

  it('must not be empty', async () => {
    await expect(startPaperServer({ exchange, keys: { keyId: '', secretKey: '' } })).rejects.toMatchObject({
      code: 'PAPER_OPTIONS_INVALID',
    });
  });
});

const openApi = readOpenApi();
describe.skipIf(openApi === null)('answers are as the Alpaca Trading API describes them', () => {
  const problems = (method: string, route: string, { status, body }: { status: number; body?: unknown }) =>
    openApi?.problems(method, route, status, body);

  it('for everything that an account with positions, orders and fills is asked', async () => {
    exchange.submit(market('long', 'AAPL', '3'));
    exchange.submit(market('short', 'MSFT', '-2'));
    exchange.submit(market('coin', 'BTC/USD', '0.01'));
    exchange.onMarket(trade('AAPL', '100', '2'));
    exchange.onMarket(trade('AAPL', '101', '2'));
    exchange.onMarket(trade('MSFT', '50', '2'));
    exchange.onMarket(trade('BTC/USD', '60000', '2'));
    const placed = await call('POST', '/v2/orders', { ...order, limit_price: '10', client_order_id: 'a' });
    expect(problems('post', '/v2/orders', placed)).toEqual([]);
    const patched = await call('PATCH', `/v2/orders/${placed.body.id}`, { qty: '5' });
    expect(problems('patch', '/v2/orders/{order_id}', patched)).toEqual([]);
    expect(patched.body).toMatchObject({ qty: '5', replaces: placed.body.id });
    for (const [path, route] of [
      ['/v2/account', '/v2/account'],
      ['/v2/positions', '/v2/positions'],
      ['/v2/positions/MSFT', '/v2/positions/{symbol_or_asset_id}'],
      ['/v2/orders?status=all', '/v2/orders'],
      [`/v2/orders/${placed.body.id}`, '/v2/orders/{order_id}'],
      ['/v2/orders:by_client_order_id?client_order_id=a', '/v2/orders:by_client_order_id'],
      ['/v2/account/activities', '/v2/account/activities'],
      ['/v2/account/activities/FILL', '/v2/account/activities/{activity_type}'],
      ['/v2/clock', '/v2/clock'],
      ['/v2/assets/AAPL', '/v2/assets/{symbol_or_asset_id}'],
      ['/v2/assets/BTC%2FUSD', '/v2/assets/{symbol_or_asset_id}'],
    ] as const) {
      const answer = await call('GET', path);
      expect(answer.status, path).toBe(200);
      expect(problems('get', route, answer), path).toEqual([]);
    }
    const ended = await call('DELETE', `/v2/orders/${patched.body.id}`);
    expect(problems('delete', '/v2/orders/{order_id}', ended)).toEqual([]);
    exchange.submit(limit('b', 'AAPL', '1', '1'));
    const all = await call('DELETE', '/v2/orders');
    expect(all.body).toHaveLength(1);
    expect(problems('delete', '/v2/orders', all)).toEqual([]);
  });

  it('and the check would see what is not', async () => {
    const { body } = await call('POST', '/v2/orders', order);
    expect(problems('post', '/v2/orders', { status: 200, body: { ...body, qty: 10 } })).toEqual([
      '$.qty: expected a string, got number',
    ]);
    expect(
      problems('post', '/v2/orders', { status: 200, body: { ...body, status: 'open', type: undefined } }),
    ).toHaveLength(2);
  });
});

describe('the paths of the Trading API', () => {
  it('tell positions with the words of the real one', async () => {
    exchange.submit(market('a', 'MSFT', '-2'));
    exchange.submit(market('b', 'BTC/USD', '0.01'));
    exchange.onMarket(trade('MSFT', '50', '2'));
    exchange.onMarket(trade('BTC/USD', '60000', '2'));
    exchange.onMarket(trade('MSFT', '40', '2'));
    exchange.submit(limit('c', 'MSFT', '1', '30'));
    const { body } = await call('GET', '/v2/positions');
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
    expect((await call('GET', '/v2/positions/BTCUSD')).body).toMatchObject({ symbol: 'BTCUSD' });
    expect(await call('GET', '/v2/positions/AAPL')).toMatchObject({
      status: 404,
      body: { code: 40410000, message: 'position does not exist' },
    });
    expect((await call('GET', '/v2/account')).body).toMatchObject({
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
    const answer = await call('POST', '/v2/orders', body);
    expect(answer.status).toBe(status);
    expect(answer.body).toMatchObject(expected);
    expect(exchange.orders()).toEqual([]);
  });

  it('refuse a client order id that was used, and a sale of more than is held', async () => {
    await call('POST', '/v2/orders', {
      ...order,
      client_order_id: 'a',
      type: 'market',
      limit_price: undefined,
      qty: 2,
    });
    exchange.onMarket(trade('AAPL', '100', '5'));
    expect(await call('POST', '/v2/orders', { ...order, client_order_id: 'a' })).toMatchObject({
      status: 422,
      body: { code: 40010001, message: 'client_order_id must be unique' },
    });
    expect(await call('POST', '/v2/orders', { ...order, side: 'sell', qty: '3' })).toMatchObject({
      status: 403,
      body: { code: 40310000, available: '2', existing_qty: '2', held_for_orders: '0', symbol: 'AAPL' },
    });
    const id = exchange.order('a')?.broker_order_id;
    expect(await call('DELETE', `/v2/orders/${id}`)).toMatchObject({
      status: 422,
      body: { message: 'order is already in "filled" state' },
    });
  });

  it('name orders that the client did not', async () => {
    const { body } = await call('POST', '/v2/orders', order);
    expect(body.client_order_id).toMatch(/^[0-9a-f-]{36}$/);
  });

  it('page activities in both directions', async () => {
    exchange.submit(limit('a', 'AAPL', '5', '100'));
    for (let count = 0; count < 5; count += 1) exchange.onMarket(trade('AAPL', '100', '1'));
    const ids = exchange.fills().map((fill) => fill.activity_id);
    const page = async (query: string) =>
      (await call('GET', `/v2/account/activities/FILL?${query}`)).body.map(({ id }: { id: string }) => id);
    expect(await page('')).toEqual(ids.toReversed());
    expect(await page('direction=asc&page_size=2')).toEqual(ids.slice(0, 2));
    expect(await page(`direction=asc&page_size=2&page_token=${ids[1]}`)).toEqual(ids.slice(2, 4));
    expect(await page(`direction=desc&page_size=2&page_token=${ids[3]}`)).toEqual([ids[2], ids[1]]);
    expect(await page('after=2000-01-01')).toHaveLength(5);
    expect(await page('until=2000-01-01T00:00:00Z')).toEqual([]);
    expect(await page('date=2000-01-01')).toEqual([]);
    expect((await call('GET', '/v2/account/activities?activity_types=DIV')).body).toEqual([]);
    expect((await call('GET', '/v2/account/activities?page_size=101')).status).toBe(422);
    expect((await call('GET', '/v2/account/activities?after=yesterday')).status).toBe(422);
  });

  it('filter and page orders', async () => {
    for (const [id, amount] of [
      ['a', '1'],
      ['b', '-1'],
      ['c', '1'],
    ] as const)
      exchange.submit(limit(id, id === 'c' ? 'MSFT' : 'AAPL', amount, '50'));
    exchange.cancel({ order_id: 'a', broker_order_id: null });
    const list = async (query: string) =>
      (await call('GET', `/v2/orders?${query}`)).body.map(
        (found: { client_order_id: string }) => found.client_order_id,
      );
    expect(await list('')).toEqual(['c', 'b']);
    expect(await list('status=closed')).toEqual(['a']);
    expect(await list('status=all&direction=asc')).toEqual(['a', 'b', 'c']);
    expect(await list('status=all&symbols=MSFT,TSLA')).toEqual(['c']);
    expect(await list('status=all&side=sell')).toEqual(['b']);
    expect(await list('status=all&limit=1')).toEqual(['c']);
    expect(await list(`status=all&direction=asc&after_order_id=${exchange.order('a')?.broker_order_id}`)).toEqual([
      'b',
      'c',
    ]);
    expect(await list(`status=all&before_order_id=${exchange.order('b')?.broker_order_id}`)).toEqual(['a']);
    expect(await list('status=all&after=2999-01-01')).toEqual([]);
    expect(await list('status=all&until=2000-01-01')).toEqual([]);
    expect((await call('GET', '/v2/orders?after_order_id=x')).status).toBe(422);
  });

  it('do not know other paths', async () => {
    expect((await call('GET', '/v2/watchlists')).status).toBe(404);
    expect((await call('PUT', '/v2/orders')).status).toBe(404);
    expect((await call('GET', '/v2/positions/%E0%A4%A')).status).toBe(404);
    expect((await call('GET', '/v2/assets/NOPE')).status).toBe(404);
    expect((await call('GET', '/v2/orders/nope')).body).toEqual({
      code: 40410000,
      message: 'order not found for nope',
    });
  });
});

describe('the control paths', () => {
  it('change a position behind everybody’s back', async () => {
    expect(await call('POST', '/paper/positions/AAPL', { amount: '-2.5' })).toMatchObject({
      body: { asset: 'AAPL', amount: '-2.5' },
    });
    expect(exchange.positions()).toMatchObject([{ asset: 'AAPL', amount: '-2.5' }]);
    expect((await call('POST', '/paper/positions/NOPE', { amount: '1' })).status).toBe(422);
    expect((await call('POST', '/paper/positions/AAPL', { amount: 1 })).status).toBe(422);
  });

  it('make it misbehave, as often as asked', async () => {
    await call('POST', '/paper/misbehave', { kind: 'http_429', times: 2, ms: 1500, on: 'fetchAccount' });
    expect((await call('GET', '/v2/positions')).status).toBe(200);
    const limited = await call('GET', '/v2/account');
    expect(limited).toMatchObject({ status: 429, body: { code: 42910000 } });
    expect(limited.headers.get('retry-after')).toBe('1.5');
    expect((await call('GET', '/v2/account')).status).toBe(429);
    expect((await call('GET', '/v2/account')).status).toBe(200);
    expect((await call('POST', '/paper/misbehave', { kind: 'explode' })).status).toBe(422);
  });
});

describe('the account’s stream', () => {
  async function open(path = '/stream', sent?: Record<string, string>) {
    const socket = new WebSocket(
      `${server.url.replace('http', 'ws')}${path}`,
      sent === undefined ? {} : { headers: sent },
    );
    const messages: { readonly text: string; readonly binary: boolean }[] = [];
    const waiting: (() => void)[] = [];
    socket.on('message', (data, binary) => {
      messages.push({ text: String(data), binary });
      for (const wake of waiting.splice(0)) wake();
    });
    const closed = new Promise<number>((resolve) => socket.once('close', resolve));
    await new Promise((resolve, reject) => {
      socket.once('open', resolve);
      socket.once('error', reject);
    });
    return {
      socket,
      closed,
      send: (message: unknown) => socket.send(typeof message === 'string' ? message : JSON.stringify(message)),
      async next() {
        while (messages.length === 0) await new Promise<void>((resolve) => waiting.push(resolve));
        const message = messages.shift();
        return { ...JSON.parse(message?.text ?? ''), binary: message?.binary };
      },
    };
  }
  const authorized = { stream: 'authorization', data: { action: 'authenticate', status: 'authorized' }, binary: true };

  it('speaks the real one’s words, in binary frames', async () => {
    const stream = await open();
    stream.send({ action: 'auth', key: keys.keyId, secret: keys.secretKey });
    expect(await stream.next()).toEqual(authorized);
    stream.send({ action: 'listen', data: { streams: ['trade_updates', 'account_updates'] } });
    expect(await stream.next()).toMatchObject({ stream: 'listening', data: { streams: ['trade_updates'] } });
    exchange.submit(market('a', 'MSFT', '-2'));
    exchange.onMarket(trade('MSFT', '50', '2'));
    expect(await stream.next()).toMatchObject({
      stream: 'trade_updates',
      data: { event: 'new', execution_id: null, order: { status: 'new', client_order_id: 'a', qty: '2' } },
    });
    expect(await stream.next()).toMatchObject({
      stream: 'trade_updates',
      data: {
        event: 'fill',
        qty: '2',
        price: '50',
        position_qty: '-2',
        execution_id: exchange.fills()[0]?.execution_id,
        order: { status: 'filled', filled_qty: '2', side: 'sell' },
      },
    });
    stream.send({ action: 'listen', data: { streams: [] } });
    expect(await stream.next()).toMatchObject({ stream: 'listening', data: { streams: [] } });
    stream.send('nonsense');
    expect(await stream.next()).toMatchObject({ stream: 'error' });
    stream.socket.terminate();
  });

  it('takes the older form of authentication', async () => {
    const stream = await open();
    stream.send({ action: 'authenticate', data: { key_id: keys.keyId, secret_key: keys.secretKey } });
    expect(await stream.next()).toEqual(authorized);
    stream.socket.terminate();
  });

  it.each([
    ['wrong keys', { action: 'auth', key: keys.keyId, secret: 'wrong' }],
    ['listening before', { action: 'listen', data: { streams: ['trade_updates'] } }],
  ])('closes on %s', async (_, message) => {
    const stream = await open();
    stream.send(message);
    expect(await stream.next()).toMatchObject({ data: { status: 'unauthorized' } });
    await stream.closed;
  });

  it('is at no other path, and the market asks for the keys', async () => {
    await expect(open('/elsewhere')).rejects.toThrow('404');
    await expect(open('/stream/market')).rejects.toThrow('401');
    const follower = await open('/stream/market', headers);
    follower.socket.terminate();
  });
});

describe('starting', () => {
  it('says when the port is taken', async () => {
    await expect(startPaperServer({ exchange, keys, port: server.port })).rejects.toMatchObject({
      code: 'PAPER_SERVER_NOT_STARTED',
    });
  });

  it('refuses a speed that is none', async () => {
    await expect(startPaperServer({ exchange, keys, speed: 0 })).rejects.toMatchObject({
      code: 'PAPER_OPTIONS_INVALID',
    });
  });
});
