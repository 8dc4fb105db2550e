import { type InstrumentTerms, termsOf } from '../model/instrument-terms.ts';
import { Decimal, type DecimalString, decimal, zero } from '../model/money.ts';
import { ownEntry } from '../model/own-entry.ts';
import type { PositionSnapshot } from '../model/position.ts';
import type { StrategySnapshot } from '../model/snapshot.ts';
import type { LocalBook, LocalBooks } from './types.ts';

/** What reconciliation needs of a strategy's snapshot: everything but its own state. */
export type BookSource = Pick<
  StrategySnapshot,
  'strategy_name' | 'positions' | 'pending_orders' | 'cash_balance' | 'currency' | 'other_cash'
>;

/** Our side as of one sequence. A position with amount zero is none. `currency` is the host's base currency. */
export function localBooks(sources: readonly BookSource[], as: Omit<LocalBooks, 'strategies'>): LocalBooks {
  return { ...as, strategies: sources.map(book) };
}

/** What one book holds of an asset. */
export interface Holding {
  readonly strategy: string;
  readonly amount: Decimal;
  readonly position: PositionSnapshot;
}

/** What the account should hold of an asset: the sum over the books, of which several may hold opposite sides. */
export interface AccountPosition {
  readonly asset: string;
  readonly amount: Decimal;
  readonly holdings: readonly Holding[];
}

// Books never change, and a run asks for their sums many times in each of its reads.
const sumsOf = new WeakMap<LocalBooks, ReadonlyMap<string, AccountPosition>>();

export function accountPositions(books: LocalBooks): ReadonlyMap<string, AccountPosition> {
  const known = sumsOf.get(books);
  if (known !== undefined) return known;
  const sums = summed(books);
  sumsOf.set(books, sums);
  return sums;
}

function summed(books: LocalBooks): ReadonlyMap<string, AccountPosition> {
  const sums = new Map<string, { readonly asset: string; amount: Decimal; readonly holdings: Holding[] }>();
  for (const { strategy, positions } of books.strategies) {
    for (const position of positions) {
      const amount = decimal(position.amount, `${strategy} ${position.asset} amount`);
      if (amount.isZero()) continue;
      const { asset } = position;
      const sum = sums.get(asset) ?? { asset, amount: zero, holdings: [] };
      sum.amount = sum.amount.plus(amount);
      sum.holdings.push({ strategy, amount, position });
      sums.set(asset, sum);
    }
  }
  return sums;
}

/** What the account should have of a currency, and whose it is. */
export interface AccountCash {
  readonly currency: string;
  readonly amount: Decimal;
  readonly strategies: readonly string[];
}

export function accountCash(books: LocalBooks): ReadonlyMap<string, AccountCash> {
  const sums = new Map<string, { readonly currency: string; amount: Decimal; readonly strategies: string[] }>();
  for (const { strategy, cash } of books.strategies) {
    for (const [currency, text] of Object.entries(cash)) {
      const amount = decimal(text, `${strategy} cash in ${currency}`);
      if (amount.isZero()) continue;
      const sum = sums.get(currency) ?? { currency, amount: zero, strategies: [] };
      sum.amount = sum.amount.plus(amount);
      sum.strategies.push(strategy);
      sums.set(currency, sum);
    }
  }
  return sums;
}

/** What a book holds of an asset; zero where it or the book is not there. */
export function heldBy(books: LocalBooks, strategy: string, asset: string): Decimal {
  const book = books.strategies.find((each) => each.strategy === strategy);
  const position = book?.positions.find((each) => each.asset === asset);
  return position === undefined ? zero : decimal(position.amount, `${strategy} ${asset} amount`);
}

/** What a book has of a currency; zero where it or the book is not there. */
export function cashOf(books: LocalBooks, strategy: string, currency: string): Decimal {
  const amount = books.strategies.find((each) => each.strategy === strategy)?.cash[currency];
  return amount === undefined ? zero : decimal(amount, `${strategy} cash in ${currency}`);
}

/** What a trade in an asset is paid in and counts. */
export function termsIn(books: LocalBooks, asset: string): InstrumentTerms {
  return termsOf(asset, ownEntry(books.instruments, asset), books.currency);
}

/** Exact cost of what is held, signed like the amount. */
export function totalCost({ asset, amount, cost_basis, total_cost }: PositionSnapshot, multiplier: string): Decimal {
  if (total_cost !== undefined) return decimal(total_cost, `${asset} total_cost`);
  return decimal(amount, `${asset} amount`)
    .times(decimal(cost_basis, `${asset} cost_basis`))
    .times(multiplier);
}

/** Average price of what one book holds. */
export function averagePrice(books: LocalBooks, { amount, position }: Holding): Decimal {
  const { multiplier } = termsIn(books, position.asset);
  return totalCost(position, multiplier).div(amount.times(multiplier));
}

/** As many digits after the point as a decimal string may have; a quotient or a product can have more. */
export function toDecimalString(value: Decimal): DecimalString {
  const rounded = value.toDecimalPlaces(24, Decimal.ROUND_HALF_EVEN);
  return rounded.isZero() ? '0' : rounded.toFixed();
}

function book(source: BookSource): LocalBook {
  const holds = ({ amount, asset }: PositionSnapshot) => !decimal(amount, `${asset} amount`).isZero();
  return {
    strategy: source.strategy_name,
    positions: source.positions.filter(holds),
    closed: source.positions.filter((position) => !holds(position)).map(({ asset }) => asset),
    orders: source.pending_orders,
    cash: { ...source.other_cash, [source.currency]: source.cash_balance },
  };
}
