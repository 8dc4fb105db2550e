import { describe, expect, it } from 'vitest';
import { Puppet, reborn, rig } from '../support/engine-rig.ts';
import { FakeBroker, unreachable } from '../support/fake-broker.ts';
import { memoryHostState } from '../support/memory-host-state.ts';

const buy = { asset: 'AAPL', amount: '10' };

describe('a stop', () => {
  it('tells the strategies, sends and hears out what is under way, and ends with a checkpoint', async () => {
    const puppet = new Puppet('alpha');
    const { engine, broker, start, state, trade, idle } = rig({ strategies: [puppet] });
    await start();
    broker.next('submitOrder', { kind: 'hold' });
    puppet.next((context) => {
      context.submit(buy);
      context.every(1000, 'beat');
    });
    await trade('AAPL', '100');
    let stopped = false;
    const stopping = engine.stop('maintenance').then(() => {
      stopped = true;
    });
    await idle();
    expect(engine.phase).toEqual({ kind: 'stopping', reason: 'maintenance' });
    expect(stopped).toBe(false);
    broker.release();
    await stopping;
    expect(engine.phase.kind).toBe('stopped');
    expect(puppet.heard).toContain('stop maintenance');
    expect(state.register('alpha').orders()).toMatchObject([{ status: 'open' }]);
    expect(state.durableSequence).toBe(state.sequence);
    expect(engine.stop()).toBe(engine.stop());
  });

  it('hears out the cancels that onStop asked for, one of an order under way and one that fails at first', async () => {
    const puppet = new Puppet('alpha');
    puppet.onStop = (context) => {
      for (const { order_id } of context.orders()) context.cancel(order_id);
    };
    const { engine, broker, start, state, trade, pass, idle } = rig({ strategies: [puppet] });
    await start();
    puppet.next((context) => context.submit(buy) && undefined);
    await trade('AAPL', '100');
    broker.next('submitOrder', { kind: 'hold' });
    puppet.next((context) => context.submit(buy) && undefined);
    await trade('AAPL', '100');
    broker.next('cancelOrder', { kind: 'fail', error: unreachable() }, { kind: 'hold' });
    let stopped = false;
    const stopping = engine.stop('evening').then(() => {
      stopped = true;
    });
    await idle();
    broker.release();
    await pass(2000);
    expect(stopped).toBe(false);
    broker.release();
    await pass(2000);
    await stopping;
    expect([...broker.orders.values()].map(({ status }) => status)).toEqual(['canceled', 'canceled']);
    expect(state.register('alpha').orders()).toEqual([]);
  });

  it('says at its deadline which cancels have no answer, and the next life asks again', async () => {
    const puppet = new Puppet('alpha');
    puppet.onStop = (context) => {
      for (const { order_id } of context.orders()) context.cancel(order_id);
    };
    const { engine, broker, start, trade, pass, alerted } = rig({ strategies: [puppet], stopDeadlineMs: 1000 });
    await start();
    puppet.next((context) => context.submit(buy) && undefined);
    await trade('AAPL', '100');
    broker.next('cancelOrder', { kind: 'hold' });
    const stopping = engine.stop();
    await pass(1500);
    await stopping.catch(() => {});
    expect(alerted('STOP_DEADLINE')).toMatchObject([{ details: { waiting: 0, in_flight: 0, cancels: 1 } }]);
    broker.crashEngine();
    await rig({ broker, state: reborn(engine.snapshot()) }).start();
    expect([...broker.orders.values()].map(({ status }) => status)).toEqual(['canceled']);
  });

  it('takes no order from onStop, and keeps what onStop wrote', async () => {
    const puppet = new Puppet('alpha');
    let refused: unknown;
    puppet.onStop = (context) => {
      context.state.set('last', 'word');
      try {
        context.submit(buy);
      } catch (error) {
        refused = error;
      }
    };
    const { engine, broker, start, state } = rig({ strategies: [puppet] });
    await start();
    await engine.stop();
    expect(refused).toMatchObject({ code: 'ORDER_REFUSED' });
    expect(state.register('alpha').get('last')).toBe('word');
    expect(state.register('alpha').orders()).toEqual([]);
    expect(broker.called('submitOrder')).toBe(0);
  });

  it('books what the broker has done and the stream has not told, before the final checkpoint', async () => {
    const puppet = new Puppet('alpha');
    const { engine, broker, start, trade, idle, position } = rig({ strategies: [puppet] });
    await start();
    puppet.next((context) => context.submit(buy) && undefined);
    await trade('AAPL', '100');
    await idle();
    broker.fill(String([...broker.orders.keys()][0]), { price: '100', silent: true });
    await engine.stop();
    expect(position('alpha', 'AAPL')).toBe('10');
  });

  it('ends without what the broker does not tell', async () => {
    const { engine, broker, start, alerted } = rig();
    await start();
    broker.next('fetchFills', { kind: 'fail', error: unreachable() });
    await engine.stop();
    expect(alerted('CATCH_UP_FAILED')).toHaveLength(1);
    expect(engine.phase.kind).toBe('stopped');
  });

  it('goes on at its deadline: what was not sent is taken back, what was not answered is looked up by the next life', async () => {
    const state = memoryHostState({ autoDurable: false });
    const puppet = new Puppet('alpha');
    const { engine, broker, start, trade, idle, pass, alerted } = rig({
      state,
      strategies: [puppet],
      stopDeadlineMs: 1000,
    });
    await start();
    broker.next('submitOrder', { kind: 'hang' });
    puppet.next((context) => context.submit(buy) && undefined);
    await trade('AAPL', '100');
    state.makeDurable();
    await idle();
    puppet.next((context) => context.submit({ ...buy, amount: '5' }) && undefined);
    await trade('AAPL', '100');
    const stopping = engine.stop();
    const outcome = expect(stopping).rejects.toMatchObject({ code: 'STOP_DEADLINE' });
    await pass(1500);
    await outcome;
    expect(alerted('STOP_DEADLINE')).toHaveLength(1);
    expect(state.register('alpha').orders()).toMatchObject([{ amount: '10', status: 'pending' }]);
    expect(broker.called('submitOrder')).toBe(1);
    expect(engine.phase.kind).toBe('stopped');
  });

  it('while starting ends the start', async () => {
    const broker = new FakeBroker();
    broker.next('fetchFills', ...Array.from({ length: 50 }, () => ({ kind: 'fail', error: unreachable() }) as const));
    const { engine, idle, clock, pass, alerted } = rig({ broker });
    const starting = expect(engine.start()).rejects.toMatchObject({ code: 'ENGINE_STOPPED' });
    await idle();
    expect(alerted('START_WAITING')).toMatchObject([{ error: { code: 'BROKER_UNREACHABLE' } }]);
    await pass(2000);
    expect(alerted('START_WAITING')).toHaveLength(1);
    await engine.stop();
    await starting;
    expect(engine.phase.kind).toBe('stopped');
    expect(clock.pendingTimers).toBe(0);
  });

  it.each(['connect', 'fetchAccount', 'fetchPositions', 'fetchOpenOrders', 'fetchFills'] as const)(
    'ends a start whose %s is never answered, as the deadline of the start does',
    async (call) => {
      for (const ending of ['stop', 'deadline'] as const) {
        const broker = new FakeBroker();
        broker.next(call, { kind: 'hang' });
        const { engine, idle, pass, clock } = rig({ broker, startDeadlineMs: 5000 });
        const code = ending === 'stop' ? 'ENGINE_STOPPED' : 'START_DEADLINE';
        const starting = expect(engine.start()).rejects.toMatchObject({ code });
        await idle();
        if (ending === 'stop') await engine.stop();
        else await pass(5500);
        await starting;
        expect(engine.phase.kind).toBe('stopped');
        expect(clock.pendingTimers).toBe(0);
      }
    },
  );

  it('ends a start that looks up an order by an answer that never comes', async () => {
    const puppet = new Puppet('alpha');
    const first = rig({ strategies: [puppet] });
    await first.start();
    first.broker.next('submitOrder', { kind: 'hang' });
    puppet.next((context) => context.submit(buy) && undefined);
    await first.trade('AAPL', '100');
    first.broker.next('fetchOrder', { kind: 'hang' });
    const { engine, idle, state } = rig({ broker: first.broker, state: reborn(first.state.snapshot()) });
    const starting = expect(engine.start()).rejects.toMatchObject({ code: 'ENGINE_STOPPED' });
    await idle();
    await engine.stop();
    await starting;
    expect(state.register('alpha').orders()).toMatchObject([{ status: 'unknown' }]);
  });

  it('closes a stream that opens after the start was given up', async () => {
    const broker = new FakeBroker();
    broker.next('connect', { kind: 'hold' });
    const { engine, idle } = rig({ broker });
    const starting = expect(engine.start()).rejects.toMatchObject({ code: 'ENGINE_STOPPED' });
    await idle();
    await engine.stop();
    await starting;
    broker.release();
    await idle();
    expect(broker.listening).toBe(0);
  });

  it('before a start is a stop too, and an engine starts once', async () => {
    const { engine } = rig();
    await engine.stop();
    expect(engine.phase.kind).toBe('stopped');
    await expect(engine.start()).rejects.toMatchObject({ code: 'ENGINE_STARTED' });
  });

  it('closes the state where it owns it', async () => {
    const { engine, start, state } = rig({ ownsState: true });
    await start();
    await engine.stop();
    expect(state.acceptsIntents).toBe(false);
  });

  it('leaves no timer behind', async () => {
    const puppet = new Puppet('alpha');
    const { engine, start, trade, clock } = rig({ strategies: [puppet], reconcileIntervalMs: 1000 });
    await start();
    puppet.next((context) => context.every(1000, 'beat'));
    await trade('AAPL', '100');
    expect(clock.pendingTimers).toBeGreaterThan(0);
    await engine.stop();
    expect(clock.pendingTimers).toBe(0);
  });
});
