import { describe, expect, it } from 'vitest';
import { FakeBroker, rejected, unreachable } from '../support/fake-broker.ts';
import { desk } from './order-rig.ts';

describe('a replacement', () => {
  it('takes the place of a live order under an id of its own', async () => {
    const { submit, replace, order, puppet, state } = await desk();
    const old = await submit();
    const replacement = await replace(old, '7');
    expect(order('alpha', old)).toBeUndefined();
    expect(order('alpha', replacement)).toMatchObject({
      status: 'open',
      amount: '7',
      limit_price: '100',
      replaces: old,
    });
    expect(state.register('alpha').orders()).toHaveLength(1);
    expect(puppet.heard.slice(1).sort()).toEqual(['order open', 'order open', 'order replaced']);
  });

  it('that is refused leaves the old order as it was', async () => {
    const { submit, replace, order, broker } = await desk();
    const old = await submit();
    broker.next('replaceOrder', { kind: 'fail', error: rejected('no') });
    const replacement = await replace(old, '7');
    expect(order('alpha', replacement)).toBeUndefined();
    expect(order('alpha', old)).toMatchObject({ status: 'open', amount: '10' });
  });

  it('whose answer is lost is found by its id, and exists once', async () => {
    const { submit, replace, order, broker } = await desk();
    const old = await submit();
    broker.next('replaceOrder', { kind: 'lost' });
    const replacement = await replace(old, '7');
    expect(order('alpha', old)).toBeUndefined();
    expect(order('alpha', replacement)).toMatchObject({ status: 'open', amount: '7' });
    expect(broker.called('replaceOrder')).toBe(1);
  });

  it('that never arrived is rejected, and the old order lives', async () => {
    const { submit, replace, order, broker, pass } = await desk();
    const old = await submit();
    broker.next('replaceOrder', { kind: 'fail', error: unreachable() });
    const replacement = await replace(old, '7');
    expect(order('alpha', replacement)?.status).toBe('unknown');
    await pass(5000);
    expect(order('alpha', replacement)).toBeUndefined();
    expect(order('alpha', old)?.status).toBe('open');
  });

  it('of an order that is filled first comes too late', async () => {
    const { submit, replace, order, position, broker } = await desk();
    const old = await submit();
    broker.fill(old, { silent: true });
    const replacement = await replace(old, '7');
    expect(order('alpha', old)).toBeUndefined();
    expect(order('alpha', replacement)).toBeUndefined();
    expect(position('alpha', 'AAPL')).toBe('10');
  });

  it('keeps the fills of the old order, whichever word comes first', async () => {
    const { submit, replace, order, position, broker, idle, pass } = await desk();
    const old = await submit();
    broker.holdStream();
    broker.fill(old, { amount: '3' });
    const replacement = await replace(old, '7');
    broker.releaseStream((held) => held.reverse());
    await idle();
    await pass(1000);
    expect(order('alpha', old)).toBeUndefined();
    expect(position('alpha', 'AAPL')).toBe('3');
    expect(order('alpha', replacement)?.status).toBe('open');
  });

  it('that names no amount is of what the old order has still to do, so that nothing is traded twice', async () => {
    const { submit, order, broker, idle, position, puppet, trade } = await desk();
    const old = await submit();
    broker.fill(old, { amount: '4' });
    await idle();
    let replacement = '';
    puppet.next((context) => {
      replacement = context.replace(old, { limitPrice: '101' });
    });
    await trade('AAPL', '100');
    expect(order('alpha', replacement)).toMatchObject({ status: 'open', amount: '6', limit_price: '101' });
    broker.fill(replacement);
    await idle();
    expect(position('alpha', 'AAPL')).toBe('10');
  });

  it('of an order under way waits until the broker has shown it', async () => {
    const { submit, replace, order, broker, idle } = await desk();
    broker.next('submitOrder', { kind: 'hold' });
    const old = await submit();
    const replacement = await replace(old, '7');
    expect(broker.called('replaceOrder')).toBe(0);
    broker.release();
    await idle();
    expect(order('alpha', old)).toBeUndefined();
    expect(order('alpha', replacement)?.status).toBe('open');
  });

  it('of an order that is rejected is never sent', async () => {
    const { submit, replace, order, broker, idle } = await desk();
    broker.next('submitOrder', { kind: 'hold', error: rejected() });
    const old = await submit();
    const replacement = await replace(old, '7');
    expect(order('alpha', replacement)?.status).toBe('pending');
    broker.release();
    await idle();
    expect(order('alpha', replacement)).toBeUndefined();
    expect(broker.called('replaceOrder')).toBe(0);
  });

  it('is refused where it cannot be', async () => {
    const broker = new FakeBroker({ capabilities: { replace: false } });
    const { submit, replace, alerted } = await desk({ broker });
    await replace(await submit(), '7');
    expect(alerted('ORDER_REFUSED')[0]?.message).toContain('cannot replace');
    const other = await desk();
    const orderId = await other.submit();
    other.broker.next('replaceOrder', { kind: 'hold' });
    await other.replace(orderId, '7');
    await other.replace(orderId, '8');
    expect(other.alerted('ORDER_REFUSED')[0]?.message).toContain('pending_replace');
  });
});
