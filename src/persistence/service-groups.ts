import type { JournalRecord } from './records.ts';

/*
 * Makes records durable in groups, and keeps them until they are.
 *
 * G1  A record leaves the queue only after the append that held it returned, which is after its fdatasync.
 * G2  What is announced as durable is the `through` of the last delta of such a group, never more.
 * G3  After a failed attempt everything kept is written again, with what came meanwhile, by one append: the journal writes it
 *     to another file. The wait before it doubles from 50 ms to 2 s. How much is kept is bounded by the engine, which stops
 *     posting while too much is unacknowledged.
 */

export interface ServiceGroupsOptions {
  /** Durable when it returns; nothing of it counts when it throws. */
  readonly append: (records: readonly JournalRecord[]) => void;
  /** Everything up to `sequence` became durable. */
  readonly onDurable: (sequence: number) => void;
  /** `through` is the last sequence in the attempt. */
  readonly onFailed: (failure: {
    readonly through: number;
    readonly error: unknown;
    readonly retryInMs: number;
  }) => void;
  readonly monotonicMs: () => number;
  readonly after: (ms: number, run: () => void) => () => void;
}

const retryMsMin = 50;
const retryMsMax = 2_000;

export class ServiceGroups {
  readonly #options: ServiceGroupsOptions;
  #kept: JournalRecord[] = [];
  #durable: number;
  #through: number;
  #oldestKeptAtMs: number | null = null;
  #lastAppendAtMs: number;
  #retry: { readonly error: unknown; readonly waitMs: number; readonly cancel: () => void } | null = null;
  #closed = false;

  /** @param base what is durable already */
  constructor(base: number, options: ServiceGroupsOptions) {
    this.#options = options;
    this.#durable = base;
    this.#through = base;
    this.#lastAppendAtMs = options.monotonicMs();
  }

  get durable(): number {
    return this.#durable;
  }

  /** The last error while attempts fail, else null. */
  get failing(): { readonly error: unknown } | null {
    return this.#retry;
  }

  /** Age of the oldest delta that is not durable; 0 when all are. */
  get lagMs(): number {
    return this.#oldestKeptAtMs === null ? 0 : this.#options.monotonicMs() - this.#oldestKeptAtMs;
  }

  /** Since anything was made durable. */
  get idleMs(): number {
    return this.#options.monotonicMs() - this.#lastAppendAtMs;
  }

  add(record: JournalRecord): void {
    this.#kept.push(record);
    if (record.kind !== 'delta') return;
    this.#through = record.through;
    this.#oldestKeptAtMs ??= this.#options.monotonicMs();
  }

  /** Makes everything kept durable, unless attempts fail just now: then the next one has its own time. Throws nothing. */
  flush(): void {
    if (this.#retry === null) this.#attempt(retryMsMin);
  }

  /** @throws the last error, when anything kept is not durable */
  flushOrThrow(): void {
    this.flush();
    if (this.#retry !== null) throw this.#retry.error;
  }

  /** Attempts nothing more. */
  close(): void {
    this.#closed = true;
    this.#retry?.cancel();
  }

  #attempt(waitMs: number): void {
    if (this.#closed || this.#kept.length === 0) return;
    const through = this.#through;
    try {
      this.#options.append(this.#kept);
    } catch (error) {
      const cancel = this.#options.after(waitMs, () => this.#attempt(Math.min(waitMs * 2, retryMsMax)));
      this.#retry = { error, waitMs, cancel };
      this.#options.onFailed({ through, error, retryInMs: waitMs });
      return;
    }
    this.#kept = [];
    this.#retry = null;
    this.#oldestKeptAtMs = null;
    this.#lastAppendAtMs = this.#options.monotonicMs();
    if (through === this.#durable) return;
    this.#durable = through;
    this.#options.onDurable(through);
  }
}
