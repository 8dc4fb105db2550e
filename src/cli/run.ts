import type { Logger } from 'pino';
import { loadBroker } from '../brokers/load.ts';
import type { LiveTradingEngine } from '../engine/live-trading-engine.ts';
import { ConfigError, HoldfastError } from '../model/errors.ts';
import type { Timestamp } from '../model/time.ts';
import type { StateManager } from '../state/state-manager.ts';
import { AckWriter } from './acks.ts';
import { type LoadedConfig, loadConfig } from './config.ts';
import { loadStrategy } from './load-module.ts';
import { makeLogger } from './logger.ts';
import { type CommonOptions, type ExitCode, writeJson } from './output.ts';
import { makeEngine } from './run-engine.ts';
import { logEngine, logStart } from './run-log.ts';
import { makeWebhook, openFeed } from './run-parts.ts';
import { die, type StopSignals, stopSignals } from './stop-signals.ts';

export interface RunOptions extends CommonOptions {
  /** A file, or "-" for standard output, that gets a line "ack SEQUENCE" whenever the durable sequence has advanced. */
  readonly acks?: string;
}

/** What `run --json` prints when it has stopped. */
export interface RunDocument {
  readonly host: string;
  readonly directory: string;
  /** Why it stopped: a signal's name, or what became of the feed. */
  readonly reason: string;
  readonly halted: boolean;
  /** Those whose handler threw: they were stopped, and the others went on. */
  readonly stopped_strategies: readonly string[];
  /** Why the feed broke off, or why what was committed is not all durable; null after an orderly stop. */
  readonly error: { readonly code: string; readonly message: string } | null;
  readonly epoch: number;
  readonly sequence: number;
  readonly durable_sequence: number;
  readonly restored: { readonly epoch: number; readonly sequence: number; readonly timestamp: Timestamp | null };
}

/**
 * The live engine until a signal, or the end of a finite feed. Resolves with 0 after an orderly stop, also one that was asked for
 * while starting, and with 1 where it ended halted or the feed broke off; rejects where it could not start. Past the shutdown deadline
 * the process ends itself by SIGKILL (137).
 */
export async function run(file: string, options: RunOptions): Promise<ExitCode> {
  const signals = stopSignals();
  let acks: AckWriter | null = null;
  try {
    const loaded = loadConfig(file);
    const logger = makeLogger(loaded.config.log_level, { host: loaded.config.host });
    acks = openAcks(options);
    const document = await live(loaded, logger, signals, acks);
    if (options.json === true) writeJson(document);
    return document.halted || document.error !== null ? 1 : 0;
  } finally {
    acks?.close();
    signals.release();
  }
}

async function live(
  loaded: LoadedConfig,
  logger: Logger,
  signals: StopSignals,
  acks: AckWriter | null,
): Promise<RunDocument> {
  const { config } = loaded;
  const feedEnd = new AbortController();
  const webhook = makeWebhook(loaded, logger);
  const strategies = await Promise.all(config.strategies.map((strategy) => loadStrategy(strategy, loaded.base)));
  const feed = await openFeed(loaded, feedEnd.signal);
  const broker = await loadBroker(config.broker, loaded.base);
  const { state, reconciler, engine } = await makeEngine(loaded, logger, {
    broker,
    feed,
    ...(webhook === null ? {} : { onAlert: webhook.alert }),
  });
  const ended = new Promise<Ending>((resolve) => {
    engine.on('ended', (error) =>
      resolve({ reason: error === null ? 'end of the feed' : 'the feed broke off', error }),
    );
  });
  const asked = signals.requested.then((signal): Ending => ({ reason: signal, error: null }));
  const stopped: string[] = [];
  engine.on('strategyStopped', (strategy) => stopped.push(strategy));
  logEngine(engine, logger);
  if (acks !== null) tellAcks(acks, state, logger);

  let ending: Ending;
  try {
    for (const strategy of strategies) engine.add(strategy);
    ending = await Promise.race([tradeUntil(engine, ended, logger), asked]);
  } catch (error) {
    const guard = killAfter(config.shutdown_deadline_ms, 'the start failed and the state could not be closed');
    feedEnd.abort();
    // What kept it from starting is what is told; a state that does not close meets the deadline.
    await firstFailure([
      () => reconciler.close(),
      () => broker.close(),
      () => state.close({ checkpoint: false, deadlineMs: config.shutdown_deadline_ms }),
    ]);
    clearTimeout(guard);
    await webhook?.close(webhookMsMax);
    throw error;
  }

  // The engine has this long for the final checkpoint; a little more is for the threads to end.
  const guard = killAfter(config.shutdown_deadline_ms + 1000, `the shutdown deadline passed after ${ending.reason}`);
  logger.info({ event: 'stopping', reason: ending.reason }, `stopping: ${ending.reason}`);
  feedEnd.abort();
  const failure = await firstFailure([
    () => engine.stop(ending.reason),
    () => reconciler.close(),
    () => broker.close(),
    () => state.close({ deadlineMs: config.shutdown_deadline_ms }),
  ]);
  clearTimeout(guard);
  await webhook?.close(webhookMsMax);
  const document = documentOf(config.host, state, ending, failure, stopped);
  const how =
    document.error === null ? 'stopped in order: everything is durable' : `stopped: ${document.error.message}`;
  const { host: _, ...told } = document; // every line of the log names the host
  logger[document.error === null ? 'info' : 'error']({ event: 'stopped', ...told }, how);
  return document;
}

/** What is still to be told has so long; the log has all of it anyway. */
const webhookMsMax = 1_000;

interface Ending {
  readonly reason: string;
  readonly error: Error | null;
}

/** Resolves when the feed has ended, after a start that succeeded. */
async function tradeUntil(engine: LiveTradingEngine, ended: Promise<Ending>, logger: Logger): Promise<Ending> {
  const report = await engine.start().catch((error: unknown) => {
    // A signal while starting stops the engine, which is how this start ends.
    if (error instanceof HoldfastError && error.code === 'ENGINE_STOPPED') return null;
    throw error;
  });
  if (report !== null) logStart(report, logger);
  return await ended;
}

const deadlineCodes: ReadonlySet<string> = new Set(['STOP_DEADLINE', 'SHUTDOWN_DEADLINE']);

/** Does every step, whatever became of the one before, and gives what went wrong first. A deadline that passed ends the process. */
async function firstFailure(steps: readonly (() => Promise<void>)[]): Promise<Error | null> {
  let first: Error | null = null;
  for (const step of steps) {
    try {
      await step();
    } catch (thrown) {
      const error = thrown instanceof Error ? thrown : new Error(String(thrown));
      if (error instanceof HoldfastError && deadlineCodes.has(error.code)) die(error.message);
      first ??= error;
    }
  }
  return first;
}

function documentOf(
  host: string,
  state: StateManager,
  ending: Ending,
  failure: Error | null,
  stopped: readonly string[],
): RunDocument {
  const error = failure ?? ending.error;
  const { epoch, sequence, timestamp } = state.recovery;
  return {
    host,
    directory: state.directory,
    reason: ending.reason,
    halted: state.strategies().some((strategy) => state.register(strategy).halt !== null),
    stopped_strategies: stopped,
    error:
      error === null
        ? null
        : { code: error instanceof HoldfastError ? error.code : 'UNEXPECTED', message: error.message },
    epoch: state.epoch,
    sequence: state.sequence,
    durable_sequence: state.durableSequence,
    restored: { epoch, sequence, timestamp },
  };
}

function killAfter(ms: number, reason: string): NodeJS.Timeout {
  return setTimeout(() => die(reason), ms);
}

function openAcks({ acks, json }: RunOptions): AckWriter | null {
  if (acks === '-' && json === true) {
    throw new ConfigError(
      'ACKS_FILE',
      '--acks - writes to standard output, and so does --json: give --acks a file, or leave --json out',
    );
  }
  return acks === undefined ? null : new AckWriter(acks);
}

/** Whoever listens may go away, or the disk fill up: that is told once, and is no reason to stop trading. */
function tellAcks(acks: AckWriter, state: StateManager, logger: Logger): void {
  const tell = (sequence: number): void => {
    acks.write(sequence);
    if (acks.error === null) return;
    state.off('durable', tell);
    logger.error({ code: acks.error.code }, `${acks.error.message}. Trading goes on, and no further line is written`);
  };
  state.on('durable', tell);
  tell(state.durableSequence);
}
