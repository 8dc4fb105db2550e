import type { Fill } from '../model/fill.ts';
import { micros, type Timestamp } from '../model/time.ts';
import type { StrategyState } from '../state/host-state.ts';
import type { DecimalLedger } from './decimal-ledger.ts';
import type { FillLedger } from './order-manager.ts';

/**
 * Books executions, and remembers what reconciliation has set since. A position or a balance that was set to the broker's figure holds
 * every execution up to the activity that the figure covers. Such an execution that comes later still changes orders and the
 * record, and no quantity or cash that holds it already. What is covered is a fact about the account, not about one book, since a
 * plan makes the sum over the books equal to the broker's.
 */
export class Adjustments implements FillLedger {
  readonly #ledger: DecimalLedger;
  readonly #unassigned: StrategyState;
  readonly #currency: string;
  /** Microseconds up to which a subject's figure holds everything. */
  readonly #covered = new Map<string, number>();

  constructor(ledger: DecimalLedger, unassigned: StrategyState, currency: string) {
    this.#ledger = ledger;
    this.#unassigned = unassigned;
    this.#currency = currency;
    this.reload();
  }

  /** Reads what is covered anew: after a restore, and after a rollback. */
  reload(): void {
    this.#covered.clear();
    for (const key of this.#unassigned.keys()) {
      if (!key.startsWith(keyPrefix)) continue;
      const at = this.#unassigned.get(key);
      if (typeof at === 'string') this.#covered.set(key, micros(at));
    }
  }

  /** Says that a subject's figures hold every execution up to `at`. Staged with the adjustment itself. */
  cover(subject: Subject, at: Timestamp | null): void {
    if (at === null) return;
    const key = keyOf(subject);
    this.#unassigned.set(key, at);
    this.#covered.set(key, micros(at));
  }

  apply(book: StrategyState, fill: Fill): void {
    const position = book.position(fill.asset);
    const cash = book.allCash();
    const booked = this.#ledger.applyFill(book, fill);
    if (this.#covered.size === 0) return;

    const at = micros(fill.at);
    if (this.#isCovered(assetKey(fill.asset), at)) {
      if (position === undefined) book.removePosition(fill.asset);
      else book.setPosition(position);
    }
    for (const currency of new Set([booked.currency ?? this.#currency, fill.fee_currency ?? this.#currency])) {
      if (this.#isCovered(cashKey(currency), at)) book.setCash(cash[currency] ?? '0', currency);
    }
  }

  isInOrder(orderId: string, at: Timestamp): boolean {
    return this.#covered.size > 0 && this.#isCovered(keyOf({ order: orderId }), micros(at));
  }

  orderEnded(orderId: string): void {
    const key = keyOf({ order: orderId });
    if (this.#covered.delete(key)) this.#unassigned.delete(key);
  }

  #isCovered(key: string, at: number): boolean {
    const covered = this.#covered.get(key);
    return covered !== undefined && at <= covered;
  }
}

type Subject = { readonly asset: string } | { readonly currency: string } | { readonly order: string };

function keyOf(subject: Subject): string {
  if ('asset' in subject) return assetKey(subject.asset);
  return 'currency' in subject ? cashKey(subject.currency) : `${keyPrefix}order/${subject.order}`;
}

const keyPrefix = 'adjusted/';
const assetKey = (asset: string): string => `${keyPrefix}asset/${asset}`;
const cashKey = (currency: string): string => `${keyPrefix}cash/${currency}`;
