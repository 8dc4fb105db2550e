import { type Decimal, type DecimalString, decimal, decimalString, zero } from '../model/money.ts';
import type { OrderSnapshot } from '../model/order.ts';
import type { Books } from './books.ts';

/** An order that would take the account's position through zero, as the two that a venue takes in its place. */
export interface Crossing {
  /** What closes the position; "0" where other orders close all of it already. */
  readonly close: DecimalString;
  /** What opens the other side, once the position is closed. */
  readonly open: DecimalString;
}

/** How a drafted order splits where it crosses; null where it does not. The venue sees one position: that of all books. */
export function crossingOf(books: Books, draft: OrderSnapshot): Crossing | null {
  const { asset, amount } = draft;
  const held = heldInAccount(books, asset);
  const wanted = decimal(amount);
  if (held.isZero() || held.isNegative() === wanted.isNegative()) return null;
  const free = held.abs().minus(underWay(books, draft));
  if (wanted.abs().lte(free)) return null;
  const close = free.isNegative() ? zero : free.times(wanted.isNegative() ? -1 : 1);
  return { close: decimalString(close), open: decimalString(wanted.minus(close)) };
}

/** Whether the account holds the other side of what an order would open. */
export function isAgainstPosition(books: Books, { asset, amount }: OrderSnapshot): boolean {
  const held = heldInAccount(books, asset);
  return !held.isZero() && held.isNegative() !== decimal(amount).isNegative();
}

function heldInAccount(books: Books, asset: string): Decimal {
  let held = zero;
  for (const book of books.all()) {
    const position = book.position(asset);
    if (position !== undefined) held = held.plus(decimal(position.amount));
  }
  return held;
}

/** What other open orders on the same side have still to do. */
function underWay(books: Books, draft: OrderSnapshot): Decimal {
  const isSale = draft.amount.startsWith('-');
  let left = zero;
  for (const book of books.all()) {
    for (const order of book.orders()) {
      if (order.asset !== draft.asset || order.order_id === draft.order_id) continue;
      // What a replacement takes the place of does nothing beside it.
      if (order.order_id === draft.replaces) continue;
      if (order.amount.startsWith('-') !== isSale) continue;
      // All have one sign: that of their sum is taken off once.
      left = left.plus(decimal(order.amount));
      if (order.filled_amount !== '0') left = left.minus(decimal(order.filled_amount));
    }
  }
  return left.abs();
}
