import type { PositionSnapshot } from '../model/position.ts';

/** With fewer than these, or more of one in so many touched, sorting all of them again is as good. */
const sortedAgainBelow = 1_000;
const touchedShare = 32;

/** The positions of one book, and as a list that is sorted by asset. */
export class Positions {
  readonly #byAsset = new Map<string, PositionSnapshot>();
  #sorted: readonly PositionSnapshot[] = [];
  /** Since they were sorted; null where that is of no use. */
  #touched: Set<string> | null = null;

  get(asset: string): PositionSnapshot | undefined {
    return this.#byAsset.get(asset);
  }

  set(position: PositionSnapshot): void {
    this.#byAsset.set(position.asset, position);
    if (this.#touched !== null) this.#touch(this.#touched, position.asset);
  }

  delete(asset: string): void {
    this.#byAsset.delete(asset);
    if (this.#touched !== null) this.#touch(this.#touched, asset);
  }

  clear(): void {
    this.#byAsset.clear();
    this.#forget();
  }

  /** Immutable: what is set later is in the next list. */
  sorted(): readonly PositionSnapshot[] {
    const positions = this.#touched === null ? [...this.#byAsset.values()].sort(byAsset) : this.#patched(this.#touched);
    const sorted = Object.freeze(positions);
    this.#forget();
    if (sorted.length >= sortedAgainBelow) {
      this.#sorted = sorted;
      this.#touched = new Set();
    }
    return sorted;
  }

  #patched(touched: ReadonlySet<string>): PositionSnapshot[] {
    const list = [...this.#sorted];
    for (const asset of touched) {
      const at = placeOf(list, asset);
      const there = list[at]?.asset === asset ? 1 : 0;
      const position = this.#byAsset.get(asset);
      if (position === undefined) list.splice(at, there);
      else list.splice(at, there, position);
    }
    return list;
  }

  #touch(touched: Set<string>, asset: string): void {
    touched.add(asset);
    if (touched.size * touchedShare > this.#sorted.length) this.#forget();
  }

  #forget(): void {
    this.#sorted = [];
    this.#touched = null;
  }
}

/** Where the asset is, or where it would be put. */
function placeOf(sorted: readonly PositionSnapshot[], asset: string): number {
  let from = 0;
  let to = sorted.length;
  while (from < to) {
    const middle = (from + to) >> 1;
    if ((sorted[middle] as PositionSnapshot).asset < asset) from = middle + 1;
    else to = middle;
  }
  return from;
}

// Code units, not the locale: the same order on every machine.
function byAsset(left: PositionSnapshot, right: PositionSnapshot): number {
  return left.asset < right.asset ? -1 : left.asset > right.asset ? 1 : 0;
}
