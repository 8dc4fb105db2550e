import { coveredThrough } from './journal-retention.ts';
import type { JournalWriter } from './journal-writer.ts';

/** Which journal segments the checkpoints make unnecessary, and whose checkpoints are missing for more. */
export class ServiceRetention {
  readonly #journal: Pick<JournalWriter, 'trim' | 'segments'>;
  readonly #strategies: () => readonly string[];
  readonly #journalBytesMax: number;
  readonly #generations: number;
  /** Sequences of each strategy's generations, the newest first. */
  readonly #coverage: Map<string, readonly number[]>;

  constructor(options: {
    readonly journal: Pick<JournalWriter, 'trim' | 'segments'>;
    readonly strategies: () => readonly string[];
    readonly journalBytesMax: number;
    readonly generations: number;
    readonly coverage: ReadonlyMap<string, readonly number[]>;
  }) {
    this.#journal = options.journal;
    this.#strategies = options.strategies;
    this.#journalBytesMax = options.journalBytesMax;
    this.#generations = options.generations;
    this.#coverage = new Map(options.coverage);
  }

  /** These files are durable now. */
  add(files: readonly { readonly strategy: string; readonly sequence: number }[]): void {
    for (const { strategy, sequence } of files) {
      // A checkpoint of the same sequence replaced its elder.
      const older = (this.#coverage.get(strategy) ?? []).filter((each) => each !== sequence);
      this.#coverage.set(strategy, [sequence, ...older].slice(0, this.#generations));
    }
  }

  /** Deletes what no restore needs. Returns the names. @throws StateError WRITE_FAILED */
  trim(): readonly string[] {
    return this.#journal.trim(coveredThrough(this.#strategies(), this.#coverage));
  }

  /**
   * Strategies without which the journal cannot be brought back to its bound; none while it is within it, and none for the open
   * segment, which goes nowhere yet.
   */
  holdingBack(): readonly string[] {
    const segments = this.#journal.segments();
    let over = segments.reduce((sum, { bytes }) => sum + bytes, 0) - this.#journalBytesMax;
    let target = -1;
    for (const { bytes, last } of segments.slice(0, -1)) {
      if (over <= 0) break;
      over -= bytes;
      target = last;
    }
    if (target < 0) return [];
    return this.#strategies().filter((strategy) => (this.#coverage.get(strategy)?.[1] ?? -1) < target);
  }
}
