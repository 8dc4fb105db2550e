import { type Decimal, type DecimalString, decimal, decimalString, zero } from '../model/money.ts';
import { leftOf, type OrderSnapshot } from '../model/order.ts';
import type { StrategyState } from '../state/host-state.ts';
import type { Books } from './books.ts';

/** An order that would take the account's position through zero, as the two that a venue takes in its place. */
export interface Crossing {
  /** What closes the position; "0" where other orders close all of it already. */
  readonly close: DecimalString;
  /** What opens the other side, once the position is closed. */
  readonly open: DecimalString;
}

/**
 * How an order splits where it crosses; null where it does not. The venue sees one position: that of all books.
 * @param draft as it is staged in its book
 */
export function crossingOf(books: Books, book: StrategyState, draft: OrderSnapshot): Crossing | null {
  const wanted = decimal(draft.amount);
  if (!isAgainstPosition(books, draft)) return null;
  const free = books
    .inAsset(draft.asset)
    .held.abs()
    .minus(underWay(books, book, draft));
  if (wanted.abs().lte(free)) return null;
  const close = free.isNegative() ? zero : free.times(wanted.isNegative() ? -1 : 1);
  return { close: decimalString(close), open: decimalString(wanted.minus(close)) };
}

/** Whether the account holds the other side of what an order would open. */
export function isAgainstPosition(books: Books, { asset, amount }: OrderSnapshot): boolean {
  const { held } = books.inAsset(asset);
  return !held.isZero() && held.isNegative() !== isSale(amount);
}

/** What other open orders on the same side have still to do. */
function underWay(books: Books, book: StrategyState, draft: OrderSnapshot): Decimal {
  const { asset, amount, replaces } = draft;
  const all = books.inAsset(asset);
  const others = (isSale(amount) ? all.toSell : all.toBuy).minus(leftOf(draft));
  // What a replacement takes the place of does nothing beside it.
  const old = replaces == null ? undefined : book.order(replaces);
  const counts = old !== undefined && old.asset === asset && isSale(old.amount) === isSale(amount);
  return (counts ? others.minus(leftOf(old)) : others).abs();
}

function isSale(amount: DecimalString): boolean {
  return amount.startsWith('-');
}
