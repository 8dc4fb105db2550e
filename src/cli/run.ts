import { openSync, writeSync } from 'node:fs';
import type { Logger } from 'pino';
import { loadBroker } from '../brokers/load.ts';
import { marketFeed } from '../brokers/paper/market-feed.ts';
import { type Feed, replay } from '../engine/feed.ts';
import { Instruments } from '../engine/instrument.ts';
import { LiveTradingEngine } from '../engine/live-trading-engine.ts';
import { defaultStateDirectory } from '../persistence/state-directory.ts';
import type { ReconciliationOptions } from '../reconciliation/options.ts';
import { PositionReconciler } from '../state/position-reconciler.ts';
import { StateManager } from '../state/state-manager.ts';
import { type LoadedConfig, loadConfig, type RunConfig } from './config.ts';
import { loadModule, loadStrategy } from './load-module.ts';
import { makeLogger } from './logger.ts';
import { type CommonOptions, type ExitCode, writeJson } from './output.ts';
import { tapeFeed } from './tape-feed.ts';

export interface RunOptions extends CommonOptions {
  /** A file that gets a line "ack SEQUENCE" whenever the durable sequence has advanced. */
  readonly acks?: string;
}

/**
 * The live engine until a signal, or the end of a finite feed. Resolves with 0 after an orderly stop and 1 where it ended halted;
 * rejects where it could not start. Past the shutdown deadline the process ends itself by SIGKILL (137).
 */
export async function run(file: string, options: RunOptions): Promise<ExitCode> {
  const loaded = loadConfig(file);
  const { config } = loaded;
  const logger = makeLogger(config.log_level, { host: config.host });
  const stop = stopSignal();
  const strategies = await Promise.all(config.strategies.map((strategy) => loadStrategy(strategy, loaded.base)));
  const broker = await loadBroker(config.broker, loaded.base);
  const state = await openState(loaded, logger);
  const reconciler = makeReconciler(loaded, state);
  const feedEnd = new AbortController();
  const engine = new LiveTradingEngine({
    state,
    broker,
    reconciler,
    feed: await openFeed(loaded, feedEnd.signal),
    policy: config.reconciliation.policy,
    gate: config.gate,
    reconcileIntervalMs: config.reconciliation.interval_ms,
    stopDeadlineMs: config.shutdown_deadline_ms,
    host: config.host,
    instruments: new Instruments(config.currency, config.instruments),
    logger,
  });
  const ended = new Promise<string>((resolve) => {
    engine.on('ended', (error) => resolve(error === null ? 'end of the feed' : `the feed failed: ${error.message}`));
  });
  engine.on('phase', (phase) => logger.info({ event: 'phase', phase: phase.kind }, `phase: ${phase.kind}`));
  engine.on('report', (report) => logger.info({ event: 'reconciliation', report: summary(report) }, 'reconciled'));
  if (options.acks !== undefined) tellAcks(options.acks, state);

  let reason: string;
  try {
    for (const strategy of strategies) await engine.add(strategy);
    const started = await engine.start();
    logger.info({ event: 'started', ...startSummary(started) }, 'started');
    reason = await Promise.race([ended, stop.requested]);
  } catch (error) {
    const guard = killAfter(config.shutdown_deadline_ms, 'the start failed and the state could not be closed');
    await Promise.allSettled([reconciler.close(), broker.close()]);
    await state.close({ checkpoint: false });
    clearTimeout(guard);
    stop.release();
    throw error;
  }

  // The engine has this long for the final checkpoint; a little more is for the threads to end.
  const guard = killAfter(config.shutdown_deadline_ms + 1000, `the shutdown deadline passed after ${reason}`);
  logger.info({ event: 'stopping', reason }, `stopping: ${reason}`);
  feedEnd.abort();
  await engine.stop(reason);
  const halted = isHalted(state);
  const closing = { sequence: state.sequence, durable_sequence: state.durableSequence };
  await reconciler.close();
  await broker.close();
  await state.close({ deadlineMs: config.shutdown_deadline_ms });
  clearTimeout(guard);
  stop.release();
  const document = { host: config.host, directory: state.directory, reason, halted, epoch: state.epoch, ...closing };
  logger.info({ event: 'stopped', ...document }, 'stopped in order: everything is durable');
  if (options.json === true) writeJson(document);
  return halted ? 1 : 0;
}

/** Opens the state directory of a configuration. */
export function openState(loaded: LoadedConfig, logger: Logger): Promise<StateManager> {
  const { config } = loaded;
  return StateManager.open({
    directory: stateDirectoryOf(loaded),
    host: config.host,
    currency: config.currency,
    checkpointIntervalMs: config.checkpoint.interval_ms,
    significantChange: significantChange(config.checkpoint.significant_change),
    generations: config.checkpoint.generations,
    staleAfterMs: config.stale_after_ms,
    force: config.force_file_system,
    logger,
  });
}

/** The reconciler of a configuration, which reads the books from the persistence worker. */
export function makeReconciler({ config, base }: LoadedConfig, state: StateManager): PositionReconciler {
  return new PositionReconciler({
    broker: config.broker,
    baseUrl: base,
    policy: config.reconciliation.policy,
    options: reconciliationOptions(config),
    deadlineMs: config.reconciliation.deadline_ms,
    requestSnapshot: (sequence, port) => state.sendSnapshot(sequence, port),
  });
}

export function reconciliationOptions({ currency, reconciliation }: RunConfig): ReconciliationOptions {
  const { policies, owners, cost_basis_tolerance, cash_tolerance } = reconciliation;
  return { currency, policies, owner: owners, costBasisTolerance: cost_basis_tolerance, cashTolerance: cash_tolerance };
}

/** Absolute: where the configuration keeps its state. */
export function stateDirectoryOf({ config, path }: LoadedConfig): string {
  return config.state_dir === undefined ? defaultStateDirectory(process.env) : path(config.state_dir);
}

async function openFeed({ config: { feed }, base, path }: LoadedConfig, signal: AbortSignal): Promise<Feed> {
  switch (feed.kind) {
    case 'tape': {
      const tapes = feed.tapes.map((tape) => ({ ...tape, path: path(tape.path) }));
      return replay(tapeFeed(tapes), { speed: feed.speed, signal });
    }
    case 'stream':
      return marketFeed(feed.url, {
        keyIdEnv: feed.key_id_env,
        secretKeyEnv: feed.secret_key_env,
        ...(feed.keys_file === undefined ? {} : { keysFile: path(feed.keys_file) }),
        signal,
      });
    case 'module':
      return (await loadModule<Feed>('feed', 'createFeed', feed, base))(feed.options);
  }
}

/** Two signals of the same wish: the first asks, a second one while stopping ends the process at once. */
function stopSignal(): { readonly requested: Promise<string>; release(): void } {
  const { promise, resolve } = Promise.withResolvers<string>();
  let asked = false;
  const onSignal = (signal: NodeJS.Signals): void => {
    if (asked) die(`a second ${signal} while stopping`);
    asked = true;
    resolve(signal);
  };
  const signals = ['SIGINT', 'SIGTERM'] as const;
  for (const signal of signals) process.on(signal, onSignal);
  return {
    requested: promise,
    release: () => {
      for (const signal of signals) process.off(signal, onSignal);
    },
  };
}

function killAfter(ms: number, reason: string): NodeJS.Timeout {
  return setTimeout(() => die(reason), ms);
}

/** process.exit() would hang behind a thread that is stuck in a system call. */
function die(reason: string): never {
  writeSync(2, `holdfast: ${reason}; what was acknowledged is durable, the process ends itself (137)\n`);
  process.kill(process.pid, 'SIGKILL');
  throw new Error(reason);
}

function tellAcks(path: string, state: StateManager): void {
  const file = openSync(path, 'a', 0o600);
  const tell = (sequence: number): void => {
    writeSync(file, `ack ${sequence}\n`);
  };
  tell(state.durableSequence);
  state.on('durable', tell);
}

function isHalted(state: StateManager): boolean {
  return state.strategies().some((strategy) => state.register(strategy).halt !== null);
}

function significantChange(given: LoadedConfig['config']['checkpoint']['significant_change']) {
  return {
    ...(given.commits === undefined ? {} : { commits: given.commits }),
    ...(given.journal_bytes === undefined ? {} : { journalBytes: given.journal_bytes }),
    ...(given.notional === undefined ? {} : { notional: given.notional }),
  };
}

type Report = NonNullable<Awaited<ReturnType<LiveTradingEngine['start']>>['reconciliation']>;

function summary(report: Report) {
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

function startSummary(report: Awaited<ReturnType<LiveTradingEngine['start']>>) {
  const { recovery, opened, unknown, fills, phase } = report;
  const { epoch, sequence, age_ms, stale, lost } = recovery;
  return { restored: { epoch, sequence, age_ms, stale, lost }, opened, unknown, fills, phase: phase.kind };
}
