import type { Book } from './book.ts';
import type { StateToSave } from './host-state.ts';

/** Stages what makes a book equal to `state`: what is named in it is replaced, and what it does not know stays as it is. */
export function replaceWhole(book: Book, state: StateToSave): void {
  const assets = new Set(state.positions.map(({ asset }) => asset));
  for (const { asset } of book.positions()) if (!assets.has(asset)) book.removePosition(asset);
  for (const position of state.positions) book.setPosition(position);
  // Orders come back in the order in which they are given, so those that are there already give up their places.
  for (const { order_id } of book.orders()) book.removeOrder(order_id);
  for (const order of state.pending_orders) book.setOrder(order);
  const keys = new Set(Object.keys(state.strategy_state));
  for (const key of book.keys()) if (!keys.has(key)) book.delete(key);
  for (const [key, value] of Object.entries(state.strategy_state)) book.set(key, value);
  book.setCash(state.cash_balance);
}
