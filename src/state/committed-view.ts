import type { Halt } from '../model/event.ts';
import type { StagedChange } from './undo-log.ts';

/**
 * How a book's parts looked at the last commit, where something is staged over them now: what a post or a snapshot reads, so that
 * a value that may yet be rolled back never leaves.
 */
export class CommittedView {
  readonly #before: Readonly<Record<'position' | 'order' | 'cash' | 'state', Map<string, unknown>>> = {
    position: new Map(),
    order: new Map(),
    cash: new Map(),
    state: new Map(),
  };
  readonly stagedExecutions: Set<string> = new Set();
  #halt: { readonly value: Halt | null } | null = null;
  #cursor: { readonly value: unknown } | null = null;

  /** @param changes a book's staged changes, newest first, so that what stands at the end is what stood before the first */
  constructor(changes: readonly StagedChange[]) {
    for (const change of changes) {
      if (change.part === 'halt') this.#halt = { value: change.previous };
      else if (change.part === 'cursor') this.#cursor = { value: change.previous };
      else if (change.part === 'event') {
        if (change.newExecution !== null) this.stagedExecutions.add(change.newExecution);
      } else if (change.part !== 'registration') this.#before[change.part].set(change.key, change.previous);
    }
  }

  /** The committed value of a key whose live value is `live`. */
  value<V>(part: 'position' | 'order' | 'cash' | 'state', key: string, live: V | undefined): V | undefined {
    const before = this.#before[part];
    return before.has(key) ? (before.get(key) as V | undefined) : live;
  }

  /** A committed copy of a live map. */
  map<V>(part: 'position' | 'order' | 'cash' | 'state', live: ReadonlyMap<string, V>): Map<string, V> {
    const copy = new Map(live);
    for (const [key, previous] of this.#before[part]) {
      if (previous === undefined) copy.delete(key);
      else copy.set(key, previous as V);
    }
    return copy;
  }

  halt(live: Halt | null): Halt | null {
    return this.#halt === null ? live : this.#halt.value;
  }

  cursor<C>(live: C): C {
    return this.#cursor === null ? live : (this.#cursor.value as C);
  }
}

export const nothingStaged: CommittedView = new CommittedView([]);
