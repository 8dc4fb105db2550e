import { describe, expect, test } from 'vitest';
import { Books } from '../../src/engine/books.ts';
import { ClientOrderIds } from '../../src/engine/client-order-id.ts';
import { type Crossing, crossingOf } from '../../src/engine/crossing.ts';
import { draftOrder } from '../../src/engine/order-draft.ts';
import type { OrderSnapshot } from '../../src/model/order.ts';
import { memoryHostState } from '../support/memory-host-state.ts';

const at = '2025-10-02T14:30:00.000000Z';

function order(id: string, amount: string, filled = '0'): OrderSnapshot {
  const drafted = draftOrder('one', id, { asset: 'ACME', amount }, at);
  return { ...drafted, sid: 1, filled_amount: filled, status: filled === '0' ? 'open' : 'partially_filled' };
}

function booksWith(held: readonly string[], orders: readonly OrderSnapshot[]): Books {
  const state = memoryHostState();
  const books = new Books(state, new ClientOrderIds('host', 1, state));
  for (const [index, amount] of held.entries()) {
    books
      .register(`strategy_${index}`)
      .setPosition({ asset: 'ACME', sid: 1, amount, cost_basis: '10', last_price: null });
  }
  for (const one of orders) books.register('one').setOrder(one);
  return books;
}

/** Stages a draft, as the gate does, and takes it back. */
function crossing(books: Books, draft: OrderSnapshot): Crossing | null {
  const book = books.register('one');
  const savepoint = book.savepoint();
  book.setOrder(draft);
  const found = crossingOf(books, book, draft);
  book.rollbackTo(savepoint);
  return found;
}

describe('an order goes through zero', () => {
  test('by what is left when all books and what other orders have still to do are counted', () => {
    const books = booksWith(['7', '-2.5'], [order('a', '-3', '-1.5'), order('b', '-0.5'), order('c', '4')]);
    expect(crossing(books, order('d', '-2.5'))).toBeNull();
    expect(crossing(books, order('d', '-2.6'))).toEqual({ close: '-2.5', open: '-0.1' });
  });

  test('also from below', () => {
    const books = booksWith(['-3'], [order('a', '2', '0.25'), order('b', '-9')]);
    expect(crossing(books, order('d', '1.25'))).toBeNull();
    expect(crossing(books, order('d', '2'))).toEqual({ close: '1.25', open: '0.75' });
  });

  test('whole where other orders close all of it', () => {
    const books = booksWith(['1'], [order('a', '-1'), order('b', '-1')]);
    expect(crossing(books, order('d', '-1'))).toEqual({ close: '0', open: '-1' });
  });

  test('beside what others do, and not beside the order that it replaces', () => {
    const books = booksWith(['5'], [order('old', '-3', '-1'), order('other', '-2')]);
    expect(crossing(books, { ...order('new', '-3'), replaces: 'old' })).toBeNull();
    expect(crossing(books, { ...order('new', '-4'), replaces: 'old' })).toEqual({ close: '-3', open: '-1' });
    expect(crossing(books, order('new', '-3'))).toEqual({ close: '-1', open: '-2' });
  });
});
