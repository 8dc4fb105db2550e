import { MessageChannel, type MessagePort } from 'node:worker_threads';
import { Piscina } from 'piscina';
import { threadEnv, threadExecArgv } from '../actor/thread.ts';
import { threadUrl } from '../actor/thread-url.ts';
import type { BrokerSpec } from '../brokers/adapter.ts';
import { ConfigError, decodeError, ReconciliationError } from '../model/errors.ts';
import { type Clock, systemClock, timestamp } from '../model/time.ts';
import { Deadline } from '../reconciliation/deadline.ts';
import { assertPolicy, assertReconciliationOptions, type ReconciliationOptions } from '../reconciliation/options.ts';
import type { ReconciliationAnswer, ReconciliationTask } from '../reconciliation/task.ts';
import type { ReconciliationPolicy, ReconciliationReport } from '../reconciliation/types.ts';

export interface PositionReconcilerOptions {
  readonly broker: BrokerSpec;
  /** The file: URL that a relative broker module is resolved against. */
  readonly baseUrl?: string;
  readonly policy: ReconciliationPolicy;
  readonly options?: ReconciliationOptions;
  /** Threads: 1 or 2, default 1. Runs are one at a time; a second thread can begin while a stuck one is still ending. */
  readonly poolSize?: 1 | 2;
  /** For a whole run, snapshot included. Default 30 seconds. */
  readonly deadlineMs?: number;
  /** Hands the port to the persistence worker, which sends the books of at least this sequence on it. */
  readonly requestSnapshot: (sequence: number, port: MessagePort) => Promise<{ readonly sequence: number }>;
  readonly clock?: Clock;
}

export interface ReconciliationRequest {
  readonly trigger: ReconciliationReport['trigger'];
  /** The books must hold at least this. */
  readonly sequence: number;
  /** In place of the configured policy. */
  readonly policy?: ReconciliationPolicy;
}

/** Requests that wait for their turn, beyond which a new one is refused. */
const waitingMax = 8;
/** How much longer than its deadline a task may take to answer, its thread's start included, before the thread is ended. */
const graceMs = 3000;

/**
 * The engine's side of reconciliation: for each run one channel, of which the persistence worker gets one end and a pool thread the
 * other. The books go from worker to worker; this thread passes on two ports and takes a report, neither of which grows with the
 * state. Applying the report's plan is the caller's.
 *
 * No thread runs before the first request. Runs are one at a time, in the order of their requests.
 */
export class PositionReconciler {
  readonly #options: PositionReconcilerOptions;
  readonly #deadlineMs: number;
  readonly #clock: Clock;
  #pool: Piscina<ReconciliationTask, ReconciliationAnswer> | null = null;
  #turn: Promise<unknown> = Promise.resolve();
  #waiting = 0;
  #runs = 0;
  #closed = false;
  /** Ends the run that is under way with an error. */
  #interrupt: ((error: ReconciliationError) => void) | null = null;

  /** @throws ConfigError POOL_SIZE_INVALID, DEADLINE_INVALID, RECONCILIATION_OPTIONS_INVALID */
  constructor(options: PositionReconcilerOptions) {
    const { poolSize = 1, deadlineMs = 30_000 } = options;
    if (poolSize !== 1 && poolSize !== 2) {
      throw new ConfigError('POOL_SIZE_INVALID', `reconciliation poolSize: expected 1 or 2, got ${String(poolSize)}`);
    }
    if (!Number.isInteger(deadlineMs) || deadlineMs < 1) {
      throw new ConfigError(
        'DEADLINE_INVALID',
        `reconciliation deadlineMs: expected a whole number above 0, got ${deadlineMs}`,
      );
    }
    assertPolicy('policy', options.policy);
    assertReconciliationOptions(options.options ?? {});
    this.#options = options;
    this.#deadlineMs = deadlineMs;
    this.#clock = options.clock ?? systemClock;
  }

  /**
   * Resolves with the report, also where the broker failed or did not answer in time (`inconclusive`).
   * @throws ReconciliationError SNAPSHOT_UNAVAILABLE, RECONCILIATION_WORKER_DIED, RECONCILIATION_TIMED_OUT, RECONCILIATION_BUSY (all
   * retryable), RECONCILIATION_FAILED (a broker module that cannot be loaded, or a mistake of ours: see cause), RECONCILER_CLOSED;
   *   ConfigError RECONCILIATION_OPTIONS_INVALID for a policy that there is not
   */
  reconcile(request: ReconciliationRequest): Promise<ReconciliationReport> {
    if (this.#waiting >= waitingMax) {
      const message = `${waitingMax} reconciliations are waiting already: wait for one of them`;
      return Promise.reject(new ReconciliationError('RECONCILIATION_BUSY', message, { retryable: true }));
    }
    try {
      if (request.policy !== undefined) assertPolicy('policy', request.policy);
    } catch (error) {
      return Promise.reject(error);
    }
    this.#waiting += 1;
    const run = this.#turn.then(() => this.#run(request));
    const done = (): void => {
      this.#waiting -= 1;
    };
    // The caller has the rejection; the next in line only waits for the end.
    this.#turn = run.then(done, done);
    return run;
  }

  /** Ends the run under way and every waiting one with RECONCILER_CLOSED, and the threads. Safe to call twice. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#interrupt?.(closedError());
    await this.#turn;
    await this.#discardPool();
  }

  async #run(request: ReconciliationRequest): Promise<ReconciliationReport> {
    if (this.#closed) throw closedError();
    const deadline = new Deadline(this.#deadlineMs, this.#clock);
    const requestedAt = timestamp(this.#clock.nowMicros());
    const interrupted = Promise.withResolvers<never>();
    this.#interrupt = interrupted.reject;
    const { port1, port2 } = new MessageChannel();
    try {
      const { sequence } = await Promise.race([this.#snapshot(request.sequence, port1, deadline), interrupted.promise]);
      this.#runs += 1;
      return await this.#runTask(interrupted, {
        broker: this.#options.broker,
        ...(this.#options.baseUrl === undefined ? {} : { baseUrl: this.#options.baseUrl }),
        port: port2,
        policy: request.policy ?? this.#options.policy,
        options: this.#options.options ?? {},
        trigger: request.trigger,
        reportId: `${requestedAt}-${this.#runs}`,
        sequence,
        requestedAt,
        deadlineMs: Math.max(1, deadline.leftMs),
      });
    } finally {
      this.#interrupt = null;
      // Whichever was not handed on; the other end of one that was sees it close.
      port1.close();
      port2.close();
    }
  }

  async #snapshot(sequence: number, port: MessagePort, deadline: Deadline): Promise<{ readonly sequence: number }> {
    try {
      return await deadline.race('the persistence worker', this.#options.requestSnapshot(sequence, port));
    } catch (cause) {
      const why = cause instanceof Error ? cause.message : String(cause);
      const message = `reconciliation got no snapshot of the books at sequence ${sequence}: ${why}`;
      throw new ReconciliationError('SNAPSHOT_UNAVAILABLE', message, { cause, details: { sequence }, retryable: true });
    }
  }

  async #runTask(interrupted: PromiseWithResolvers<never>, task: ReconciliationTask): Promise<ReconciliationReport> {
    // The task keeps its own deadline; this one is for a thread that can't, and ends it.
    const guard = setTimeout(() => interrupted.reject(timedOut(task.deadlineMs)), task.deadlineMs + graceMs);
    try {
      const answer = await Promise.race([
        this.#startedPool().run(task, { transferList: transferring(task.port) }),
        interrupted.promise,
      ]);
      if (answer.ok) return answer.report;
      const cause = decodeError(answer.error);
      const message = `reconciliation failed: ${cause.message}`;
      throw new ReconciliationError('RECONCILIATION_FAILED', message, { cause, retryable: cause.retryable });
    } catch (error) {
      if (error instanceof ReconciliationError && error.code === 'RECONCILIATION_FAILED') throw error;
      // Whatever became of the thread, the next run gets a new one; waiting for the end of this one could take for ever.
      void this.#discardPool();
      throw error instanceof ReconciliationError ? error : workerDied(error);
    } finally {
      clearTimeout(guard);
    }
  }

  #startedPool(): Piscina<ReconciliationTask, ReconciliationAnswer> {
    if (this.#pool !== null) return this.#pool;
    const pool = new Piscina<ReconciliationTask, ReconciliationAnswer>({
      filename: threadUrl('reconciliation').href,
      minThreads: 1,
      maxThreads: this.#options.poolSize ?? 1,
      // The default blocks a thread's timers and sockets between tasks.
      atomics: 'disabled',
      env: threadEnv(environmentNames(this.#options.broker)),
      ...threadExecArgv(),
    });
    // A thread that fails before it has a task has no promise to reject.
    pool.on('error', (error: Error) => this.#interrupt?.(workerDied(error)));
    this.#pool = pool;
    return pool;
  }

  async #discardPool(): Promise<void> {
    const pool = this.#pool;
    this.#pool = null;
    await pool?.destroy();
  }
}

type TransferList = NonNullable<Parameters<Piscina['run']>[1]>['transferList'] & {};

/** Piscina insists on an array and derives its type from an overload of postMessage that takes none. */
function transferring(port: MessagePort): TransferList {
  return [port] as TransferList;
}

/**
 * The environment variables that a broker may see: its own families, and those that its options name. A secret of somebody else is
 * not among them.
 */
export function environmentNames(broker: BrokerSpec): string[] {
  const named = new Set<string>();
  const visit = (value: unknown): void => {
    if (typeof value === 'string') named.add(value);
    else if (typeof value === 'object' && value !== null) for (const each of Object.values(value)) visit(each);
  };
  visit(broker.options);
  return Object.keys(process.env).filter((name) => /^(APCA|HOLDFAST)_/.test(name) || named.has(name));
}

function closedError(): ReconciliationError {
  return new ReconciliationError('RECONCILER_CLOSED', 'the reconciler is closed: make a new one to reconcile again');
}

function timedOut(deadlineMs: number): ReconciliationError {
  const message = `the reconciliation worker did not answer within ${deadlineMs} ms and was ended: the broker module blocks its thread`;
  return new ReconciliationError('RECONCILIATION_TIMED_OUT', message, { retryable: true });
}

function workerDied(cause: unknown): ReconciliationError {
  const why = cause instanceof Error ? cause.message : String(cause);
  const message = `the reconciliation worker ended before it answered: ${why}. The next run gets a new one`;
  return new ReconciliationError('RECONCILIATION_WORKER_DIED', message, { cause, retryable: true });
}
