import type { Clock } from '../model/time.ts';
import type { DeltaChannel } from './delta-channel.ts';
import { DurableWaiters } from './durable-waiters.ts';
import type { HostBooks } from './host-books.ts';
import { LagWatch } from './lag-watch.ts';
import type { SharedWords } from './shared-words.ts';
import { type Standing, sequenceUnknown } from './state-errors.ts';
import type { StateSettings } from './state-options.ts';
import type { StateReports } from './state-reports.ts';

/** How far the state is durable, who waits for it, and whether it lags, stalls or has failed for good. */
export class Durability {
  readonly #settings: StateSettings;
  readonly #clock: Clock;
  readonly #books: HostBooks;
  readonly #channel: DeltaChannel;
  readonly #words: SharedWords;
  readonly #reports: StateReports;
  readonly #watch: LagWatch;
  readonly #waiters: DurableWaiters = new DurableWaiters();
  #failure: Error | null = null;

  constructor(
    settings: StateSettings,
    parts: {
      readonly books: HostBooks;
      readonly channel: DeltaChannel;
      readonly words: SharedWords;
      readonly reports: StateReports;
    },
  ) {
    this.#settings = settings;
    this.#clock = settings.clock;
    this.#books = parts.books;
    this.#channel = parts.channel;
    this.#words = parts.words;
    this.#reports = parts.reports;
    this.#watch = new LagWatch(settings);
  }

  get sequence(): number {
    return this.#channel.durableSequence;
  }

  /** Age of the oldest commit that is not durable; 0 when all are. */
  get lagMs(): number {
    const sinceMs = this.#channel.waitingSinceMs ?? this.#books.dirtySinceMs;
    return sinceMs === null ? 0 : Math.max(0, this.#clock.monotonicMs() - sinceMs);
  }

  /** Why persistence is gone for good; null while it is not. */
  get failure(): Error | null {
    return this.#failure;
  }

  /** False where a new order's intent would come on top of too much that is not durable. */
  get takesIntents(): boolean {
    if (this.#failure !== null || this.#watch.isStalled) return false;
    return this.#channel.unacknowledgedEvents + this.#books.waitingEvents < this.#settings.eventsMax;
  }

  get standing(): Standing {
    return {
      directory: this.#settings.directory,
      sequence: this.#books.sequence,
      durableSequence: this.sequence,
      words: this.#words,
      failure: this.#watch.failure,
    };
  }

  /** @param over why nobody may wait any more, or null */
  async wait(sequence: number, over: () => Error | null): Promise<void> {
    const last = this.#books.sequence;
    if (sequence > last || Number.isNaN(sequence)) throw sequenceUnknown(sequence, last);
    if (sequence <= this.sequence) return;
    const error = this.#failure ?? over();
    if (error !== null) throw error;
    await this.#waiters.add(sequence);
  }

  acknowledged(sequence: number): void {
    this.#waiters.resolve(sequence);
    this.look();
    this.#reports.events.emit('durable', sequence);
  }

  writeFailed(through: number, error: Error): void {
    this.#watch.writeFailed(through, error);
    this.#waiters.reject(through, error);
    this.look();
  }

  failedForGood(error: Error): void {
    this.#failure = error;
    this.#waiters.rejectAll(error);
    this.#reports.failed(error);
  }

  /** Tells what lag has come to. */
  look(): void {
    for (const change of this.#watch.look(this.lagMs, this.sequence, this.#clock.monotonicMs())) {
      this.#reports.lag(change);
    }
  }

  /** Who waited for what is durable by now is told so; nobody else is told anything yet. */
  settle(): void {
    this.#waiters.resolve(this.sequence);
  }

  /** Who still waits is told that it is over. */
  end(over: Error): void {
    this.#waiters.rejectAll(over);
  }
}
