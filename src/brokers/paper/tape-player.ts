import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises';
import type { MarketEvent } from '../../model/market.ts';
import { micros } from '../../model/time.ts';

export interface TapePlayerOptions {
  /** In order of time. */
  readonly tape: AsyncIterable<MarketEvent>;
  /** How much faster than it happened; Infinity is as fast as everybody takes it. */
  readonly speed: number;
  /** Begins paused where true. */
  readonly paused: boolean;
  /** Gets what is due, in order, a bounded number at a time. */
  play(events: readonly MarketEvent[]): void;
  /** Whether somebody is still behind; asked only at infinite speed, which waits for them. */
  congested(): boolean;
  /** Where time comes from and how it is waited for; that of the process where absent. */
  readonly timing?: TapeTiming;
  /** Once, after the last event, with why where the tape could not be read on. Not when stopped. */
  ended(error: Error | null): void;
}

export interface TapeTiming {
  monotonicMs(): number;
  /** Resolves after so long, or when the signal aborts. */
  sleep(ms: number, signal: AbortSignal): Promise<void>;
}

const processTiming: TapeTiming = {
  monotonicMs: () => performance.now(),
  sleep: (ms, signal) => sleep(ms, undefined, { signal }).catch(() => undefined),
};

/** Field names are those of the control endpoint. */
export interface TapeStatus {
  /** Events played. */
  readonly tape_position: number;
  /** Time of the newest of them. */
  readonly tape_time: string | null;
  readonly paused: boolean;
  readonly ended: boolean;
  /** Why it ended before its end. */
  readonly error: string | null;
}

const batchMax = 256;

/** Plays a tape in its own time, faster by a factor, and can be paused. */
export class TapePlayer {
  readonly #options: TapePlayerOptions;
  readonly #timing: TapeTiming;
  readonly #stopping = new AbortController();
  #position = 0;
  #time: string | null = null;
  #ended = false;
  #error: Error | null = null;
  #paused: boolean;
  /** Settles when a pause is over. */
  #resumed = Promise.withResolvers<void>();
  /** Where tape time and own time were last seen together: after a pause or at the start. */
  #anchor: { readonly tapeMs: number; readonly ownMs: number } | null = null;
  readonly #stopped = Promise.withResolvers<null>();
  #done: Promise<void> | null = null;

  constructor(options: TapePlayerOptions) {
    this.#options = options;
    this.#timing = options.timing ?? processTiming;
    this.#paused = options.paused;
  }

  start(): void {
    this.#done ??= this.#run();
  }

  pause(): void {
    this.#paused = true;
  }

  play(): void {
    if (!this.#paused) return;
    this.#paused = false;
    this.#anchor = null;
    this.#resumed.resolve();
    this.#resumed = Promise.withResolvers();
  }

  status(): TapeStatus {
    return {
      tape_position: this.#position,
      tape_time: this.#time,
      paused: this.#paused,
      ended: this.#ended,
      error: this.#error?.message ?? null,
    };
  }

  /** Resolves once nothing is played any more. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    this.#stopped.resolve(null);
    this.#resumed.resolve();
    await this.#done;
  }

  async #run(): Promise<void> {
    const events = this.#options.tape[Symbol.asyncIterator]();
    try {
      let batch: MarketEvent[] = [];
      for (;;) {
        const coming = events.next().catch((error: unknown) => this.#brokenOff(error));
        // What is due does not wait for a tape that has nothing more to give at the moment.
        let next = await Promise.race([coming, nextTurn(null)]);
        if (next === null) {
          await this.#emit(batch);
          batch = [];
          next = await Promise.race([coming, this.#stopped.promise]);
        }
        if (next === null || next.done === true) break;
        const event = next.value;
        if (batch.length >= batchMax || this.#paused || this.#dueInMs(event) > 0) {
          await this.#emit(batch);
          batch = [];
        }
        await this.#until(event);
        if (this.#stopping.signal.aborted) break;
        batch.push(event);
      }
      await this.#emit(batch);
    } catch (error) {
      this.#brokenOff(error);
    }
    if (this.#stopping.signal.aborted) {
      // Not awaited: a tape that never gives its next event does not end either.
      events.return?.().catch(() => undefined);
      return;
    }
    this.#ended = true;
    this.#options.ended(this.#error);
  }

  /** A tape that cannot be read on ends here; what it gave before is played. */
  #brokenOff(error: unknown): IteratorReturnResult<undefined> {
    this.#error = error instanceof Error ? error : new Error(String(error));
    return { done: true, value: undefined };
  }

  /** Waits until the event is due and nothing is paused, or everything stops. */
  async #until(event: MarketEvent): Promise<void> {
    while (!this.#stopping.signal.aborted) {
      if (this.#paused) {
        await this.#resumed.promise;
        continue;
      }
      const waitMs = this.#dueInMs(event);
      if (waitMs <= 0) return;
      // In slices, so that a pause is not slept over.
      await this.#timing.sleep(Math.min(waitMs, 50), this.#stopping.signal);
    }
  }

  #dueInMs(event: MarketEvent): number {
    if (!Number.isFinite(this.#options.speed)) return 0;
    const tapeMs = micros(event.at) / 1000;
    this.#anchor ??= { tapeMs, ownMs: this.#timing.monotonicMs() };
    return (tapeMs - this.#anchor.tapeMs) / this.#options.speed - (this.#timing.monotonicMs() - this.#anchor.ownMs);
  }

  async #emit(batch: readonly MarketEvent[]): Promise<void> {
    const last = batch.at(-1);
    if (last === undefined || this.#stopping.signal.aborted) return;
    this.#options.play(batch);
    this.#position += batch.length;
    this.#time = last.at;
    // Requests get their turn between two batches, also on a tape that is always behind.
    await nextTurn();
    while (!Number.isFinite(this.#options.speed) && this.#options.congested() && !this.#stopping.signal.aborted)
      await sleep(2);
  }
}
