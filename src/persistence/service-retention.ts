import { coveredThrough } from './journal-retention.ts';
import type { JournalWriter } from './journal-writer.ts';

/** Which journal segments the checkpoints make unnecessary, and whose checkpoints are missing for more. */
export class ServiceRetention {
  readonly #journal: Pick<JournalWriter, 'trim' | 'segments'>;
  readonly #strategies: () => readonly string[];
  readonly #journalBytesMax: number;
  readonly #generations: number;
  readonly #auditedThrough: () => number;
  /** Sequences of each strategy's generations, the newest first. */
  readonly #coverage: Map<string, readonly number[]>;

  constructor(options: {
    readonly journal: Pick<JournalWriter, 'trim' | 'segments'>;
    readonly strategies: () => readonly string[];
    readonly journalBytesMax: number;
    readonly generations: number;
    readonly coverage: ReadonlyMap<string, readonly number[]>;
    /** Segments beyond it wait for the audit while the journal is within its bound. Nobody waits where it is absent. */
    readonly auditedThrough?: () => number;
  }) {
    this.#journal = options.journal;
    this.#strategies = options.strategies;
    this.#journalBytesMax = options.journalBytesMax;
    this.#generations = options.generations;
    this.#auditedThrough = options.auditedThrough ?? (() => Number.POSITIVE_INFINITY);
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

  /** True where trim() would delete something although the audit has not read it: the journal is beyond its bound. */
  get outrunsAudit(): boolean {
    const audited = this.#auditedThrough();
    const [oldest] = this.#journal.segments();
    return oldest !== undefined && oldest.last > audited && oldest.last <= this.#trimmable(audited);
  }

  /** Deletes what neither a restore nor the audit needs. Returns the names. @throws StateError WRITE_FAILED */
  trim(): readonly string[] {
    return this.#journal.trim(this.#trimmable(this.#auditedThrough()));
  }

  /**
   * Strategies without which the journal cannot be brought back to its bound; none while it is within it, and none for the open
   * segment, which goes nowhere yet.
   */
  holdingBack(): readonly string[] {
    const target = this.#beyondBound();
    if (target < 0) return [];
    return this.#strategies().filter((strategy) => (this.#coverage.get(strategy)?.[1] ?? -1) < target);
  }

  #trimmable(audited: number): number {
    const covered = coveredThrough(this.#strategies(), this.#coverage);
    return covered <= audited ? covered : Math.min(covered, Math.max(audited, this.#beyondBound()));
  }

  /** Where the newest closed segment ends that has to go for the journal to be within its bound; −1 where none has to. */
  #beyondBound(): number {
    const segments = this.#journal.segments();
    let over = segments.reduce((sum, { bytes }) => sum + bytes, 0) - this.#journalBytesMax;
    let target = -1;
    for (const { bytes, last } of segments.slice(0, -1)) {
      if (over <= 0) break;
      over -= bytes;
      target = last;
    }
    return target;
  }
}
