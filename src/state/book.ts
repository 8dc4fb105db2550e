import type { StrategyDelta } from '../model/delta.ts';
import type { Halt, StateEvent } from '../model/event.ts';
import type { DecimalString } from '../model/money.ts';
import { isFinal, type OrderSnapshot } from '../model/order.ts';
import type { PositionSnapshot } from '../model/position.ts';
import type { StrategySnapshot } from '../model/snapshot.ts';
import { decodeStateValue, encodeSizedStateValue, type SizedStateValue } from '../model/state-value.ts';
import type { AssetSums } from './asset-sums.ts';
import { CommittedEntries } from './committed-entries.ts';
import type { CommittedView } from './committed-view.ts';
import type { CursorPosition } from './cursor-position.ts';
import { DirtyEntries } from './dirty-entries.ts';
import {
  cashBytesMax,
  keyBytes,
  latchBytesMax,
  orderBytes,
  positionBytesMax,
  stateBytes,
  strategyBytes,
} from './entry-bytes.ts';
import {
  assertStateKey,
  checkCurrency,
  checkDecimal,
  checkedCursor,
  checkedHalt,
  checkedOrder,
  checkedPosition,
  entryInvalid,
} from './entry-checks.ts';
import { checkedEvent } from './event-checks.ts';
import type { StrategyState } from './host-state.ts';
import type { HostTotals } from './host-totals.ts';
import { LiveEntries } from './live-entries.ts';
import { commitTooLarge, type StateLimits, stateTooLarge } from './state-limits.ts';
import type { StagedChange, UndoLog } from './undo-log.ts';
import type { WholeStrategy } from './whole-posts.ts';

/** What the books of one host share. */
export interface BookHost {
  readonly currency: string;
  readonly log: UndoLog<Book>;
  /** The last price of each asset that anybody marked. */
  readonly marks: ReadonlyMap<string, DecimalString>;
  readonly limits: StateLimits;
  readonly totals: HostTotals;
  /** A committed value is larger than stateValueWarnBytes: called once for each key. */
  onLargeValue(strategy: string, key: string, bytes: number): void;
  /** This book's part of the state at the last commit. */
  committed(book: Book): CommittedView;
}

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
  /** Keys whose values are large and told of. */
  #largeKeys: Set<string> | null = null;
  #hasHistory: boolean;
  #changedAt = 0;

  constructor(name: string, host: BookHost, restored: StrategySnapshot | null) {
    this.name = name;
    this.#host = host;
    this.isNew = restored === null;
    this.#hasHistory = restored !== null;
    this.#live = new LiveEntries(host.totals);
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
    this.#stage(
      { part: 'position', key: value.asset, previous: this.#live.positions.get(value.asset) },
      positionBytesMax,
    );
    this.#live.putPosition(value.asset, value);
  }

  removePosition(asset: string): void {
    const previous = this.#live.positions.get(asset);
    if (previous === undefined) return;
    this.#stage({ part: 'position', key: asset, previous }, keyBytes(asset));
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
    this.#stage(
      { part: 'order', key: value.order_id, previous: this.#live.orders.get(value.order_id) },
      orderBytes(value),
    );
    this.#live.putOrder(value);
  }

  removeOrder(orderId: string): void {
    const previous = this.#live.orders.get(orderId);
    if (previous === undefined) return;
    this.#stage({ part: 'order', key: orderId, previous }, keyBytes(orderId));
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
    this.#stage({ part: 'cash', key: currency, previous: this.#live.cash.get(currency) }, cashBytesMax);
    this.#live.cash.set(currency, amount);
  }

  get(key: string): unknown {
    const value = this.#live.state.get(key);
    return value === undefined ? undefined : decodeStateValue(value.json, { strategy: this.name, key });
  }

  set(key: string, value: unknown): void {
    assertStateKey(this.name, key);
    const sized = encodeSizedStateValue(value, { strategy: this.name, key }, this.#host.limits.stateValueMaxBytes);
    const previous = this.#live.state.get(key);
    this.#expectRoomForState(key, sized, previous);
    this.#stage({ part: 'state', key, previous }, stateBytes(key, sized));
    this.#live.putState(key, sized);
  }

  delete(key: string): void {
    const previous = this.#live.state.get(key);
    if (previous === undefined) return;
    this.#stage({ part: 'state', key, previous }, keyBytes(key));
    this.#live.putState(key, undefined);
  }

  keys(): readonly string[] {
    return [...this.#live.state.keys()].sort();
  }

  get halt(): Halt | null {
    return this.#live.halt;
  }

  setHalt(halt: Halt | null): void {
    const value = halt === null ? null : checkedHalt(this.name, halt);
    this.#stage({ part: 'halt', previous: this.#live.halt }, latchBytesMax);
    this.#live.halt = value;
  }

  cursor(): CursorPosition {
    return this.#live.cursor;
  }

  setCursor(cursor: CursorPosition): void {
    const value = checkedCursor(this.name, cursor);
    this.#stage({ part: 'cursor', previous: this.#live.cursor }, latchBytesMax);
    this.#live.cursor = value;
  }

  addEvent(event: StateEvent): void {
    const { event: value, bytes } = checkedEvent(this.name, event, this.#host.limits.eventMaxBytes);
    const execution = value.kind === 'fill' ? value.fill.execution_id : null;
    const newExecution = execution !== null && !this.#live.executions.has(execution) ? execution : null;
    this.#stage({ part: 'event', event: value, newExecution }, bytes);
    if (newExecution !== null) this.#live.addExecution(newExecution);
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

  /** Adds everything that it has in an asset, staged changes included, to sums that nobody asked for before. */
  addTo(sums: AssetSums, asset: string): void {
    this.#live.addTo(sums, asset);
  }

  /** Takes back one of its own staged changes; only the undo log calls it, newest change first. */
  undo(change: StagedChange): void {
    this.#live.undo(change);
  }

  /** Makes one of its staged changes part of what the next post carries, and returns by how many bytes that grows. */
  commit(change: StagedChange, bytes: number, sequence: number): number {
    this.#changedAt = sequence;
    if (change.part !== 'registration') this.#hasHistory = true;
    let growth = 0;
    if (this.#dirty === null) {
      this.#dirty = new DirtyEntries();
      growth = strategyBytes;
    }
    growth += this.#dirty.mark(change, bytes);
    if (change.part === 'order' && this.#live.orders.get(change.key)?.rank !== change.previous?.rank) {
      if (change.previous !== undefined) this.#dirty.removeOrder(change.key);
    }
    if (change.part === 'event') this.#live.forgetOldestExecution();
    if (change.part === 'state') this.#tellLarge(change.key);
    return growth;
  }

  /** At least by how many bytes the next post would grow if this were committed. */
  growth(change: StagedChange, bytes: number): number {
    return this.#dirty === null ? bytes + strategyBytes : this.#dirty.growth(change, bytes);
  }

  /** Everything committed since it was last taken, with committed values only. */
  takeDelta(view: CommittedView): StrategyDelta {
    const dirty = this.#dirty;
    this.#dirty = null;
    return this.#committed(view).delta(dirty);
  }

  /** Everything that the book has at the last commit, as a delta that needs no mirror to stand on; events that wait stay waiting. */
  whole(): WholeStrategy {
    return this.#committed(this.#host.committed(this)).whole();
  }

  #committed(view: CommittedView): CommittedEntries {
    return new CommittedEntries(this.name, this.#live, view, this.#host.marks);
  }

  #tellLarge(key: string): void {
    const bytes = this.#live.state.get(key)?.bytes;
    if (bytes === undefined) this.#largeKeys?.delete(key);
    else if (bytes > this.#host.limits.stateValueWarnBytes && !this.#largeKeys?.has(key)) {
      this.#largeKeys ??= new Set();
      this.#largeKeys.add(key);
      this.#host.onLargeValue(this.name, key, bytes);
    }
  }

  /** What shrinks is always taken, also where a lower limit or a restore has left too much. */
  #expectRoomForState(key: string, value: SizedStateValue, previous: SizedStateValue | undefined): void {
    const growth = stateBytes(key, value) - (previous === undefined ? 0 : stateBytes(key, previous));
    if (growth <= 0) return;
    const { limits, totals } = this.#host;
    const [own, all] = [this.#live.stateBytes + growth, totals.stateBytes + growth];
    if (own > limits.strategyStateMaxBytes) {
      throw stateTooLarge('strategy', this.name, key, own, limits.strategyStateMaxBytes);
    }
    if (all > limits.hostStateMaxBytes) throw stateTooLarge('host', this.name, key, all, limits.hostStateMaxBytes);
  }

  /** @throws StateError STATE_TOO_LARGE where this commit would have more than a post can hold */
  #stage(change: StagedChange, bytes: number): void {
    const { log, limits } = this.#host;
    if (log.bytes + bytes > limits.postBytesMax) {
      const what = 'key' in change ? `${change.part} ${JSON.stringify(change.key.slice(0, 60))}` : change.part;
      throw commitTooLarge(this.name, what, log.bytes + bytes, limits.postBytesMax);
    }
    log.push(this, change, bytes);
  }

  #expect(noun: string, key: string, field: string, expected: string | null, got: unknown): void {
    if (expected !== null) throw entryInvalid(this.name, noun, key, field, expected, got);
  }
}
