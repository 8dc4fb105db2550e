import type { StrategyDelta } from '../model/delta.ts';
import type { Halt } from '../model/event.ts';
import type { JsonValue } from '../model/json.ts';
import type { DecimalString } from '../model/money.ts';
import type { OrderSnapshot } from '../model/order.ts';
import { recentExecutionsMax, type StrategySnapshot } from '../model/snapshot.ts';
import type { Timestamp } from '../model/time.ts';
import { Positions } from './mirror-positions.ts';

type Cursor = { readonly activity_id: string | null; readonly at: Timestamp | null };
const noCursor: Cursor = { activity_id: null, at: null };

/** One strategy's part of the mirror. Entries are frozen values of the engine's, replaced and never edited. */
export class Book {
  readonly #name: string;
  readonly #currency: string;
  readonly #positions = new Positions();
  /** In the order of creation: a replaced entry keeps its place. */
  readonly #orders = new Map<string, OrderSnapshot>();
  readonly #cash = new Map<string, DecimalString>();
  readonly #state = new Map<string, JsonValue>();
  /** Oldest first. */
  readonly #executions = new Set<string>();
  #halt: Halt | null = null;
  #cursor: Cursor = noCursor;
  /** Deltas through here are part of what was loaded. */
  #floor = -1;
  #changed = 0;
  #cached: StrategySnapshot | null = null;

  constructor(name: string, currency: string) {
    this.#name = name;
    this.#currency = currency;
  }

  static load(snapshot: StrategySnapshot, currency: string, at: number): Book {
    const book = new Book(snapshot.strategy_name, currency);
    for (const position of snapshot.positions) book.#positions.set(position);
    for (const order of snapshot.pending_orders) book.#orders.set(order.order_id, order);
    for (const [other, amount] of Object.entries(snapshot.other_cash)) book.#cash.set(other, amount);
    book.#cash.set(snapshot.currency, snapshot.cash_balance);
    for (const [key, value] of Object.entries(snapshot.strategy_state)) book.#state.set(key, value);
    book.#remember(snapshot.broker_cursor.recent_execution_ids);
    book.#cursor = { activity_id: snapshot.broker_cursor.activity_id, at: snapshot.broker_cursor.at };
    book.#halt = snapshot.halt;
    book.#floor = at;
    book.#changed = at;
    return book;
  }

  get changed(): number {
    return this.#changed;
  }

  apply(change: StrategyDelta, through: number): void {
    if (through <= this.#floor) return;
    if (change.whole === true) this.#clear();
    if (change.positions_removed) for (const asset of change.positions_removed) this.#positions.delete(asset);
    if (change.positions) for (const position of change.positions) this.#positions.set(position);
    if (change.orders_removed) for (const id of change.orders_removed) this.#orders.delete(id);
    if (change.orders) for (const order of change.orders) this.#orders.set(order.order_id, order);
    if (change.cash_removed) for (const currency of change.cash_removed) this.#cash.delete(currency);
    if (change.cash) for (const [currency, amount] of change.cash) this.#cash.set(currency, amount);
    if (change.state_removed) for (const key of change.state_removed) this.#state.delete(key);
    if (change.state) for (const [key, value] of change.state) this.#state.set(key, value);
    if (change.halt !== undefined) this.#halt = change.halt;
    if (change.cursor !== undefined) this.#cursor = change.cursor;
    if (change.recent_execution_ids !== undefined) this.#remember(change.recent_execution_ids);
    if (change.events) {
      for (const event of change.events) if (event.kind === 'fill') this.#remember([event.fill.execution_id]);
    }
    this.#touch(through);
  }

  mark(marks: readonly (readonly [asset: string, price: DecimalString])[], through: number): void {
    if (through <= this.#floor) return;
    for (const [asset, price] of marks) {
      const position = this.#positions.get(asset);
      if (position === undefined || position.last_price === price) continue;
      this.#positions.set({ ...position, last_price: price });
      this.#touch(through);
    }
  }

  snapshot(): StrategySnapshot {
    this.#cached ??= this.#build();
    return this.#cached;
  }

  whole(): StrategyDelta {
    const { activity_id, at } = this.#cursor;
    return {
      strategy: this.#name,
      whole: true,
      positions: this.snapshot().positions,
      orders: [...this.#orders.values()],
      cash: [...this.#cash],
      state: [...this.#state],
      halt: this.#halt,
      cursor: { activity_id, at },
      recent_execution_ids: [...this.#executions],
    };
  }

  #build(): StrategySnapshot {
    const others = [...this.#cash].filter(([currency]) => currency !== this.#currency).sort(byKey);
    return Object.freeze({
      strategy_name: this.#name,
      // fromEntries defines own properties, so that a key "__proto__" is a key like any other.
      strategy_state: Object.freeze(Object.fromEntries(this.#state)),
      positions: this.#positions.sorted(),
      pending_orders: Object.freeze([...this.#orders.values()]),
      cash_balance: this.#cash.get(this.#currency) ?? '0',
      currency: this.#currency,
      other_cash: Object.freeze(Object.fromEntries(others)),
      broker_cursor: Object.freeze({
        activity_id: this.#cursor.activity_id,
        at: this.#cursor.at,
        recent_execution_ids: Object.freeze([...this.#executions]),
      }),
      halt: this.#halt,
    });
  }

  #clear(): void {
    for (const held of [this.#positions, this.#orders, this.#cash, this.#state, this.#executions]) held.clear();
    this.#halt = null;
    this.#cursor = noCursor;
  }

  #remember(executionIds: readonly string[]): void {
    for (const id of executionIds) this.#executions.add(id);
    for (const oldest of this.#executions) {
      if (this.#executions.size <= recentExecutionsMax) break;
      this.#executions.delete(oldest);
    }
  }

  #touch(through: number): void {
    this.#changed = through;
    this.#cached = null;
  }
}

// Code units, not the locale: the same order on every machine.
function byKey(left: readonly [string, unknown], right: readonly [string, unknown]): number {
  return left[0] < right[0] ? -1 : left[0] > right[0] ? 1 : 0;
}
