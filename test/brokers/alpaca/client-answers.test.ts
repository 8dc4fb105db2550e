import { afterEach, describe, expect, it } from 'vitest';
import { failure } from '../../contract/broker-requests.ts';
import { against, answer, closeAll, type Handler, keyId, order, request, secretKey } from '../support/alpaca-server.ts';

afterEach(closeAll);

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
    ['a refusal whose code is a text', answer(403, '{"code":"40310000","message":"no"}'), 'BROKER_REJECTED', false],
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
    // A deadline is short only where it is to pass: the others must be met on the slowest machine.
    const timeoutMs = code === 'BROKER_TIMEOUT' ? 1_500 : 30_000;
    const error = await failure(broker.submitOrder(request, { timeoutMs }));
    expect({ code: error.code, retryable: error.retryable }).toEqual({ code, retryable });
    // Whatever it was, it was sent once.
    expect(requests).toEqual(['POST /v2/orders']);
  });

  it('of an order that is not there: null on the broker’s word, an error on a proxy’s', async () => {
    const known = await against(answer(404, '{"code":40410000,"message":"order not found for a"}'));
    expect(await known.broker.fetchOrder('a')).toBeNull();
    for (const said of [
      '<html>nginx</html>',
      '{"message":"no Route matched with those values"}',
      '{"code":40410000}',
    ]) {
      const proxy = await against(answer(404, said));
      expect(await failure(proxy.broker.fetchOrder('a'))).toMatchObject({ code: 'BROKER_ANSWER_INVALID' });
    }
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
