import type { StateCheckpoint } from '../model/snapshot.ts';
import type { Clock } from '../model/time.ts';
import type { CheckpointDone, CheckpointReason } from '../persistence/protocol.ts';
import type { CheckpointSchedule } from './checkpoint-schedule.ts';
import type { HostBooks } from './host-books.ts';
import type { PersistenceSession } from './persistence-session.ts';
import { checkpointMissing } from './state-errors.ts';
import type { StateReports } from './state-reports.ts';

export interface CheckpointingOptions {
  readonly directory: string;
  readonly clock: Clock;
  readonly schedule: CheckpointSchedule;
  readonly books: HostBooks;
  readonly session: PersistenceSession;
  readonly reports: StateReports;
  /** Posts everything committed, with last prices, and returns its sequence. */
  readonly postAll: () => number;
  /** False once the state is closing or has failed: nothing is asked of its own accord then. */
  readonly isServing: () => boolean;
}

/** The checkpoints of an open state: asked for, or due by the schedule; each told once; and read back. */
export class Checkpointing {
  readonly #options: CheckpointingOptions;
  /** The sequence that the newest checkpoint file of a strategy holds at least, of those written since open. */
  readonly #held = new Map<string, number>();
  #requested = false;
  #lastBatch = '';
  #bytesWritten: number | null = null;
  #bytesAskedAtMs = 0;

  constructor(options: CheckpointingOptions) {
    this.#options = options;
  }

  /** Resolves once the strategies (all where null) have durable files of at least everything committed. */
  async write(reason: CheckpointReason, strategies: readonly string[] | null): Promise<CheckpointDone> {
    const { postAll, schedule, clock, session, reports } = this.#options;
    const sequence = postAll();
    if (strategies === null) schedule.began(sequence, clock.monotonicMs());
    try {
      const done = await session.ask('checkpoint', { sequence, strategies, reason });
      this.wrote(done);
      return done;
    } catch (error) {
      reports.checkpointFailed(error as Error);
      throw error;
    }
  }

  /** The newest file of a strategy, written first where it does not hold everything committed; null where there is nothing of it. */
  async load(strategy: string): Promise<StateCheckpoint | null> {
    const book = this.#options.books.book(strategy);
    if (book === undefined || !book.hasHistory) return null;
    const held = this.#held.get(strategy);
    if (held === undefined || held < book.changedAt) await this.write('on_demand', [strategy]);
    return await this.read(strategy);
  }

  /** @throws StateError CHECKPOINT_MISSING */
  async read(strategy: string): Promise<StateCheckpoint> {
    const text = await this.#options.session.ask('readCheckpoint', strategy);
    if (text !== null) return JSON.parse(text) as StateCheckpoint;
    throw checkpointMissing(strategy, this.#options.directory);
  }

  /** The worker has written a batch, whoever asked for it. */
  wrote(done: CheckpointDone): void {
    // Requests that the worker answered with one batch have the same answer, which is told once.
    const batch = `${done.sequence} ${done.bytes} ${done.durationMs}`;
    if (batch === this.#lastBatch) return;
    this.#lastBatch = batch;
    for (const each of done.strategies) this.#held.set(each.strategy, each.sequence);
    this.#options.reports.checkpointed(done);
  }

  writeWhereDue(): void {
    const { isServing, schedule, books, clock } = this.#options;
    if (this.#requested || !isServing()) return;
    const reason = schedule.due(books.sequence, books.hasNewMarks, this.#bytesWritten, clock.monotonicMs());
    if (reason === null) return;
    this.#requested = true;
    // Both ways it has been told by then; where it failed the next one is due in its time.
    const ended = (): void => {
      this.#requested = false;
    };
    this.write(reason, null).then(ended, ended);
  }

  /** Significant change is counted in bytes only where somebody asks for it, about once a second, and never twice at once. */
  askBytesWritten(): void {
    const { isServing, schedule, books, clock, session, reports } = this.#options;
    if (!schedule.weighsBytes || !isServing()) return;
    const nowMs = clock.monotonicMs();
    if (nowMs - this.#bytesAskedAtMs < 1_000 || books.sequence === schedule.sequence) return;
    this.#bytesAskedAtMs = Number.POSITIVE_INFINITY;
    session
      .ask('status')
      .then((status) => {
        this.#bytesWritten = status.bytesWritten;
      })
      .catch((error: Error) => reports.notice('warn', `the persistence worker gave no status: ${error.message}`))
      .finally(() => {
        this.#bytesAskedAtMs = clock.monotonicMs();
      });
  }
}
