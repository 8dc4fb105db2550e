import { describe, expect, it } from 'vitest';
import { Puppet, reborn, rig } from '../support/engine-rig.ts';
import { FakeBroker } from '../support/fake-broker.ts';
import { memoryHostState } from '../support/memory-host-state.ts';

const buy = { asset: 'AAPL', amount: '10' };

describe('a halt', () => {
  it('stops new orders, takes back what has not left, and goes on booking and telling', async () => {
    const state = memoryHostState({ autoDurable: false });
    const puppet = new Puppet('alpha');
    const { engine, broker, start, trade, idle, position, alerted } = rig({ state, strategies: [puppet] });
    await start();
    let sent = '';
    puppet.next((context) => {
      sent = context.submit(buy);
    });
    await trade('AAPL', '100');
    state.makeDurable();
    await idle();
    puppet.next((context) => context.submit(buy) && undefined);
    await trade('AAPL', '100');
    engine.halt('something is odd');
    expect(engine.phase).toMatchObject({ kind: 'halted', source: 'operator', reason: 'something is odd' });
    state.makeDurable();
    await idle();
    expect(broker.called('submitOrder')).toBe(1);
    expect(
      state
        .register('alpha')
        .orders()
        .map(({ order_id }) => order_id),
    ).toEqual([sent]);
    puppet.next((context) => context.submit(buy) && undefined);
    await trade('AAPL', '100');
    expect(alerted('ORDER_REFUSED')).toHaveLength(1);
    broker.fill(sent);
    await idle();
    expect(position('alpha', 'AAPL')).toBe('10');
    expect(puppet.heard).toContain('fill 10 at 100');
  });

  it('is on every book, and comes back after a restart', async () => {
    const broker = new FakeBroker();
    const life = rig({ broker, strategies: [new Puppet('alpha')] });
    await life.start();
    life.engine.halt('something is odd');
    expect(life.state.register('alpha').halt?.reason).toBe('something is odd');
    expect(life.state.register('UNASSIGNED').halt?.reason).toBe('something is odd');
    broker.crashEngine();
    const puppet = new Puppet('alpha');
    const { engine, start, trade } = rig({ broker, state: reborn(life.engine.snapshot()), strategies: [puppet] });
    expect((await start()).phase).toMatchObject({ kind: 'halted', reason: 'something is odd' });
    expect(puppet.heard).toEqual([]);
    await engine.resume('looked into it');
    expect(engine.phase.kind).toBe('trading');
    expect(puppet.heard).toEqual(['start restored']);
    puppet.next((context) => context.submit(buy) && undefined);
    await trade('AAPL', '100');
    expect(broker.called('submitOrder')).toBe(1);
  });

  it('of one strategy is its own, and outlives that of the engine', async () => {
    const alpha = new Puppet('alpha');
    const beta = new Puppet('beta');
    const { engine, broker, start, state, trade } = rig({ strategies: [alpha, beta] });
    await start();
    alpha.next((context) => context.halt('lost too much'));
    beta.next((context) => context.submit(buy) && undefined);
    await trade('AAPL', '100');
    expect(state.register('alpha').halt).toMatchObject({ reason: 'lost too much', source: 'strategy' });
    expect(engine.phase.kind).toBe('trading');
    expect(broker.called('submitOrder')).toBe(1);
    engine.halt('all stop');
    await engine.resume('go on');
    expect(state.register('beta').halt).toBeNull();
    expect(state.register('alpha').halt?.reason).toBe('lost too much');
    alpha.next((context) => context.submit(buy) && undefined);
    await trade('AAPL', '100');
    expect(broker.called('submitOrder')).toBe(1);
    await engine.resume('forgiven', { strategy: 'alpha' });
    alpha.next((context) => context.submit(buy) && undefined);
    await trade('AAPL', '100');
    expect(broker.called('submitOrder')).toBe(2);
  });

  it('is not lifted, nor an order settled, by a name that nobody has', async () => {
    const { engine, start } = rig({ strategies: [new Puppet('alpha')] });
    await start();
    const resumed = (strategy: string): Promise<void> => engine.resume('looked at', { strategy });
    await expect(resumed('alhpa')).rejects.toMatchObject({
      code: 'STRATEGY_UNKNOWN',
      message: expect.stringContaining('alpha'),
    });
    await expect(resumed('alpha')).rejects.toMatchObject({ code: 'NOT_HALTED' });
    await expect(engine.settleAsNeverReceived('no-such', 'looked')).rejects.toMatchObject({
      code: 'ORDER_NOT_UNKNOWN',
    });
  });

  it('follows when persistence fails for good, and cannot be lifted', async () => {
    const { engine, start, state, alerted } = rig({ strategies: [new Puppet('alpha')] });
    await start();
    state.fail(new Error('disk gone'));
    expect(engine.phase).toMatchObject({ kind: 'halted', source: 'persistence' });
    expect(alerted('PERSISTENCE_FAILED')).toHaveLength(1);
    await expect(engine.resume('try')).rejects.toMatchObject({ code: 'PERSISTENCE_FAILED' });
  });

  it('follows when an event cannot be booked, with nothing of it kept', async () => {
    const puppet = new Puppet('alpha');
    const { engine, broker, start, trade, idle, position, alerted, state } = rig({ strategies: [puppet] });
    await start();
    let orderId = '';
    puppet.next((context) => {
      orderId = context.submit(buy);
    });
    await trade('AAPL', '100');
    const order = broker.orders.get(orderId);
    if (order === undefined) throw new Error('no order');
    broker.holdStream();
    const fill = broker.fill(orderId);
    broker.releaseStream(() => [
      [
        { ...order, status: 'filled', filled_amount: '10' },
        { ...fill, price: 'NaN' },
      ],
    ]);
    await idle();
    expect(alerted('ENGINE_FAULT')).toHaveLength(1);
    expect(engine.phase).toMatchObject({ kind: 'halted', source: 'engine' });
    expect(position('alpha', 'AAPL')).toBe('0');
    expect(state.register('alpha').hasExecution(fill.execution_id)).toBe(false);
    await engine.resume('fixed at the broker');
    await idle();
    expect(position('alpha', 'AAPL')).toBe('10');
  });
});

describe('an event that fails halfway', () => {
  it('is taken back whole, what it had ended included, and booked when it can be', async () => {
    const puppet = new Puppet('alpha');
    const { engine, broker, start, trade, idle, pass, position, order, state } = rig({ strategies: [puppet] });
    await start();
    let orderId = '';
    puppet.next((context) => {
      orderId = context.submit(buy);
    });
    await trade('AAPL', '100');
    broker.disconnect();
    broker.fill(orderId);
    const foreign = broker.placeElsewhere('TSLA', '1').order_id ?? '';
    const bad = broker.fill(foreign);
    broker.fills[1] = { ...bad, price: 'NaN' };
    broker.reconnect();
    await idle();
    expect(engine.phase).toMatchObject({ kind: 'halted', source: 'engine' });
    expect(position('alpha', 'AAPL')).toBe('0');
    expect(order('alpha', orderId)?.filled_amount).toBe('0');
    expect(state.register('alpha').hasExecution('x-1')).toBe(false);
    broker.fills[1] = bad;
    await engine.resume('the broker has mended its list');
    await pass(5000);
    expect(position('alpha', 'AAPL')).toBe('10');
    expect(position('UNASSIGNED', 'TSLA')).toBe('1');
    expect(order('alpha', orderId)).toBeUndefined();
  });
});

describe('lag', () => {
  it('refuses orders while commits wait too long to become durable', async () => {
    const puppet = new Puppet('alpha');
    const made = rig({ strategies: [puppet], lagMsMax: 1000 });
    const { start, trade, pass, alerted, broker } = made;
    await start();
    const slow = memoryHostState({ autoDurable: false, clock: made.clock });
    const other = new Puppet('alpha');
    const lagging = rig({
      state: slow,
      strategies: [other],
      lagMsMax: 1000,
      clock: made.clock,
      after: made.clock.after,
    });
    await lagging.start();
    await pass(1001);
    other.next((context) => context.submit(buy) && undefined);
    await lagging.trade('AAPL', '100');
    expect(lagging.alerted('ORDER_REFUSED')[0]?.message).toContain('nothing became durable');
    slow.makeDurable();
    other.next((context) => context.submit(buy) && undefined);
    await lagging.trade('AAPL', '100');
    expect(lagging.state.register('alpha').orders()).toHaveLength(1);
    expect(alerted('ORDER_REFUSED')).toEqual([]);
    await trade('AAPL', '1');
    expect(broker.called('submitOrder')).toBe(0);
  });

  it('is told as it comes and goes', async () => {
    const { start, state, alerted } = rig();
    await start();
    state.emit('lagging', { lagMs: 1500, error: new Error('slow disk') });
    state.emit('recovered', { laggedMs: 1500 });
    expect(alerted('PERSISTENCE_LAGGING')[0]?.error?.message).toBe('slow disk');
    expect(alerted('PERSISTENCE_RECOVERED')).toHaveLength(1);
  });

  it('tells of a large state value, naming strategy, key and size', async () => {
    const { start, state, alerted } = rig();
    await start();
    state.emit('stateValueLarge', { strategy: 'alpha', key: 'history', bytes: 70_000 });
    expect(alerted('STATE_VALUE_LARGE')).toMatchObject([
      { level: 'warn', strategy: 'alpha', details: { key: 'history', bytes: 70_000 } },
    ]);
  });
});
