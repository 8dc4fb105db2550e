import { loadBroker } from '../brokers/load.ts';
import { Instruments } from '../engine/instrument.ts';
import { LiveTradingEngine } from '../engine/live-trading-engine.ts';
import { ReconciliationError } from '../model/errors.ts';
import { systemClock, timestamp } from '../model/time.ts';
import { Deadline } from '../reconciliation/deadline.ts';
import { renderReport } from '../reconciliation/render.ts';
import { runReconciliation } from '../reconciliation/run.ts';
import type { ReconciliationPolicy, ReconciliationReport } from '../reconciliation/types.ts';
import { type LoadedConfig, loadConfig } from './config.ts';
import { makeLogger } from './logger.ts';
import { type CommonOptions, type ExitCode, writeJson, writeLine } from './output.ts';
import { readState } from './read-state.ts';
import { makeReconciler, openState, reconciliationOptions, stateDirectoryOf } from './run.ts';

export interface ReconcileOptions extends CommonOptions {
  readonly policy?: ReconciliationPolicy;
  readonly apply?: boolean;
}

/**
 * Compares the books with the broker's side and prints the report with its plan. Without --apply nothing is locked and nothing is
 * changed, and an engine may run. Exits 0 where the books agree (with --apply: after the plan), 1 where they do not.
 * @throws ReconciliationError RECONCILIATION_INCONCLUSIVE where the broker's side could not be read well enough to say
 */
export async function reconcile(file: string, options: ReconcileOptions): Promise<ExitCode> {
  const loaded = loadConfig(file);
  const policy = options.policy ?? loaded.config.reconciliation.policy;
  const report = options.apply === true ? await applied(loaded, policy) : await dryRun(loaded, policy);
  if (options.json === true) writeJson({ ...report, applied: options.apply === true });
  else {
    writeLine(renderReport(report).trimEnd());
    if (options.apply !== true && report.plan.actions.length > 0)
      writeLine('\nA dry run: nothing was changed. --apply applies it.');
  }
  if (report.outcome === 'inconclusive') {
    throw new ReconciliationError(
      'RECONCILIATION_INCONCLUSIVE',
      report.why_inconclusive ?? 'the evidence is not good enough',
    );
  }
  return report.outcome === 'ok' ? 0 : 1;
}

async function dryRun(loaded: LoadedConfig, policy: ReconciliationPolicy): Promise<ReconciliationReport> {
  const { config } = loaded;
  const requestedAt = timestamp(systemClock.nowMicros());
  const { mirror, recovery } = readState(stateDirectoryOf(loaded)).restored;
  const broker = await loadBroker(config.broker, loaded.base);
  try {
    return await runReconciliation(
      broker,
      {
        strategies: mirror.strategies().map((name) => mirror.snapshot(name)),
        sequence: recovery.sequence,
        timestamp: recovery.timestamp ?? requestedAt,
      },
      {
        policy,
        options: reconciliationOptions(config),
        trigger: 'on_demand',
        reportId: `${requestedAt}-cli`,
        requestedAt,
        deadline: new Deadline(config.reconciliation.deadline_ms),
        clock: systemClock,
        sleep: (ms) => new Promise((resolve) => setTimeout(resolve, ms)),
      },
    );
  } finally {
    await broker.close();
  }
}

/** An engine without strategies and without a feed: it resolves, catches up, reconciles and applies as any start does. */
async function applied(loaded: LoadedConfig, policy: ReconciliationPolicy): Promise<ReconciliationReport> {
  const { config } = loaded;
  const logger = makeLogger(config.log_level, { host: config.host });
  const broker = await loadBroker(config.broker, loaded.base);
  const state = await openState(loaded, logger);
  const reconciler = makeReconciler(loaded, state);
  const engine = new LiveTradingEngine({
    state,
    broker,
    reconciler,
    policy,
    reconcileIntervalMs: 0,
    stopDeadlineMs: config.shutdown_deadline_ms,
    host: config.host,
    instruments: new Instruments(config.currency, config.instruments),
    logger,
  });
  try {
    const { reconciliation } = await engine.start();
    const last =
      reconciliation !== null && reconciliation.plan.actions.length > 0 ? await engine.reconcile() : reconciliation;
    if (last === null) throw new ReconciliationError('RECONCILIATION_FAILED', 'the engine made no reconciliation');
    return last;
  } finally {
    await engine.stop('reconcile --apply is done');
    await reconciler.close();
    await broker.close();
    await state.close();
  }
}
