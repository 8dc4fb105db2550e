import type { StateEvent } from '../model/event.ts';
import type { StagedChange } from './undo-log.ts';

/** What of one book was committed since the last post: keys, whose newest values a post will carry, with their bytes; and every event. */
export class DirtyEntries {
  readonly positions: Map<string, number> = new Map();
  readonly orders: Map<string, number> = new Map();
  /** Orders that were removed, whether or not they came again: they have lost their place. */
  readonly ordersRemoved: Set<string> = new Set();
  readonly cash: Map<string, number> = new Map();
  readonly state: Map<string, number> = new Map();
  readonly events: StateEvent[] = [];
  halt = false;
  cursor = false;

  /** At least by how much mark() would make the post grow; what shrinks an entry may be replaced in the same commit, and counts as 0. */
  growth(change: StagedChange, bytes: number): number {
    return Math.max(0, bytes - this.#held(change));
  }

  /** Returns by how much the post grows: what it holds of a key already is replaced. */
  mark(change: StagedChange, bytes: number): number {
    switch (change.part) {
      case 'position':
        return replace(this.positions, change.key, bytes);
      case 'order':
        return replace(this.orders, change.key, bytes);
      case 'cash':
        return replace(this.cash, change.key, bytes);
      case 'state':
        return replace(this.state, change.key, bytes);
      case 'halt': {
        const isFirst = !this.halt;
        this.halt = true;
        return isFirst ? bytes : 0;
      }
      case 'cursor': {
        const isFirst = !this.cursor;
        this.cursor = true;
        return isFirst ? bytes : 0;
      }
      case 'event':
        this.events.push(change.event);
        return bytes;
      case 'registration':
        return bytes;
    }
  }

  #held(change: StagedChange): number {
    switch (change.part) {
      case 'position':
        return this.positions.get(change.key) ?? 0;
      case 'order':
        return this.orders.get(change.key) ?? 0;
      case 'cash':
        return this.cash.get(change.key) ?? 0;
      case 'state':
        return this.state.get(change.key) ?? 0;
      default:
        return 0;
    }
  }
}

function replace(map: Map<string, number>, key: string, bytes: number): number {
  const before = map.get(key) ?? 0;
  map.set(key, bytes);
  return bytes - before;
}
