import type { SnapshotDelta, StrategyDelta } from '../model/delta.ts';
import { StateError } from '../model/errors.ts';
import type { StrategySnapshot } from '../model/snapshot.ts';
import type { Timestamp } from '../model/time.ts';
import { Book } from './mirror-book.ts';

/**
 * The worker's copy of everything that the strategies must not lose, as of one sequence: checkpoints that are loaded, then
 * deltas that connect. What it gives out is immutable, and costs the size of one strategy, never of the host.
 */
export class Mirror {
  readonly #currency: string;
  readonly #books = new Map<string, Book>();
  #sequence = 0;

  constructor(options: { readonly currency: string }) {
    this.#currency = options.currency;
  }

  /** Through here every strategy is as the engine committed it. */
  get sequence(): number {
    return this.#sequence;
  }

  /** Sets the sequence without a change of state: where deltas continue from. */
  start(sequence: number): void {
    this.#sequence = sequence;
  }

  /**
   * Takes one delta whole, or not at all. One whose `through` is passed already is skipped. One that restates whole strategies
   * at a single point (previous = through) is taken where the mirror stands at that point.
   * @throws StateError DELTA_GAP where it does not connect
   */
  apply(delta: SnapshotDelta): void {
    const restates = delta.previous === delta.through;
    if (delta.through < this.#sequence || (delta.through === this.#sequence && !restates)) return;
    if (delta.previous !== this.#sequence) throw gap(delta, this.#sequence);
    for (const change of delta.strategies) this.#book(change.strategy).apply(change, delta.through);
    if (delta.marks !== undefined && delta.marks.length > 0) {
      for (const book of this.#books.values()) book.mark(delta.marks, delta.through);
    }
    this.#sequence = delta.through;
  }

  /** A strategy's start point: replaces what is held for it. Deltas through `at` and before do not count for it any more. */
  load(snapshot: StrategySnapshot, at = 0): void {
    this.#books.set(snapshot.strategy_name, Book.load(snapshot, this.#currency, at));
  }

  /** Sorted by name. */
  strategies(): readonly string[] {
    return [...this.#books.keys()].sort();
  }

  has(strategy: string): boolean {
    return this.#books.has(strategy);
  }

  /** @throws StateError STRATEGY_UNKNOWN */
  snapshot(strategy: string): StrategySnapshot {
    return this.#known(strategy).snapshot();
  }

  /** The sequence of the strategy's last change. @throws StateError STRATEGY_UNKNOWN */
  changedSince(strategy: string): number {
    return this.#known(strategy).changed;
  }

  /** The strategy's whole state as the delta that begins a journal. @throws StateError STRATEGY_UNKNOWN */
  wholeDelta(strategy: string, at: Timestamp, base: number): SnapshotDelta {
    return { previous: base, through: base, at, strategies: [this.#known(strategy).whole()] };
  }

  #book(strategy: string): Book {
    let book = this.#books.get(strategy);
    if (book === undefined) {
      book = new Book(strategy, this.#currency);
      this.#books.set(strategy, book);
    }
    return book;
  }

  #known(strategy: string): Book {
    const book = this.#books.get(strategy);
    if (book !== undefined) return book;
    throw new StateError(
      'STRATEGY_UNKNOWN',
      `strategy ${strategy} is not in the mirror at sequence ${this.#sequence}`,
      {
        details: { strategy, sequence: this.#sequence },
      },
    );
  }
}

function gap(delta: SnapshotDelta, sequence: number): StateError {
  const names = delta.strategies.map((change: StrategyDelta) => change.strategy).slice(0, 5);
  return new StateError(
    'DELTA_GAP',
    `a delta (${delta.previous}, ${delta.through}] of ${names.join(', ')} does not connect to sequence ${sequence}: commits between are missing`,
    { details: { previous: delta.previous, through: delta.through, sequence } },
  );
}
