import { loadBroker } from '../brokers/load.ts';
import { Instruments } from '../engine/instrument.ts';
import { LiveTradingEngine } from '../engine/live-trading-engine.ts';
import { ReconciliationError } from '../model/errors.ts';
import { systemClock, timestamp } from '../model/time.ts';
import { Deadline } from '../reconciliation/deadline.ts';
import { renderReport } from '../reconciliation/render.ts';
import { runReconciliation } from '../reconciliation/run.ts';
import type { PlanAction, ReconciliationPolicy, ReconciliationReport } from '../reconciliation/types.ts';
import { type LoadedConfig, loadConfig } from './config.ts';
import { makeLogger } from './logger.ts';
import { type CommonOptions, type ExitCode, writeJson, writeLine } from './output.ts';
import { waiting } from './progress.ts';
import { readState, type StateView } from './read-state.ts';
import { makeReconciler, openState, reconciliationOptions, stateDirectoryOf } from './run-parts.ts';

export interface ReconcileOptions extends CommonOptions {
  readonly policy?: ReconciliationPolicy;
  readonly apply?: boolean;
}

/** What `reconcile --json` prints: the report, or with --apply the last one, after the plan. */
export interface ReconcileDocument extends ReconciliationReport {
  readonly applied: boolean;
  /** What was changed, in the order of the rounds that it took; empty in a dry run. */
  readonly applied_actions: readonly PlanAction[];
}

/**
 * Compares the books with the broker's side and prints the report with its plan. Without --apply nothing is locked and nothing is
 * changed, and an engine may run. Exits 0 where the books agree (with --apply: after the plan), 1 where they do not.
 * @throws ReconciliationError RECONCILIATION_INCONCLUSIVE where the broker's side could not be read well enough to say; what was
 *   read is printed, if anything was
 */
export async function reconcile(file: string, options: ReconcileOptions): Promise<ExitCode> {
  const loaded = loadConfig(file);
  const policy = options.policy ?? loaded.config.reconciliation.policy;
  const applies = options.apply === true;
  const reports = await waiting('asking the broker', async () =>
    applies ? applied(loaded, policy) : [await dryRun(loaded, policy)],
  );
  const report = reports.at(-1);
  if (report === undefined) throw new ReconciliationError('RECONCILIATION_FAILED', 'the engine made no reconciliation');
  if (report.outcome !== 'inconclusive' || report.broker !== null) {
    if (options.json === true) writeJson(documentOf(reports, report, applies));
    else print(reports, applies);
  }
  if (report.outcome === 'inconclusive') {
    throw new ReconciliationError(
      'RECONCILIATION_INCONCLUSIVE',
      `${loaded.file}: ${report.why_inconclusive ?? 'the evidence is not good enough'}. Nothing was changed on it; try again when the broker answers`,
    );
  }
  return report.outcome === 'ok' ? 0 : 1;
}

function documentOf(
  reports: readonly ReconciliationReport[],
  report: ReconciliationReport,
  applies: boolean,
): ReconcileDocument {
  const applied_actions = applies ? reports.slice(0, -1).flatMap(({ plan }) => plan.actions) : [];
  return { ...report, applied: applies, applied_actions };
}

function print(reports: readonly ReconciliationReport[], applies: boolean): void {
  for (const report of reports) writeLine(renderReport(report).trimEnd());
  if (!applies && (reports[0]?.plan.actions.length ?? 0) > 0) {
    writeLine('\nA dry run: nothing was changed. --apply applies it, with the engine stopped.');
  }
}

const attemptsMax = 4;

/** Beside an engine that trades, the books may have moved while the broker was read; then both are read again. */
async function dryRun(loaded: LoadedConfig, policy: ReconciliationPolicy): Promise<ReconciliationReport> {
  const directory = stateDirectoryOf(loaded);
  for (let attempt = 1; ; attempt += 1) {
    const before = readState(directory);
    const report = await compare(loaded, policy, before);
    if (report.outcome === 'ok' || !before.running || attempt >= attemptsMax) return report;
    if (readState(directory).restored.recovery.sequence === before.restored.recovery.sequence) return report;
  }
}

async function compare(
  { config, base }: LoadedConfig,
  policy: ReconciliationPolicy,
  { restored: { mirror, recovery } }: StateView,
): Promise<ReconciliationReport> {
  const requestedAt = timestamp(systemClock.nowMicros());
  const broker = await loadBroker(config.broker, base);
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

/**
 * An engine without strategies and without a feed: it resolves, catches up, reconciles and applies as any start does. Gives the
 * report of each round, the last one being of books to which nothing was left to apply.
 */
async function applied(loaded: LoadedConfig, policy: ReconciliationPolicy): Promise<readonly ReconciliationReport[]> {
  const { config } = loaded;
  // What the engine says of itself on the way is in the report already.
  const quiet = config.log_level === 'debug' || config.log_level === 'info' ? 'warn' : config.log_level;
  const logger = makeLogger(quiet, { host: config.host });
  await using broker = closing(await loadBroker(config.broker, loaded.base));
  await using state = closing(await openState(loaded, logger));
  await using reconciler = closing(makeReconciler(loaded, state.it));
  const engine = new LiveTradingEngine({
    state: state.it,
    broker: broker.it,
    reconciler: reconciler.it,
    policy,
    reconcileIntervalMs: 0,
    startDeadlineMs: config.reconciliation.deadline_ms,
    stopDeadlineMs: config.shutdown_deadline_ms,
    host: config.host,
    instruments: new Instruments(config.currency, config.instruments),
    logger,
  });
  const reports: ReconciliationReport[] = [];
  engine.on('report', (report) => reports.push(report));
  await engine.start();
  await engine.stop('reconcile --apply is done');
  return reports;
}

interface Closing<T> extends AsyncDisposable {
  readonly it: T;
}

function closing<T extends { close(): Promise<void> }>(it: T): Closing<T> {
  return { it, [Symbol.asyncDispose]: () => it.close() };
}
