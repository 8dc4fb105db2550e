import type { After } from '../actor/timers.ts';
import { HoldfastError } from '../model/errors.ts';

/** A broker is not obeyed beyond an hour: what it says may be wrong, and a timer that is set too far ahead runs at once. */
const askedMsMax = 3_600_000;

/** How long to wait before the next attempt: doubling from `firstMs` to `maxMs`, each time a random half of it less. */
export class Backoff {
  readonly #firstMs: number;
  readonly #maxMs: number;
  readonly #random: () => number;
  #attempt = 0;

  constructor(options: { readonly firstMs?: number; readonly maxMs?: number; readonly random?: () => number } = {}) {
    this.#firstMs = options.firstMs ?? 200;
    this.#maxMs = options.maxMs ?? 30_000;
    this.#random = options.random ?? Math.random;
  }

  /** @param error what failed; a broker that says when to come back is obeyed */
  nextMs(error: unknown = null): number {
    const ceiling = Math.min(this.#maxMs, this.#firstMs * 2 ** this.#attempt);
    this.#attempt = Math.min(this.#attempt + 1, 30);
    const jittered = ceiling * (1 - this.#random() / 2);
    const asked = error instanceof HoldfastError ? error.details['retry_after_ms'] : undefined;
    return typeof asked === 'number' && asked > jittered ? Math.min(asked, askedMsMax) : jittered;
  }

  reset(): void {
    this.#attempt = 0;
  }
}

/** Waits `ms`; returns early when the signal aborts. Never rejects: whoever waits looks at the signal. */
export function pause(after: After, ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    const done = (): void => {
      cancel();
      signal.removeEventListener('abort', done);
      resolve();
    };
    const cancel = after(ms, done);
    signal.addEventListener('abort', done, { once: true });
  });
}

/** What `call` resolves with, or undefined as soon as the signal aborts, whether `call` ever answers or not. */
export function unlessAborted<T>(call: () => Promise<T>, signal: AbortSignal): Promise<T | undefined> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) return resolve(undefined);
    const aborted = (): void => resolve(undefined);
    signal.addEventListener('abort', aborted, { once: true });
    new Promise<T>((answered) => answered(call()))
      .then(resolve, reject)
      .finally(() => signal.removeEventListener('abort', aborted));
  });
}
