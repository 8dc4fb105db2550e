import type { Halt, StateEvent } from '../model/event.ts';
import type { Decimal, DecimalString } from '../model/money.ts';
import type { OrderSnapshot } from '../model/order.ts';
import type { PositionSnapshot } from '../model/position.ts';
import type { Recovery } from '../model/recovery.ts';
import type { Snapshot, StateCheckpoint, StrategySnapshot } from '../model/snapshot.ts';

/**
 * The state of a host as an engine uses it, its own or somebody else's. StateManager is the real one.
 *
 * Changes are staged by the setters, seen at once by the getters of the same thread, and become part of the state at
 * `commit()`; what is staged and not committed is never posted, and `rollback` takes it back.
 */
export interface HostState {
  /** What the restore at open used and lost. */
  readonly recovery: Recovery;
  readonly epoch: number;
  /** Base currency: that of `cash_balance`. */
  readonly currency: string;
  /** Of the last commit. */
  readonly sequence: number;
  /** Everything up to here survives any failure from now on. Read without I/O, also while the thread is busy. */
  readonly durableSequence: number;
  /** Age of the oldest commit that is not durable; 0 when all are. */
  readonly durableLagMs: number;
  /** False while the bound on events is reached or persistence has failed for good: no new orders then. */
  readonly acceptsIntents: boolean;

  /** Makes a strategy known (empty where it is new) and gives its state. The same name gives the same object. */
  register(strategy: string): StrategyState;
  /** Those known, UNASSIGNED included where it holds something, sorted by name. */
  strategies(): readonly string[];

  /** Whether a fill with this execution id is booked, in any strategy. */
  hasExecution(executionId: string): boolean;
  /** What all strategies together have in an asset. Asking costs what changed there since it was last asked. */
  inAsset(asset: string): AssetTotals;

  /** Commits everything staged, of all strategies, as one sequence, and returns it; the current one where nothing is staged. */
  commit(): number;
  /** Takes back everything staged. */
  rollback(): void;
  /**
   * Resolves once every commit ≤ sequence is durable (default: the last). Rejects with the write's error when an attempt
   * that held it failed, although a later attempt may still succeed; and with STATE_CLOSED after close().
   */
  durable(sequence?: number): Promise<void>;
  /** Commits what is staged, then resolves once each strategy's checkpoint of at least that sequence is a durable file. */
  checkpoint(
    reason?: 'on_demand' | 'shutdown',
  ): Promise<{ readonly sequence: number; readonly files: readonly string[] }>;
  /** The host as of the last commit: immutable, shares structure, O(entries) and so not for the hot path. */
  snapshot(): Snapshot;
  /** The last price of an asset: costs a map write; it reaches files with the position's next change or checkpoint. */
  mark(asset: string, price: DecimalString): void;
  /** For status.json. */
  phase(phase: string): void;

  on<K extends keyof HostStateEvents>(event: K, listener: (...args: HostStateEvents[K]) => void): void;
  off<K extends keyof HostStateEvents>(event: K, listener: (...args: HostStateEvents[K]) => void): void;
  /** Final checkpoint (unless told otherwise), acknowledged; then the worker ends and the lock is free. Safe to call twice. */
  close(options?: { readonly checkpoint?: boolean; readonly deadlineMs?: number }): Promise<void>;
}

/** Over all strategies, staged changes included; always as of now. */
export interface AssetTotals {
  readonly held: Decimal;
  /** What open orders have still to buy. */
  readonly toBuy: Decimal;
  /** What open orders have still to sell, negative. */
  readonly toSell: Decimal;
}

export interface HostStateEvents {
  /** The durable sequence advanced. Called on the engine's thread between its events, once per acknowledgement. */
  durable: [sequence: number];
  /** Too much is unacknowledged, or a write failed: entries wait, unbounded promises do not exist. */
  lagging: [detail: { readonly lagMs: number; readonly error: Error | null }];
  recovered: [detail: { readonly laggedMs: number }];
  checkpointed: [detail: { readonly sequence: number; readonly strategies: number; readonly durationMs: number }];
  checkpointFailed: [error: Error];
  workerRestarted: [detail: { readonly incarnation: number; readonly cause: Error }];
  /** Persistence is gone for good: no new orders, alert. */
  failed: [error: Error];
  /**
   * What became of the audit, which touches neither commits nor orders. gap: part of the journal is not in audit.db, and a row there
   * says so. restarted: its worker ended and was replaced. failed: it was replaced too often, and stands still until the next start.
   */
  audit: [detail: { readonly kind: 'gap' | 'restarted' | 'failed'; readonly message: string }];
  /** A committed state value has more than `stateValueWarnBytes`: told once for each key. */
  stateValueLarge: [detail: { readonly strategy: string; readonly key: string; readonly bytes: number }];
  notice: [detail: { readonly level: 'info' | 'warn' | 'error'; readonly message: string }];
}

/** One strategy's part. Values are checked for form, not for sense, and frozen; strings are kept as given. */
export interface StrategyState {
  readonly name: string;
  /** True where the restore found nothing for this name. */
  readonly isNew: boolean;

  position(asset: string): PositionSnapshot | undefined;
  positions(): readonly PositionSnapshot[];
  setPosition(position: PositionSnapshot): void;
  removePosition(asset: string): void;

  /** Orders that are not final. */
  order(orderId: string): OrderSnapshot | undefined;
  orders(): readonly OrderSnapshot[];
  /** An order with a final status is removed from the open ones; record its story with addEvent. */
  setOrder(order: OrderSnapshot): void;
  removeOrder(orderId: string): void;

  cash(currency?: string): DecimalString;
  allCash(): Readonly<Record<string, DecimalString>>;
  setCash(amount: DecimalString, currency?: string): void;

  /** Decoded and frozen (or a fresh copy where it can't be frozen); undefined where the key is absent. */
  get(key: string): unknown;
  /**
   * Encodes at once: later changes to the object do not count.
   * @throws StateError STATE_VALUE_INVALID or STATE_VALUE_TOO_LARGE naming strategy, key and path; STATE_TOO_LARGE where the strategy, the
   *   host or this commit has no room for it; STATE_KEY_INVALID. What stood there before stands
   */
  set(key: string, value: unknown): void;
  delete(key: string): void;
  /** Sorted, in the order of UTF-16 code units: the same after a restore, from a checkpoint or from the journal. */
  keys(): readonly string[];

  readonly halt: Halt | null;
  setHalt(halt: Halt | null): void;
  cursor(): { readonly activity_id: string | null; readonly at: string | null };
  setCursor(cursor: { readonly activity_id: string | null; readonly at: string | null }): void;
  /**
   * A fill event also makes its execution id known.
   * @throws StateError ENTRY_INVALID naming strategy, kind and field or path, EVENT_TOO_LARGE, STATE_TOO_LARGE: then nothing was added
   */
  addEvent(event: StateEvent): void;
  /** Whether a fill with this execution id is booked. */
  hasExecution(executionId: string): boolean;

  /** Everything staged until now by anybody stays when rollbackTo(this) is called; cheap. */
  savepoint(): number;
  /** Takes back what this strategy staged after the savepoint. */
  rollbackTo(savepoint: number): void;
  snapshot(): StrategySnapshot;
}

/** The seed's two calls, beside HostState on StateManager. */
export interface CheckpointCalls {
  /** Replaces the strategy's whole state, commits, and resolves with the checkpoint once it is a durable file. */
  saveCheckpoint(strategy: string, state: StateToSave): Promise<StateCheckpoint>;
  /**
   * What a restore gives for the strategy now: committed and durable. Null for a strategy without any state.
   * @throws ConfigError STRATEGY_NAME_INVALID
   */
  loadCheckpoint(strategy: string): Promise<StateCheckpoint | null>;
}

export interface StateToSave {
  readonly strategy_state: Readonly<Record<string, unknown>>;
  readonly positions: readonly PositionSnapshot[];
  readonly pending_orders: readonly OrderSnapshot[];
  readonly cash_balance: DecimalString;
}
