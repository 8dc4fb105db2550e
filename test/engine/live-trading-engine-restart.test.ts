import { describe, expect, it } from 'vitest';
import { BrokerError } from '../../src/model/errors.ts';
import type { OrderSnapshot } from '../../src/model/order.ts';
import { Puppet, type Rig, type RigOptions, reborn, rig } from '../support/engine-rig.ts';
import { FakeBroker, unreachable } from '../support/fake-broker.ts';
import { memoryHostState } from '../support/memory-host-state.ts';

const buy = { asset: 'AAPL', amount: '10' };

/** A first life that trades until `crash` is called: from then on only the broker is there. */
async function firstLife(
  options: RigOptions = {},
): Promise<{ life: Rig; puppet: Puppet; next: (o?: RigOptions) => Rig }> {
  const puppet = new Puppet('alpha', { initialCash: { USD: '1000' } });
  const life = rig({ strategies: [puppet], broker: new FakeBroker({ cash: { USD: '5000' } }), ...options });
  await life.start();
  return {
    life,
    puppet,
    next(more = {}) {
      life.broker.crashEngine();
      return rig({ state: reborn(life.engine.snapshot()), broker: life.broker, ...more });
    },
  };
}

async function submitted(life: Rig, puppet: Puppet): Promise<string> {
  let orderId = '';
  puppet.next((context) => {
    orderId = context.submit(buy);
  });
  await life.trade('AAPL', '100');
  return orderId;
}

describe('an account on its first day', () => {
  it('is opened with what the broker holds, and gives the strategies their cash out of it', async () => {
    const broker = new FakeBroker({ cash: { USD: '5000', EUR: '7' } });
    broker.setPosition('MSFT', '3', '250');
    const foreign = broker.placeElsewhere('TSLA', '1');
    const { start, state, position } = rig({
      broker,
      strategies: [new Puppet('alpha', { initialCash: { USD: '1000' } })],
    });
    expect(await start()).toMatchObject({ opened: true });
    expect(state.register('UNASSIGNED').allCash()).toEqual({ USD: '4000', EUR: '7' });
    expect(state.register('alpha').cash()).toBe('1000');
    expect(position('UNASSIGNED', 'MSFT')).toBe('3');
    expect(state.register('UNASSIGNED').orders()).toMatchObject([{ order_id: foreign.order_id, status: 'open' }]);
  });

  it('is opened by the next life where the first ended before it had read the account', async () => {
    const broker = new FakeBroker({ cash: { USD: '5000' } });
    broker.setPosition('MSFT', '3', '250');
    broker.next('fetchAccount', { kind: 'fail', error: new BrokerError('BROKER_UNAUTHORIZED', 'wrong keys') });
    const puppet = (): Puppet => new Puppet('alpha', { initialCash: { USD: '1000' } });
    const first = rig({ broker, strategies: [puppet()] });
    await expect(first.start()).rejects.toMatchObject({ code: 'BROKER_UNAUTHORIZED' });
    // The final checkpoint of a start that failed has the books, with nothing in them.
    expect(first.engine.snapshot().strategies.map(({ strategy_name }) => strategy_name)).toContain('alpha');
    const { start, state, position } = rig({
      broker,
      state: reborn(first.engine.snapshot()),
      strategies: [puppet()],
    });
    expect(await start()).toMatchObject({ opened: true });
    expect(position('UNASSIGNED', 'MSFT')).toBe('3');
    expect(state.register('UNASSIGNED').cash()).toBe('4000');
    expect(state.register('alpha').cash()).toBe('1000');
  });

  it('is opened once, also where it held nothing', async () => {
    const broker = new FakeBroker({ cash: { USD: '0' } });
    const first = rig({ broker });
    expect(await first.start()).toMatchObject({ opened: true });
    broker.crashEngine();
    expect(await rig({ broker, state: reborn(first.engine.snapshot()) }).start()).toMatchObject({ opened: false });
  });

  it('does not count what was executed before it was opened', async () => {
    const broker = new FakeBroker({ cash: { USD: '5000' } });
    const { order_id: before } = broker.placeElsewhere('TSLA', '2');
    broker.fill(before ?? '', { price: '200' });
    const { start, position, state, idle } = rig({ broker });
    await start();
    expect(position('UNASSIGNED', 'TSLA')).toBe('2');
    expect(state.register('UNASSIGNED').cash()).toBe('4600');
    const [fill] = broker.fills;
    const [order] = broker.orders.values();
    if (fill === undefined || order === undefined) throw new Error('the broker lost its fill');
    broker.tell(order, fill);
    await idle();
    expect(position('UNASSIGNED', 'TSLA')).toBe('2');
    expect(state.register('UNASSIGNED').cash()).toBe('4600');
  });

  it('counts what is executed while it is opened', async () => {
    const broker = new FakeBroker({ cash: { USD: '5000' } });
    const { order_id: foreign } = broker.placeElsewhere('TSLA', '2');
    broker.next('fetchFills', { kind: 'hold' }, { kind: 'slow' });
    const { engine, position, state, idle } = rig({ broker });
    const started = engine.start();
    await broker.until('fetchFills', 1);
    broker.release();
    await broker.until('fetchFills', 2);
    broker.fill(foreign ?? '', { price: '200' });
    await idle();
    broker.release();
    await started;
    await idle();
    expect(position('UNASSIGNED', 'TSLA')).toBe('2');
    expect(state.register('UNASSIGNED').cash()).toBe('4600');
  });

  it('says so when strategies are given more cash than there is', async () => {
    const { start, alerted } = rig({ strategies: [new Puppet('alpha', { initialCash: { USD: '1' } })] });
    await start();
    expect(alerted('CASH_OVERALLOCATED')).toHaveLength(1);
  });

  it('gives cash once, also when a crash came between cash and first start', async () => {
    const { next, puppet } = await firstLife({ feed: (async function* () {})() });
    expect(puppet.heard).toEqual(['start new']);
    const second = new Puppet('alpha', { initialCash: { USD: '1000' } });
    const { start, state } = next({ strategies: [second] });
    await start();
    expect(second.heard).toEqual(['start restored']);
    expect(state.register('alpha').cash()).toBe('1000');
  });

  it('tells a strategy that it is new until its onStart has succeeded once', async () => {
    const broker = new FakeBroker({ cash: { USD: '5000' } });
    const failing = new Puppet('alpha', { initialCash: { USD: '1000' } });
    failing.onStart = () => {
      throw new Error('not yet');
    };
    const life = rig({ broker, strategies: [failing] });
    await life.start();
    broker.crashEngine();
    const puppet = new Puppet('alpha', { initialCash: { USD: '1000' } });
    const { start, state } = rig({ broker, state: reborn(life.engine.snapshot()), strategies: [puppet] });
    await start();
    expect(puppet.heard).toEqual(['start new']);
    expect(state.register('alpha').cash()).toBe('1000');
  });
});

describe('a strategy that the next life was not given', () => {
  it('is told of where it holds positions or open orders, which nobody would trade', async () => {
    const { life, puppet, next } = await firstLife();
    const orderId = await submitted(life, puppet);
    life.broker.fill(orderId, { amount: '4' });
    await life.idle();
    const without = next({ strategies: [new Puppet('beta')] });
    await without.start();
    expect(without.alerted('STRATEGY_ABSENT')).toMatchObject([
      { level: 'warn', strategy: 'alpha', details: { positions: 1, orders: 1 } },
    ]);
    expect(without.position('alpha', 'AAPL')).toBe('4');
    const back = next({ strategies: [new Puppet('alpha')] });
    await back.start();
    expect(back.alerted('STRATEGY_ABSENT')).toEqual([]);
  });

  it('is no matter where it holds nothing, nor in an engine that only reconciles', async () => {
    const { life, puppet, next } = await firstLife();
    const empty = next({ strategies: [new Puppet('beta')] });
    await empty.start();
    expect(empty.alerted('STRATEGY_ABSENT')).toEqual([]);
    await submitted(life, puppet);
    const none = next();
    await none.start();
    expect(none.alerted('STRATEGY_ABSENT')).toEqual([]);
  });
});

describe('an intent without an outcome at a restart', () => {
  it('that never left is looked up, not sent, and rejected as never received', async () => {
    const state = memoryHostState({ autoDurable: false });
    const { life, puppet, next } = await firstLife({ state });
    const orderId = await submitted(life, puppet);
    expect(life.broker.called('submitOrder')).toBe(0);
    const second = new Puppet('alpha');
    const reborn = next({ strategies: [second] });
    const report = await reborn.start();
    expect(report.unknown).toEqual({ before: 1, after: 0 });
    expect(reborn.order('alpha', orderId)).toBeUndefined();
    expect(second.heard).toEqual(['start restored', 'order unknown', 'order rejected']);
    expect(life.broker.called('submitOrder')).toBe(0);
  });

  it('that arrived is found, and its fills are counted', async () => {
    const { life, puppet, next } = await firstLife();
    life.broker.next('submitOrder', { kind: 'hang' });
    const orderId = await submitted(life, puppet);
    life.broker.crashEngine();
    life.broker.fill(orderId, { amount: '4', price: '99', silent: true });
    const second = new Puppet('alpha');
    const reborn = next({ strategies: [second] });
    const report = await reborn.start();
    expect(report).toMatchObject({ unknown: { before: 1, after: 0 }, fills: 1 });
    expect(reborn.order('alpha', orderId)).toMatchObject({ status: 'partially_filled', filled_amount: '4' });
    expect(reborn.position('alpha', 'AAPL')).toBe('4');
    expect(second.heard).toContain('fill 4 at 99');
    expect(life.broker.called('submitOrder')).toBe(1);
  });

  it('that arrived and ended is booked as it ended, once its fills are', async () => {
    const { life, puppet, next } = await firstLife();
    life.broker.next('submitOrder', { kind: 'lost' });
    life.broker.next('fetchOrder', { kind: 'hang' });
    const orderId = await submitted(life, puppet);
    life.broker.crashEngine();
    life.broker.fill(orderId, { amount: '4', price: '99', silent: true });
    life.broker.end(orderId, 'canceled', { silent: true });
    const reborn = next();
    await reborn.start();
    expect(reborn.order('alpha', orderId)).toBeUndefined();
    expect(reborn.position('alpha', 'AAPL')).toBe('4');
    expect(reborn.state.register('alpha').cash()).toBe('604');
  });

  it('blocks its asset, and halts, where the venue does not know our ids', async () => {
    const broker = new FakeBroker({ capabilities: { clientOrderIds: 'none' } });
    const { life, puppet, next } = await firstLife({ broker });
    life.broker.next('submitOrder', { kind: 'hang' });
    await submitted(life, puppet);
    const reborn = next({ strategies: [new Puppet('alpha')] });
    const report = await reborn.start();
    expect(report).toMatchObject({ unknown: { before: 1, after: 1 }, phase: { kind: 'halted', source: 'engine' } });
  });

  it('keeps the start waiting while the broker does not answer, and fails it at the deadline with nothing sent', async () => {
    const { life, puppet, next } = await firstLife();
    life.broker.next('submitOrder', { kind: 'hang' });
    await submitted(life, puppet);
    const reborn = next({ startDeadlineMs: 5000 });
    life.broker.next(
      'fetchOrder',
      ...Array.from({ length: 100 }, () => ({ kind: 'fail', error: unreachable() }) as const),
    );
    await expect(reborn.start()).rejects.toMatchObject({
      code: 'START_DEADLINE',
      cause: { code: 'BROKER_UNREACHABLE' },
    });
    expect(reborn.engine.phase.kind).toBe('stopped');
    expect(life.broker.called('submitOrder')).toBe(1);
    expect(reborn.state.register('alpha').orders()).toMatchObject([{ status: 'unknown' }]);
  });
});

describe('what happened while nobody was there', () => {
  it('is booked once, also when the stream tells it again', async () => {
    const { life, puppet, next } = await firstLife();
    const orderId = await submitted(life, puppet);
    life.broker.fill(orderId, { amount: '1', price: '100' });
    await life.idle();
    life.broker.crashEngine();
    const fill = life.broker.fill(orderId, { amount: '2', price: '100', silent: true });
    const reborn = next();
    expect(await reborn.start()).toMatchObject({ fills: 1 });
    const report = life.broker.orders.get(orderId);
    if (report === undefined) throw new Error('the broker lost its order');
    life.broker.tell(report, fill);
    await reborn.idle();
    expect(reborn.position('alpha', 'AAPL')).toBe('3');
    expect(reborn.state.register('alpha').cash()).toBe('700');
  });

  it('is booked once when it comes by the stream while the start reads it', async () => {
    const { life, puppet, next } = await firstLife();
    const orderId = await submitted(life, puppet);
    const reborn = next();
    life.broker.next('fetchOpenOrders', { kind: 'hold' });
    const started = reborn.engine.start();
    await life.broker.until('fetchOpenOrders', 2);
    life.broker.fill(orderId, { amount: '2', price: '100' });
    life.broker.release();
    await started;
    await reborn.idle();
    expect(reborn.position('alpha', 'AAPL')).toBe('2');
    expect(reborn.order('alpha', orderId)).toMatchObject({ filled_amount: '2', status: 'partially_filled' });
  });

  it('and cannot be booked halts the engine, which comes up all the same, with the cursor before it', async () => {
    const { life, puppet, next } = await firstLife();
    const orderId = await submitted(life, puppet);
    life.broker.crashEngine();
    const good = life.broker.fill(orderId, { amount: '2', silent: true });
    life.broker.fills[0] = { ...good, price: 'NaN' };
    const second = next();
    expect((await second.start()).phase).toMatchObject({ kind: 'halted', source: 'engine' });
    expect(second.position('alpha', 'AAPL')).toBe('0');
    life.broker.fills[0] = good;
    const third = rig({ state: reborn(second.engine.snapshot()), broker: life.broker });
    await third.start();
    expect(third.position('alpha', 'AAPL')).toBe('2');
    expect(third.engine.phase.kind).toBe('halted');
  });

  it('ends orders that ended, and a cancel that was asked for is asked again', async () => {
    const { life, puppet, next } = await firstLife();
    const ended = await submitted(life, puppet);
    const asked = await submitted(life, puppet);
    life.broker.next('cancelOrder', { kind: 'hold' });
    puppet.next((context) => context.cancel(asked));
    await life.trade('AAPL', '100');
    expect(life.order('alpha', asked)?.status).toBe('pending_cancel');
    life.broker.crashEngine();
    life.broker.end(ended, 'expired', { silent: true });
    const reborn = next();
    await reborn.start();
    expect(reborn.order('alpha', ended)).toBeUndefined();
    expect(life.broker.called('cancelOrder')).toBe(2);
    expect(reborn.order('alpha', asked)).toBeUndefined();
  });

  it('includes orders of ours that a lost commit forgot, and of others', async () => {
    const { life, puppet, next } = await firstLife({ gate: 'async' });
    const before = life.engine.snapshot();
    const orderId = await submitted(life, puppet);
    const foreign = life.broker.placeElsewhere('TSLA', '1');
    const reborn_ = rig({ state: reborn(before), broker: life.broker });
    next();
    await reborn_.start();
    expect(reborn_.order('alpha', orderId)).toMatchObject({ status: 'open', reason: 'found at the broker' });
    expect(reborn_.order('UNASSIGNED', foreign.order_id ?? '')).toMatchObject({ status: 'open' });
  });

  it('belongs to a strategy also while that does not run', async () => {
    const { life, puppet, next } = await firstLife();
    const orderId = await submitted(life, puppet);
    const reborn = next({ strategies: [new Puppet('beta')] });
    await reborn.start();
    life.broker.fill(orderId, { amount: '10' });
    await reborn.idle();
    expect(reborn.position('alpha', 'AAPL')).toBe('10');
    const alpha = new Puppet('alpha');
    reborn.engine.add(alpha);
    expect(alpha.heard).toEqual(['start restored']);
  });

  it('is found by the broker’s id where an execution names no other', async () => {
    const { life, puppet, next } = await firstLife();
    life.broker.next('submitOrder', { kind: 'hang' });
    const orderId = await submitted(life, puppet);
    life.broker.crashEngine();
    life.broker.fill(orderId, { amount: '4', silent: true });
    const [fill] = life.broker.fills.splice(0);
    if (fill !== undefined) life.broker.fills.push({ ...fill, order_id: null });
    const reborn = next();
    await reborn.start();
    expect(reborn.position('alpha', 'AAPL')).toBe('4');
  });
});

describe('client order ids', () => {
  it('differ between lives, and between two engines on one opened state', async () => {
    const { life, puppet, next } = await firstLife();
    const ids = [await submitted(life, puppet)];
    const second = new Puppet('alpha');
    const reborn = next({ strategies: [second] });
    await reborn.start();
    ids.push(await submitted(reborn, second));
    await reborn.engine.stop();
    const third = new Puppet('alpha');
    const again = rig({ state: reborn.state, broker: life.broker, strategies: [third] });
    await again.start();
    ids.push(await submitted(again, third));
    expect(new Set(ids).size).toBe(3);
    for (const id of ids) expect(id).toMatch(/^[A-Za-z0-9_-]{1,48}$/);
  });
});

describe('a restored book from before cursors were kept', () => {
  it('takes only executions from after it was saved', async () => {
    const { life, puppet } = await firstLife();
    const orderId = await submitted(life, puppet);
    life.broker.fill(orderId, { amount: '4' });
    await life.idle();
    const { strategies, ...rest } = life.engine.snapshot();
    const alone = strategies
      .filter(({ strategy_name }) => strategy_name === 'alpha')
      .map((strategy) => ({
        ...strategy,
        pending_orders: [] as OrderSnapshot[],
        broker_cursor: { activity_id: null, at: null, recent_execution_ids: [] },
      }));
    life.broker.crashEngine();
    const second = rig({
      state: reborn({ ...rest, timestamp: '2025-10-02T14:31:00Z', strategies: alone }),
      broker: life.broker,
    });
    expect(await second.start()).toMatchObject({ opened: false, fills: 0 });
    expect(second.position('alpha', 'AAPL')).toBe('4');
  });
});
