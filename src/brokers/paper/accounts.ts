import { Decimal, zero } from '../../model/money.ts';
import { quotient, quotientPlaces } from './orders.ts';

export interface Holding {
  /** Signed. */
  readonly amount: Decimal;
  /** Cost of what is held, signed like `amount`. Exact while a position grows; a part that is closed takes its share, rounded. */
  readonly cost: Decimal;
}

/** Cash for each currency, and positions at average cost. */
export class PaperAccount {
  readonly #cash = new Map<string, Decimal>();
  readonly #holdings = new Map<string, Holding>();

  constructor(cash: Iterable<readonly [string, Decimal]>) {
    for (const [currency, amount] of cash) this.#cash.set(currency, amount);
  }

  cash(currency: string): Decimal {
    return this.#cash.get(currency) ?? zero;
  }

  allCash(): ReadonlyMap<string, Decimal> {
    return this.#cash;
  }

  holding(asset: string): Holding {
    return this.#holdings.get(asset) ?? none;
  }

  /** What is held, without assets of amount zero. */
  holdings(): ReadonlyMap<string, Holding> {
    return this.#holdings;
  }

  /** Books one execution: `amount` signed, `fee` in the same currency. */
  book(asset: string, currency: string, amount: Decimal, price: Decimal, fee: Decimal): void {
    this.addCash(currency, amount.times(price).plus(fee).negated());
    this.#hold(asset, after(this.holding(asset), amount, price));
  }

  addCash(currency: string, amount: Decimal): void {
    this.#cash.set(currency, this.cash(currency).plus(amount));
  }

  /** Takes units as a fee: they leave at their average cost. */
  takeUnits(asset: string, units: Decimal): void {
    const held = this.holding(asset);
    if (!units.isZero()) this.#hold(asset, after(held, units.negated(), averageCost(held)));
  }

  /** Changes how many units there are for the same cost, as a split does. */
  rescale(asset: string, amount: Decimal): void {
    const held = this.holding(asset);
    this.#hold(asset, { amount: held.amount.plus(amount), cost: held.cost });
  }

  /** Moves a position without an execution and without cash, at `price` where there was none and at its average cost otherwise. */
  adjust(asset: string, amount: Decimal, price: Decimal): void {
    const held = this.holding(asset);
    this.#hold(asset, after(held, amount, held.amount.isZero() ? price : averageCost(held)));
  }

  #hold(asset: string, holding: Holding): void {
    if (holding.amount.isZero()) this.#holdings.delete(asset);
    else this.#holdings.set(asset, holding);
  }
}

const none: Holding = { amount: zero, cost: zero };

export function averageCost(holding: Holding): Decimal {
  return holding.amount.isZero() ? zero : quotient(holding.cost, holding.amount);
}

function after(held: Holding, amount: Decimal, price: Decimal): Holding {
  const total = held.amount.plus(amount);
  const opens = held.amount.isZero() || held.amount.isNegative() === amount.isNegative();
  if (opens) return { amount: total, cost: held.cost.plus(amount.times(price)) };
  if (total.isZero()) return none;
  const crosses = total.isNegative() !== held.amount.isNegative();
  if (crosses) return { amount: total, cost: total.times(price) };
  const kept = held.cost.times(total).dividedBy(held.amount);
  return { amount: total, cost: kept.toDecimalPlaces(quotientPlaces, Decimal.ROUND_HALF_EVEN) };
}
