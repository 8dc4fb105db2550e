import type { StrategyDelta } from '../model/delta.ts';
import { StateError } from '../model/errors.ts';
import type { Halt, StateEvent } from '../model/event.ts';
import type { JsonObject, JsonValue } from '../model/json.ts';
import type { DecimalString } from '../model/money.ts';
import { isFinal, type OrderSnapshot } from '../model/order.ts';
import type { PositionSnapshot } from '../model/position.ts';
import { recentExecutionsMax, type StrategySnapshot } from '../model/snapshot.ts';
import { decodeStateValue, encodeStateValue } from '../model/state-value.ts';
import { type CommittedView, nothingStaged } from './committed-view.ts';
import { type CursorPosition, cursorStart } from './cursor-position.ts';
import { DirtyEntries } from './dirty-entries.ts';
import {
  checkCurrency,
  checkDecimal,
  checkedEntry,
  checkedOrder,
  checkedPosition,
  checkNullable,
  checkText,
  checkTimestamp,
  entryInvalid,
  type FieldRules,
} from './entry-checks.ts';
import { checkedEvent } from './event-checks.ts';
import type { StrategyState } from './host-state.ts';
import type { RankedOrder, StagedChange, UndoLog } from './undo-log.ts';

/** What the books of one host share. */
export interface BookHost {
  readonly currency: string;
  readonly log: UndoLog<Book>;
  /** The last price of each asset that anybody marked. */
  readonly marks: ReadonlyMap<string, DecimalString>;
  /** How many books hold the asset. */
  readonly held: Map<string, number>;
  /** This book's part of the state at the last commit. */
  committed(book: Book): CommittedView;
}

const haltRules: FieldRules = new Map([
  ['reason', { check: checkText(0, 2000) }],
  ['source', { check: checkText(0, 100) }],
  ['at', { check: checkTimestamp }],
]);
const cursorRules: FieldRules = new Map([
  ['activity_id', { check: checkNullable(checkText(0, 1000)) }],
  ['at', { check: checkNullable(checkTimestamp) }],
]);

/**
 * One strategy's live state. A setter checks, writes the live map, and logs what stood there before; nothing else happens until the
 * commit, whose cost is what changed.
 */
export class Book implements StrategyState {
  readonly name: string;
  readonly isNew: boolean;
  readonly #host: BookHost;
  readonly #positions = new Map<string, PositionSnapshot>();
  readonly #orders = new Map<string, RankedOrder>();
  readonly #cash = new Map<string, DecimalString>();
  readonly #state = new Map<string, JsonValue>();
  readonly #executions = new Set<string>();
  #halt: Halt | null = null;
  #cursor: CursorPosition = cursorStart;
  #rank = 0;
  /** True when a rollback put an order back, so that the map no longer runs in the order of creation. */
  #ordersOutOfOrder = false;
  #dirty: DirtyEntries | null = null;
  #hasHistory: boolean;
  #changedAt = 0;

  constructor(name: string, host: BookHost, restored: StrategySnapshot | null) {
    this.name = name;
    this.#host = host;
    this.isNew = restored === null;
    this.#hasHistory = restored !== null;
    if (restored !== null) this.#load(restored);
  }

  position(asset: string): PositionSnapshot | undefined {
    return this.#positions.get(asset);
  }

  positions(): readonly PositionSnapshot[] {
    return [...this.#positions.values()];
  }

  setPosition(position: PositionSnapshot): void {
    const value = checkedPosition(this.name, position);
    this.#stage({ part: 'position', key: value.asset, previous: this.#positions.get(value.asset) });
    this.#putPosition(value.asset, value);
  }

  removePosition(asset: string): void {
    const previous = this.#positions.get(asset);
    if (previous === undefined) return;
    this.#stage({ part: 'position', key: asset, previous });
    this.#putPosition(asset, undefined);
  }

  order(orderId: string): OrderSnapshot | undefined {
    return this.#orders.get(orderId)?.order;
  }

  orders(): readonly OrderSnapshot[] {
    this.#restoreOrderOfOrders();
    return Array.from(this.#orders.values(), ({ order }) => order);
  }

  setOrder(order: OrderSnapshot): void {
    const value = checkedOrder(this.name, order);
    if (isFinal(value.status)) {
      this.removeOrder(value.order_id);
      return;
    }
    const previous = this.#orders.get(value.order_id);
    this.#stage({ part: 'order', key: value.order_id, previous });
    this.#orders.set(value.order_id, { rank: previous?.rank ?? this.#rank++, order: value });
  }

  removeOrder(orderId: string): void {
    const previous = this.#orders.get(orderId);
    if (previous === undefined) return;
    this.#stage({ part: 'order', key: orderId, previous });
    this.#orders.delete(orderId);
  }

  cash(currency: string = this.#host.currency): DecimalString {
    return this.#cash.get(currency) ?? '0';
  }

  allCash(): Readonly<Record<string, DecimalString>> {
    return Object.fromEntries(this.#cash);
  }

  setCash(amount: DecimalString, currency: string = this.#host.currency): void {
    this.#expect('cash', currency, 'currency', checkCurrency(currency), currency);
    this.#expect('cash', currency, 'amount', checkDecimal(amount), amount);
    this.#stage({ part: 'cash', key: currency, previous: this.#cash.get(currency) });
    this.#cash.set(currency, amount);
  }

  get(key: string): unknown {
    const value = this.#state.get(key);
    return value === undefined ? undefined : decodeStateValue(value, { strategy: this.name, key });
  }

  set(key: string, value: unknown): void {
    // A key becomes a property name in files; this one would set a prototype in whoever reads them carelessly.
    if (typeof key !== 'string' || key.length === 0 || key.length > 1000 || key === '__proto__') {
      throw new StateError(
        'STATE_KEY_INVALID',
        `strategy "${this.name}", state key ${JSON.stringify(String(key).slice(0, 60))}: expected 1 to 1000 characters, and not "__proto__"; choose another key`,
        { details: { strategy: this.name } },
      );
    }
    const encoded = encodeStateValue(value, { strategy: this.name, key });
    this.#stage({ part: 'state', key, previous: this.#state.get(key) });
    this.#state.set(key, encoded);
  }

  delete(key: string): void {
    const previous = this.#state.get(key);
    if (previous === undefined) return;
    this.#stage({ part: 'state', key, previous });
    this.#state.delete(key);
  }

  keys(): readonly string[] {
    return [...this.#state.keys()];
  }

  get halt(): Halt | null {
    return this.#halt;
  }

  setHalt(halt: Halt | null): void {
    const value = halt === null ? null : checkedEntry(this.name, 'halt', 'halt', halt, haltRules);
    this.#stage({ part: 'halt', previous: this.#halt });
    this.#halt = value;
  }

  cursor(): CursorPosition {
    return this.#cursor;
  }

  setCursor(cursor: CursorPosition): void {
    const value = checkedEntry(this.name, 'cursor', 'cursor', cursor, cursorRules);
    this.#stage({ part: 'cursor', previous: this.#cursor });
    this.#cursor = value;
  }

  addEvent(event: StateEvent): void {
    const value = checkedEvent(this.name, event);
    const execution = value.kind === 'fill' ? value.fill.execution_id : null;
    const newExecution = execution !== null && !this.#executions.has(execution) ? execution : null;
    this.#stage({ part: 'event', event: value, newExecution });
    if (newExecution !== null) this.#executions.add(newExecution);
  }

  hasExecution(executionId: string): boolean {
    return this.#executions.has(executionId);
  }

  savepoint(): number {
    return this.#host.log.savepoint();
  }

  rollbackTo(savepoint: number): void {
    this.#host.log.rollback(this, savepoint);
  }

  /** As of the last commit, with the last price of each asset that was marked. */
  snapshot(): StrategySnapshot {
    const committed = this.#host.committed(this);
    const cash = committed.map('cash', this.#cash);
    const balance = cash.get(this.#host.currency) ?? '0';
    cash.delete(this.#host.currency);
    return Object.freeze({
      strategy_name: this.name,
      strategy_state: Object.freeze(Object.fromEntries(committed.map('state', this.#state))) as JsonObject,
      positions: Object.freeze(
        sortedPositions(committed.map('position', this.#positions)).map((position) => this.#marked(position)),
      ),
      pending_orders: Object.freeze(ranked(committed.map('order', this.#orders).values())),
      cash_balance: balance,
      currency: this.#host.currency,
      other_cash: Object.freeze(Object.fromEntries([...cash].sort(byKey))),
      broker_cursor: Object.freeze({
        ...committed.cursor(this.#cursor),
        recent_execution_ids: Object.freeze(this.#recentExecutions(committed)),
      }),
      halt: committed.halt(this.#halt),
    });
  }

  /** True where the book has something, whether committed or staged. */
  get holdsSomething(): boolean {
    const { size: entries } = this.#positions;
    return (
      entries + this.#orders.size + this.#cash.size + this.#state.size + this.#executions.size > 0 ||
      this.#halt !== null
    );
  }

  /** True where the restore found the book, or anything was ever committed to it. */
  get hasHistory(): boolean {
    return this.#hasHistory;
  }

  /** The sequence of the last commit that changed it; 0 before the first. */
  get changedAt(): number {
    return this.#changedAt;
  }

  /** Takes back one of its own staged changes; only the undo log calls it, newest change first. */
  undo(change: StagedChange): void {
    switch (change.part) {
      case 'position':
        this.#putPosition(change.key, change.previous);
        break;
      case 'order':
        if (change.previous !== undefined && !this.#orders.has(change.key)) this.#ordersOutOfOrder = true;
        put(this.#orders, change.key, change.previous);
        break;
      case 'cash':
        put(this.#cash, change.key, change.previous);
        break;
      case 'state':
        put(this.#state, change.key, change.previous);
        break;
      case 'halt':
        this.#halt = change.previous;
        break;
      case 'cursor':
        this.#cursor = change.previous;
        break;
      case 'event':
        if (change.newExecution !== null) this.#executions.delete(change.newExecution);
        break;
      case 'registration':
        break;
    }
  }

  /** Makes one of its staged changes part of what the next post carries. */
  commit(change: StagedChange, sequence: number): void {
    this.#changedAt = sequence;
    if (change.part !== 'registration') this.#hasHistory = true;
    this.#dirty ??= new DirtyEntries();
    this.#dirty.mark(change);
    if (change.part === 'order' && this.#orders.get(change.key)?.rank !== change.previous?.rank) {
      if (change.previous !== undefined) this.#dirty.ordersRemoved.add(change.key);
    }
    if (change.part === 'event' && this.#executions.size > recentExecutionsMax) {
      const [oldest] = this.#executions;
      if (oldest !== undefined) this.#executions.delete(oldest);
    }
  }

  /** Everything committed since it was last taken, with committed values only. */
  takeDelta(committed: CommittedView): StrategyDelta {
    const dirty = this.#dirty;
    this.#dirty = null;
    const delta: Mutable<StrategyDelta> = { strategy: this.name };
    if (dirty === null) return delta;
    const positions = split(dirty.positions, (asset) => committed.value('position', asset, this.#positions.get(asset)));
    if (positions.set.length > 0) delta.positions = positions.set.map(([, position]) => this.#marked(position));
    if (positions.removed.length > 0) delta.positions_removed = positions.removed;
    const orders = split(dirty.orders, (id) => committed.value('order', id, this.#orders.get(id)));
    if (orders.set.length > 0) delta.orders = ranked(orders.set.map(([, order]) => order));
    // A mirror removes first, so that an order which was removed and came again stands where it came again.
    const removed = new Set([...orders.removed, ...dirty.ordersRemoved]);
    if (removed.size > 0) delta.orders_removed = [...removed];
    const cash = split(dirty.cash, (currency) => committed.value('cash', currency, this.#cash.get(currency)));
    if (cash.set.length > 0) delta.cash = cash.set;
    const state = split(dirty.state, (key) => committed.value('state', key, this.#state.get(key)));
    if (state.set.length > 0) delta.state = state.set;
    if (state.removed.length > 0) delta.state_removed = state.removed;
    if (dirty.halt) delta.halt = committed.halt(this.#halt);
    if (dirty.cursor) delta.cursor = committed.cursor(this.#cursor);
    if (dirty.events.length > 0) delta.events = dirty.events;
    return delta;
  }

  /** Everything that the book has at the last commit, as a delta that needs no mirror to stand on; events that wait stay waiting. */
  wholeDelta(): StrategyDelta {
    const committed = this.#host.committed(this);
    return {
      strategy: this.name,
      whole: true,
      positions: [...committed.map('position', this.#positions).values()].map((position) => this.#marked(position)),
      orders: ranked(committed.map('order', this.#orders).values()),
      cash: [...committed.map('cash', this.#cash)],
      state: [...committed.map('state', this.#state)],
      halt: committed.halt(this.#halt),
      cursor: committed.cursor(this.#cursor),
      recent_execution_ids: this.#recentExecutions(committed),
    };
  }

  #load(restored: StrategySnapshot): void {
    for (const position of restored.positions) this.#putPosition(position.asset, Object.freeze(position));
    for (const order of restored.pending_orders) {
      this.#orders.set(order.order_id, { rank: this.#rank++, order: Object.freeze(order) });
    }
    // A strategy that never had cash is restored with a balance of "0", which is what an absent balance says.
    if (restored.cash_balance !== '0') this.#cash.set(restored.currency, restored.cash_balance);
    for (const [currency, amount] of Object.entries(restored.other_cash)) this.#cash.set(currency, amount);
    for (const [key, value] of Object.entries(restored.strategy_state)) this.#state.set(key, value);
    for (const id of restored.broker_cursor.recent_execution_ids) this.#executions.add(id);
    this.#halt = Object.freeze(restored.halt);
    const { activity_id, at } = restored.broker_cursor;
    this.#cursor = Object.freeze({ activity_id, at });
  }

  #stage(change: StagedChange): void {
    this.#host.log.push(this, change);
  }

  #putPosition(asset: string, value: PositionSnapshot | undefined): void {
    const { held } = this.#host;
    const had = this.#positions.has(asset);
    put(this.#positions, asset, value);
    if (had === (value !== undefined)) return;
    const count = (held.get(asset) ?? 0) + (had ? -1 : 1);
    if (count === 0) held.delete(asset);
    else held.set(asset, count);
  }

  #marked(position: PositionSnapshot): PositionSnapshot {
    const mark = this.#host.marks.get(position.asset);
    return mark === undefined || mark === position.last_price
      ? position
      : Object.freeze({ ...position, last_price: mark });
  }

  #recentExecutions(committed: CommittedView): string[] {
    const ids = [...this.#executions];
    const known = committed === nothingStaged ? ids : ids.filter((id) => !committed.stagedExecutions.has(id));
    return known.slice(-recentExecutionsMax);
  }

  #restoreOrderOfOrders(): void {
    if (!this.#ordersOutOfOrder) return;
    const entries = [...this.#orders].sort(([, a], [, b]) => a.rank - b.rank);
    this.#orders.clear();
    for (const [id, order] of entries) this.#orders.set(id, order);
    this.#ordersOutOfOrder = false;
  }

  #expect(noun: string, key: string, field: string, expected: string | null, got: unknown): void {
    if (expected !== null) throw entryInvalid(this.name, noun, key, field, expected, got);
  }
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

function put<V>(map: Map<string, V>, key: string, value: V | undefined): void {
  if (value === undefined) map.delete(key);
  else map.set(key, value);
}

function split<V>(
  keys: ReadonlySet<string>,
  read: (key: string) => V | undefined,
): { set: [string, V][]; removed: string[] } {
  const set: [string, V][] = [];
  const removed: string[] = [];
  for (const key of keys) {
    const value = read(key);
    if (value === undefined) removed.push(key);
    else set.push([key, value]);
  }
  return { set, removed };
}

function ranked(orders: Iterable<RankedOrder>): OrderSnapshot[] {
  return [...orders].sort((a, b) => a.rank - b.rank).map(({ order }) => order);
}

function sortedPositions(positions: ReadonlyMap<string, PositionSnapshot>): PositionSnapshot[] {
  return [...positions.values()].sort((a, b) => (a.asset < b.asset ? -1 : 1));
}

function byKey(a: readonly [string, unknown], b: readonly [string, unknown]): number {
  return a[0] < b[0] ? -1 : 1;
}
