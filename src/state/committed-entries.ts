import type { StrategyDelta } from '../model/delta.ts';
import type { JsonObject, JsonValue } from '../model/json.ts';
import type { DecimalString } from '../model/money.ts';
import type { OrderSnapshot } from '../model/order.ts';
import type { PositionSnapshot } from '../model/position.ts';
import { recentExecutionsMax, type StrategySnapshot } from '../model/snapshot.ts';
import { type CommittedView, nothingStaged } from './committed-view.ts';
import type { DirtyEntries } from './dirty-entries.ts';
import { stateBytes, strategyBytes } from './entry-bytes.ts';
import type { LiveEntries } from './live-entries.ts';
import type { RankedOrder } from './undo-log.ts';
import type { WholeStrategy } from './whole-posts.ts';

/**
 * What of one strategy may leave this thread: its entries as of the last commit, each position with the last price that anybody
 * marked, in the three forms in which they leave.
 */
export class CommittedEntries {
  readonly #strategy: string;
  readonly #live: LiveEntries;
  readonly #view: CommittedView;
  readonly #marks: ReadonlyMap<string, DecimalString>;

  constructor(strategy: string, live: LiveEntries, view: CommittedView, marks: ReadonlyMap<string, DecimalString>) {
    this.#strategy = strategy;
    this.#live = live;
    this.#view = view;
    this.#marks = marks;
  }

  snapshot(currency: string): StrategySnapshot {
    const cash = this.#view.map('cash', this.#live.cash);
    const balance = cash.get(currency) ?? '0';
    cash.delete(currency);
    return Object.freeze({
      strategy_name: this.#strategy,
      strategy_state: Object.freeze(Object.fromEntries(this.#state())) as JsonObject,
      positions: Object.freeze(this.#positions().sort(byAsset)),
      pending_orders: Object.freeze(this.#orders()),
      cash_balance: balance,
      currency,
      other_cash: Object.freeze(Object.fromEntries([...cash].sort(byKey))),
      broker_cursor: Object.freeze({
        ...this.#view.cursor(this.#live.cursor),
        recent_execution_ids: Object.freeze(this.#recentExecutions()),
      }),
      halt: this.#view.halt(this.#live.halt),
    });
  }

  /** The newest values of what is dirty, and its events. */
  delta(dirty: DirtyEntries | null): StrategyDelta {
    const delta: Mutable<StrategyDelta> = { strategy: this.#strategy };
    if (dirty === null) return delta;
    const [live, view] = [this.#live, this.#view];
    if (dirty.positions !== null) {
      const set: PositionSnapshot[] = [];
      const removed: string[] = [];
      for (const asset of dirty.positions.keys()) {
        const position = view.value('position', asset, live.positions.get(asset));
        if (position === undefined) removed.push(asset);
        else set.push(this.#marked(position));
      }
      if (set.length > 0) delta.positions = set;
      if (removed.length > 0) delta.positions_removed = removed;
    }
    if (dirty.orders !== null) {
      const { set, removed } = split(dirty.orders, (id) => view.value('order', id, live.orders.get(id)));
      if (set.length > 0) delta.orders = ranked(set.map(([, order]) => order));
      // A mirror removes first, so that an order which was removed and came again stands where it came again.
      const gone = new Set([...removed, ...(dirty.ordersRemoved ?? [])]);
      if (gone.size > 0) delta.orders_removed = [...gone];
    }
    if (dirty.cash !== null) {
      const { set } = split(dirty.cash, (currency) => view.value('cash', currency, live.cash.get(currency)));
      if (set.length > 0) delta.cash = set;
    }
    if (dirty.state !== null) {
      const { set, removed } = split(dirty.state, (key) => view.value('state', key, live.state.get(key))?.json);
      if (set.length > 0) delta.state = set;
      if (removed.length > 0) delta.state_removed = removed;
    }
    if (dirty.halt) delta.halt = view.halt(live.halt);
    if (dirty.cursor) delta.cursor = view.cursor(live.cursor);
    if (dirty.events !== null) delta.events = dirty.events;
    return delta;
  }

  /** Everything, as a delta that needs no mirror to stand on; without events. */
  whole(): WholeStrategy {
    const entries: StrategyDelta = {
      strategy: this.#strategy,
      whole: true,
      positions: this.#positions(),
      orders: this.#orders(),
      cash: [...this.#view.map('cash', this.#live.cash)],
      halt: this.#view.halt(this.#live.halt),
      cursor: this.#view.cursor(this.#live.cursor),
      recent_execution_ids: this.#recentExecutions(),
    };
    let bytes = Buffer.byteLength(JSON.stringify(entries)) + strategyBytes;
    for (const [key, value] of this.#view.map('state', this.#live.state)) bytes += stateBytes(key, value);
    return { delta: { ...entries, state: this.#state() }, bytes };
  }

  #positions(): PositionSnapshot[] {
    const committed = this.#view.map('position', this.#live.positions);
    return Array.from(committed.values(), (position) => this.#marked(position));
  }

  #orders(): OrderSnapshot[] {
    return ranked(this.#view.map('order', this.#live.orders).values());
  }

  /** Sorted by key: the same state in the same order, whether it was set so, or read from a checkpoint or the journal. */
  #state(): [string, JsonValue][] {
    const committed = this.#view.map('state', this.#live.state);
    return Array.from(committed, ([key, { json }]): [string, JsonValue] => [key, json]).sort(byKey);
  }

  #marked(position: PositionSnapshot): PositionSnapshot {
    const mark = this.#marks.get(position.asset);
    return mark === undefined || mark === position.last_price
      ? position
      : Object.freeze({ ...position, last_price: mark });
  }

  #recentExecutions(): string[] {
    const ids = [...this.#live.executions];
    const known = this.#view === nothingStaged ? ids : ids.filter((id) => !this.#view.stagedExecutions.has(id));
    return known.slice(-recentExecutionsMax);
  }
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

function split<V>(
  keys: ReadonlyMap<string, unknown>,
  read: (key: string) => V | undefined,
): { set: [string, V][]; removed: string[] } {
  const set: [string, V][] = [];
  const removed: string[] = [];
  for (const key of keys.keys()) {
    const value = read(key);
    if (value === undefined) removed.push(key);
    else set.push([key, value]);
  }
  return { set, removed };
}

function ranked(orders: Iterable<RankedOrder>): OrderSnapshot[] {
  return [...orders].sort((a, b) => a.rank - b.rank).map(({ order }) => order);
}

function byAsset(a: PositionSnapshot, b: PositionSnapshot): number {
  return a.asset < b.asset ? -1 : 1;
}

function byKey(a: readonly [string, unknown], b: readonly [string, unknown]): number {
  return a[0] < b[0] ? -1 : 1;
}
