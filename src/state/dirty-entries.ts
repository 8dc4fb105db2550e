import type { StateEvent } from '../model/event.ts';
import type { StagedChange } from './undo-log.ts';

/**
 * What of one book was committed since the last post: keys, whose newest values a post will carry, with their bytes; and every event.
 * One is made for each book of each post, mostly for a single change, so that what holds a kind of entry is made with its first.
 */
export class DirtyEntries {
  positions: Map<string, number> | null = null;
  orders: Map<string, number> | null = null;
  /** Orders that were removed, whether or not they came again: they have lost their place. */
  ordersRemoved: Set<string> | null = null;
  cash: Map<string, number> | null = null;
  state: Map<string, number> | null = null;
  events: StateEvent[] | null = null;
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
        this.positions ??= new Map();
        return replace(this.positions, change.key, bytes);
      case 'order':
        this.orders ??= new Map();
        return replace(this.orders, change.key, bytes);
      case 'cash':
        this.cash ??= new Map();
        return replace(this.cash, change.key, bytes);
      case 'state':
        this.state ??= new Map();
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
        this.events ??= [];
        this.events.push(change.event);
        return bytes;
      case 'registration':
        return bytes;
    }
  }

  removeOrder(orderId: string): void {
    this.ordersRemoved ??= new Set();
    this.ordersRemoved.add(orderId);
  }

  #held(change: StagedChange): number {
    switch (change.part) {
      case 'position':
        return this.positions?.get(change.key) ?? 0;
      case 'order':
        return this.orders?.get(change.key) ?? 0;
      case 'cash':
        return this.cash?.get(change.key) ?? 0;
      case 'state':
        return this.state?.get(change.key) ?? 0;
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
