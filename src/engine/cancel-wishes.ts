import type { StrategyState } from '../state/host-state.ts';

/**
 * Orders that are to be canceled as soon as the broker shows them. They are state, in the book of the account: a cancel that was asked
 * for while its order was on its way happens also after a crash.
 */
export class CancelWishes {
  readonly #unassigned: StrategyState;
  readonly #orderIds = new Set<string>();

  constructor(unassigned: StrategyState) {
    this.#unassigned = unassigned;
    this.reload();
  }

  /** Reads them anew: after a restore, and after a rollback. */
  reload(): void {
    this.#orderIds.clear();
    for (const key of this.#unassigned.keys()) {
      if (key.startsWith(keyPrefix)) this.#orderIds.add(key.slice(keyPrefix.length));
    }
  }

  has(orderId: string): boolean {
    return this.#orderIds.has(orderId);
  }

  all(): readonly string[] {
    return [...this.#orderIds];
  }

  /** In a transaction. */
  add(orderId: string): void {
    if (this.#orderIds.has(orderId)) return;
    this.#orderIds.add(orderId);
    this.#unassigned.set(keyPrefix + orderId, true);
  }

  /** In a transaction: it was asked for, or there is nothing left to cancel. */
  delete(orderId: string): void {
    if (this.#orderIds.delete(orderId)) this.#unassigned.delete(keyPrefix + orderId);
  }
}

const keyPrefix = 'cancel/';
