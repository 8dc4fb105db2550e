import type { StateEvent } from '../model/event.ts';
import type { StagedChange } from './undo-log.ts';

/** What of one book was committed since the last post: keys, whose newest values a post will carry, and every event. */
export class DirtyEntries {
  readonly positions: Set<string> = new Set();
  readonly orders: Set<string> = new Set();
  /** Orders that were removed, whether or not they came again: they have lost their place. */
  readonly ordersRemoved: Set<string> = new Set();
  readonly cash: Set<string> = new Set();
  readonly state: Set<string> = new Set();
  readonly events: StateEvent[] = [];
  halt = false;
  cursor = false;

  mark(change: StagedChange): void {
    switch (change.part) {
      case 'position':
        this.positions.add(change.key);
        break;
      case 'order':
        this.orders.add(change.key);
        break;
      case 'cash':
        this.cash.add(change.key);
        break;
      case 'state':
        this.state.add(change.key);
        break;
      case 'halt':
        this.halt = true;
        break;
      case 'cursor':
        this.cursor = true;
        break;
      case 'event':
        this.events.push(change.event);
        break;
      case 'registration':
        break;
    }
  }
}
