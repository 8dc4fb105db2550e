import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { ActivityCursor, BrokerAdapter } from '../../src/brokers/adapter.ts';
import type { Misbehavior } from '../../src/brokers/paper/faults.ts';
import { type BrokerHarness, failure, limit, listen, market, trade } from './broker-requests.ts';

const start: ActivityCursor = { activity_id: null, at: null };

/** What every adapter makes of a broker that misbehaves, told as cases that run against each. */
export function describeMisbehavior(name: string, open: () => Promise<BrokerHarness>): void {
  describe(`broker contract, misbehaving broker: ${name}`, () => {
    let harness: BrokerHarness;
    let broker: BrokerAdapter;
    beforeEach(async () => {
      harness = await open();
      broker = harness.adapter;
    });
    afterEach(() => harness.close());

    it.each<Misbehavior>([
      { kind: 'drop_answer_after_accept', times: 1 },
      { kind: 'delay', times: 1, ms: 30_000, on: 'submitOrder' },
    ])('has the order although its answer was lost ($kind), and says that nothing is known', async (fault) => {
      harness.misbehave(fault);
      const error = await failure(broker.submitOrder(limit('a', 'AAPL', '1', '90'), { timeoutMs: 1_000 }));
      expect(error.code).toBe(fault.kind === 'delay' ? 'BROKER_TIMEOUT' : 'BROKER_UNREACHABLE');
      expect(error.retryable).toBe(true);
      expect(await broker.fetchOrder('a')).toMatchObject({ order_id: 'a', status: 'open' });
    });

    it.each<[Misbehavior, string]>([
      [{ kind: 'http_429', ms: 2_000 }, 'BROKER_RATE_LIMITED'],
      [{ kind: 'http_500' }, 'BROKER_UNAVAILABLE'],
    ])('does not send an order again by itself: %j', async (fault, code) => {
      harness.misbehave(fault);
      const error = await failure(broker.submitOrder(limit('a', 'AAPL', '1', '90')));
      expect(error).toMatchObject({ code, retryable: true });
      if (fault.kind === 'http_429') expect(error.details['retry_after_ms']).toBe(2_000);
      expect(await broker.fetchOrder('a')).toBeNull();
    });

    it('passes on an empty list of positions as it came', async () => {
      await broker.submitOrder(market('a', 'AAPL', '1'));
      harness.market(trade('AAPL', '100', '1'));
      harness.misbehave({ kind: 'stale_positions' });
      await broker.submitOrder(market('b', 'AAPL', '1'));
      harness.market(trade('AAPL', '100', '1'));
      expect(await broker.fetchPositions()).toMatchObject([{ amount: '1' }]);
      harness.misbehave({ kind: 'empty_positions' });
      expect(await broker.fetchPositions()).toEqual([]);
      expect(await broker.fetchPositions()).toMatchObject([{ amount: '2' }]);
    });

    it('comes back after its stream is cut, and what happened meanwhile is in the list of executions', async () => {
      const stream = await listen(broker);
      await broker.submitOrder(market('a', 'AAPL', '1'));
      harness.misbehave({ kind: 'disconnect' });
      harness.market(trade('AAPL', '100', '1'));
      await stream.until(() => stream.connects === 2);
      expect(stream.disconnects).toHaveLength(1);
      expect(stream.updates.filter(({ fill }) => fill !== null)).toEqual([]);
      expect((await broker.fetchFills(start)).fills).toHaveLength(1);
      await broker.submitOrder(market('b', 'AAPL', '1'));
      harness.market(trade('AAPL', '101', '1'));
      await stream.until(() => stream.updates.some(({ fill }) => fill?.price === '101'));
    });

    it('tells an execution twice when the broker does, under one id', async () => {
      const stream = await listen(broker);
      harness.misbehave({ kind: 'duplicate_stream_event' });
      await broker.submitOrder(market('a', 'AAPL', '1'));
      harness.market(trade('AAPL', '100', '1'));
      await stream.until(() => stream.updates.filter(({ fill }) => fill !== null).length === 2);
      const ids = stream.updates.flatMap(({ fill }) => (fill === null ? [] : [fill.execution_id]));
      expect(new Set(ids).size).toBe(1);
    });
  });
}
