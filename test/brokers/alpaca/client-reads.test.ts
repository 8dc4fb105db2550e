import { afterEach, describe, expect, it } from 'vitest';
import { failure } from '../../contract/broker-requests.ts';
import { against, answer, closeAll, order } from '../support/alpaca-server.ts';

afterEach(closeAll);

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
    [{ 'retry-after': new Date(Date.now() + 300_000).toUTCString() }, 100_000, 301_000],
    [{ 'x-ratelimit-reset': String(Math.ceil(Date.now() / 1000) + 300) }, 60_000, 60_000],
  ])('say when to come back, and do not wait beyond their deadline: %j', async (headers, least, most) => {
    const { broker, requests } = await against(
      answer(429, '{"message":"rate limit exceeded"}', headers as Record<string, string>),
    );
    const error = await failure(broker.fetchAccount({ timeoutMs: 25_000 }));
    expect(error.code).toBe('BROKER_RATE_LIMITED');
    expect(error.details['retry_after_ms']).toBeGreaterThanOrEqual(least);
    expect(error.details['retry_after_ms']).toBeLessThanOrEqual(most);
    expect(requests).toHaveLength(1);
  });

  it('say that a second is enough where the broker does not say when to come back', async () => {
    const { broker } = await against(answer(429, '{"message":"rate limit exceeded"}'), { readAttemptsMax: 1 });
    const error = await failure(broker.fetchAccount());
    expect(error).toMatchObject({ code: 'BROKER_RATE_LIMITED', details: { retry_after_ms: 1_000 } });
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
      // The second page overlaps the first by one; the end is a page without anything.
      const page = after === null ? all.slice(0, 500) : after === 'id-499' ? all.slice(499) : [];
      answer(200, JSON.stringify(page))(received, response);
    });
    expect(await broker.fetchOpenOrders()).toHaveLength(501);
    expect(requests[1]).toContain('after_order_id=id-499');
    expect(requests[2]).toContain('after_order_id=id-500');
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
