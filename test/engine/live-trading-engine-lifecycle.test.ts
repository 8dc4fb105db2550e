import { describe, expect, it } from 'vitest';
import type { ReconcileRequest, Reconciler } from '../../src/engine/reconciler-port.ts';
import { ReconciliationError } from '../../src/model/errors.ts';
import type { PlanAction, ReconciliationReport } from '../../src/reconciliation/types.ts';
import { Puppet, reborn, rig } from '../support/engine-rig.ts';
import { FakeBroker, unreachable } from '../support/fake-broker.ts';
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
});

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
    const { engine, idle, clock } = rig({ broker });
    const starting = expect(engine.start()).rejects.toMatchObject({ code: 'ENGINE_STOPPED' });
    await idle();
    await engine.stop();
    await starting;
    expect(engine.phase.kind).toBe('stopped');
    expect(clock.pendingTimers).toBe(0);
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

/** Answers each run with the next report that a test scripted, and the last one from then on. */
class ScriptedReconciler implements Reconciler {
  readonly requests: ReconcileRequest[] = [];
  readonly #answers: (Partial<ReconciliationReport> | Error)[];

  constructor(...answers: (Partial<ReconciliationReport> | Error)[]) {
    this.#answers = answers;
  }

  reconcile(request: ReconcileRequest): Promise<ReconciliationReport> {
    this.requests.push(request);
    const answer = this.#answers.length > 1 ? this.#answers.shift() : this.#answers[0];
    if (answer instanceof Error) return Promise.reject(answer);
    return Promise.resolve({ ...clean(request), ...answer });
  }
}

function clean({ trigger, sequence, policy }: ReconcileRequest): ReconciliationReport {
  const cursor = { activity_id: null, at: '2025-10-02T14:00:00Z' };
  return {
    report_id: `r-${sequence}`,
    at: '2025-10-02T14:30:00Z',
    trigger,
    policy,
    sequence,
    outcome: 'ok',
    why_inconclusive: null,
    discrepancies: [],
    plan: { sequence, cursor, policy, actions: [], halt: null },
    compared: { positions: 0, orders: 0, currencies: 1 },
    broker: null,
    duration_ms: 1,
  };
}

function planned(...actions: PlanAction[]): Partial<ReconciliationReport> {
  const cursor = { activity_id: null, at: '2025-10-02T14:00:00Z' };
  return {
    outcome: 'discrepancies',
    plan: { sequence: 0, cursor, policy: 'SYNC_TO_BROKER', actions, halt: null },
  };
}

const setPosition = (before: string, after: string): PlanAction => ({
  kind: 'set_position',
  strategy: 'alpha',
  asset: 'AAPL',
  before,
  after,
  cost_basis: '90',
  currency: null,
  reason: 'the broker says so',
});

describe('reconciliation', () => {
  it('applies a plan, and compares again until there is nothing to apply', async () => {
    const reconciler = new ScriptedReconciler(
      planned(setPosition('0', '5'), {
        kind: 'set_cash',
        strategy: 'UNASSIGNED',
        currency: 'USD',
        before: '0',
        after: '12',
        reason: 'the broker says so',
      }),
      {},
    );
    const { start, position, state } = rig({ reconciler, policy: 'SYNC_TO_BROKER', strategies: [new Puppet('alpha')] });
    const report = await start();
    expect(reconciler.requests.map(({ trigger, policy }) => `${trigger} ${policy}`)).toEqual([
      'start SYNC_TO_BROKER',
      'start SYNC_TO_BROKER',
    ]);
    expect(report.reconciliation?.outcome).toBe('ok');
    expect(position('alpha', 'AAPL')).toBe('5');
    expect(state.register('UNASSIGNED').cash()).toBe('12');
    expect(report.phase.kind).toBe('trading');
  });

  it('drops an action whose book has moved, and plans anew', async () => {
    const reconciler = new ScriptedReconciler(planned(setPosition('3', '5')), {});
    const { start, position } = rig({ reconciler, policy: 'SYNC_TO_BROKER', strategies: [new Puppet('alpha')] });
    await start();
    expect(reconciler.requests).toHaveLength(2);
    expect(position('alpha', 'AAPL')).toBe('0');
  });

  it('halts a start whose plan never comes to rest', async () => {
    const reconciler = new ScriptedReconciler(planned(setPosition('3', '5')));
    const { start, alerted } = rig({ reconciler, policy: 'SYNC_TO_BROKER', strategies: [new Puppet('alpha')] });
    expect((await start()).phase).toMatchObject({ kind: 'halted', source: 'reconciliation' });
    expect(reconciler.requests).toHaveLength(4);
    expect(alerted('RECONCILIATION_UNSETTLED')).toHaveLength(1);
  });

  it('halts durably where the policy asks for it, and a resume asks again', async () => {
    const halting: Partial<ReconciliationReport> = {
      outcome: 'discrepancies',
      plan: {
        sequence: 0,
        cursor: { activity_id: null, at: null },
        policy: 'HALT_AND_ALERT',
        actions: [],
        halt: 'books and broker disagree',
      },
    };
    const reconciler = new ScriptedReconciler(halting, halting, {});
    const puppet = new Puppet('alpha');
    const { engine, start, state } = rig({ reconciler, strategies: [puppet] });
    expect((await start()).phase).toMatchObject({ kind: 'halted', reason: 'books and broker disagree' });
    expect(state.register('alpha').halt?.source).toBe('reconciliation');
    await expect(engine.resume('hm')).rejects.toMatchObject({ code: 'RESUME_REFUSED' });
    expect(engine.phase.kind).toBe('halted');
    await engine.resume('fixed');
    expect(engine.phase.kind).toBe('trading');
    expect(puppet.heard).toEqual(['start new']);
  });

  it('tells each discrepancy, and trades all the same where the policy only warns', async () => {
    const discrepancy = {
      kind: 'cash',
      subject: 'USD',
      local: '1',
      broker: '2',
      difference: '1',
      strategies: ['UNASSIGNED'],
      message: 'there is 1 USD more at the broker',
    } as const;
    const reconciler = new ScriptedReconciler({ outcome: 'discrepancies', discrepancies: [discrepancy] });
    const { engine, start, alerted } = rig({ reconciler, policy: 'WARN_ONLY' });
    const reports: ReconciliationReport[] = [];
    engine.on('report', (report) => reports.push(report));
    expect((await start()).phase.kind).toBe('trading');
    expect(alerted('DISCREPANCY')).toMatchObject([{ message: discrepancy.message, details: { subject: 'USD' } }]);
    expect(reports).toHaveLength(1);
  });

  it('looks again a few times at a start whose evidence is bad', async () => {
    const reconciler = new ScriptedReconciler({ outcome: 'inconclusive', why_inconclusive: 'it moved' }, {});
    const { start, alerted } = rig({ reconciler });
    expect((await start()).phase.kind).toBe('trading');
    expect(alerted('RECONCILIATION_INCONCLUSIVE')).toEqual([]);
  });

  it('is tried again at a start while the broker does not answer, and fails it where waiting does not help', async () => {
    const later = new ScriptedReconciler(new ReconciliationError('X', 'not now', { retryable: true }), {});
    expect((await rig({ reconciler: later }).start()).phase.kind).toBe('trading');
    const never = new ScriptedReconciler(new ReconciliationError('X', 'never'));
    const made = rig({ reconciler: never });
    await expect(made.start()).rejects.toMatchObject({ code: 'X' });
    expect(made.engine.phase.kind).toBe('stopped');
  });

  it('runs at its interval and on demand, and a failure of it only alerts', async () => {
    const reconciler = new ScriptedReconciler({}, {}, new ReconciliationError('X', 'no answer'), {});
    const { engine, start, pass, alerted } = rig({ reconciler, reconcileIntervalMs: 60_000 });
    await start();
    await pass(60_000);
    await pass(60_000);
    expect(alerted('RECONCILIATION_FAILED')).toHaveLength(1);
    expect(engine.phase.kind).toBe('trading');
    await engine.reconcile();
    expect(reconciler.requests.map(({ trigger }) => trigger)).toEqual(['start', 'interval', 'interval', 'on_demand']);
    await expect(rig().engine.reconcile()).rejects.toMatchObject({ code: 'NO_RECONCILER' });
  });

  it('never counts an execution that an adjustment holds already, neither in quantity nor in cash', async () => {
    const broker = new FakeBroker();
    const reconciler = new ScriptedReconciler({});
    const puppet = new Puppet('alpha');
    const made = rig({ broker, reconciler, policy: 'SYNC_TO_BROKER', strategies: [puppet] });
    await made.start();
    let orderId = '';
    puppet.next((context) => {
      orderId = context.submit(buy);
    });
    await made.trade('AAPL', '100');
    broker.holdStream();
    const fill = broker.fill(orderId, { amount: '4' });
    const cursor = { activity_id: fill.activity_id, at: fill.at };
    const cash = {
      kind: 'set_cash',
      strategy: 'UNASSIGNED',
      currency: 'USD',
      before: '0',
      after: '-400',
      reason: 'told late',
    } as const;
    const sync = { ...planned(), plan: { sequence: 0, cursor, policy: 'SYNC_TO_BROKER', halt: null } } as const;
    const second = new ScriptedReconciler(
      { ...sync, plan: { ...sync.plan, actions: [setPosition('0', '4'), cash] } },
      {},
    );
    reconciler.reconcile = (request) => second.reconcile(request);
    await made.engine.reconcile();
    expect(made.position('alpha', 'AAPL')).toBe('4');
    broker.releaseStream();
    await made.idle();
    expect(made.order('alpha', orderId)).toMatchObject({ filled_amount: '4', status: 'partially_filled' });
    expect(made.position('alpha', 'AAPL')).toBe('4');
    expect(made.state.register('alpha').cash()).toBe('0');
    broker.fill(orderId, { amount: '1' });
    await made.idle();
    expect(made.position('alpha', 'AAPL')).toBe('5');
    expect(made.state.register('alpha').cash()).toBe('-100');
  });
});
