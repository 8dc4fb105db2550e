import type { StrategyDelta } from '../model/delta.ts';
import { StateError } from '../model/errors.ts';
import type { Halt, StateEvent } from '../model/event.ts';
import type { DecimalString } from '../model/money.ts';
import { isFinal, type OrderSnapshot } from '../model/order.ts';
import type { PositionSnapshot } from '../model/position.ts';
import type { StrategySnapshot } from '../model/snapshot.ts';
import { decodeStateValue, encodeStateValue } from '../model/state-value.ts';
import { CommittedEntries } from './committed-entries.ts';
import type { CommittedView } from './committed-view.ts';
import type { CursorPosition } from './cursor-position.ts';
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
import { LiveEntries } from './live-entries.ts';
import type { StagedChange, UndoLog } from './undo-log.ts';

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
  readonly #live: LiveEntries;
  #dirty: DirtyEntries | null = null;
  #hasHistory: boolean;
  #changedAt = 0;

  constructor(name: string, host: BookHost, restored: StrategySnapshot | null) {
    this.name = name;
    this.#host = host;
    this.isNew = restored === null;
    this.#hasHistory = restored !== null;
    this.#live = new LiveEntries(host.held);
    if (restored !== null) this.#live.load(restored);
  }

  position(asset: string): PositionSnapshot | undefined {
    return this.#live.positions.get(asset);
  }

  positions(): readonly PositionSnapshot[] {
    return [...this.#live.positions.values()];
  }

  setPosition(position: PositionSnapshot): void {
    const value = checkedPosition(this.name, position);
    this.#stage({ part: 'position', key: value.asset, previous: this.#live.positions.get(value.asset) });
    this.#live.putPosition(value.asset, value);
  }

  removePosition(asset: string): void {
    const previous = this.#live.positions.get(asset);
    if (previous === undefined) return;
    this.#stage({ part: 'position', key: asset, previous });
    this.#live.putPosition(asset, undefined);
  }

  order(orderId: string): OrderSnapshot | undefined {
    return this.#live.orders.get(orderId)?.order;
  }

  orders(): readonly OrderSnapshot[] {
    return Array.from(this.#live.ordersByRank(), ({ order }) => order);
  }

  setOrder(order: OrderSnapshot): void {
    const value = checkedOrder(this.name, order);
    if (isFinal(value.status)) {
      this.removeOrder(value.order_id);
      return;
    }
    this.#stage({ part: 'order', key: value.order_id, previous: this.#live.orders.get(value.order_id) });
    this.#live.putOrder(value);
  }

  removeOrder(orderId: string): void {
    const previous = this.#live.orders.get(orderId);
    if (previous === undefined) return;
    this.#stage({ part: 'order', key: orderId, previous });
    this.#live.removeOrder(orderId);
  }

  cash(currency: string = this.#host.currency): DecimalString {
    return this.#live.cash.get(currency) ?? '0';
  }

  allCash(): Readonly<Record<string, DecimalString>> {
    return Object.fromEntries(this.#live.cash);
  }

  setCash(amount: DecimalString, currency: string = this.#host.currency): void {
    this.#expect('cash', currency, 'currency', checkCurrency(currency), currency);
    this.#expect('cash', currency, 'amount', checkDecimal(amount), amount);
    this.#stage({ part: 'cash', key: currency, previous: this.#live.cash.get(currency) });
    this.#live.cash.set(currency, amount);
  }

  get(key: string): unknown {
    const value = this.#live.state.get(key);
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
    this.#stage({ part: 'state', key, previous: this.#live.state.get(key) });
    this.#live.state.set(key, encoded);
  }

  delete(key: string): void {
    const previous = this.#live.state.get(key);
    if (previous === undefined) return;
    this.#stage({ part: 'state', key, previous });
    this.#live.state.delete(key);
  }

  keys(): readonly string[] {
    return [...this.#live.state.keys()];
  }

  get halt(): Halt | null {
    return this.#live.halt;
  }

  setHalt(halt: Halt | null): void {
    const value = halt === null ? null : checkedEntry(this.name, 'halt', 'halt', halt, haltRules);
    this.#stage({ part: 'halt', previous: this.#live.halt });
    this.#live.halt = value;
  }

  cursor(): CursorPosition {
    return this.#live.cursor;
  }

  setCursor(cursor: CursorPosition): void {
    const value = checkedEntry(this.name, 'cursor', 'cursor', cursor, cursorRules);
    this.#stage({ part: 'cursor', previous: this.#live.cursor });
    this.#live.cursor = value;
  }

  addEvent(event: StateEvent): void {
    const value = checkedEvent(this.name, event);
    const execution = value.kind === 'fill' ? value.fill.execution_id : null;
    const newExecution = execution !== null && !this.#live.executions.has(execution) ? execution : null;
    this.#stage({ part: 'event', event: value, newExecution });
    if (newExecution !== null) this.#live.executions.add(newExecution);
  }

  hasExecution(executionId: string): boolean {
    return this.#live.executions.has(executionId);
  }

  savepoint(): number {
    return this.#host.log.savepoint();
  }

  rollbackTo(savepoint: number): void {
    this.#host.log.rollback(this, savepoint);
  }

  /** As of the last commit, with the last price of each asset that was marked. */
  snapshot(): StrategySnapshot {
    return this.#committed(this.#host.committed(this)).snapshot(this.#host.currency);
  }

  /** True where the book has something, whether committed or staged. */
  get holdsSomething(): boolean {
    return !this.#live.isEmpty;
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
    this.#live.undo(change);
  }

  /** Makes one of its staged changes part of what the next post carries. */
  commit(change: StagedChange, sequence: number): void {
    this.#changedAt = sequence;
    if (change.part !== 'registration') this.#hasHistory = true;
    this.#dirty ??= new DirtyEntries();
    this.#dirty.mark(change);
    if (change.part === 'order' && this.#live.orders.get(change.key)?.rank !== change.previous?.rank) {
      if (change.previous !== undefined) this.#dirty.ordersRemoved.add(change.key);
    }
    if (change.part === 'event') this.#live.forgetOldestExecution();
  }

  /** Everything committed since it was last taken, with committed values only. */
  takeDelta(view: CommittedView): StrategyDelta {
    const dirty = this.#dirty;
    this.#dirty = null;
    return this.#committed(view).delta(dirty);
  }

  /** Everything that the book has at the last commit, as a delta that needs no mirror to stand on; events that wait stay waiting. */
  wholeDelta(): StrategyDelta {
    return this.#committed(this.#host.committed(this)).whole();
  }

  #committed(view: CommittedView): CommittedEntries {
    return new CommittedEntries(this.name, this.#live, view, this.#host.marks);
  }

  #stage(change: StagedChange): void {
    this.#host.log.push(this, change);
  }

  #expect(noun: string, key: string, field: string, expected: string | null, got: unknown): void {
    if (expected !== null) throw entryInvalid(this.name, noun, key, field, expected, got);
  }
}
