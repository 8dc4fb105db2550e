import { describe, expect, it } from 'vitest';
import { Puppet, rig } from '../support/engine-rig.ts';
import { FakeBroker } from '../support/fake-broker.ts';

const buy = { asset: 'AAPL', amount: '10' };

describe('strategies that come and go', () => {
  it('can be added while trading, and start at once', async () => {
    const { engine, start, state } = rig({ broker: new FakeBroker({ cash: { USD: '500' } }) });
    await start();
    const late = new Puppet('late', { initialCash: { USD: '200' } });
    engine.add(late);
    expect(late.heard).toEqual(['start new']);
    expect(state.register('late').cash()).toBe('200');
    expect(state.register('UNASSIGNED').cash()).toBe('300');
  });

  it('can be removed: the book and the open orders stay, and a successor goes on with them', async () => {
    const puppet = new Puppet('alpha');
    const { engine, broker, start, trade, idle, position } = rig({ strategies: [puppet] });
    await start();
    let orderId = '';
    puppet.next((context) => {
      orderId = context.submit(buy);
      context.every(100, 'beat');
    });
    await trade('AAPL', '100');
    engine.remove('alpha');
    expect(puppet.heard.at(-1)).toBe('stop removed');
    broker.fill(orderId);
    await idle();
    expect(position('alpha', 'AAPL')).toBe('10');
    expect(puppet.heard.at(-1)).toBe('stop removed');
    const successor = new Puppet('alpha');
    engine.add(successor);
    expect(successor.heard).toEqual(['start restored']);
    expect(() => engine.remove('nobody')).toThrow(expect.objectContaining({ code: 'STRATEGY_UNKNOWN' }));
  });

  it('are begun again a second after an order of their onStart was refused, until it is taken', async () => {
    const { engine, broker, start, pass, state, alerted } = rig();
    await start();
    state.register('elsewhere').setHalt({ reason: 'limit', source: 'test', at: '2025-10-02T14:30:00Z' });
    state.commit();
    const puppet = new Puppet('elsewhere');
    puppet.onStart = (context) => {
      puppet.heard.push('start');
      context.state.set('started', true);
      context.submit(buy);
    };
    engine.add(puppet);
    await pass(3500);
    expect(puppet.heard).toEqual(['start', 'start', 'start', 'start']);
    expect(state.register('elsewhere').get('started')).toBeUndefined();
    expect(alerted('ORDER_REFUSED')).toHaveLength(1);
    await engine.resume('looked at', { strategy: 'elsewhere' });
    await pass(5000);
    expect(puppet.heard.filter((heard) => heard === 'start')).toHaveLength(5);
    expect(broker.called('submitOrder')).toBe(1);
    expect(state.register('elsewhere').get('started')).toBe(true);
  });

  it('are not begun again once they are removed, or the engine is stopped', async () => {
    for (const end of ['remove', 'stop'] as const) {
      const { engine, start, pass, state, clock } = rig();
      await start();
      state.setAcceptsIntents(false);
      const puppet = new Puppet('alpha');
      let starts = 0;
      puppet.onStart = (context) => {
        starts += 1;
        context.submit(buy);
      };
      engine.add(puppet);
      if (end === 'remove') engine.remove('alpha');
      else await engine.stop();
      expect(clock.pendingTimers).toBe(0);
      await pass(3000);
      expect(starts).toBe(1);
    }
  });

  it.each([
    ['nothing', null],
    ['assets that are no list', { name: 'b', assets: 'AAPL' }],
    ['an asset that is no name', { name: 'b', assets: ['AA PL'] }],
    ['a handler that is no function', { name: 'b', onTrade: 'buy' }],
  ])('are refused with a typed error where they are %s', (_what, strategy) => {
    const { engine } = rig();
    expect(() => engine.add(strategy as never)).toThrow(expect.objectContaining({ code: 'STRATEGY_INVALID' }));
  });

  it('are not taken by an engine that has stopped', async () => {
    const { engine, start } = rig();
    await start();
    await engine.stop();
    expect(() => engine.add(new Puppet('late'))).toThrow(expect.objectContaining({ code: 'ENGINE_STOPPED' }));
  });

  it('may throw anything, and only they are stopped', async () => {
    const unshowable: unknown = Object.create(null);
    for (const thrown of [undefined, 'text', Symbol('s'), unshowable]) {
      const puppet = new Puppet('alpha');
      const { engine, start, trade, alerted } = rig({ strategies: [puppet] });
      await start();
      puppet.next(() => {
        throw thrown;
      });
      await trade('AAPL', '100');
      expect(alerted('STRATEGY_STOPPED')).toHaveLength(1);
      expect(engine.phase.kind).toBe('trading');
    }
  });

  it('have names of their own, and cash that is an amount', async () => {
    const { engine } = rig({ strategies: [new Puppet('alpha')] });
    expect(() => engine.add(new Puppet('alpha'))).toThrow(expect.objectContaining({ code: 'STRATEGY_EXISTS' }));
    expect(() => engine.add(new Puppet('UNASSIGNED'))).toThrow(expect.objectContaining({ code: 'STRATEGY_EXISTS' }));
    expect(() => engine.add(new Puppet('../x'))).toThrow(expect.objectContaining({ code: 'STRATEGY_NAME_INVALID' }));
    expect(() => engine.add(new Puppet('b', { initialCash: { USD: '1e3' } }))).toThrow(
      expect.objectContaining({ code: 'INITIAL_CASH_INVALID' }),
    );
  });

  it('hear their timers until these are cleared or they fail', async () => {
    const puppet = new Puppet('alpha');
    const { start, trade, pass, clock } = rig({ strategies: [puppet] });
    await start();
    puppet.next((context) => {
      context.after(100, 'once');
      context.every(300, 'beat');
    });
    await trade('AAPL', '100');
    await pass(700);
    expect(puppet.heard.slice(1)).toEqual(['timer once', 'timer beat', 'timer beat']);
    puppet.next((context) => context.clearTimer('beat'));
    await trade('AAPL', '100');
    await pass(700);
    expect(puppet.heard).toHaveLength(4);
    puppet.next((context) => context.every(100, 'more'));
    await trade('AAPL', '100');
    expect(clock.pendingTimers).toBe(1);
    puppet.next((context) => {
      context.after(100, 'never');
      throw new Error('oops');
    });
    await trade('AAPL', '100');
    await pass(700);
    expect(puppet.heard).toHaveLength(4);
    expect(clock.pendingTimers).toBe(0);
  });
});
