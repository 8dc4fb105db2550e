import { type Decimal, decimal, zero } from '../model/money.ts';
import { leftOf, type OrderSnapshot } from '../model/order.ts';
import type { PositionSnapshot } from '../model/position.ts';
import type { AssetTotals } from './host-state.ts';

/** The totals of one asset over all strategies, told of each entry that comes or goes. */
export class AssetSums implements AssetTotals {
  readonly #held = new LazySum<PositionSnapshot>(({ amount }) => decimal(amount));
  readonly #toBuy = new LazySum<OrderSnapshot>(leftOf);
  readonly #toSell = new LazySum<OrderSnapshot>(leftOf);

  get held(): Decimal {
    return this.#held.total;
  }

  get toBuy(): Decimal {
    return this.#toBuy.total;
  }

  get toSell(): Decimal {
    return this.#toSell.total;
  }

  changePosition(position: PositionSnapshot, by: 1 | -1): void {
    this.#held.change(position, by);
  }

  changeOrder(order: OrderSnapshot, by: 1 | -1): void {
    (order.amount.startsWith('-') ? this.#toSell : this.#toBuy).change(order, by);
  }
}

/**
 * A sum over frozen parts that come and go. The arithmetic is done when it is read, for what changed since it was read last: what
 * changes often and is read seldom costs next to nothing, and what came and went in between nothing at all.
 */
class LazySum<Part extends object> {
  readonly #worth: (part: Part) => Decimal;
  /** How often each part has to be counted in yet; out, where less than 0. */
  readonly #changes = new Map<Part, number>();
  #total: Decimal = zero;

  constructor(worth: (part: Part) => Decimal) {
    this.#worth = worth;
  }

  change(part: Part, by: 1 | -1): void {
    const count = (this.#changes.get(part) ?? 0) + by;
    if (count === 0) this.#changes.delete(part);
    else this.#changes.set(part, count);
  }

  get total(): Decimal {
    if (this.#changes.size === 0) return this.#total;
    for (const [part, count] of this.#changes) this.#total = this.#total.plus(this.#worth(part).times(count));
    this.#changes.clear();
    return this.#total;
  }
}
