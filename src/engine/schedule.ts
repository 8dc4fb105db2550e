import { type After, systemAfter } from '../actor/timers.ts';
import { StrategyError } from '../model/errors.ts';
import { type Clock, systemClock } from '../model/time.ts';

export interface ScheduleOptions {
  readonly clock?: Pick<Clock, 'monotonicMs'>;
  /** Default: timers that keep the process alive. See {@link backgroundAfter}. */
  readonly after?: After;
}

interface Entry {
  dueMs: number;
  readonly everyMs: number | null;
  cancel: () => void;
}

/**
 * Named timers, once or repeated, on monotonic time: setting the wall clock does not touch them. A name has one timer; setting it
 * again replaces it. A timer never fires early. A repeated one keeps to the beat that it began with, however late it fires, and
 * beats that were missed altogether (the thread was busy, the machine slept) are skipped and not made up for.
 */
export class Schedule {
  readonly #fire: (name: string) => void;
  readonly #clock: Pick<Clock, 'monotonicMs'>;
  readonly #after: After;
  readonly #entries = new Map<string, Entry>();

  /** @param fire called from a timer, on this thread; a repeated timer goes on also when it throws */
  constructor(fire: (name: string) => void, options: ScheduleOptions = {}) {
    this.#fire = fire;
    this.#clock = options.clock ?? systemClock;
    this.#after = options.after ?? systemAfter;
  }

  /** Fires once, `ms` from now. @throws StrategyError TIMER_INVALID for less than 0 or no number */
  after(ms: number, name: string): void {
    if (!(ms >= 0 && ms < Number.POSITIVE_INFINITY)) throw invalid(name, ms, 'milliseconds from 0');
    this.#set(name, ms, null);
  }

  /** Fires each `ms` milliseconds, first `ms` from now. @throws StrategyError TIMER_INVALID for less than 1 or no number */
  every(ms: number, name: string): void {
    if (!(ms >= 1 && ms < Number.POSITIVE_INFINITY)) throw invalid(name, ms, 'milliseconds from 1');
    this.#set(name, ms, ms);
  }

  clear(name: string): void {
    this.#entries.get(name)?.cancel();
    this.#entries.delete(name);
  }

  /** Clears every timer. */
  clearAll(): void {
    for (const name of [...this.#entries.keys()]) this.clear(name);
  }

  /** Names of the timers that wait. */
  names(): readonly string[] {
    return [...this.#entries.keys()];
  }

  #set(name: string, ms: number, everyMs: number | null): void {
    this.clear(name);
    const entry: Entry = { dueMs: this.#clock.monotonicMs() + ms, everyMs, cancel: () => {} };
    this.#entries.set(name, entry);
    this.#arm(name, entry);
  }

  #arm(name: string, entry: Entry): void {
    const leftMs = Math.max(0, entry.dueMs - this.#clock.monotonicMs());
    entry.cancel = this.#after(Math.min(leftMs, timerMsMax), () => this.#wake(name, entry));
  }

  #wake(name: string, entry: Entry): void {
    const lateMs = this.#clock.monotonicMs() - entry.dueMs;
    // A timer may wake a moment early, and one beyond the longest wakes in between.
    if (lateMs < -roundingMs) {
      this.#arm(name, entry);
      return;
    }
    if (entry.everyMs === null) this.#entries.delete(name);
    else {
      entry.dueMs += entry.everyMs * (Math.floor(Math.max(0, lateMs) / entry.everyMs) + 1);
      this.#arm(name, entry);
    }
    this.#fire(name);
  }
}

/** Timers that do not keep the process alive by themselves. */
export const backgroundAfter: After = (ms, run) => {
  const timer = setTimeout(run, ms).unref();
  return () => clearTimeout(timer);
};

/** The longest that setTimeout can wait; beyond it, it would fire at once. */
const timerMsMax = 2 ** 31 - 1;
/** Sums of fractions of a millisecond are not exact. */
const roundingMs = 0.001;

function invalid(name: string, ms: unknown, expected: string): StrategyError {
  return new StrategyError('TIMER_INVALID', `timer ${JSON.stringify(name)}: expected ${expected}, got ${String(ms)}`, {
    details: { timer: name },
  });
}
