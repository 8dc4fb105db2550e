import { describe, expect, it } from 'vitest';
import { trade } from '../support/engine-rig.ts';
import { unreachable } from '../support/fake-broker.ts';
import { desk, limitBuy } from './order-rig.ts';

describe('an order whose report is ahead of its executions', () => {
  it('stays open until they are read, and is final then', async () => {
    const { submit, order, position, broker, idle, pass } = await desk();
    const orderId = await submit();
    broker.holdStream();
    broker.fill(orderId, { amount: '4' });
    const [first] = broker.fills;
    broker.fills.length = 0;
    const ended = broker.end(orderId, 'canceled');
    broker.releaseStream(() => [[ended, null]]);
    await idle();
    expect(order('alpha', orderId)).toMatchObject({ status: 'open', filled_amount: '0' });
    expect(position('alpha', 'AAPL')).toBe('0');
    if (first !== undefined) broker.fills.push(first);
    await pass(5000);
    expect(order('alpha', orderId)).toBeUndefined();
    expect(position('alpha', 'AAPL')).toBe('4');
  });

  it('catches up after a gap in the stream', async () => {
    const { submit, order, position, broker, idle } = await desk();
    const orderId = await submit();
    broker.disconnect();
    broker.fill(orderId, { amount: '4' });
    broker.end(orderId, 'expired');
    await idle();
    expect(position('alpha', 'AAPL')).toBe('0');
    broker.reconnect();
    await idle();
    expect(position('alpha', 'AAPL')).toBe('4');
    expect(order('alpha', orderId)).toBeUndefined();
  });

  it('finds the owner of an execution that names only the broker’s id, though its order is unknown', async () => {
    const { submit, order, position, broker, idle, pass } = await desk();
    broker.next('submitOrder', { kind: 'lost' });
    broker.next('fetchOrder', { kind: 'hang' });
    const orderId = await submit();
    broker.disconnect();
    const fill = broker.fill(orderId, { amount: '4' });
    broker.fills[0] = { ...fill, order_id: null };
    const open = broker.orders.get(orderId);
    broker.next('fetchOpenOrders', { kind: 'fail', error: unreachable() });
    broker.orders.delete(orderId);
    broker.next('fetchOrder', { kind: 'hold' });
    broker.reconnect();
    await pass(1000);
    if (open !== undefined) broker.orders.set(orderId, { ...open, status: 'canceled' });
    broker.release();
    await idle();
    expect(position('alpha', 'AAPL')).toBe('4');
    expect(position('UNASSIGNED', 'AAPL')).toBe('0');
    expect(order('alpha', orderId)).toBeUndefined();
  });

  it('catches up with retries while the broker does not answer', async () => {
    const { submit, position, broker, idle, pass, alerted } = await desk();
    const orderId = await submit();
    broker.disconnect();
    broker.fill(orderId, { amount: '4' });
    broker.next('fetchFills', { kind: 'fail', error: unreachable() }, { kind: 'fail', error: unreachable() });
    broker.reconnect();
    await idle();
    expect(position('alpha', 'AAPL')).toBe('0');
    await pass(5000);
    expect(position('alpha', 'AAPL')).toBe('4');
    expect(alerted('CATCH_UP_FAILED')).toHaveLength(1);
  });
});

describe('orders of others', () => {
  it('are kept in UNASSIGNED, with their fills', async () => {
    const { broker, idle, order, position, alerted } = await desk();
    const foreign = broker.placeElsewhere('TSLA', '5');
    broker.tell(foreign, null);
    await idle();
    expect(order('UNASSIGNED', foreign.order_id ?? '')).toMatchObject({ status: 'open' });
    expect(alerted('ORDER_EXTERNAL').map(({ details }) => details['order_id'])).toEqual([foreign.order_id]);
    broker.fill(foreign.order_id ?? '');
    await idle();
    expect(position('UNASSIGNED', 'TSLA')).toBe('5');
    expect(order('UNASSIGNED', foreign.order_id ?? '')).toBeUndefined();
  });
});

describe('an order that was given up', () => {
  it('and lives halts its strategy when it shows itself', async () => {
    const { puppet, trade, broker, state, pass, alerted, idle, order } = await desk();
    broker.next('submitOrder', { kind: 'fail', error: unreachable() });
    let orderId = '';
    puppet.next((context) => {
      orderId = context.submit(limitBuy);
    });
    await trade('AAPL', '100');
    await pass(5000);
    expect(order('alpha', orderId)).toBeUndefined();
    broker.tell(broker.placeElsewhere('AAPL', '10', orderId), null);
    await idle();
    expect(order('alpha', orderId)?.status).toBe('open');
    expect(alerted('ORDER_RESURFACED')).toHaveLength(1);
    expect(state.register('alpha').halt?.source).toBe('engine');
  });
});

describe('more than the engine can take at once', () => {
  it('of order updates is read from the broker instead', async () => {
    const { submit, broker, idle, position, alerted } = await desk({ mailboxCapacity: 4 });
    const orderId = await submit();
    for (let i = 0; i < 8; i += 1) broker.fill(orderId, { amount: '1' });
    await idle();
    expect(alerted('UPDATES_DROPPED').length).toBeGreaterThan(0);
    expect(position('alpha', 'AAPL')).toBe('8');
  });

  it('of market events makes the feed wait, and none is lost', async () => {
    const { puppet, market, idle } = await desk({ mailboxCapacity: 4 });
    let heard = 0;
    puppet.onTrade = () => {
      heard += 1;
    };
    for (let i = 0; i < 1000; i += 1) market.push(trade('AAPL', String(i + 1)));
    for (let i = 0; i < 1000 && heard < 1000; i += 1) await idle();
    expect(heard).toBe(1000);
  });

  it('of executions from the stream has the cursor moved, before their ids are forgotten', async () => {
    const { puppet, trade: tick, broker, idle, state } = await desk();
    let orderId = '';
    puppet.next((context) => {
      orderId = context.submit({ asset: 'AAPL', amount: '5000' });
    });
    await tick('AAPL', '100');
    const reads = broker.called('fetchFills');
    for (let i = 0; i < 1001; i += 1) broker.fill(orderId, { amount: '1' });
    for (let i = 0; i < 300 && broker.called('fetchFills') === reads; i += 1) await idle();
    await idle();
    expect(broker.called('fetchFills')).toBeGreaterThan(reads);
    expect(Number(state.register('UNASSIGNED').cursor().activity_id)).toBeGreaterThanOrEqual(1000);
  });

  it('of them while none can be read halts, before one could count twice', async () => {
    const { puppet, trade: tick, broker, idle, engine } = await desk();
    let orderId = '';
    puppet.next((context) => {
      orderId = context.submit({ asset: 'AAPL', amount: '9000' });
    });
    await tick('AAPL', '100');
    broker.next('fetchOpenOrders', ...Array.from({ length: 100 }, () => ({ kind: 'hang' }) as const));
    for (let i = 0; i < 3200; i += 1) broker.fill(orderId, { amount: '1' });
    for (let i = 0; i < 1000 && engine.phase.kind === 'trading'; i += 1) await idle();
    expect(engine.phase).toMatchObject({ kind: 'halted', source: 'engine' });
  });
});
