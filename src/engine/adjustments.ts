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
 *
 * Executions are dated by the broker's clock and the read by ours, which may be ahead. So an order that was made after the read, by one
 * and the same clock, counts whatever its executions are dated.
 */
export class Adjustments implements FillLedger {
  readonly #ledger: DecimalLedger;
  readonly #unassigned: StrategyState;
  readonly #currency: string;
  readonly #covered = new Map<string, Covered>();

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
      const covered = coveredOf(this.#unassigned.get(key));
      if (covered !== null) this.#covered.set(key, covered);
    }
  }

  /** Says that a subject's figures, read at `readAt`, hold every execution up to `at`. Staged with the adjustment itself. */
  cover(subject: Subject, at: Timestamp | null, readAt: Timestamp | null): void {
    if (at === null) return;
    const key = keyOf(subject);
    this.#unassigned.set(key, { through: at, read_at: readAt });
    this.#covered.set(key, { through: micros(at), readAt: readAt === null ? null : micros(readAt) });
  }

  apply(book: StrategyState, fill: Fill, intendedAt: Timestamp | null): void {
    const position = book.position(fill.asset);
    const cash = book.allCash();
    const booked = this.#ledger.applyFill(book, fill);
    if (this.#covered.size === 0) return;

    const at = micros(fill.at);
    const intended = intendedAt === null ? null : micros(intendedAt);
    if (this.#isCovered(assetKey(fill.asset), at, intended)) {
      if (position === undefined) book.removePosition(fill.asset);
      else book.setPosition(position);
    }
    for (const currency of new Set([booked.currency ?? this.#currency, fill.fee_currency ?? this.#currency])) {
      if (this.#isCovered(cashKey(currency), at, intended)) book.setCash(cash[currency] ?? '0', currency);
    }
  }

  isInOrder(orderId: string, at: Timestamp): boolean {
    return this.#covered.size > 0 && this.#isCovered(keyOf({ order: orderId }), micros(at), null);
  }

  orderEnded(orderId: string): void {
    const key = keyOf({ order: orderId });
    if (this.#covered.delete(key)) this.#unassigned.delete(key);
  }

  #isCovered(key: string, at: number, intendedAt: number | null): boolean {
    const covered = this.#covered.get(key);
    if (covered === undefined || at > covered.through) return false;
    return intendedAt === null || covered.readAt === null || intendedAt <= covered.readAt;
  }
}

/** Microseconds: up to when a subject's figure holds everything, and when it was read. */
interface Covered {
  readonly through: number;
  readonly readAt: number | null;
}

function coveredOf(value: unknown): Covered | null {
  const { through, read_at } = (value ?? {}) as { readonly through?: unknown; readonly read_at?: unknown };
  if (typeof through !== 'string') return null;
  return { through: micros(through), readAt: typeof read_at === 'string' ? micros(read_at) : null };
}

type Subject = { readonly asset: string } | { readonly currency: string } | { readonly order: string };

function keyOf(subject: Subject): string {
  if ('asset' in subject) return assetKey(subject.asset);
  return 'currency' in subject ? cashKey(subject.currency) : `${keyPrefix}order/${subject.order}`;
}

const keyPrefix = 'adjusted/';
const assetKey = (asset: string): string => `${keyPrefix}asset/${asset}`;
const cashKey = (currency: string): string => `${keyPrefix}cash/${currency}`;
