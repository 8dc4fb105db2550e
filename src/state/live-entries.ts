import type { Halt } from '../model/event.ts';
import type { DecimalString } from '../model/money.ts';
import type { PositionSnapshot } from '../model/position.ts';
import { recentExecutionsMax, type StrategySnapshot } from '../model/snapshot.ts';
import { type SizedStateValue, stateValueBytes } from '../model/state-value.ts';
import type { AssetSums } from './asset-sums.ts';
import { type CursorPosition, cursorStart } from './cursor-position.ts';
import { stateBytes } from './entry-bytes.ts';
import type { HostTotals } from './host-totals.ts';
import type { RankedOrder, StagedChange } from './undo-log.ts';

/**
 * The live values of one strategy: what its setters have put, committed or not. It knows how to take a change back, and keeps the
 * host's totals; checks, staging and what is dirty are its book's.
 */
export class LiveEntries {
  readonly cash: Map<string, DecimalString> = new Map();
  halt: Halt | null = null;
  cursor: CursorPosition = cursorStart;
  readonly #positions = new Map<string, PositionSnapshot>();
  readonly #orders = new Map<string, RankedOrder>();
  readonly #state = new Map<string, SizedStateValue>();
  readonly #executions = new Set<string>();
  readonly #totals: HostTotals;
  /** Goes on through the set, once it is needed: to find the first entry anew costs a look at every one that was deleted. */
  #oldestExecutions: Iterator<string> | null = null;
  #stateBytes = 0;
  #rank = 0;
  /** True when a rollback put an order back, so that the map no longer runs in the order of creation. */
  #ordersOutOfOrder = false;

  constructor(totals: HostTotals) {
    this.#totals = totals;
  }

  get positions(): ReadonlyMap<string, PositionSnapshot> {
    return this.#positions;
  }

  /** In any order: see {@link ordersByRank}. */
  get orders(): ReadonlyMap<string, RankedOrder> {
    return this.#orders;
  }

  get state(): ReadonlyMap<string, SizedStateValue> {
    return this.#state;
  }

  /** Oldest first. */
  get executions(): ReadonlySet<string> {
    return this.#executions;
  }

  /** Of all state values, keys included. */
  get stateBytes(): number {
    return this.#stateBytes;
  }

  get isEmpty(): boolean {
    const entries = this.#positions.size + this.#orders.size + this.cash.size + this.#state.size;
    return entries + this.#executions.size === 0 && this.halt === null;
  }

  /** In the order of their creation. */
  ordersByRank(): Iterable<RankedOrder> {
    if (this.#ordersOutOfOrder) {
      const entries = [...this.#orders].sort(([, a], [, b]) => a.rank - b.rank);
      this.#orders.clear();
      for (const [id, order] of entries) this.#orders.set(id, order);
      this.#ordersOutOfOrder = false;
    }
    return this.#orders.values();
  }

  putPosition(asset: string, value: PositionSnapshot | undefined): void {
    const previous = this.#positions.get(asset);
    put(this.#positions, asset, value);
    const sums = this.#totals.assets.get(asset);
    if (previous !== undefined) sums?.changePosition(previous, -1);
    if (value !== undefined) sums?.changePosition(value, 1);
    if ((previous === undefined) === (value === undefined)) return;
    const { held } = this.#totals;
    const count = (held.get(asset) ?? 0) + (value === undefined ? -1 : 1);
    if (count === 0) held.delete(asset);
    else held.set(asset, count);
  }

  /** An order that is there keeps its place. */
  putOrder(order: RankedOrder['order']): void {
    const rank = this.#orders.get(order.order_id)?.rank ?? this.#rank++;
    this.#putRanked(order.order_id, { rank, order });
  }

  removeOrder(orderId: string): void {
    this.#putRanked(orderId, undefined);
  }

  addExecution(executionId: string): void {
    this.#executions.add(executionId);
    this.#totals.executions.add(executionId);
  }

  /** Adds everything in an asset to its sums, which nobody asked about before. */
  addTo(sums: AssetSums, asset: string): void {
    const position = this.#positions.get(asset);
    if (position !== undefined) sums.changePosition(position, 1);
    for (const { order } of this.#orders.values()) if (order.asset === asset) sums.changeOrder(order, 1);
  }

  putState(key: string, value: SizedStateValue | undefined): void {
    const previous = this.#state.get(key);
    put(this.#state, key, value);
    const before = previous === undefined ? 0 : stateBytes(key, previous);
    const growth = (value === undefined ? 0 : stateBytes(key, value)) - before;
    this.#stateBytes += growth;
    this.#totals.stateBytes += growth;
  }

  /** Of more than a book remembers the oldest is forgotten: one for each that a commit made known. */
  forgetOldestExecution(): void {
    if (this.#executions.size <= recentExecutionsMax) return;
    this.#oldestExecutions ??= this.#executions.values();
    const oldest = this.#oldestExecutions.next();
    if (!oldest.done) this.#deleteExecution(oldest.value);
  }

  undo(change: StagedChange): void {
    switch (change.part) {
      case 'position':
        this.putPosition(change.key, change.previous);
        break;
      case 'order':
        if (change.previous !== undefined && !this.#orders.has(change.key)) this.#ordersOutOfOrder = true;
        this.#putRanked(change.key, change.previous);
        break;
      case 'cash':
        put(this.cash, change.key, change.previous);
        break;
      case 'state':
        this.putState(change.key, change.previous);
        break;
      case 'halt':
        this.halt = change.previous;
        break;
      case 'cursor':
        this.cursor = change.previous;
        break;
      case 'event':
        if (change.newExecution !== null) this.#deleteExecution(change.newExecution);
        break;
      case 'registration':
        break;
    }
  }

  /** What a restore gave; into empty entries only. */
  load(restored: StrategySnapshot): void {
    for (const position of restored.positions) this.putPosition(position.asset, Object.freeze(position));
    for (const order of restored.pending_orders) this.putOrder(Object.freeze(order));
    // A strategy that never had cash is restored with a balance of "0", which is what an absent balance says.
    if (restored.cash_balance !== '0') this.cash.set(restored.currency, restored.cash_balance);
    for (const [currency, amount] of Object.entries(restored.other_cash)) this.cash.set(currency, amount);
    for (const [key, value] of Object.entries(restored.strategy_state))
      this.putState(key, { json: value, bytes: stateValueBytes(value) });
    for (const id of restored.broker_cursor.recent_execution_ids) this.addExecution(id);
    this.halt = Object.freeze(restored.halt);
    const { activity_id, at } = restored.broker_cursor;
    this.cursor = Object.freeze({ activity_id, at });
  }

  #putRanked(orderId: string, value: RankedOrder | undefined): void {
    const { assets } = this.#totals;
    if (assets.size > 0) {
      const previous = this.#orders.get(orderId)?.order;
      if (previous !== undefined) assets.get(previous.asset)?.changeOrder(previous, -1);
      if (value !== undefined) assets.get(value.order.asset)?.changeOrder(value.order, 1);
    }
    put(this.#orders, orderId, value);
  }

  #deleteExecution(executionId: string): void {
    if (this.#executions.delete(executionId)) this.#totals.executions.delete(executionId);
  }
}

function put<V>(map: Map<string, V>, key: string, value: V | undefined): void {
  if (value === undefined) map.delete(key);
  else map.set(key, value);
}
