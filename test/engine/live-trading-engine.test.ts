import { describe, expect, it } from 'vitest';
import { silentLogger } from '../../src/engine/logger.ts';
import { StrategyError } from '../../src/model/errors.ts';
import type { Trade } from '../../src/model/market.ts';
import { Puppet, rig } from '../support/engine-rig.ts';
import { FakeBroker, rejected, unreachable } from '../support/fake-broker.ts';
import { memoryHostState } from '../support/memory-host-state.ts';

const buy = { asset: 'AAPL', amount: '10' };

describe('an engine that trades', () => {
  it('goes through its phases to trading, and tells a new strategy that it is new', async () => {
    const puppet = new Puppet('alpha');
    const { engine, start, state } = rig({ strategies: [puppet] });
    const phases: string[] = [];
    engine.on('phase', ({ kind }) => phases.push(kind));
    const report = await start();
    expect(phases).toEqual(['restoring', 'resolving', 'reconciling', 'trading']);
    expect(report).toMatchObject({
      opened: true,
      unknown: { before: 0, after: 0 },
      fills: 0,
      phase: { kind: 'trading' },
    });
    expect(puppet.heard).toEqual(['start new']);
    expect(state.currentPhase).toBe('trading');
  });

  it('sends an order, books its fill, and tells both in order', async () => {
    const puppet = new Puppet('alpha', { initialCash: { USD: '10000' } });
    const { broker, start, state, trade, idle, position } = rig({ strategies: [puppet] });
    await start();
    let orderId = '';
    puppet.next((context) => {
      orderId = context.submit(buy);
    });
    await trade('AAPL', '100');
    expect(state.register('alpha').order(orderId)).toMatchObject({ status: 'open', broker_order_id: 'b-1', sid: 1 });
    broker.fill(orderId, { price: '101.5', fee: '1' });
    await idle();
    expect(position('alpha', 'AAPL')).toBe('10');
    expect(state.register('alpha').cash()).toBe('8984');
    expect(state.register('alpha').orders()).toEqual([]);
    expect(puppet.heard).toEqual(['start new', 'order open', 'fill 10 at 101.5', 'order filled']);
  });

  it('sends no order before its intent is durable', async () => {
    const state = memoryHostState({ autoDurable: false });
    const puppet = new Puppet('alpha');
    const { broker, start, trade, idle } = rig({ state, strategies: [puppet] });
    await start();
    state.makeDurable();
    puppet.next((context) => context.submit(buy) && undefined);
    await trade('AAPL', '100');
    expect(broker.called('submitOrder')).toBe(0);
    state.makeDurable(state.sequence - 1);
    await idle();
    expect(broker.called('submitOrder')).toBe(0);
    state.makeDurable();
    await idle();
    expect(broker.called('submitOrder')).toBe(1);
  });

  it('sends at once where the gate is async', async () => {
    const state = memoryHostState({ autoDurable: false });
    const puppet = new Puppet('alpha');
    const { broker, start, trade } = rig({ state, gate: 'async', strategies: [puppet] });
    await start();
    puppet.next((context) => context.submit(buy) && undefined);
    await trade('AAPL', '100');
    expect(broker.called('submitOrder')).toBe(1);
  });

  it('books a rejection with its reason', async () => {
    const puppet = new Puppet('alpha');
    const { broker, start, state, trade } = rig({ strategies: [puppet] });
    await start();
    broker.next('submitOrder', { kind: 'fail', error: rejected('no buying power') });
    puppet.next((context) => context.submit(buy) && undefined);
    await trade('AAPL', '100');
    expect(puppet.heard).toEqual(['start new', 'order rejected']);
    expect(state.register('alpha').orders()).toEqual([]);
  });

  it('commits once for each event, and not at all for one that changes nothing', async () => {
    const puppet = new Puppet('alpha');
    const { start, state, trade } = rig({ strategies: [puppet] });
    await start();
    const before = state.sequence;
    await trade('AAPL', '100');
    expect(state.sequence).toBe(before);
    puppet.next((context) => {
      context.state.set('a', 1);
      context.state.set('b', 2);
    });
    await trade('AAPL', '101');
    expect(state.sequence).toBe(before + 1);
  });

  it('gives market events to those who asked for the asset', async () => {
    const apple = new Puppet('apple', { assets: ['AAPL'] });
    const all = new Puppet('all');
    const { start, trade } = rig({ strategies: [apple, all] });
    await start();
    const heard: string[] = [];
    apple.next((context) => heard.push(`apple ${context.event?.asset} ${context.lastPrice('MSFT')}`) && undefined);
    all.next((context) => heard.push(`all ${context.event?.asset}`) && undefined);
    await trade('MSFT', '300');
    expect(heard).toEqual(['all MSFT']);
    await trade('AAPL', '100');
    expect(heard).toEqual(['all MSFT', 'apple AAPL 300']);
  });

  it('tells the end of a finite feed after everything that it gave', async () => {
    const puppet = new Puppet('alpha');
    const { engine, market, start, trade, idle, alerted } = rig({ strategies: [puppet] });
    await start();
    const ends: unknown[] = [];
    engine.on('ended', (error) => ends.push(error));
    await trade('AAPL', '100');
    market.end();
    await idle();
    expect(ends).toEqual([null]);
    expect(alerted('FEED_FAILED')).toEqual([]);
  });

  it('alerts when the feed fails, and goes on booking', async () => {
    const puppet = new Puppet('alpha');
    const { engine, market, start, idle, alerted } = rig({ strategies: [puppet] });
    await start();
    const ends: unknown[] = [];
    engine.on('ended', (error) => ends.push(error?.message));
    market.end(new Error('cable cut'));
    await idle();
    expect(ends).toEqual(['cable cut']);
    expect(alerted('FEED_FAILED')).toHaveLength(1);
    expect(engine.phase.kind).toBe('trading');
  });

  it('takes a feed that cannot even begin for one that failed', async () => {
    const feed: AsyncIterable<Trade> = {
      [Symbol.asyncIterator]() {
        throw new Error('no cable');
      },
    };
    const { engine, start, alerted } = rig({ feed });
    await start();
    expect(alerted('FEED_FAILED')[0]?.message).toContain('no cable');
    expect(engine.phase.kind).toBe('trading');
    await engine.stop();
    expect(engine.phase.kind).toBe('stopped');
  });

  it('leaves out what is no market event, whatever a feed gives, says so once, and goes on', async () => {
    const puppet = new Puppet('alpha');
    const { engine, market, start, idle, alerted, trade } = rig({ strategies: [puppet] });
    await start();
    const heard: string[] = [];
    puppet.onTrade = (_context, { price } = { price: 'none' }) => void heard.push(price);
    const good = { kind: 'trade', asset: 'AAPL', amount: '1', aggressor: null, at: '2025-10-02T14:30:00Z' };
    const wrong = [null, 5, {}, { kind: 'trade' }, { kind: 'timer' }, { kind: 'task' }, { ...good, asset: '' }];
    for (const event of wrong) market.push(event as never);
    for (const price of [undefined, 1.5, 'NaN', null]) market.push({ ...good, price } as never);
    await idle();
    expect(alerted('MARKET_EVENT_INVALID')).toHaveLength(2);
    await trade('AAPL', '101');
    await trade('AAPL', 'abc');
    expect(heard).toEqual(['101']);
    expect(alerted('MARKET_EVENT_INVALID')).toHaveLength(3);
    expect(engine.phase.kind).toBe('trading');
  });
});

describe('a handler that fails', () => {
  it('loses its changes and its orders, and stops its strategy only', async () => {
    const bad = new Puppet('bad');
    const good = new Puppet('good');
    const { broker, engine, start, state, trade, alerted } = rig({ strategies: [bad, good] });
    const stopped: string[] = [];
    engine.on('strategyStopped', (name, error) => stopped.push(`${name} ${error.code}`));
    await start();
    bad.next((context) => {
      context.state.set('half', 'done');
      context.submit(buy);
      throw new Error('oops');
    });
    good.next((context) => context.state.set('seen', true));
    await trade('AAPL', '100');
    expect(state.register('bad').keys()).toEqual([]);
    expect(state.register('bad').orders()).toEqual([]);
    expect(state.register('good').get('seen')).toBe(true);
    expect(broker.called('submitOrder')).toBe(0);
    expect(stopped).toEqual(['bad HANDLER_FAILED']);
    expect(alerted('STRATEGY_STOPPED')).toHaveLength(1);
    let called = false;
    bad.next(() => {
      called = true;
    });
    await trade('AAPL', '101');
    expect(called).toBe(false);
  });

  it('is logged with the place where it threw', async () => {
    const logged: object[] = [];
    const logger = { ...silentLogger, error: (fields: object) => logged.push(fields) };
    const puppet = new Puppet('alpha');
    const { start, trade } = rig({ strategies: [puppet], logger });
    await start();
    puppet.next(function lookHere() {
      throw new Error('oops');
    });
    await trade('AAPL', '100');
    expect(logged).toMatchObject([
      { code: 'STRATEGY_STOPPED', stack: expect.stringMatching(/^Error: oops\n +at .*lookHere/) },
    ]);
  });

  it('keeps the fill that it choked on', async () => {
    const puppet = new Puppet('alpha');
    puppet.onFill = (context) => {
      context.state.set('half', 'done');
      throw new Error('oops');
    };
    const { broker, start, state, trade, idle, position } = rig({ strategies: [puppet] });
    await start();
    let orderId = '';
    puppet.next((context) => {
      orderId = context.submit(buy);
    });
    await trade('AAPL', '100');
    broker.fill(orderId, { amount: '4' });
    await idle();
    expect(position('alpha', 'AAPL')).toBe('4');
    expect(state.register('alpha').keys()).toEqual([]);
    broker.fill(orderId);
    await idle();
    expect(position('alpha', 'AAPL')).toBe('10');
  });

  it('is refused when it returns a promise, whatever comes of that', async () => {
    const puppet = new Puppet('alpha');
    const { start, state, trade, alerts } = rig({ strategies: [puppet] });
    await start();
    let late: unknown;
    puppet.next(async (context) => {
      context.state.set('early', 1);
      await Promise.resolve();
      try {
        context.state.set('late', 1);
      } catch (error) {
        late = error;
        throw error;
      }
    });
    await trade('AAPL', '100');
    expect(state.register('alpha').keys()).toEqual([]);
    expect(alerts.map(({ error }) => (error instanceof StrategyError ? error.code : null))).toContain('HANDLER_ASYNC');
    expect(late).toMatchObject({ code: 'CONTEXT_CLOSED' });
  });

  it('is stopped for an order that makes no sense, and told which field', async () => {
    const puppet = new Puppet('alpha');
    const { start, trade, alerted } = rig({ strategies: [puppet] });
    await start();
    puppet.next((context) => context.submit({ asset: 'AAPL', amount: '0' }) && undefined);
    await trade('AAPL', '100');
    expect(alerted('STRATEGY_STOPPED')[0]?.error).toMatchObject({
      code: 'ORDER_INVALID',
      details: { field: 'amount' },
    });
  });

  it('goes on after a refused order that it did not catch, with its changes of that event gone', async () => {
    const puppet = new Puppet('alpha');
    const { broker, start, state, trade, alerted } = rig({ strategies: [puppet] });
    await start();
    state.setAcceptsIntents(false);
    for (const price of ['100', '101']) {
      puppet.next((context) => {
        context.state.set('price', price);
        context.submit(buy);
      });
      await trade('AAPL', price);
    }
    expect(state.register('alpha').keys()).toEqual([]);
    expect(alerted('ORDER_REFUSED')).toHaveLength(1);
    state.setAcceptsIntents(true);
    puppet.next((context) => context.submit(buy) && undefined);
    await trade('AAPL', '102');
    expect(broker.called('submitOrder')).toBe(1);
  });
});

describe('an order without an answer', () => {
  it('is unknown, is found by its id, and exists once', async () => {
    const puppet = new Puppet('alpha');
    const { broker, start, state, trade, alerted } = rig({ strategies: [puppet] });
    await start();
    broker.next('submitOrder', { kind: 'lost' });
    broker.next('fetchOrder', { kind: 'hold' });
    puppet.next((context) => context.submit(buy) && undefined);
    await trade('AAPL', '100');
    const [order] = state.register('alpha').orders();
    expect(order?.status).toBe('unknown');
    expect(alerted('ORDER_UNKNOWN')).toHaveLength(1);
    puppet.next((context) => context.submit(buy) && undefined);
    await trade('AAPL', '100');
    expect(alerted('ORDER_REFUSED')[0]?.message).toContain('is unknown');
    puppet.next((context) => {
      expect(() => context.submit(buy)).toThrow(/is unknown/);
      context.state.set('refused', true);
    });
    await trade('AAPL', '100');
    expect(state.register('alpha').get('refused')).toBe(true);
    expect(state.register('alpha').orders()).toHaveLength(1);
    broker.release();
    await trade('AAPL', '100');
    expect(state.register('alpha').orders()).toMatchObject([{ status: 'open', broker_order_id: 'b-1', reason: null }]);
    expect(broker.called('submitOrder')).toBe(1);
    expect(broker.orders.size).toBe(1);
  });

  it('is rejected only after the settling time and two looks that found nothing', async () => {
    const broker = new FakeBroker({ capabilities: { settleMs: 2000 } });
    const puppet = new Puppet('alpha');
    const { start, state, trade, pass } = rig({ broker, strategies: [puppet] });
    await start();
    broker.next('submitOrder', { kind: 'fail', error: unreachable() });
    puppet.next((context) => context.submit(buy) && undefined);
    await trade('AAPL', '100');
    expect(broker.called('fetchOrder')).toBe(1);
    await pass(1999);
    expect(broker.called('fetchOrder')).toBe(1);
    await pass(1);
    expect(broker.called('fetchOrder')).toBe(2);
    expect(state.register('alpha').orders()).toMatchObject([{ status: 'unknown' }]);
    await pass(1000);
    expect(broker.called('fetchOrder')).toBe(3);
    expect(state.register('alpha').orders()).toEqual([]);
    expect(puppet.heard).toEqual(['start new', 'order unknown', 'order rejected']);
    expect(broker.called('submitOrder')).toBe(1);
  });

  it('is looked up as well where the adapter answers with no report of it', async () => {
    for (const answer of [null, undefined, 'ok', { order_id: 'another', status: 'open' }]) {
      const broker = new FakeBroker();
      const submit = broker.submitOrder.bind(broker);
      broker.submitOrder = (request) => submit(request).then(() => answer as never);
      const puppet = new Puppet('alpha');
      const { engine, start, state, trade, idle, alerted } = rig({ broker, strategies: [puppet] });
      await start();
      puppet.next((context) => context.submit(buy) && undefined);
      await trade('AAPL', '100');
      await idle();
      expect(alerted('ORDER_UNKNOWN')).toMatchObject([{ error: { code: 'BROKER_ANSWER_INVALID' } }]);
      expect(state.register('alpha').orders()).toMatchObject([{ status: 'open' }]);
      expect(broker.called('submitOrder')).toBe(1);
      expect(engine.phase.kind).toBe('trading');
    }
  });

  it('stays unknown where the venue forgets ids, and halts its strategy for the operator, but no other', async () => {
    const broker = new FakeBroker({ capabilities: { clientOrderIds: 'window' } });
    const puppet = new Puppet('alpha');
    const other = new Puppet('beta');
    const { engine, start, state, trade, pass, alerted } = rig({ broker, strategies: [puppet, other] });
    await start();
    broker.next('submitOrder', { kind: 'fail', error: unreachable() });
    let orderId = '';
    puppet.next((context) => {
      orderId = context.submit(buy);
    });
    await trade('AAPL', '100');
    await pass(60_000);
    expect(state.register('alpha').orders()).toMatchObject([{ status: 'unknown' }]);
    expect(alerted('ORDER_UNSETTLED')).toHaveLength(1);
    expect(state.register('alpha').halt).toMatchObject({ source: 'engine' });
    expect(engine.phase.kind).toBe('trading');
    puppet.next((context) => context.submit({ asset: 'MSFT', amount: '1' }) && undefined);
    other.next((context) => context.submit({ asset: 'MSFT', amount: '1' }) && undefined);
    await trade('AAPL', '100');
    expect(broker.called('submitOrder')).toBe(2);
    expect(state.register('beta').orders()).toMatchObject([{ asset: 'MSFT', status: 'open' }]);
    // The operator has looked, and settles it.
    await engine.settleAsNeverReceived(orderId, 'looked at the broker');
    await engine.resume('looked at the broker', { strategy: 'alpha' });
    puppet.next((context) => context.submit(buy) && undefined);
    await trade('AAPL', '100');
    expect(broker.called('submitOrder')).toBe(3);
  });

  it('halts where the venue does not know our ids, and an operator can settle it', async () => {
    const broker = new FakeBroker({ capabilities: { clientOrderIds: 'none' } });
    const puppet = new Puppet('alpha');
    const { engine, start, state, trade, idle } = rig({ broker, strategies: [puppet] });
    await start();
    broker.next('submitOrder', { kind: 'fail', error: unreachable() });
    let orderId = '';
    puppet.next((context) => {
      orderId = context.submit(buy);
    });
    await trade('AAPL', '100');
    expect(engine.phase.kind).toBe('halted');
    await engine.settleAsNeverReceived(orderId, 'looked at the broker');
    await idle();
    expect(state.register('alpha').orders()).toEqual([]);
    await engine.resume('settled');
    expect(engine.phase.kind).toBe('trading');
  });

  it('is not looked for any more once the stream has told of it', async () => {
    const puppet = new Puppet('alpha');
    const { broker, start, state, trade, pass, idle } = rig({ strategies: [puppet] });
    await start();
    broker.next('submitOrder', { kind: 'lost' });
    broker.next('fetchOrder', { kind: 'fail', error: unreachable() });
    let orderId = '';
    puppet.next((context) => {
      orderId = context.submit(buy);
    });
    await trade('AAPL', '100');
    broker.fill(orderId, { amount: '3' });
    await idle();
    expect(state.register('alpha').orders()).toMatchObject([{ status: 'partially_filled', filled_amount: '3' }]);
    await pass(60_000);
    expect(broker.called('fetchOrder')).toBe(1);
  });

  it('takes a refused duplicate for the proof that it arrived', async () => {
    const puppet = new Puppet('alpha');
    const { broker, start, state, trade, pass } = rig({ strategies: [puppet] });
    await start();
    const { BrokerError } = await import('../../src/model/errors.ts');
    broker.next('submitOrder', { kind: 'fail', error: new BrokerError('BROKER_DUPLICATE_ORDER_ID', 'seen') });
    puppet.next((context) => context.submit(buy) && undefined);
    await trade('AAPL', '100');
    await pass(60_000);
    expect(state.register('alpha').orders()).toMatchObject([{ status: 'unknown' }]);
  });
});
