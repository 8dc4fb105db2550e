import { describe, expect, it } from 'vitest';
import type { ReconcileRequest, Reconciler } from '../../src/engine/reconciler-port.ts';
import type { Strategy, StrategyContext } from '../../src/engine/strategy.ts';
import type { SnapshotDelta } from '../../src/model/delta.ts';
import { reconciliationReportNote, type StateEvent } from '../../src/model/event.ts';
import type { Trade } from '../../src/model/market.ts';
import type { ReconciliationReport } from '../../src/reconciliation/types.ts';
import { reborn, rig } from '../support/engine-rig.ts';
import { FakeBroker } from '../support/fake-broker.ts';
import { memoryHostState } from '../support/memory-host-state.ts';

/** What the journal is given. */
function journal(): { readonly deltas: SnapshotDelta[]; readonly events: () => readonly StateEvent[] } {
  const deltas: SnapshotDelta[] = [];
  return {
    deltas,
    events: () => deltas.flatMap(({ strategies }) => strategies.flatMap(({ events }) => events ?? [])),
  };
}

function reporting(outcomes: readonly ReconciliationReport['outcome'][]): Reconciler {
  const left = [...outcomes];
  let runs = 0;
  return {
    reconcile({ trigger, sequence, policy }: ReconcileRequest): Promise<ReconciliationReport> {
      const cursor = { activity_id: null, at: '2025-10-02T14:00:00Z' };
      const outcome = left.length > 1 ? (left.shift() ?? 'ok') : (left[0] ?? 'ok');
      runs += 1;
      return Promise.resolve({
        report_id: `r-${runs}`,
        at: '2025-10-02T14:30:00Z',
        trigger,
        policy,
        sequence,
        outcome,
        why_inconclusive: outcome === 'inconclusive' ? 'two reads disagree' : null,
        discrepancies: [],
        plan: { sequence, cursor, policy, actions: [], halt: null },
        compared: { positions: 0, orders: 0, currencies: 1 },
        broker: null,
        duration_ms: 1,
      });
    },
  };
}

describe('what an engine leaves for the audit', () => {
  it("keeps every reconciliation's report, whatever it found, as an event of its own", async () => {
    const { deltas, events } = journal();
    const state = memoryHostState({ journal: (delta) => deltas.push(delta) });
    const life = rig({
      state,
      reconciler: reporting(['inconclusive', 'inconclusive', 'ok']),
      reconcileIntervalMs: 60_000,
    });
    const told: ReconciliationReport[] = [];
    life.engine.on('report', (report) => told.push(report));
    await life.start();
    await life.pass(130_000);
    const kept = events().flatMap((event) =>
      event.kind === 'note' && event.name === reconciliationReportNote ? [event.data] : [],
    );
    expect(told.length).toBeGreaterThanOrEqual(4);
    expect(kept).toEqual(told);
    expect(told.map(({ outcome }) => outcome)).toContain('inconclusive');
    await life.engine.stop('done');
  });

  it('alerts what becomes of the audit', async () => {
    const life = rig();
    await life.start();
    life.state.emit('audit', { kind: 'restarted', message: 'it was replaced' });
    life.state.emit('audit', { kind: 'gap', message: 'a stretch is missing' });
    life.state.emit('audit', { kind: 'failed', message: 'it stands still' });
    const told = life.alerts.filter(({ code }) => code.startsWith('AUDIT_'));
    expect(told.map(({ level, code, message }) => [level, code, message])).toEqual([
      ['warn', 'AUDIT_RESTARTED', 'it was replaced'],
      ['error', 'AUDIT_GAP', 'a stretch is missing'],
      ['error', 'AUDIT_FAILED', 'it stands still'],
    ]);
    expect(life.engine.phase.kind).toBe('trading');
    await life.engine.stop('done');
  });
});

/** Buys at every trade, until the day's loss reaches its limit: the latch is its state, and it is asked first. */
class Limited implements Strategy {
  readonly name = 'alpha';
  readonly assets = ['AAPL'];
  readonly initialCash = { USD: '1000' };
  refused = 0;

  onTrade(context: StrategyContext, { price }: Trade): void {
    if (context.state.get('killed') === true) {
      this.refused += 1;
      return;
    }
    if (Number(price) < 90) {
      context.state.set('killed', true);
      context.halt('the daily loss limit is reached');
      return;
    }
    context.submit({ asset: 'AAPL', amount: '1' });
  }
}

describe("a strategy's risk latch", () => {
  it('is state: after a crash it is restored before the first market event, beside the halt, and resuming does not clear it', async () => {
    const broker = new FakeBroker({ cash: { USD: '5000' } });
    const life = rig({ broker, strategies: [new Limited()] });
    await life.start();
    await life.trade('AAPL', '89');
    expect(life.state.register('alpha').halt).toMatchObject({ source: 'strategy' });
    broker.crashEngine();

    const again = new Limited();
    const next = rig({ state: reborn(life.engine.snapshot()), broker, strategies: [again] });
    await next.start();
    expect(next.state.register('alpha').get('killed')).toBe(true);
    expect(next.state.register('alpha').halt).toMatchObject({ reason: 'the daily loss limit is reached' });
    await next.trade('AAPL', '100');
    expect(again.refused).toBe(1);
    // What `holdfast resume` does to the state of a stopped engine.
    next.state.register('alpha').setHalt(null);
    next.state.commit();
    await next.trade('AAPL', '100');
    expect(again.refused).toBe(2);
    expect(broker.called('submitOrder')).toBe(0);
    await next.engine.stop('done');
  });
});
