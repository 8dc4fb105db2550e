import type { ActivityCursor } from '../brokers/adapter.ts';
import type { Fill } from '../model/fill.ts';
import type { MarketEvent } from '../model/market.ts';
import type { DecimalString } from '../model/money.ts';
import type { OrderSnapshot } from '../model/order.ts';
import type { FillReport, OrderReport } from '../model/report.ts';
import { type Clock, type Timestamp, timestamp } from '../model/time.ts';
import type { HostState, StrategyState } from '../state/host-state.ts';
import { Adjustments } from './adjustments.ts';
import type { Alerter } from './alert.ts';
import { Books } from './books.ts';
import { ClientOrderIds } from './client-order-id.ts';
import { DecimalLedger } from './decimal-ledger.ts';
import type { Instruments } from './instrument.ts';
import { Lives } from './lives.ts';
import { MarketRoutes } from './market-routes.ts';
import { OrderManager } from './order-manager.ts';
import type { StrategyHost } from './strategy-host.ts';

/** What happened to a book by the broker's word, and its strategy is to hear. */
export type Notice =
  | { readonly book: StrategyState; readonly fill: Fill }
  | { readonly book: StrategyState; readonly order: OrderSnapshot };

export interface CoreOptions {
  readonly state: HostState;
  readonly instruments: Instruments;
  readonly host: string;
  readonly clock: Clock;
  readonly alert: Alerter;
  /** Called after each transaction with the sequence that holds it; not inside one. */
  readonly committed: (sequence: number) => void;
  /** An order changed, in the transaction that is under way. */
  readonly orderChanged: (book: StrategyState, order: OrderSnapshot) => void;
  readonly stranger: () => void;
  readonly resurfaced: (book: StrategyState, order: OrderSnapshot) => void;
  /** Notices that came while handlers ran: to be told as an event of their own. */
  readonly later: (notices: readonly Notice[]) => void;
  /** A transaction failed by itself, not by a handler, and was rolled back. */
  readonly fault: (error: unknown) => void;
}

/** How many notices wait for a strategy that has not started. */
export const missedNoticesMax = 10_000;
/** Of how many assets it is said that their market events are left out. */
const leftOutMax = 1_000;

/**
 * One event, one commit.
 *
 * A transaction first books what the broker said, then runs the handlers of the strategies that it concerns, each with a savepoint of
 * its own, and commits all of it together. What fails in a handler takes back that handler's changes only. What fails outside of
 * handlers is the engine's own fault: everything of the event is taken back and the engine halts.
 */
export class TradingCore {
  readonly books: Books;
  readonly orders: OrderManager;
  readonly ledger: DecimalLedger;
  readonly adjustments: Adjustments;
  readonly lives: Lives;
  readonly hosts: Map<string, StrategyHost> = new Map();
  readonly #options: CoreOptions;
  readonly #state: HostState;
  readonly #routes = new MarketRoutes();
  readonly #prices = new Map<string, DecimalString>();
  readonly #missed = new Map<StrategyHost, Notice[]>();
  /** Assets whose market events are being left out: said once, until one of them can be read again. */
  readonly #leftOut = new Set<string>();
  #notices: Notice[] = [];
  #inside = false;
  #unreadFills = 0;

  constructor(options: CoreOptions) {
    const { state, instruments } = options;
    this.#options = options;
    this.#state = state;
    const ids = new ClientOrderIds(options.host, state.epoch, state);
    this.books = new Books(state, ids);
    for (const book of this.books.all()) {
      instruments.restore([...book.positions(), ...book.orders()]);
      for (const position of book.positions()) {
        if (position.last_price !== null) this.#prices.set(position.asset, position.last_price);
      }
    }
    this.lives = new Lives(this.books.unassigned, options.alert);
    this.ledger = new DecimalLedger(instruments);
    this.adjustments = new Adjustments(this.ledger, this.books.unassigned, state.currency);
    this.orders = new OrderManager({
      books: this.books,
      ids,
      ledger: this.adjustments,
      sid: (asset) => instruments.get(asset).sid,
      now: () => this.now(),
      listener: {
        filled: (book, fill) => {
          this.#unreadFills += 1;
          this.#notices.push({ book, fill });
        },
        changed: (book, order) => {
          this.#notices.push({ book, order });
          options.orderChanged(book, order);
        },
        stranger: options.stranger,
        external: (order) => {
          const { order_id, asset, amount } = order;
          const message = `order ${order_id} (${amount} ${asset}) lives at the broker and no strategy here placed it: it is kept in UNASSIGNED. Find out who placed it`;
          options.alert('warn', 'ORDER_EXTERNAL', message, { details: { order_id, asset, amount } });
        },
        resurfaced: options.resurfaced,
      },
    });
  }

  now(): Timestamp {
    return timestamp(this.#options.clock.nowMicros());
  }

  lastPrice(asset: string): DecimalString | undefined {
    return this.#prices.get(asset);
  }

  /** True while a transaction runs: whoever wants another one has to post it. */
  get inside(): boolean {
    return this.#inside;
  }

  /**
   * Executions booked from the stream since the cursor last moved. A read from the cursor gives them again, and a book knows only so
   * many ids, so that the cursor must move before they are forgotten.
   */
  get unreadFills(): number {
    return this.#unreadFills;
  }

  /** No activity of the broker's is known to be booked. */
  get isWithoutCursor(): boolean {
    const { activity_id, at } = this.books.unassigned.cursor();
    return activity_id === null && at === null;
  }

  /** The broker's activities are booked through here. */
  moveCursor(cursor: ActivityCursor): void {
    const { activity_id, at } = this.books.unassigned.cursor();
    this.#unreadFills = 0;
    if (activity_id !== cursor.activity_id || at !== cursor.at) this.books.unassigned.setCursor(cursor);
  }

  addHost(host: StrategyHost): void {
    this.hosts.set(host.name, host);
    this.#routes.rebuild(this.hosts.values());
  }

  removeHost(host: StrategyHost): void {
    this.hosts.delete(host.name);
    this.#missed.delete(host);
    this.#routes.rebuild(this.hosts.values());
  }

  /** Stops telling market events to a strategy that has failed. */
  reroute(): void {
    this.#routes.rebuild([...this.hosts.values()].filter((host) => host.isRunning || host.isWaiting));
  }

  /** Runs `work` as one event. Says whether it was committed. */
  transact(work: () => void): boolean {
    this.#inside = true;
    try {
      work();
      this.#deliver();
      this.#commit();
      return true;
    } catch (error) {
      this.#takeBack(error);
      return false;
    } finally {
      this.#inside = false;
    }
  }

  /** A market event: the price is noted, and whoever follows the asset hears it. */
  market(event: MarketEvent): void {
    if (event.kind !== 'quote' && !this.#mark(event.asset, event.kind === 'trade' ? event.price : event.close)) return;
    const hosts = this.#routes.hosts(event.asset);
    if (hosts.length === 0) return;
    this.#inside = true;
    try {
      for (const host of hosts) host.onMarket(event);
      if (this.#notices.length > 0) this.#deferNotices();
      this.#commit();
    } catch (error) {
      this.#takeBack(error);
    } finally {
      this.#inside = false;
    }
  }

  /** What the stream says: the execution first, so that the report finds it booked. */
  update(report: OrderReport, fill: FillReport | null): void {
    this.transact(() => {
      if (fill !== null) this.orders.fill(fill);
      this.orders.report(report);
    });
  }

  /** Tells notices that had to wait. */
  tell(notices: readonly Notice[]): void {
    this.transact(() => this.#notices.push(...notices));
  }

  /** Begins a strategy, and then tells it what it missed since it was added. */
  startHost(host: StrategyHost): void {
    this.transact(() => {
      const isFirst = this.lives.isFirst(host.book);
      this.lives.grant(host.strategy, host.book);
      host.start(!isFirst);
      if (host.isRunning) this.lives.started(host.book);
    });
    const missed = this.#missed.get(host);
    if (host.isWaiting || missed === undefined) return;
    this.#missed.delete(host);
    if (host.isRunning) this.#options.later(missed);
  }

  /** Tells that market events cannot be read; `asset` is "" where not even that can be. */
  leaveOut(asset: string, why: string, error?: unknown): void {
    if (this.#leftOut.has(asset) || this.#leftOut.size >= leftOutMax) return;
    this.#leftOut.add(asset);
    const of = asset === '' ? 'the feed' : asset;
    const message = `a market event of ${of} is left out, as are others like it: ${why}`;
    this.#options.alert('warn', 'MARKET_EVENT_INVALID', message, { error });
  }

  #mark(asset: string, price: DecimalString): boolean {
    try {
      this.#state.mark(asset, price);
    } catch (error) {
      this.leaveOut(asset, messageOf(error), error);
      return false;
    }
    this.#prices.set(asset, price);
    if (this.#leftOut.size > 0) this.#leftOut.delete(asset);
    return true;
  }

  #deliver(): void {
    if (this.#notices.length === 0) return;
    const notices = this.#notices;
    this.#notices = [];
    for (const notice of notices) {
      const host = this.hosts.get(notice.book.name);
      if (host === undefined) continue;
      if (host.isWaiting) this.#miss(host, notice);
      else if ('fill' in notice) host.onFill(notice.fill);
      else host.onOrder(notice.order);
    }
    // A handler that answers its own news with more news gets them as later events, so that no event is endless.
    if (this.#notices.length > 0) this.#deferNotices();
  }

  #deferNotices(): void {
    const notices = this.#notices;
    this.#notices = [];
    this.#options.later(notices);
  }

  #miss(host: StrategyHost, notice: Notice): void {
    const missed = this.#missed.get(host) ?? [];
    if (missed.length < missedNoticesMax) missed.push(notice);
    this.#missed.set(host, missed);
  }

  #commit(): void {
    const sequence = this.#state.commit();
    this.#inside = false;
    this.#options.committed(sequence);
  }

  #takeBack(error: unknown): void {
    this.#state.rollback();
    this.#notices = [];
    this.orders.reindex();
    this.adjustments.reload();
    this.#inside = false;
    this.#options.fault(error);
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
