import type { After } from '../actor/timers.ts';
import { reconciliationReportNote } from '../model/event.ts';
import type { JsonValue } from '../model/json.ts';
import type { ReconciliationPolicy, ReconciliationReport } from '../reconciliation/types.ts';
import type { HostState } from '../state/host-state.ts';
import type { Alerter } from './alert.ts';
import { type Applied, applyReport } from './apply-report.ts';
import { pause } from './backoff.ts';
import type { EngineLogger } from './logger.ts';
import type { Reconciler } from './reconciler-port.ts';
import type { TradingCore } from './trading-core.ts';

export interface ReconciliationRunOptions {
  readonly core: TradingCore;
  readonly state: HostState;
  readonly reconciler: Reconciler;
  readonly policy: ReconciliationPolicy;
  /** How late the broker may list an execution. */
  readonly settleMs: number;
  readonly after: After;
  readonly signal: AbortSignal;
  readonly logger: EngineLogger;
  readonly alert: Alerter;
  readonly inTurn: (work: () => void) => Promise<void>;
  readonly reported: (report: ReconciliationReport, round: number) => void;
}

export interface RunResult {
  readonly report: ReconciliationReport;
  /** Why trading must stop, or null: the plan's own reason, or a plan that would not come to rest. */
  readonly halt: string | null;
}

/** So often a plan is made anew, because it changed something or because what it was made from had moved. */
const roundsMax = 4;
/** Between two rounds of which the first had bad evidence. */
const inconclusiveWaitMs = 1_000;

/**
 * One reconciliation, to its end: compare, apply, and compare again until there is nothing to apply. A plan that was applied is so
 * proved at once; a plan whose books had moved is made anew. Rejects with the reconciler's error.
 */
export async function reconcile(
  options: ReconciliationRunOptions,
  trigger: ReconciliationReport['trigger'],
): Promise<RunResult> {
  const { core, state, reconciler, policy, alert, signal } = options;
  for (let round = 1; ; round += 1) {
    const report = await reconciler.reconcile({ trigger, sequence: state.sequence, policy });
    signal.throwIfAborted();
    let done: Applied = { booked: 0, applied: 0, dropped: 0 };
    await options.inTurn(() => {
      core.transact(() => {
        done = applyReport(core, report, options.settleMs);
        keepReport(core, report);
      });
    });
    summarize(options, report, done);
    options.reported(report, round);

    const last = round >= roundsMax || signal.aborted;
    const moved = done.applied > 0 || done.dropped > 0;
    if (report.outcome === 'inconclusive' && !last && trigger === 'start') {
      await pause(options.after, inconclusiveWaitMs, signal);
      continue;
    }
    if (report.outcome === 'inconclusive') {
      alert('warn', 'RECONCILIATION_INCONCLUSIVE', `reconciliation: ${report.why_inconclusive ?? 'bad evidence'}`, {
        details: { report_id: report.report_id },
      });
    }
    if (report.plan.halt !== null || !moved) return { report, halt: report.plan.halt };
    if (!last) continue;
    const message = `reconciliation did not come to rest in ${round} rounds: the plan of report ${report.report_id} still has ${report.plan.actions.length} actions`;
    alert('error', 'RECONCILIATION_UNSETTLED', message, { details: { report_id: report.report_id } });
    return { report, halt: trigger === 'start' ? message : null };
  }
}

/** Every report is kept, as a note of its own in the same commit as what was applied of it. */
function keepReport(core: TradingCore, report: ReconciliationReport): void {
  const data = report as unknown as JsonValue;
  core.books.unassigned.addEvent({ kind: 'note', name: reconciliationReportNote, data, at: core.now() });
}

function summarize(
  { logger, alert, policy }: ReconciliationRunOptions,
  report: ReconciliationReport,
  done: Applied,
): void {
  const { report_id, trigger, outcome, discrepancies, compared, duration_ms, sequence } = report;
  logger.info(
    { report_id, trigger, outcome, discrepancies: discrepancies.length, ...compared, ...done, duration_ms, sequence },
    'reconciled',
  );
  // What bad evidence shows is not known to be a difference; the report keeps it, and that it is inconclusive is told.
  if (outcome === 'inconclusive') return;
  for (const { kind, subject, local, broker, message, strategies } of discrepancies) {
    alert('warn', 'DISCREPANCY', message, {
      details: { kind, subject, local, broker, policy, report_id, strategies: strategies.join(' ') },
    });
  }
}
