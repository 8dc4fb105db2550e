import { describe, expect, it } from 'vitest';
import type { StrategyContext } from '../../src/engine/strategy.ts';
import type { FillReport } from '../../src/model/report.ts';
import { ManualClock } from '../../src/testing/manual-clock.ts';
import { explore } from '../support/crash-exploration.ts';
import { CrashDisk, inProcessReconciler, Life, Wisher } from '../support/crash-life.ts';
import { CrashVenue } from '../support/crash-venue.ts';
import { Puppet, type Rig, reborn, rig } from '../support/engine-rig.ts';
import { FakeBroker, unreachable } from '../support/fake-broker.ts';
import { memoryHostState } from '../support/memory-host-state.ts';

// Ten failures that users of other engines reported. Each has a test that fails if it can happen here.

const buy = { asset: 'AAPL', amount: '10' };
const cash = { USD: '10000' };

async function submit(life: Rig, puppet: Puppet, order = buy): Promise<string> {
  let orderId = '';
  puppet.next((context: StrategyContext) => {
    orderId = context.submit(order);
  });
  await life.trade('AAPL', '100');
  return orderId;
}

function venue(clock: ManualClock, lagMs = 0): CrashVenue {
  return new CrashVenue({
    clock,
    ids: 'enforced',
    windowMs: 0,
    tellsWindow: false,
    settleMs: 2000,
    lagMs: () => lagMs,
    failsRead: () => false,
  });
}

describe('the state', () => {
  it('does not differ from what memory was when many strategies save at once and the writes crash anywhere', async () => {
    const many = Array.from({ length: 4 }, (_, index) => `strategy_${index}`);
    const { explorer } = await explore(
      {
        name: 'many strategies save at the open',
        async run(rig) {
          rig.commit(many);
          const saved = rig.checkpoint();
          rig.commit(many);
          await saved;
        },
      },
      0,
    );
    expect(explorer.bad.slice(0, 3)).toEqual([]);
  });

  it('does not go with the power, nor does its last generation, at any step of a save', async () => {
    const { explorer } = await explore(
      {
        name: 'saves of one strategy',
        async run(rig) {
          for (let save = 0; save < 3; save += 1) {
            rig.commit(['alpha']);
            await rig.checkpoint(['alpha']);
          }
        },
      },
      4,
    );
    expect(explorer.bad.slice(0, 3)).toEqual([]);
  });
});

describe('an order', () => {
  it('does not go out twice after a timeout, however often the strategy would ask', async () => {
    const broker = new FakeBroker({ cash, capabilities: { settleMs: 1000 } });
    const puppet = new Puppet('alpha', { initialCash: cash });
    const life = rig({ broker, strategies: [puppet] });
    await life.start();
    broker.next('submitOrder', { kind: 'lost' });
    await submit(life, puppet);
    for (let again = 0; again < 3; again += 1) await submit(life, puppet);
    await life.pass(10_000);
    const live = [...broker.orders.values()].filter(({ asset }) => asset === buy.asset);
    // What the strategy asked for while nobody knew was refused; what it asks for now it knows about.
    expect(live.length).toBe(
      new Set(broker.calls.filter(({ name }) => name === 'submitOrder').map(({ id }) => id)).size,
    );
    expect(live[0]).toMatchObject({ status: 'open' });
    expect(broker.calls.filter(({ name, id }) => name === 'submitOrder' && id === live[0]?.order_id)).toHaveLength(1);
    expect(life.alerted('ORDER_UNKNOWN')).toHaveLength(1);
  });

  it('does not execute without the engine knowing, where the local write fails after it was sent', async () => {
    const clock = new ManualClock('2025-10-02T14:30:00Z');
    const market = venue(clock);
    const disk = new CrashDisk();
    const strategies = () => [new Wisher('wisher', new Map([['A', '10']]))];
    const first = new Life({ disk, venue: market, clock, strategies: strategies() });
    await first.start();
    // The intent is durable, and from then on nothing is.
    market.onTaken = () => first.state.setAutoDurable(false);
    await first.price('A');
    const [order] = market.placed;
    if (order === undefined) throw new Error('nothing was sent');
    first.session.tell(order.report, market.execute(order, '10', '9.5', '0.1'));
    await first.pass(1000);
    expect(first.state.register('wisher').position('A')?.amount).toBe('10');
    first.kill();
    expect(disk.mirror.snapshot('wisher').positions).toEqual([]);
    market.onTaken = () => {};
    const second = new Life({ disk, venue: market, clock, strategies: strategies() });
    await second.start();
    await second.price('A');
    const book = second.state.register('wisher');
    expect([book.position('A')?.amount, book.cash(), book.orders()]).toEqual(['10', '904.9', []]);
    expect(market.placed).toHaveLength(1);
  });

  it('does not become rejected while it lives, or was filled, and reads do not show it yet', async () => {
    for (const isFilled of [false, true]) {
      const clock = new ManualClock('2025-10-02T14:30:00Z');
      const market = venue(clock, 1500);
      const disk = new CrashDisk();
      const strategies = () => [new Wisher('wisher', new Map([['A', '10']]))];
      const first = new Life({ disk, venue: market, clock, strategies: strategies() });
      await first.start();
      market.onTaken = () => first.kill();
      await first.price('A');
      market.onTaken = () => {};
      const [order] = market.placed;
      if (order === undefined) throw new Error('nothing was sent');
      if (isFilled) market.execute(order, '10', '10', '0');
      const second = new Life({ disk, venue: market, clock, strategies: strategies() });
      await second.start();
      await second.price('A');
      await second.pass(10_000);
      // A strategy that heard of a rejection would have asked again.
      expect(market.placed).toHaveLength(1);
      const book = second.state.register('wisher');
      expect(book.orders().map(({ status }) => status)).toEqual(isFilled ? [] : ['open']);
      expect(book.position('A')?.amount).toBe(isFilled ? '10' : undefined);
    }
  });
});

describe('a restart', () => {
  it('does not make orders or positions that are not there, however often it happens', async () => {
    const broker = new FakeBroker({ cash });
    const puppet = (): Puppet => new Puppet('alpha', { initialCash: { USD: '5000' } });
    const trader = puppet();
    let life = rig({ broker, strategies: [trader] });
    await life.start();
    const orderId = await submit(life, trader);
    broker.fill(orderId, { amount: '4' });
    await life.idle();
    const before = life.state.register('alpha').snapshot();
    for (let restart = 0; restart < 5; restart += 1) {
      broker.crashEngine();
      const clock = new ManualClock('2025-10-02T15:30:00Z');
      const state = reborn(life.engine.snapshot());
      const reconciler = inProcessReconciler(state, broker, clock);
      life = rig({
        broker,
        state,
        clock,
        after: clock.after,
        reconciler,
        policy: 'SYNC_TO_BROKER',
        strategies: [puppet()],
      });
      const { reconciliation } = await life.start();
      expect(reconciliation).toMatchObject({ outcome: 'ok', plan: { actions: [] } });
    }
    const after = life.state.register('alpha').snapshot();
    expect({ ...after, broker_cursor: null }).toEqual({ ...before, broker_cursor: null });
    expect(life.state.register('UNASSIGNED').snapshot()).toMatchObject({ positions: [], pending_orders: [] });
    expect(broker.called('submitOrder')).toBe(1);
  });

  it('does not leave a position that nobody minds: with its strategy or without, it is in a book and compared', async () => {
    const broker = new FakeBroker({ cash });
    broker.setPosition('MSFT', '1', '100');
    const puppet = new Puppet('alpha', { initialCash: { USD: '5000' } });
    const first = rig({ broker, strategies: [puppet] });
    await first.start();
    broker.fill(await submit(first, puppet));
    await first.idle();
    broker.crashEngine();
    // The strategy is gone, and the position is closed behind everybody's back.
    broker.setPosition('AAPL', '0');
    broker.cash.set('USD', '11000');
    const clock = new ManualClock('2025-10-02T15:30:00Z');
    const state = reborn(first.engine.snapshot());
    const second = rig({
      broker,
      state,
      clock,
      after: clock.after,
      reconciler: inProcessReconciler(state, broker, clock),
    });
    await second.start();
    expect(second.position('alpha', 'AAPL')).toBe('10');
    expect(second.engine.phase).toMatchObject({ kind: 'halted', source: 'reconciliation' });
    expect(second.alerted('DISCREPANCY').map(({ details }) => [details['kind'], details['strategies']])).toContainEqual(
      ['position_missing_at_broker', 'alpha'],
    );
    // And the strategy, once it is back, has its position, and is told that it is not new.
    broker.crashEngine();
    broker.setPosition('AAPL', '10', '100');
    broker.cash.set('USD', '9000');
    const back = new Puppet('alpha');
    const third = rig({ broker, state: reborn(first.engine.snapshot()), strategies: [back] });
    await third.start();
    expect(back.heard).toEqual(['start restored']);
  });
});

describe('a fill', () => {
  it('does not get lost in a disconnect, and cash is right as soon as the stream is back', async () => {
    const broker = new FakeBroker({ cash });
    const puppet = new Puppet('alpha', { initialCash: { USD: '5000' } });
    const life = rig({ broker, strategies: [puppet] });
    await life.start();
    const orderId = await submit(life, puppet);
    broker.disconnect();
    broker.fill(orderId, { amount: '3', price: '99.5', fee: '0.02' });
    await life.idle();
    expect(life.position('alpha', 'AAPL')).toBe('0');
    broker.reconnect();
    await life.idle();
    expect(life.position('alpha', 'AAPL')).toBe('3');
    expect(life.state.register('alpha').cash()).toBe('4701.48');
    expect(puppet.heard.filter((heard) => heard.startsWith('fill'))).toEqual(['fill 3 at 99.5']);
  });

  it('does not go to another order or strategy when it came while nobody listened', async () => {
    const broker = new FakeBroker({ cash });
    const [alpha, beta] = [
      new Puppet('alpha', { initialCash: { USD: '2000' } }),
      new Puppet('beta', { initialCash: { USD: '2000' } }),
    ];
    const first = rig({ broker, strategies: [alpha, beta] });
    await first.start();
    const orders: [string, string][] = [];
    for (const [name, puppet] of [
      ['alpha', alpha],
      ['beta', beta],
      ['alpha', alpha],
    ] as const)
      orders.push([name, await submit(first, puppet)]);
    // The answer to one more is lost, so that its broker's id is known to nobody here.
    broker.next('submitOrder', { kind: 'hang' });
    orders.push(['beta', await submit(first, beta)]);
    broker.crashEngine();
    const amounts = ['1', '2', '4', '8'];
    for (const [index, [, orderId]] of orders.entries()) {
      const fill: FillReport = broker.fill(orderId, { amount: amounts[index] ?? '0', silent: true });
      // As a broker does that knows only its own ids in its activities.
      broker.fills.splice(broker.fills.indexOf(fill), 1, { ...fill, order_id: null });
    }
    const second = rig({ broker, state: reborn(first.engine.snapshot()) });
    await second.start();
    expect([second.position('alpha', 'AAPL'), second.position('beta', 'AAPL')]).toEqual(['5', '10']);
    expect(orders.map(([name, orderId]) => second.order(name, orderId)?.filled_amount)).toEqual(amounts);
    expect(second.state.register('UNASSIGNED').positions()).toEqual([]);
  });
});

describe('a node', () => {
  it('does not refuse to start over what it can ask about, and does not trade on what is stale', async () => {
    const broker = new FakeBroker({ cash });
    const puppet = new Puppet('alpha', { initialCash: { USD: '5000' } });
    const first = rig({ broker, strategies: [puppet] });
    await first.start();
    const orderId = await submit(first, puppet);
    broker.crashEngine();
    // A day passes: filled, and the broker does not answer at first.
    broker.fill(orderId, { silent: true });
    for (const call of ['connect', 'fetchOpenOrders', 'fetchFills'] as const)
      broker.next(call, { kind: 'fail', error: unreachable() });
    const { strategies, sequence, epoch } = first.engine.snapshot();
    const state = memoryHostState({
      restored: strategies,
      epoch: epoch + 1,
      recovery: { epoch, sequence, timestamp: '2025-10-01T14:30:00Z', stale: true, age_ms: 86_400_000 },
    });
    const clock = new ManualClock('2025-10-02T15:30:00Z');
    const life = rig({
      broker,
      state,
      clock,
      after: clock.after,
      reconciler: inProcessReconciler(state, broker, clock),
      strategies: [new Puppet('alpha'), new Puppet('new_one')],
    });
    const phases: string[] = [];
    life.engine.on('phase', ({ kind }) => phases.push(kind));
    const started = await life.start();
    expect(started).toMatchObject({ fills: 1, reconciliation: { outcome: 'ok' }, phase: { kind: 'trading' } });
    expect(life.alerted('STATE_STALE')).toHaveLength(1);
    expect(new Set(phases)).toEqual(new Set(['restoring', 'resolving', 'reconciling', 'trading']));
    expect(life.position('alpha', 'AAPL')).toBe('10');
    // What it cannot make good it does not trade on, and comes up all the same, for somebody to look.
    broker.crashEngine();
    broker.setPosition('AAPL', '7');
    const again = reborn(life.engine.snapshot());
    const halted = rig({
      broker,
      state: again,
      clock,
      after: clock.after,
      reconciler: inProcessReconciler(again, broker, clock),
    });
    expect(await halted.start()).toMatchObject({ phase: { kind: 'halted' } });
  });
});
