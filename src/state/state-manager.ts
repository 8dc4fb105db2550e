import { setImmediate as turn } from 'node:timers/promises';
import type { MessagePort } from 'node:worker_threads';
import type { DecimalString } from '../model/money.ts';
import { assertStrategyName } from '../model/names.ts';
import type { Recovery } from '../model/recovery.ts';
import type { Snapshot, StateCheckpoint, StrategySnapshot } from '../model/snapshot.ts';
import { acquireLock, type StateLock } from '../persistence/lock.ts';
import { nodeFileSystem } from '../persistence/node-file-system.ts';
import type { Opened } from '../persistence/protocol.ts';
import { prepareStateDirectory } from '../persistence/state-directory.ts';
import { auditOf } from './audit-of-state.ts';
import type { AuditSession } from './audit-session.ts';
import { CheckpointSchedule } from './checkpoint-schedule.ts';
import { Checkpointing } from './checkpointing.ts';
import { endOf, finish } from './closing.ts';
import { deadlineAfter } from './deadline.ts';
import { DeltaChannel } from './delta-channel.ts';
import { Durability } from './durability.ts';
import { HostBooks } from './host-books.ts';
import type {
  AssetTotals,
  CheckpointCalls,
  HostState,
  HostStateEvents,
  StateToSave,
  StrategyState,
} from './host-state.ts';
import { LastWords } from './last-words.ts';
import { PersistenceSession } from './persistence-session.ts';
import { type StartPersistence, startPersistenceThread } from './persistence-thread.ts';
import { Posting } from './posting.ts';
import { logRecovery } from './recovery-log.ts';
import { SharedWords } from './shared-words.ts';
import { stateClosed } from './state-errors.ts';
import { persistenceOptions, type StateManagerOptions, type StateSettings, stateSettings } from './state-options.ts';
import { StateReports } from './state-reports.ts';
import { stageWhole } from './whole-state.ts';

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
  readonly #posting: Posting;
  readonly #session: PersistenceSession;
  readonly #audit: AuditSession | null;
  readonly #words: SharedWords;
  readonly #durability: Durability;
  readonly #reports: StateReports;
  readonly #schedule: CheckpointSchedule;
  readonly #checkpoints: Checkpointing;
  readonly #ticks: NodeJS.Timeout;
  readonly #lastWords: LastWords;
  #recovery: Recovery = nothingRecovered;
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
    this.#reports = new StateReports(settings.logger, () => this.#durability.standing);
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
      limits: settings.limits,
      onCut: (post) => this.#channel.send(post),
      onLargeValue: (strategy, key, bytes) => this.#reports.valueLarge(strategy, key, bytes),
      ...(this.#schedule.weighsPositions && {
        onPositionCommitted: (before, now) => this.#schedule.addPosition(before, now),
      }),
    });
    this.#channel = new DeltaChannel(this.#words, settings, {
      acknowledged: (sequence) => {
        this.#durability.acknowledged(sequence);
        this.#posting.resume();
      },
      writeFailed: (through, error) => this.#durability.writeFailed(through, error),
      checkpointed: (done) => this.#checkpoints.wrote(done),
      checkpointFailed: (error) => this.#reports.checkpointFailed(error),
      notice: (level, message) => this.#reports.notice(level, message),
    });
    this.#durability = new Durability(settings, {
      books: this.#books,
      channel: this.#channel,
      words: this.#words,
      reports: this.#reports,
    });
    this.#posting = new Posting(this.#books, this.#channel, () => this.#checkpoints.writeWhereDue());
    this.#session = new PersistenceSession({
      persistence: persistenceOptions(settings, lock.epoch),
      words: this.#words,
      channel: this.#channel,
      books: this.#books,
      start,
      restartsMax: settings.restartsMax,
      restartBackoffMs: settings.restartBackoffMs,
      hooks: {
        restarted: (incarnation, cause) => this.#reports.workerRestarted(incarnation, cause),
        attached: () => this.#posting.post(),
        failed: (error) => this.#durability.failedForGood(error),
        notice: (level, message) => this.#reports.notice(level, message),
      },
    });
    this.#audit = auditOf(settings, this.#words, this.#reports);
    this.#checkpoints = new Checkpointing({
      directory: settings.directory,
      clock: settings.clock,
      schedule: this.#schedule,
      books: this.#books,
      session: this.#session,
      reports: this.#reports,
      postAll: () => this.#posting.postAll(),
      isServing: () => this.#closing === null && this.#durability.failure === null,
    });
    this.#ticks = setInterval(() => this.#tick(), Math.min(250, Math.max(10, settings.lagMsMax / 4))).unref();
    this.#lastWords = new LastWords({
      ms: settings.lastWordsMs,
      clock: settings.clock,
      words: this.#words,
      posting: this.#posting,
      durability: this.#durability,
    });
  }

  get recovery(): Recovery {
    return this.#recovery;
  }

  get sequence(): number {
    return this.#books.sequence;
  }

  get durableSequence(): number {
    return this.#durability.sequence;
  }

  get durableLagMs(): number {
    return this.#durability.lagMs;
  }

  get acceptsIntents(): boolean {
    return this.#closing === null && this.#durability.takesIntents;
  }

  register(strategy: string): StrategyState {
    return this.#books.register(strategy);
  }

  strategies(): readonly string[] {
    return this.#books.strategies();
  }

  hasExecution(executionId: string): boolean {
    return this.#books.hasExecution(executionId);
  }

  inAsset(asset: string): AssetTotals {
    return this.#books.inAsset(asset);
  }

  commit(): number {
    if (this.#closing !== null) throw stateClosed();
    const before = this.#books.sequence;
    const sequence = this.#books.commit();
    if (sequence === before) return sequence;
    if (this.#lastWords.begun) this.#lastWords.speak();
    else this.#posting.schedule();
    return sequence;
  }

  rollback(): void {
    this.#books.rollback();
  }

  async durable(sequence: number = this.sequence): Promise<void> {
    await this.#durability.wait(sequence, () => (this.#closing === null ? null : stateClosed()));
  }

  async checkpoint(
    reason: 'on_demand' | 'shutdown' = 'on_demand',
  ): Promise<{ readonly sequence: number; readonly files: readonly string[] }> {
    this.commit();
    const done = await this.#checkpoints.write(reason, null);
    return { sequence: done.sequence, files: done.strategies.map(({ file }) => file) };
  }

  /**
   * Has the persistence worker send the books as of a sequence of at least `sequence`, without strategy state, as SnapshotSlice
   * messages on `port`, which is moved there. Resolves with the sequence once it has begun; this thread does nothing else.
   */
  async sendSnapshot(sequence: number, port: MessagePort): Promise<{ readonly sequence: number }> {
    this.#posting.postAll();
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
    this.#reports.events.on(event, listener);
  }

  off<K extends keyof HostStateEvents>(event: K, listener: (...args: HostStateEvents[K]) => void): void {
    this.#reports.events.off(event, listener);
  }

  /**
   * What was restored, from what, how old it is and what was lost: `recovery`, for who awaits a step of its own. open() has restored
   * everything before it resolved, so that no caller can change state that a later restore would take back.
   */
  async restore(): Promise<Recovery> {
    return this.#recovery;
  }

  /** As in CheckpointCalls. What anybody has staged is committed with it; where `state` is refused, nothing of it is. */
  async saveCheckpoint(strategy: string, state: StateToSave): Promise<StateCheckpoint> {
    if (this.#closing !== null) throw stateClosed();
    stageWhole(this.#books, strategy, state);
    this.commit();
    await this.#checkpoints.write('on_demand', [strategy]);
    return await this.#checkpoints.read(strategy);
  }

  /** As in CheckpointCalls: the strategy's newest checkpoint file, written first where it does not hold everything committed. */
  async loadCheckpoint(strategy: string): Promise<StateCheckpoint | null> {
    // A name that nothing can be kept under is a slip of the pen, and no new strategy.
    assertStrategyName(strategy);
    return await this.#checkpoints.load(strategy);
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
    // The restored state is in the journal now, which is where an audit begins.
    this.#audit?.start();
    logRecovery(this.#settings.logger, opened.recovery, this.directory);
  }

  #tick(): void {
    this.#durability.look();
    this.#checkpoints.askBytesWritten();
    this.#checkpoints.writeWhereDue();
  }

  async #close(checkpoint: boolean, deadlineMs: number): Promise<void> {
    clearInterval(this.#ticks);
    this.#books.rollback();
    const deadline = deadlineAfter(deadlineMs);
    const endsAtMs = this.#settings.clock.monotonicMs() + deadlineMs;
    try {
      const failure = await finish({
        session: this.#session,
        sequence: this.#posting.postAll(),
        checkpoint,
        deadline,
        standing: () => this.#durability.standing,
        failure: () => this.#durability.failure,
        wrote: (done) => this.#checkpoints.wrote(done),
        onRetry: ({ message }) => this.#reports.notice('warn', `the state could not be closed yet: ${message}`),
      });
      // Who waited for the last commits is told that they are durable before everybody else is told that it is over.
      this.#durability.settle();
      const leftMs = Math.max(0, endsAtMs - this.#settings.clock.monotonicMs());
      await endOf(this.#abandon(leftMs), deadline, () => this.#durability.standing);
      this.#lock.release();
      if (failure !== null && (checkpoint || this.durableSequence < this.sequence)) throw failure;
    } finally {
      deadline.cancel();
      this.#durability.end(stateClosed());
    }
  }

  /** Ends the workers, wherever they are, and everything that would keep this object alive. The audit may come to its end first. */
  async #abandon(auditMs = 0): Promise<void> {
    clearInterval(this.#ticks);
    this.#lastWords.end();
    await this.#session.stop();
    const finishMs = Math.min(auditMs, this.#settings.audit?.finishMs ?? 0);
    if (finishMs > 0) await this.#audit?.finish(this.durableSequence, finishMs);
    await this.#audit?.stop();
  }
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
