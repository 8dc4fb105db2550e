import type { Fill } from '../model/fill.ts';
import type { Bar, MarketEvent, Quote, Trade } from '../model/market.ts';
import type { DecimalString } from '../model/money.ts';
import type { OrderSnapshot, OrderType, TimeInForce } from '../model/order.ts';
import type { PositionSnapshot } from '../model/position.ts';
import type { Timestamp } from '../model/time.ts';

/**
 * A trading strategy. Every handler is synchronous: one event, one handler, one commit. A handler that throws (or returns a
 * promise) has its own changes of this event rolled back, is stopped and reported; what the broker told us stays, and the other
 * strategies go on.
 */
export interface Strategy {
  readonly name: string;
  /** The assets whose market events it wants; all where absent. */
  readonly assets?: readonly string[];
  /** Cash given to its book when the strategy is new. */
  readonly initialCash?: Readonly<Record<string, DecimalString>>;
  /**
   * Once, when the engine begins to trade or the strategy is added; `restored` tells a restart from a first start. One that is left by a
   * refused order has not happened: nothing of it is kept, and it is called again a second later.
   */
  onStart?(context: StrategyContext, restored: boolean): void;
  onTrade?(context: StrategyContext, trade: Trade): void;
  onQuote?(context: StrategyContext, quote: Quote): void;
  onBar?(context: StrategyContext, bar: Bar): void;
  onFill?(context: StrategyContext, fill: Fill): void;
  onOrder?(context: StrategyContext, order: OrderSnapshot): void;
  onTimer?(context: StrategyContext, timer: string): void;
  onStop?(context: StrategyContext, reason: string): void;
}

/** What a handler may do. It is valid only during the handler. */
export interface StrategyContext {
  readonly strategy: string;
  readonly now: Timestamp;
  /** The event being handled, for handlers that want its time. Null outside market events. */
  readonly event: MarketEvent | null;
  /** The strategy's own keyed state: committed with everything else that this event changed. */
  readonly state: {
    get(key: string): unknown;
    set(key: string, value: unknown): void;
    delete(key: string): void;
    keys(): readonly string[];
  };
  position(asset: string): PositionSnapshot | undefined;
  positions(): readonly PositionSnapshot[];
  cash(currency?: string): DecimalString;
  lastPrice(asset: string): DecimalString | undefined;
  orders(): readonly OrderSnapshot[];
  /** Records the intent; the order leaves once the intent is durable. Returns its order_id. */
  submit(order: NewOrder): string;
  cancel(orderId: string): void;
  /** A new order in place of a live one, with an id of its own, which is returned. */
  replace(orderId: string, change: OrderChange): string;
  /** Calls onTimer(name) after `ms`, once or repeatedly; a timer of the same name is replaced. Timers do not survive a restart. */
  after(ms: number, name: string): void;
  every(ms: number, name: string): void;
  clearTimer(name: string): void;
  /** A latch: no new orders from this strategy until an operator resumes it, also after a restart. */
  halt(reason: string): void;
  /** Not for every event: one line through pino. */
  log(message: string, fields?: Readonly<Record<string, string | number | boolean>>): void;
}

export interface NewOrder {
  readonly asset: string;
  /** Signed: a sell is negative. */
  readonly amount: DecimalString;
  /** Default market. */
  readonly type?: OrderType;
  readonly limitPrice?: DecimalString;
  readonly stopPrice?: DecimalString;
  /** Default gtc. */
  readonly timeInForce?: TimeInForce;
}

export interface OrderChange {
  /** Of the new order, what the old one has done not counted. Default: what the old one has still to do. */
  readonly amount?: DecimalString;
  readonly limitPrice?: DecimalString;
  readonly stopPrice?: DecimalString;
}

/** What a strategy module exports as `createStrategy`. */
export type StrategyFactory = (options: {
  readonly name: string;
  readonly options: Readonly<Record<string, unknown>>;
}) => Strategy | Promise<Strategy>;
