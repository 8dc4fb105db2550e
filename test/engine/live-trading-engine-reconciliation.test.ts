import { describe, expect, it } from 'vitest';
import type { ReconcileRequest, Reconciler } from '../../src/engine/reconciler-port.ts';
import { ReconciliationError } from '../../src/model/errors.ts';
import type { PlanAction, ReconciliationReport } from '../../src/reconciliation/types.ts';
import { Puppet, rig } from '../support/engine-rig.ts';
import { FakeBroker } from '../support/fake-broker.ts';

const buy = { asset: 'AAPL', amount: '10' };

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

  it('only makes the plan in a dry run, by the policy that is asked for', async () => {
    const reconciler = new ScriptedReconciler({}, { ...planned(setPosition('0', '5')) });
    const { start, engine, position, alerts } = rig({ reconciler, strategies: [new Puppet('alpha')] });
    await start();
    const heard = alerts.length;
    const report = await engine.reconcile({ dryRun: 'SYNC_TO_BROKER' });
    expect(report.plan.actions).toMatchObject([{ after: '5' }]);
    expect(reconciler.requests.at(-1)).toMatchObject({ trigger: 'on_demand', policy: 'SYNC_TO_BROKER' });
    expect(position('alpha', 'AAPL')).toBe('0');
    expect([engine.phase.kind, alerts.length]).toEqual(['trading', heard]);
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
