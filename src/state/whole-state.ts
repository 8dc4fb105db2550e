import { StateError } from '../model/errors.ts';
import type { Book } from './book.ts';
import type { HostBooks } from './host-books.ts';
import type { StateToSave } from './host-state.ts';

/**
 * Stages what makes a strategy's book equal to `state`, where none is a new one. What StateToSave does not name stays: halt, broker
 * cursor, cash in other currencies.
 * @throws StateError ENTRY_INVALID, STATE_VALUE_INVALID and what else the setters throw: nothing of `state` is staged then
 */
export function stageWhole(books: HostBooks, strategy: string, state: StateToSave): void {
  const isKnown = books.book(strategy) !== undefined;
  const book = books.register(strategy);
  const savepoint = book.savepoint();
  try {
    replaceWhole(book, state);
  } catch (error) {
    // A strategy that a refused state has made known would be none that is new at the next start.
    if (isKnown) book.rollbackTo(savepoint);
    else books.unregister(book);
    throw error;
  }
}

function replaceWhole(book: Book, state: StateToSave): void {
  assertForm(book.name, state);
  const assets = keysOnce(book.name, 'positions', 'asset', state.positions);
  keysOnce(book.name, 'pending_orders', 'order_id', state.pending_orders);
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

/** What would otherwise be saved as nothing: a Map has no own properties, and an absent list would be an empty book. */
function assertForm(strategy: string, state: StateToSave): void {
  const given: unknown = state;
  if (typeof given !== 'object' || given === null) {
    throw invalid(strategy, 'state', 'strategy_state, positions, pending_orders and cash_balance', given);
  }
  const { strategy_state, positions, pending_orders } = state as { readonly [field in keyof StateToSave]: unknown };
  if (!isPlain(strategy_state)) throw invalid(strategy, 'strategy_state', 'a plain object', strategy_state);
  if (!Array.isArray(positions)) throw invalid(strategy, 'positions', 'an array', positions);
  if (!Array.isArray(pending_orders)) throw invalid(strategy, 'pending_orders', 'an array', pending_orders);
}

/** @throws StateError ENTRY_INVALID where two entries have one key: one of them would be lost */
function keysOnce<K extends string>(
  strategy: string,
  list: string,
  field: K,
  entries: readonly Readonly<Record<K, unknown>>[],
): Set<unknown> {
  const keys = new Set<unknown>();
  for (const [index, entry] of entries.entries()) {
    const key = entry?.[field];
    if (keys.has(key)) throw invalid(strategy, `${list}[${index}].${field}`, 'each only once', key);
    keys.add(key);
  }
  return keys;
}

function isPlain(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === null || prototype === Object.prototype;
}

function invalid(strategy: string, path: string, expected: string, got: unknown): StateError {
  return new StateError(
    'ENTRY_INVALID',
    `strategy "${strategy}", ${path}: expected ${expected}, got ${nameOf(got)}; nothing was changed`,
    { details: { strategy, path } },
  );
}

function nameOf(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value.slice(0, 60));
  if (typeof value !== 'object' || value === null) return String(value).slice(0, 60);
  const { name } = Object.getPrototypeOf(value)?.constructor ?? {};
  return typeof name === 'string' && name !== '' ? `an object of ${name}` : 'an object';
}
