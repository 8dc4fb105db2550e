import { ReconciliationError } from '../model/errors.ts';
import { type Clock, systemClock } from '../model/time.ts';

/** One limit for everything that a run waits for. A promise that is late is left behind, its outcome ignored. */
export class Deadline {
  readonly ms: number;
  readonly #clock: Clock;
  readonly #end: number;

  constructor(ms: number, clock: Clock = systemClock) {
    this.ms = ms;
    this.#clock = clock;
    this.#end = clock.monotonicMs() + ms;
  }

  /** Never negative. */
  get leftMs(): number {
    return Math.max(0, Math.ceil(this.#end - this.#clock.monotonicMs()));
  }

  /** @throws ReconciliationError RECONCILIATION_DEADLINE naming what was waited for */
  async race<T>(what: string, work: Promise<T>): Promise<T> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => {
        const message = `the deadline of ${this.ms} ms passed while waiting for ${what}`;
        reject(new ReconciliationError('RECONCILIATION_DEADLINE', message, { retryable: true }));
      }, this.leftMs);
    });
    try {
      return await Promise.race([work, late]);
    } finally {
      clearTimeout(timer);
    }
  }
}
