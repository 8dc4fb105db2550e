import type { DecimalString } from '../model/money.ts';
import type { OrderType, TimeInForce } from '../model/order.ts';
import type { AccountReport, FillReport, OrderReport, PositionReport } from '../model/report.ts';
import type { Timestamp } from '../model/time.ts';

/**
 * One broker account. The engine's thread uses the trading half and the stream; reconciliation workers load the same module and
 * use the reads. An adapter is named by module and options, never passed between threads as an object.
 *
 * Every failure is a BrokerError: `BROKER_REJECTED` (it said no: evidence), `BROKER_UNREACHABLE` / `BROKER_TIMEOUT` /
 * `BROKER_UNAVAILABLE` (no evidence, retryable), `BROKER_RATE_LIMITED` (retryable, details.retry_after_ms),
 * `BROKER_UNAUTHORIZED`, `BROKER_ANSWER_INVALID` (an answer that does not parse counts as no evidence),
 * `BROKER_DUPLICATE_ORDER_ID` (evidence that the order arrived before), `BROKER_NOT_FOUND`. No message holds a key.
 */
export interface BrokerAdapter {
  readonly name: string;
  readonly capabilities: BrokerCapabilities;

  /** Resolves with the broker's own report of the order once it has accepted it. */
  submitOrder(request: OrderRequest, options?: CallOptions): Promise<OrderReport>;
  /** Resolves once the broker took the request; the cancelation itself is told on the stream. */
  cancelOrder(order: OrderReference, options?: CallOptions): Promise<void>;
  /** Resolves with the report of the new order, which has its own client order id. */
  replaceOrder(order: OrderReference, request: ReplaceRequest, options?: CallOptions): Promise<OrderReport>;

  fetchAccount(options?: CallOptions): Promise<AccountReport>;
  /** Every open position; pagination, if the broker has it, is followed to its end. */
  fetchPositions(options?: CallOptions): Promise<readonly PositionReport[]>;
  /** Every order that is not final. */
  fetchOpenOrders(options?: CallOptions): Promise<readonly OrderReport[]>;
  /** An order in any status by the id that we chose; null on the broker's word that it has none. */
  fetchOrder(orderId: string, options?: CallOptions): Promise<OrderReport | null>;
  /** Executions after `cursor`, oldest first, followed to the end. Nothing that is no trade is among them. */
  fetchFills(cursor: ActivityCursor, options?: CallOptions): Promise<FillPage>;
  /**
   * What changed cash or quantities without a trade, after `cursor`, oldest first, followed to the end: dividends, interest, fees,
   * splits, transfers. They explain a difference between broker and books, and are never booked as fills. Absent where the broker
   * does not tell them. Its cursors are its own: one of fetchFills is a place in another list.
   */
  fetchActivities?(cursor: ActivityCursor, options?: CallOptions): Promise<ActivityPage>;

  /**
   * Opens the stream of order updates. Events before the first `connected` and during a gap are not replayed: whoever
   * listens catches up with fetchFills after each `connected`. Reconnects by itself with backoff until closed.
   */
  connect(listener: StreamListener): Promise<StreamConnection>;
  /** Ends sockets and timers. Safe to call twice. */
  close(): Promise<void>;
}

export interface BrokerCapabilities {
  /**
   * enforced: the venue refuses a client order id that it has seen. window: it does for a while. none: it does not care,
   * so an unknown order can only be settled by an operator.
   */
  readonly clientOrderIds: 'enforced' | 'window' | 'none';
  /** For `window`: how long an id is remembered. Until then not finding an order proves that it never came; absent: it never does. */
  readonly clientOrderIdWindowMs?: number;
  /** How long after a submit an order may still turn up in reads. */
  readonly settleMs: number;
  readonly replace: boolean;
  readonly shorts: boolean;
  /** split: an order that would take a position from long to short, or back, is refused, and has to be two. Default: it is one. */
  readonly crossing?: 'whole' | 'split';
}

export interface OrderRequest {
  /** Our client order id. */
  readonly order_id: string;
  readonly asset: string;
  /** Signed: a sell is negative. */
  readonly amount: DecimalString;
  readonly order_type: OrderType;
  readonly limit_price: DecimalString | null;
  readonly stop_price: DecimalString | null;
  readonly time_in_force: TimeInForce;
}

export interface ReplaceRequest {
  readonly order_id: string;
  readonly amount?: DecimalString;
  readonly limit_price?: DecimalString;
  readonly stop_price?: DecimalString;
}

export interface OrderReference {
  readonly order_id: string;
  readonly broker_order_id: string | null;
}

export interface CallOptions {
  /** Default 10 seconds. */
  readonly timeoutMs?: number;
}

export interface ActivityCursor {
  /** Read what comes after this activity; null: from `at`, or from the beginning. */
  readonly activity_id: string | null;
  readonly at: Timestamp | null;
}

export interface FillPage {
  readonly fills: readonly FillReport[];
  /** Where the next read begins; the given cursor where nothing came after it. */
  readonly cursor: ActivityCursor;
}

/** Something that the broker booked and that is no trade. */
export interface ActivityReport {
  readonly activity_id: string;
  /** In the broker's words: "DIV", "INT", "SPLIT", "CFEE" … */
  readonly type: string;
  readonly sub_type: string | null;
  readonly asset: string | null;
  /** Change of cash, signed; "0" where there is none. */
  readonly cash: DecimalString;
  readonly currency: string | null;
  /** Change of quantity, signed; "0" where there is none, null where the broker's word does not say which it is. */
  readonly amount: DecimalString | null;
  /** The broker has taken it back: it explains nothing. */
  readonly canceled: boolean;
  readonly at: Timestamp;
}

export interface ActivityPage {
  readonly activities: readonly ActivityReport[];
  /** Where the next read begins; the given cursor where nothing came after it. */
  readonly cursor: ActivityCursor;
}

export interface StreamListener {
  connected(): void;
  /** `fill` comes with the order's report when the update was an execution. */
  update(report: OrderReport, fill: FillReport | null): void;
  disconnected(reason: string): void;
}

export interface StreamConnection {
  close(): Promise<void>;
}

/** What a broker module exports as `createBroker`. */
export type BrokerFactory = (options: unknown) => BrokerAdapter | Promise<BrokerAdapter>;

/** How a broker is named in configuration and between threads. */
export interface BrokerSpec {
  /** "alpaca", "paper", a package name, a path, or a file: URL. */
  readonly module: string;
  /** Plain data; keys are named by environment variable or file, never written here. */
  readonly options?: Readonly<Record<string, unknown>>;
}
