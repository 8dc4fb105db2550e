import { setImmediate as turn } from 'node:timers/promises';
import { type Clock, micros, type Timestamp } from '../model/time.ts';

interface Timer {
  readonly dueMs: number;
  readonly run: () => void;
}

/**
 * A clock that stands still until a test moves it, with timers that run when it does. Timers follow the monotonic time, as real
 * ones do, so that setting the wall back or forth leaves them alone.
 */
export class ManualClock implements Clock {
  /** Wall time minus monotonic time. */
  #offsetMicros: number;
  #monotonicMs = 0;
  readonly #timers = new Set<Timer>();

  constructor(start: Timestamp = '2025-01-01T00:00:00Z') {
    this.#offsetMicros = micros(start);
  }

  nowMicros(): number {
    return this.#offsetMicros + Math.floor(this.#monotonicMs * 1000);
  }

  monotonicMs(): number {
    return this.#monotonicMs;
  }

  /** Runs `run` once when `ms` have passed, and returns what cancels it. To be given to whatever takes timers. */
  readonly after = (ms: number, run: () => void): (() => void) => {
    const timer: Timer = { dueMs: this.#monotonicMs + Math.max(0, ms), run };
    this.#timers.add(timer);
    return () => this.#timers.delete(timer);
  };

  /** How many timers wait. */
  get pendingTimers(): number {
    return this.#timers.size;
  }

  /** Lets time pass. Each timer runs at its own moment, earliest first, those of one moment in the order in which they were set. */
  advance(ms: number): void {
    const endMs = this.#end(ms);
    for (let timer = this.#next(endMs); timer !== undefined; timer = this.#next(endMs)) this.#run(timer);
    this.#monotonicMs = endMs;
  }

  /** The same, with a turn of the event loop after each timer and at the end, so that promises and immediates go on in between. */
  async advanceInTurns(ms: number): Promise<void> {
    const endMs = this.#end(ms);
    await turn();
    for (let timer = this.#next(endMs); timer !== undefined; timer = this.#next(endMs)) {
      this.#run(timer);
      await turn();
    }
    this.#monotonicMs = Math.max(this.#monotonicMs, endMs);
  }

  /** Sets the wall, as an operator or a time server does; no time passes. */
  setWall(time: Timestamp): void {
    this.#offsetMicros += micros(time) - this.nowMicros();
  }

  /** Moves the wall by so many milliseconds, back where negative; no time passes. */
  jumpWall(ms: number): void {
    this.#offsetMicros += Math.round(ms * 1000);
  }

  #end(ms: number): number {
    if (!(ms >= 0)) throw new RangeError(`advance: expected milliseconds from 0, got ${ms}; use jumpWall to go back`);
    return this.#monotonicMs + ms;
  }

  #next(endMs: number): Timer | undefined {
    let next: Timer | undefined;
    for (const timer of this.#timers) {
      if (timer.dueMs <= endMs && (next === undefined || timer.dueMs < next.dueMs)) next = timer;
    }
    return next;
  }

  #run(timer: Timer): void {
    this.#timers.delete(timer);
    this.#monotonicMs = Math.max(this.#monotonicMs, timer.dueMs);
    timer.run();
  }
}
