import { describe, expect, it } from 'vitest';
import { reborn, rig } from '../support/engine-rig.ts';
import { rejected, unreachable } from '../support/fake-broker.ts';
import { memoryHostState } from '../support/memory-host-state.ts';
import { desk, limitBuy } from './order-rig.ts';

describe('a cancel', () => {
  it('ends a live order by the broker’s word', async () => {
    const { submit, cancel, order, puppet } = await desk();
    const orderId = await submit();
    await cancel(orderId);
    expect(order('alpha', orderId)).toBeUndefined();
    expect(puppet.heard.slice(1)).toEqual(['order open', 'order pending_cancel', 'order canceled']);
  });

  it('of an order that has not left means that it never leaves', async () => {
    const state = memoryHostState({ autoDurable: false });
    const { submit, cancel, order, puppet, broker, idle } = await desk({ state });
    const orderId = await submit();
    await cancel(orderId);
    expect(order('alpha', orderId)).toBeUndefined();
    expect(puppet.heard.slice(1)).toEqual(['order canceled']);
    state.makeDurable();
    await idle();
    expect(broker.called('submitOrder')).toBe(0);
  });

  it('in the handler that submitted it means the same', async () => {
    const { puppet, trade, broker, state } = await desk();
    puppet.next((context) => context.cancel(context.submit(limitBuy)));
    await trade('AAPL', '100');
    expect(broker.called('submitOrder')).toBe(0);
    expect(state.register('alpha').orders()).toEqual([]);
    expect(puppet.heard.slice(1)).toEqual(['order canceled']);
  });

  it('of an order under way waits until the broker has shown it', async () => {
    const { submit, cancel, order, broker, idle } = await desk();
    broker.next('submitOrder', { kind: 'hold' });
    const orderId = await submit();
    await cancel(orderId);
    expect(broker.called('cancelOrder')).toBe(0);
    expect(order('alpha', orderId)?.status).toBe('pending');
    broker.release();
    await idle();
    expect(broker.called('cancelOrder')).toBe(1);
    expect(order('alpha', orderId)).toBeUndefined();
  });

  it('of an order that is rejected meanwhile is forgotten', async () => {
    const { submit, cancel, order, broker, idle } = await desk();
    broker.next('submitOrder', { kind: 'hold', error: rejected() });
    const orderId = await submit();
    await cancel(orderId);
    broker.release();
    await idle();
    expect(broker.called('cancelOrder')).toBe(0);
    expect(order('alpha', orderId)).toBeUndefined();
  });

  it('of an unknown order follows once that is found', async () => {
    const { submit, cancel, order, broker, idle } = await desk();
    broker.next('submitOrder', { kind: 'lost' });
    broker.next('fetchOrder', { kind: 'hold' });
    const orderId = await submit();
    await cancel(orderId);
    expect(order('alpha', orderId)?.status).toBe('unknown');
    broker.release();
    await idle();
    expect(broker.called('cancelOrder')).toBe(1);
    expect(order('alpha', orderId)).toBeUndefined();
  });

  it('that comes too late leaves the fill, and the order ends as filled', async () => {
    const { submit, cancel, order, position, broker } = await desk();
    const orderId = await submit();
    broker.fill(orderId, { silent: true });
    await cancel(orderId);
    expect(order('alpha', orderId)).toBeUndefined();
    expect(position('alpha', 'AAPL')).toBe('10');
  });

  it('that is refused gives the order its status back', async () => {
    const { submit, cancel, order, broker, idle } = await desk();
    const orderId = await submit();
    broker.fill(orderId, { amount: '1' });
    await idle();
    broker.next('cancelOrder', { kind: 'fail', error: rejected('too late to cancel') });
    await cancel(orderId);
    expect(order('alpha', orderId)).toMatchObject({ status: 'partially_filled', filled_amount: '1' });
  });

  it('is asked again while the broker does not answer, and an alert tells when it never does', async () => {
    const { submit, cancel, order, broker, pass, alerted } = await desk();
    const orderId = await submit();
    broker.next('cancelOrder', ...Array.from({ length: 6 }, () => ({ kind: 'fail', error: unreachable() }) as const));
    await cancel(orderId);
    await pass(60_000);
    expect(broker.called('cancelOrder')).toBe(6);
    expect(order('alpha', orderId)?.status).toBe('pending_cancel');
    expect(alerted('CANCEL_UNANSWERED')).toHaveLength(1);
    await cancel(orderId);
    expect(order('alpha', orderId)).toBeUndefined();
  });

  it('of an order that is final already is nothing', async () => {
    const { submit, cancel, broker, idle, alerts } = await desk();
    const orderId = await submit();
    broker.fill(orderId);
    await idle();
    await cancel(orderId);
    expect(broker.called('cancelOrder')).toBe(0);
    expect(alerts.filter(({ level }) => level !== 'info')).toEqual([]);
  });

  it('of an order under way is not forgotten by a crash, whatever became of the order', async () => {
    for (const arrived of [true, false]) {
      const first = await desk();
      first.broker.next('submitOrder', arrived ? { kind: 'hang' } : { kind: 'hold' });
      const orderId = await first.submit();
      await first.cancel(orderId);
      expect(first.state.register('UNASSIGNED').get(`cancel/${orderId}`)).toBe(true);
      first.broker.crashEngine();
      const second = rig({ broker: first.broker, state: reborn(first.engine.snapshot()) });
      await second.start();
      expect(second.broker.called('cancelOrder')).toBe(arrived ? 1 : 0);
      expect(second.broker.orders.get(orderId)?.status).toBe(arrived ? 'canceled' : undefined);
      expect(second.order('alpha', orderId)).toBeUndefined();
      // It is asked for once, and nothing of it stays.
      expect(
        second.state
          .register('UNASSIGNED')
          .keys()
          .filter((key) => key.startsWith('cancel/')),
      ).toEqual([]);
    }
  });

  it('that was wished before a crash, and whose order was shown just before it, is asked for by the next life', async () => {
    const first = await desk();
    const orderId = await first.submit();
    first.state.register('UNASSIGNED').set(`cancel/${orderId}`, true);
    first.state.commit();
    first.broker.crashEngine();
    const second = rig({ broker: first.broker, state: reborn(first.engine.snapshot()) });
    await second.start();
    expect(second.broker.orders.get(orderId)?.status).toBe('canceled');
  });
});
