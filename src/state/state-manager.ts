import { setTimeout as pause, setImmediate as turn } from 'node:timers/promises';
import type { MessagePort } from 'node:worker_threads';
import { HoldfastError } from '../model/errors.ts';
import type { DecimalString } from '../model/money.ts';
import type { Recovery } from '../model/recovery.ts';
import type { Snapshot, StateCheckpoint, StrategySnapshot } from '../model/snapshot.ts';
import { acquireLock, type StateLock } from '../persistence/lock.ts';
import { nodeFileSystem } from '../persistence/node-file-system.ts';
import type { CheckpointDone, CheckpointReason, Opened, PersistenceOptions } from '../persistence/protocol.ts';
import { prepareStateDirectory } from '../persistence/state-directory.ts';
import { CheckpointSchedule } from './checkpoint-schedule.ts';
import { type Deadline, deadlineAfter } from './deadline.ts';
import { DeltaChannel } from './delta-channel.ts';
import { DurableWaiters } from './durable-waiters.ts';
import { Emitter } from './emitter.ts';
import { HostBooks } from './host-books.ts';
import type { CheckpointCalls, HostState, HostStateEvents, StateToSave, StrategyState } from './host-state.ts';
import { LagWatch } from './lag-watch.ts';
import { onExit } from './last-words.ts';
import { PersistenceSession } from './persistence-session.ts';
import { type StartPersistence, startPersistenceThread } from './persistence-thread.ts';
import { logRecovery } from './recovery-log.ts';
import { SharedWords } from './shared-words.ts';
import {
  checkpointMissing,
  deadlinePassed,
  type Standing,
  sequenceUnknown,
  stalled,
  stateClosed,
  whatTheWorkerDoes,
} from './state-errors.ts';
import { type StateManagerOptions, type StateSettings, stateSettings } from './state-options.ts';
import { replaceWhole } from './whole-state.ts';

/*
 * The state of a host on the engine's thread: live books, posts of what changed, and what came back as durable.
 *
 * M1  What is staged never leaves this thread. A post carries committed values only, and leaves at the end of the turn.
 * M2  Nothing here waits for the disk except those who asked to: durable(), checkpoint(), saveCheckpoint(), close().
 * M3  Every promise that was given out settles: by an acknowledgement, an error, or the end.
 * M4  The directory's lock is held from before the first read until the worker has ended, or until the process does.
 */

/** Opens a state directory; while it is open it keeps the process alive, until close(). */
export class StateManager implements HostState, CheckpointCalls {
  readonly epoch: number;
  readonly currency: string;
  /** Absolute. */
  readonly directory: string;
  readonly #settings: StateSettings;
  readonly #lock: StateLock;
  readonly #books: HostBooks;
  readonly #channel: DeltaChannel;
  readonly #session: PersistenceSession;
  readonly #words: SharedWords;
  readonly #waiters: DurableWaiters;
  readonly #emitter: Emitter<HostStateEvents>;
  readonly #watch: LagWatch;
  readonly #schedule: CheckpointSchedule;
  readonly #ticks: NodeJS.Timeout;
  readonly #stopSpeaking: () => void;
  /** The sequence that the newest checkpoint file of a strategy holds at least, of those written since open. */
  readonly #checkpointed = new Map<string, number>();
  #postScheduled = false;
  #checkpointRequested = false;
  #lastBatch = '';
  #bytesWritten: number | null = null;
  #bytesAskedAtMs = 0;
  #recovery: Recovery = nothingRecovered;
  #failure: Error | null = null;
  #closing: Promise<void> | null = null;

  /**
   * Takes the directory, restores everything, and makes what it restored this epoch's own. Resolves when state may be changed.
   * @throws StateError STATE_DIRECTORY_LOCKED, STATE_DIRECTORY_UNSAFE, CURRENCY_MISMATCH and what a restore throws;
   *   CheckpointCorrupted where no restore point can be restored truly; ConfigError STATE_OPTIONS_INVALID
   */
  static open(options: StateManagerOptions = {}): Promise<StateManager> {
    return StateManager.openWith(options, startPersistenceThread);
  }

  /** The same with another way to start the persistence worker: for tests. */
  static async openWith(options: StateManagerOptions, start: StartPersistence): Promise<StateManager> {
    const settings = stateSettings(options);
    prepareStateDirectory(nodeFileSystem, settings.directory, { force: settings.force });
    const lock = acquireLock(settings.directory, { host: settings.host, now: () => settings.clock.nowMicros() });
    try {
      for (;;) {
        const manager = new StateManager(settings, lock, start);
        const opened = await manager.#open();
        if (opened !== null) return manager;
      }
    } catch (error) {
      lock.release();
      throw error;
    }
  }

  private constructor(settings: StateSettings, lock: StateLock, start: StartPersistence) {
    this.#settings = settings;
    this.#lock = lock;
    this.directory = settings.directory;
    this.epoch = lock.epoch;
    this.currency = settings.currency;
    this.#words = new SharedWords();
    this.#waiters = new DurableWaiters();
    this.#emitter = new Emitter((event, error) => {
      settings.logger.error({ event, error: String(error) }, `a listener of "${event}" threw: ${String(error)}`);
    });
    this.#watch = new LagWatch(settings);
    this.#schedule = new CheckpointSchedule(
      {
        intervalMs: settings.checkpointIntervalMs,
        commits: settings.significantCommits,
        bytes: settings.significantBytes,
        notional: settings.significantNotional,
      },
      settings.clock.monotonicMs(),
    );
    this.#books = new HostBooks({
      currency: settings.currency,
      epoch: lock.epoch,
      clock: settings.clock,
      ...(this.#schedule.weighsPositions && {
        onPositionCommitted: (before, now) => this.#schedule.addPosition(before, now),
      }),
    });
    this.#channel = new DeltaChannel(this.#words, settings, {
      acknowledged: (sequence) => this.#acknowledged(sequence),
      writeFailed: (through, error) => this.#writeFailed(through, error),
      checkpointed: (done) => this.#wrote(done),
      checkpointFailed: (error) => this.#checkpointFailed(error),
      notice: (level, message) => this.#notice(level, message),
    });
    this.#session = new PersistenceSession({
      persistence: persistenceOptions(settings, lock.epoch),
      words: this.#words,
      channel: this.#channel,
      books: this.#books,
      start,
      restartsMax: settings.restartsMax,
      restartBackoffMs: settings.restartBackoffMs,
      hooks: {
        restarted: (incarnation, cause) => this.#restarted(incarnation, cause),
        attached: () => this.#post(),
        failed: (error) => this.#failed(error),
        notice: (level, message) => this.#notice(level, message),
      },
    });
    this.#ticks = setInterval(() => this.#tick(), Math.min(250, Math.max(10, settings.lagMsMax / 4))).unref();
    this.#stopSpeaking = onExit(() => this.#lastWords());
  }

  get recovery(): Recovery {
    return this.#recovery;
  }

  get sequence(): number {
    return this.#books.sequence;
  }

  get durableSequence(): number {
    return this.#channel.durableSequence;
  }

  get durableLagMs(): number {
    const sinceMs = this.#channel.waitingSinceMs ?? this.#books.dirtySinceMs;
    return sinceMs === null ? 0 : Math.max(0, this.#settings.clock.monotonicMs() - sinceMs);
  }

  get acceptsIntents(): boolean {
    if (this.#closing !== null || this.#failure !== null || this.#watch.isStalled) return false;
    return this.#channel.unacknowledgedEvents + this.#books.waitingEvents < this.#settings.eventsMax;
  }

  register(strategy: string): StrategyState {
    return this.#books.register(strategy);
  }

  strategies(): readonly string[] {
    return this.#books.strategies();
  }

  commit(): number {
    if (this.#closing !== null) throw stateClosed();
    const before = this.#books.sequence;
    const sequence = this.#books.commit();
    if (sequence !== before && !this.#postScheduled) {
      this.#postScheduled = true;
      setImmediate(() => this.#post());
    }
    return sequence;
  }

  rollback(): void {
    this.#books.rollback();
  }

  async durable(sequence: number = this.sequence): Promise<void> {
    if (sequence > this.sequence || Number.isNaN(sequence)) {
      throw sequenceUnknown(sequence, this.sequence);
    }
    if (sequence <= this.durableSequence) return;
    const over = this.#failure ?? (this.#closing === null ? null : stateClosed());
    if (over !== null) throw over;
    await this.#waiters.add(sequence);
  }

  async checkpoint(
    reason: 'on_demand' | 'shutdown' = 'on_demand',
  ): Promise<{ readonly sequence: number; readonly files: readonly string[] }> {
    this.commit();
    const done = await this.#checkpoint(reason, null);
    return { sequence: done.sequence, files: done.strategies.map(({ file }) => file) };
  }

  /**
   * Has the persistence worker send the books as of a sequence of at least `sequence`, without strategy state, as SnapshotSlice
   * messages on `port`, which is moved there. Resolves with the sequence once it has begun; this thread does nothing else.
   */
  async sendSnapshot(sequence: number, port: MessagePort): Promise<{ readonly sequence: number }> {
    this.#postAll();
    return await this.#session.ask('sendSnapshot', sequence, port);
  }

  snapshot(): Snapshot {
    return this.#books.snapshot();
  }

  mark(asset: string, price: DecimalString): void {
    this.#books.mark(asset, price);
  }

  phase(phase: string): void {
    this.#channel.phase(phase);
  }

  on<K extends keyof HostStateEvents>(event: K, listener: (...args: HostStateEvents[K]) => void): void {
    this.#emitter.on(event, listener);
  }

  off<K extends keyof HostStateEvents>(event: K, listener: (...args: HostStateEvents[K]) => void): void {
    this.#emitter.off(event, listener);
  }

  /**
   * As in CheckpointCalls. What StateToSave does not name stays: halt, broker cursor, cash in other currencies. What anybody has
   * staged is committed with it; where `state` is refused, nothing of it is.
   */
  async saveCheckpoint(strategy: string, state: StateToSave): Promise<StateCheckpoint> {
    const book = this.#books.register(strategy);
    const savepoint = book.savepoint();
    try {
      replaceWhole(book, state);
    } catch (error) {
      book.rollbackTo(savepoint);
      throw error;
    }
    this.commit();
    await this.#checkpoint('on_demand', [strategy]);
    return await this.#readCheckpoint(strategy);
  }

  /** As in CheckpointCalls: the strategy's newest checkpoint file, written first where it does not hold everything committed. */
  async loadCheckpoint(strategy: string): Promise<StateCheckpoint | null> {
    const book = this.#books.book(strategy);
    if (book === undefined || !book.hasHistory) return null;
    const held = this.#checkpointed.get(strategy);
    if (held === undefined || held < book.changedAt) await this.#checkpoint('on_demand', [strategy]);
    return await this.#readCheckpoint(strategy);
  }

  /**
   * Takes back what is staged, posts what is committed, and resolves once everything is durable, the worker has ended and the
   * directory is free. The second call gives the promise of the first.
   * @throws StateError SHUTDOWN_DEADLINE naming what the worker is doing: it still owns the files, so the directory stays locked
   *   until the process ends; or the failure that kept commits from becoming durable, the directory being free then
   */
  close(options: { readonly checkpoint?: boolean; readonly deadlineMs?: number } = {}): Promise<void> {
    this.#closing ??= this.#close(options.checkpoint ?? true, options.deadlineMs ?? 10_000);
    return this.#closing;
  }

  /** Null, and nothing left running, where files show a later epoch than the lock knew: it is raised, and a new start has it. */
  async #open(): Promise<Opened | null> {
    try {
      const opened = await this.#session.open();
      if (opened.maxEpoch >= this.epoch) {
        // lock.db was lost or came from a backup. The worker was told the lower epoch, and has written nothing yet.
        this.#lock.raiseEpoch(opened.maxEpoch);
        await this.#abandon();
        return null;
      }
      await this.#restore(opened);
      return opened;
    } catch (error) {
      await this.#abandon();
      throw error;
    }
  }

  async #restore(opened: Opened): Promise<void> {
    this.#recovery = opened.recovery;
    for (const strategy of opened.strategies) {
      this.#books.load(JSON.parse(await this.#session.restored(strategy)) as StrategySnapshot);
      // A slice for each strategy: whoever else lives on this thread gets its turn.
      await turn();
    }
    this.#books.begin(await this.#session.begin());
    this.#schedule.began(this.#books.sequence, this.#settings.clock.monotonicMs());
    logRecovery(this.#settings.logger, opened.recovery, this.directory);
  }

  #post(): void {
    this.#postScheduled = false;
    if (!this.#channel.hasRoom) return;
    const post = this.#books.takePost();
    if (post !== null) this.#channel.send(post);
    this.#checkpointWhereDue();
  }

  /** Everything committed, with last prices, whatever the bounds say: one post for each checkpoint. */
  #postAll(): number {
    const post = this.#books.takePost(true);
    if (post !== null) this.#channel.send(post);
    return this.#books.sequence;
  }

  async #checkpoint(reason: CheckpointReason, strategies: readonly string[] | null): Promise<CheckpointDone> {
    const sequence = this.#postAll();
    if (strategies === null) this.#schedule.began(sequence, this.#settings.clock.monotonicMs());
    try {
      const done = await this.#session.ask('checkpoint', { sequence, strategies, reason });
      this.#wrote(done);
      return done;
    } catch (error) {
      this.#checkpointFailed(error as Error);
      throw error;
    }
  }

  async #readCheckpoint(strategy: string): Promise<StateCheckpoint> {
    const text = await this.#session.ask('readCheckpoint', strategy);
    if (text !== null) return JSON.parse(text) as StateCheckpoint;
    throw checkpointMissing(strategy, this.directory);
  }

  #checkpointWhereDue(): void {
    if (this.#checkpointRequested || this.#closing !== null || this.#failure !== null) return;
    const nowMs = this.#settings.clock.monotonicMs();
    const reason = this.#schedule.due(this.sequence, this.#books.hasNewMarks, this.#bytesWritten, nowMs);
    if (reason === null) return;
    this.#checkpointRequested = true;
    // Both ways it has been told by then; where it failed the next one is due in its time.
    const ended = (): void => {
      this.#checkpointRequested = false;
    };
    this.#checkpoint(reason, null).then(ended, ended);
  }

  #acknowledged(sequence: number): void {
    this.#waiters.resolve(sequence);
    this.#look();
    this.#emitter.emit('durable', sequence);
    if (this.#books.dirtySinceMs !== null && !this.#postScheduled) this.#post();
  }

  #writeFailed(through: number, error: Error): void {
    this.#watch.writeFailed(through, error);
    this.#waiters.reject(through, error);
    this.#look();
  }

  #wrote(done: CheckpointDone): void {
    const { sequence, durationMs, bytes } = done;
    // Requests that the worker answered with one batch have the same answer, which is told once.
    const batch = `${sequence} ${bytes} ${durationMs}`;
    if (batch === this.#lastBatch) return;
    this.#lastBatch = batch;
    for (const each of done.strategies) this.#checkpointed.set(each.strategy, each.sequence);
    this.#emitter.emit('checkpointed', { sequence, strategies: done.strategies.length, durationMs });
  }

  #checkpointFailed(error: Error): void {
    this.#settings.logger.warn({ code: codeOf(error) }, `a checkpoint was not written: ${error.message}`);
    this.#emitter.emit('checkpointFailed', error);
  }

  #restarted(incarnation: number, cause: Error): void {
    this.#settings.logger.error(
      { incarnation, code: codeOf(cause) },
      `the persistence worker ended and is replaced: ${cause.message}`,
    );
    this.#emitter.emit('workerRestarted', { incarnation, cause });
  }

  #failed(error: Error): void {
    this.#failure = error;
    this.#settings.logger.error(
      { code: codeOf(error), durable_sequence: this.durableSequence, sequence: this.sequence },
      `persistence has failed for good, no new orders: ${error.message}`,
    );
    this.#waiters.rejectAll(error);
    this.#emitter.emit('failed', error);
  }

  #notice(level: 'info' | 'warn' | 'error', message: string): void {
    this.#settings.logger[level]({ source: 'persistence' }, message);
    this.#emitter.emit('notice', { level, message });
  }

  get #standing(): Standing {
    const { directory, sequence, durableSequence } = this;
    return { directory, sequence, durableSequence, words: this.#words, failure: this.#watch.failure };
  }

  #tick(): void {
    this.#look();
    this.#askBytesWritten();
    this.#checkpointWhereDue();
  }

  #look(): void {
    const changes = this.#watch.look(this.durableLagMs, this.durableSequence, this.#settings.clock.monotonicMs());
    for (const { kind, lagMs, error } of changes) {
      if (kind === 'recovered') {
        this.#settings.logger.info({ lagged_ms: lagMs }, 'the state is durable again');
        this.#emitter.emit('recovered', { laggedMs: lagMs });
        continue;
      }
      const cause = kind === 'stalled' ? stalled(lagMs, error, this.#standing) : error;
      const fields = { lag_ms: lagMs, sequence: this.sequence, durable_sequence: this.durableSequence };
      this.#settings.logger.warn(
        fields,
        `the state is not durable yet: ${cause?.message ?? whatTheWorkerDoes(this.#standing)}`,
      );
      this.#emitter.emit('lagging', { lagMs, error: cause });
    }
  }

  /** Significant change is counted in bytes only where somebody asks for it, about once a second, and never twice at once. */
  #askBytesWritten(): void {
    if (!this.#schedule.weighsBytes || this.#closing !== null || this.#failure !== null) return;
    const nowMs = this.#settings.clock.monotonicMs();
    if (nowMs - this.#bytesAskedAtMs < 1_000 || this.sequence === this.#schedule.sequence) return;
    this.#bytesAskedAtMs = Number.POSITIVE_INFINITY;
    this.#session
      .ask('status')
      .then((status) => {
        this.#bytesWritten = status.bytesWritten;
      })
      .catch((error: Error) => this.#notice('warn', `the persistence worker gave no status: ${error.message}`))
      .finally(() => {
        this.#bytesAskedAtMs = this.#settings.clock.monotonicMs();
      });
  }

  async #close(checkpoint: boolean, deadlineMs: number): Promise<void> {
    clearInterval(this.#ticks);
    this.#books.rollback();
    const deadline = deadlineAfter(deadlineMs);
    try {
      const failure = await this.#finish(checkpoint, deadline);
      // Who waited for the last commits is told that they are durable before everybody else is told that it is over.
      this.#waiters.resolve(this.durableSequence);
      await this.#abandon();
      this.#lock.release();
      if (failure !== null && (checkpoint || this.durableSequence < this.sequence)) throw failure;
    } finally {
      deadline.cancel();
      this.#waiters.rejectAll(stateClosed());
    }
  }

  /**
   * Has the worker make everything durable. A failed write is tried again until the deadline; null, or why it could not be done.
   * @throws StateError SHUTDOWN_DEADLINE where the worker does not even answer
   */
  async #finish(checkpoint: boolean, deadline: Deadline): Promise<Error | null> {
    const sequence = this.#postAll();
    let told = false;
    for (;;) {
      const failure = this.#failure ?? (await this.#finishOnce(sequence, checkpoint, deadline));
      if (failure === null || this.#failure !== null) return failure;
      if (!told) this.#notice('warn', `the state could not be closed yet: ${failure.message}`);
      told = true;
      await Promise.race([pause(closeRetryMs), deadline.passed]);
      if (deadline.hasPassed) return failure;
    }
  }

  async #finishOnce(sequence: number, checkpoint: boolean, deadline: Deadline): Promise<Error | null> {
    const asked = this.#session.ask('close', { sequence, checkpoint }).then(
      (done) => {
        if (done !== null) this.#wrote(done);
        return null;
      },
      (error: Error) => error,
    );
    const first = await Promise.race([asked, deadline.passed]);
    if (first === 'passed') throw deadlinePassed(deadline.ms, this.#standing);
    return first;
  }

  /** Ends the worker, wherever it is, and everything that would keep this object alive. */
  async #abandon(): Promise<void> {
    clearInterval(this.#ticks);
    this.#stopSpeaking();
    await this.#session.stop();
  }

  /** In an exit handler: nothing asynchronous happens any more on this thread, and the worker still runs. */
  #lastWords(): void {
    const { lastWordsMs, clock } = this.#settings;
    if (lastWordsMs === 0 || this.#failure !== null) return;
    const post = this.#books.takePost();
    if (post !== null) this.#channel.send(post);
    const sequence = this.#channel.sentSequence;
    if (this.#words.waitDurable(sequence, lastWordsMs, () => clock.monotonicMs())) return;
    process.stderr.write(
      `holdfast: the process exits with commits up to ${this.durableSequence} of ${sequence} durable; ${whatTheWorkerDoes(this.#standing)}\n`,
    );
  }
}

/** Between two attempts to close on a disk that fails. */
const closeRetryMs = 100;

function persistenceOptions(settings: StateSettings, epoch: number): PersistenceOptions {
  const { directory, host, currency, generations, staleAfterMs, fileSystem } = settings;
  return {
    directory,
    epoch,
    host,
    currency,
    generations,
    segmentBytesMax: 16 * 2 ** 20,
    journalBytesMax: 256 * 2 ** 20,
    staleAfterMs,
    heartbeatMs: 60_000,
    statusMs: 1_000,
    fileSystem,
    atLeast: 0,
  };
}

const nothingRecovered: Recovery = {
  epoch: 0,
  sequence: 0,
  timestamp: null,
  age_ms: null,
  stale: false,
  used: [],
  lost: [],
  quarantined: [],
};

function codeOf(error: Error): string | null {
  return error instanceof HoldfastError ? error.code : null;
}
