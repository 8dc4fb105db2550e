import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { inspect } from 'node:util';
import { afterEach, describe, expect, it } from 'vitest';
import { AlpacaBroker } from '../../../src/brokers/alpaca/adapter.ts';
import { BrokerKeys } from '../../../src/brokers/alpaca/keys.ts';
import { type AlpacaOptions, parseAlpacaOptions } from '../../../src/brokers/alpaca/options.ts';
import { encodeError } from '../../../src/model/errors.ts';
import { failure, limit } from '../../contract/broker-contract.ts';

const keyId = 'PKCANARYKEYID';
const secretKey = 'canary"secret/0123456789';

type Handler = (request: IncomingMessage & { readonly text: string }, response: ServerResponse) => void;

const closing: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0)) await close();
});

/** A server that answers as told, and a broker that talks to it. */
async function against(handler: Handler, options: Partial<AlpacaOptions> = {}) {
  const requests: string[] = [];
  const server = createServer(async (request, response) => {
    let text = '';
    for await (const chunk of request) text += String(chunk);
    requests.push(`${request.method} ${request.url}`);
    handler(Object.assign(request, { text }), response);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const broker = new AlpacaBroker(
    'alpaca',
    parseAlpacaOptions({ url, ...options }),
    new BrokerKeys(keyId, secretKey),
    () => 0,
  );
  closing.push(async () => {
    await broker.close();
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });
  return { broker, requests, url };
}

function answer(status: number, body: string, headers: Record<string, string> = {}): Handler {
  return (_, response) => {
    response.writeHead(status, headers);
    response.end(body);
  };
}

const order = {
  id: '8e1b1f0e-0000-4000-8000-000000000000',
  client_order_id: 'a',
  symbol: 'AAPL',
  qty: '1',
  filled_qty: '0',
  filled_avg_price: null,
  type: 'limit',
  side: 'buy',
  time_in_force: 'gtc',
  limit_price: '100.00',
  stop_price: null,
  status: 'accepted',
  created_at: '2025-10-02T10:30:00.123456789-04:00',
};
const request = limit('a', 'AAPL', '1', '100');

describe('what an answer means', () => {
  it.each<[string, Handler, string, boolean]>([
    ['not JSON', answer(200, 'OK'), 'BROKER_ANSWER_INVALID', false],
    ['half an answer', answer(200, '{"id":"8e1b'), 'BROKER_ANSWER_INVALID', false],
    ['no answer in a success', answer(200, ''), 'BROKER_ANSWER_INVALID', false],
    [
      'a quantity that was a float',
      answer(200, JSON.stringify({ ...order, qty: 1.5 })),
      'BROKER_ANSWER_INVALID',
      false,
    ],
    ['another order', answer(200, JSON.stringify({ ...order, client_order_id: 'b' })), 'BROKER_ANSWER_INVALID', false],
    [
      'a time without a zone',
      answer(200, JSON.stringify({ ...order, created_at: '2025-10-02T10:30:00' })),
      'BROKER_ANSWER_INVALID',
      false,
    ],
    ['a refusal', answer(403, '{"code":40310000,"message":"insufficient buying power"}'), 'BROKER_REJECTED', false],
    ['a refusal of form', answer(422, '{"code":42210000,"message":"qty must be > 0"}'), 'BROKER_REJECTED', false],
    [
      'a used id',
      answer(422, '{"code":40010001,"message":"client_order_id must be unique"}'),
      'BROKER_DUPLICATE_ORDER_ID',
      false,
    ],
    [
      'another refusal with the same code',
      answer(422, '{"code":40010001,"message":"qty is required"}'),
      'BROKER_REJECTED',
      false,
    ],
    ['a proxy that refuses', answer(422, '<html>422</html>'), 'BROKER_ANSWER_INVALID', false],
    ['a proxy that forbids', answer(403, '<html>403 Forbidden</html>'), 'BROKER_UNAUTHORIZED', false],
    [
      'wrong keys',
      answer(401, '{"code":40110000,"message":"request is not authorized"}'),
      'BROKER_UNAUTHORIZED',
      false,
    ],
    ['wrong keys in older words', answer(403, '{"message":"forbidden."}'), 'BROKER_UNAUTHORIZED', false],
    [
      'too many requests',
      answer(429, '{"code":42910000,"message":"rate limit exceeded"}'),
      'BROKER_RATE_LIMITED',
      true,
    ],
    [
      'a failure inside',
      answer(500, '{"code":50010000,"message":"internal server error occurred"}'),
      'BROKER_UNAVAILABLE',
      true,
    ],
    ['a gateway that failed', answer(502, '<html>Bad Gateway</html>'), 'BROKER_UNAVAILABLE', true],
    ['a redirect', answer(302, '', { location: '/elsewhere' }), 'BROKER_UNREACHABLE', true],
    ['a connection that ends', (_, response) => response.socket?.destroy(), 'BROKER_UNREACHABLE', true],
    [
      'an answer that ends in the middle',
      (_, response) => {
        response.writeHead(200, { 'content-length': '1000' });
        response.write('{');
        setImmediate(() => response.socket?.destroy());
      },
      'BROKER_UNREACHABLE',
      true,
    ],
    ['no answer in time', () => undefined, 'BROKER_TIMEOUT', true],
    [
      'half an answer in time',
      (_, response) => {
        response.writeHead(200, { 'content-length': '1000' });
        response.write('{');
      },
      'BROKER_TIMEOUT',
      true,
    ],
  ])('of a submit: %s', async (_, handler, code, retryable) => {
    const { broker, requests } = await against(handler);
    const error = await failure(broker.submitOrder(request, { timeoutMs: 300 }));
    expect({ code: error.code, retryable: error.retryable }).toEqual({ code, retryable });
    // Whatever it was, it was sent once.
    expect(requests).toEqual(['POST /v2/orders']);
  });

  it('of an order that is not there: null on the broker’s word, an error on a proxy’s', async () => {
    const known = await against(answer(404, '{"code":40410000,"message":"order not found for a"}'));
    expect(await known.broker.fetchOrder('a')).toBeNull();
    const proxy = await against(answer(404, '<html>nginx</html>'));
    expect(await failure(proxy.broker.fetchOrder('a'))).toMatchObject({ code: 'BROKER_ANSWER_INVALID' });
  });

  it('is read exactly, with fields that it does not know', async () => {
    const { broker } = await against(answer(200, JSON.stringify({ ...order, brand_new: { field: 1 } })));
    expect(await broker.submitOrder(request)).toEqual({
      order_id: 'a',
      broker_order_id: order.id,
      asset: 'AAPL',
      amount: '1',
      order_type: 'limit',
      limit_price: '100',
      stop_price: null,
      time_in_force: 'gtc',
      status: 'open',
      filled_amount: '0',
      average_fill_price: null,
      reason: null,
      created_at: '2025-10-02T14:30:00.123456Z',
      updated_at: '2025-10-02T14:30:00.123456Z',
    });
  });

  it('sends an order as documented: quantities as strings, the side beside them', async () => {
    const bodies: unknown[] = [];
    const { broker } = await against((received, response) => {
      bodies.push(
        JSON.parse(received.text),
        received.headers['apca-api-key-id'],
        received.headers['apca-api-secret-key'],
      );
      answer(200, JSON.stringify(order))(received, response);
    });
    await broker.submitOrder({ ...request, amount: '-2.50' });
    expect(bodies).toEqual([
      {
        symbol: 'AAPL',
        qty: '2.5',
        side: 'sell',
        type: 'limit',
        time_in_force: 'gtc',
        client_order_id: 'a',
        limit_price: '100',
      },
      keyId,
      secretKey,
    ]);
  });

  it('refuses amounts that are no decimals before anything is sent', async () => {
    const { broker, requests } = await against(answer(200, '{}'));
    await expect(broker.submitOrder({ ...request, amount: '1e5' })).rejects.toMatchObject({ code: 'DECIMAL_INVALID' });
    expect(requests).toEqual([]);
  });
});

describe('reads', () => {
  const account = JSON.stringify({
    id: 'x',
    status: 'ACTIVE',
    currency: 'USD',
    cash: '-12.50',
    equity: '1',
    buying_power: '0',
  });

  it.each([
    ['a failure inside', 500, {}],
    ['too many requests', 429, { 'retry-after': '0' }],
  ])('are tried again after %s', async (_, status, headers) => {
    let count = 0;
    const { broker, requests } = await against((received, response) => {
      count += 1;
      if (count < 3) answer(status, '{"message":"later"}', headers)(received, response);
      else answer(200, account)(received, response);
    });
    expect((await broker.fetchAccount()).cash).toEqual({ USD: '-12.5' });
    expect(requests).toHaveLength(3);
  });

  it('give up after as many attempts as they are given', async () => {
    const { broker, requests } = await against(answer(503, ''), { readAttemptsMax: 2 });
    expect(await failure(broker.fetchAccount())).toMatchObject({ code: 'BROKER_UNAVAILABLE' });
    expect(requests).toHaveLength(2);
  });

  it.each([
    [{ 'retry-after': '30' }, 30_000, 30_000],
    [{ 'retry-after': new Date(Date.now() + 30_000).toUTCString() }, 20_000, 31_000],
    [{ 'x-ratelimit-reset': String(Math.ceil(Date.now() / 1000) + 30) }, 20_000, 32_000],
    [{}, 1_000, 1_000],
  ])('say when to come back, and do not wait beyond their deadline: %j', async (headers, least, most) => {
    const { broker, requests } = await against(
      answer(429, '{"message":"rate limit exceeded"}', headers as Record<string, string>),
    );
    const error = await failure(broker.fetchAccount({ timeoutMs: 900 }));
    expect(error.code).toBe('BROKER_RATE_LIMITED');
    expect(error.details['retry_after_ms']).toBeGreaterThanOrEqual(least);
    expect(error.details['retry_after_ms']).toBeLessThanOrEqual(most);
    expect(requests).toHaveLength(1);
  });

  it('are not tried again when their answer cannot be understood', async () => {
    const { broker, requests } = await against(answer(200, '[{"symbol":"AAPL"}]'));
    expect(await failure(broker.fetchPositions())).toMatchObject({
      code: 'BROKER_ANSWER_INVALID',
      details: { status: 200 },
    });
    expect(requests).toHaveLength(1);
  });

  it('end when the adapter is closed, also in the middle', async () => {
    const { broker } = await against(() => void broker.close());
    expect(await failure(broker.fetchAccount())).toMatchObject({ code: 'BROKER_UNREACHABLE', retryable: false });
  });

  it('follow pages of open orders to the end, and each order counts once', async () => {
    const all = Array.from({ length: 501 }, (_, index) => ({
      ...order,
      id: `id-${index}`,
      client_order_id: `o${index}`,
    }));
    const { broker, requests } = await against((received, response) => {
      const after = new URL(received.url ?? '', 'http://x').searchParams.get('after_order_id');
      // The second page overlaps the first by one.
      const page = after === null ? all.slice(0, 500) : all.slice(499);
      answer(200, JSON.stringify(page))(received, response);
    });
    expect(await broker.fetchOpenOrders()).toHaveLength(501);
    expect(requests[1]).toContain('after_order_id=id-499');
  });

  it('do not go round in circles on a server that ignores where a page begins', async () => {
    const activity = {
      id: '20250101000000000::x',
      order_id: 'o',
      symbol: 'AAPL',
      side: 'buy',
      qty: '1',
      price: '1',
      transaction_time: '2025-01-01T00:00:00Z',
    };
    const fills = await against(answer(200, JSON.stringify([activity])));
    expect(await failure(fills.broker.fetchFills({ activity_id: null, at: null }))).toMatchObject({
      code: 'BROKER_ANSWER_INVALID',
    });
    const page = Array.from({ length: 500 }, (_, index) => ({ ...order, id: `id-${index}` }));
    const orders = await against(answer(200, JSON.stringify(page)));
    expect(await failure(orders.broker.fetchOpenOrders())).toMatchObject({ code: 'BROKER_ANSWER_INVALID' });
  });

  it('ask for executions from before the cursor’s time, in whole seconds', async () => {
    const { broker, requests } = await against(answer(200, '[]'));
    await broker.fetchFills({ activity_id: null, at: '2025-10-02T14:30:00.900000Z' });
    await broker.fetchFills({ activity_id: '20250101000000000::x', at: '2025-10-02T14:30:00.900000Z' });
    expect(requests[0]).toContain(`after=${encodeURIComponent('2025-10-02T14:29:59Z')}`);
    expect(requests[1]).toContain(`page_token=${encodeURIComponent('20250101000000000::x')}`);
    expect(requests[1]).not.toContain('after=');
  });

  it('leave out executions from before the cursor’s time, which asking early brings', async () => {
    const activity = (id: string, transaction_time: string) => ({
      ...{ order_id: 'o', symbol: 'AAPL', side: 'buy', qty: '1', price: '1' },
      ...{ id, transaction_time },
    });
    const all = [activity('1::a', '2025-10-02T14:30:00.899999Z'), activity('2::b', '2025-10-02T14:30:00.900000Z')];
    const { broker } = await against((received, response) => {
      const again = received.url?.includes('page_token') === true;
      answer(200, JSON.stringify(again ? [] : all))(received, response);
    });
    const { fills } = await broker.fetchFills({ activity_id: null, at: '2025-10-02T14:30:00.900000Z' });
    expect(fills.map((fill) => fill.execution_id)).toEqual(['b']);
  });
});

describe('secrets', () => {
  const shown = (error: unknown) =>
    [inspect(error, { depth: 10, showHidden: true }), JSON.stringify(encodeError(error))].join();
  const leaks = (text: string) => /canary|PKCANARY/.test(text);

  it.each<[string, Handler]>([
    [
      'an error message',
      (received, response) =>
        answer(
          403,
          JSON.stringify({
            message: `no: ${received.headers['apca-api-secret-key']} ${received.headers['apca-api-key-id']}`,
          }),
        )(received, response),
    ],
    [
      'an HTML page',
      (received, response) => answer(502, `<p>${received.headers['apca-api-secret-key']}</p>`)(received, response),
    ],
    [
      'an answer that cannot be understood',
      (received, response) => answer(200, JSON.stringify({ echo: received.headers }))(received, response),
    ],
    [
      'a URL',
      (received, response) =>
        answer(422, `at /?secret=${encodeURIComponent(String(received.headers['apca-api-secret-key']))}`)(
          received,
          response,
        ),
    ],
    ['nothing', (_, response) => response.socket?.destroy()],
  ])('that a server quotes in %s are in no error', async (_, handler) => {
    const { broker } = await against(handler);
    const calls = [
      () => broker.submitOrder(request),
      () => broker.fetchAccount(),
      () => broker.fetchFills({ activity_id: null, at: null }),
    ];
    for (const call of calls) {
      const text = shown(await failure(call()));
      expect(leaks(text), text).toBe(false);
    }
  });

  it('are not shown by the adapter itself', async () => {
    const { broker } = await against(answer(200, '{}'));
    expect(leaks(inspect(broker, { depth: 10, showHidden: true }) + JSON.stringify(broker))).toBe(false);
  });

  it('are cut out before an excerpt is cut, so that no half of one is left', async () => {
    const filler = 'x'.repeat(190);
    const { broker } = await against(answer(200, `${filler}${secretKey}`));
    const error = await failure(broker.fetchAccount());
    expect(String(error.details['excerpt'])).toHaveLength(195);
    expect(leaks(shown(error))).toBe(false);
  });
});
