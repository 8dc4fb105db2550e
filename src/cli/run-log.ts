import type { Logger } from 'pino';
import type { StartReport } from '../engine/engine-options.ts';
import type { LiveTradingEngine } from '../engine/live-trading-engine.ts';
import type { ReconciliationReport } from '../reconciliation/types.ts';
import { counted } from './output.ts';

/*
 * What `run` logs beside what the engine does itself: lines with a field `event`, for whoever follows the log by program. Nothing
 * is logged for market data, orders or fills.
 */

/** Logs each phase and each reconciliation; while a start takes long, every five seconds what it is at. */
export function logEngine(engine: LiveTradingEngine, logger: Logger): void {
  engine.on('phase', (phase) => {
    const why = 'reason' in phase ? `: ${phase.reason}` : '';
    logger.info({ event: 'phase', phase: phase.kind }, `phase ${phase.kind}${why}`);
  });
  engine.on('report', (report) => {
    const { outcome, discrepancies, plan } = report;
    const found = `${counted(discrepancies.length, 'discrepancy', 'discrepancies')}, ${counted(plan.actions.length, 'action')}`;
    logger.info({ event: 'reconciliation', report: summary(report) }, `reconciliation report: ${outcome}, ${found}`);
  });
  const startedMs = performance.now();
  const slow = setInterval(() => {
    const { kind } = engine.phase;
    if (kind !== 'restoring' && kind !== 'resolving' && kind !== 'reconciling') clearInterval(slow);
    else {
      const seconds = Math.round((performance.now() - startedMs) / 1000);
      logger.warn(
        { event: 'starting', phase: kind, seconds },
        `still ${kind} after ${seconds} s; no order is sent yet`,
      );
    }
  }, 5000).unref();
}

export function logStart(report: StartReport, logger: Logger): void {
  const { recovery, opened, unknown, fills, phase } = report;
  const { epoch, sequence, age_ms, stale, lost } = recovery;
  const restored = { epoch, sequence, age_ms, stale, lost };
  logger.info({ event: 'started', restored, opened, unknown, fills, phase: phase.kind }, `started: ${phase.kind}`);
}

function summary(report: ReconciliationReport) {
  const { report_id, trigger, policy, outcome, why_inconclusive, discrepancies, plan, compared, duration_ms } = report;
  return {
    report_id,
    trigger,
    policy,
    outcome,
    why_inconclusive,
    discrepancies: discrepancies.map(({ kind, subject, local, broker, difference, message }) => ({
      kind,
      subject,
      local,
      broker,
      difference,
      message,
    })),
    actions: plan.actions.map(({ kind, strategy, reason }) => ({ kind, strategy, reason })),
    compared,
    duration_ms,
  };
}
