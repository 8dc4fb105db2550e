import type { Fill } from '../model/fill.ts';
import { decimal, decimalString } from '../model/money.ts';
import { isFinal, type OrderSnapshot } from '../model/order.ts';
import type { FillReport, OrderReport } from '../model/report.ts';
import type { Timestamp } from '../model/time.ts';
import type { StrategyState } from '../state/host-state.ts';
import type { Books } from './books.ts';
import type { ClientOrderIds } from './client-order-id.ts';
import { EndedOrders } from './ended-orders.ts';
import { OpenOrders } from './open-orders.ts';
import { draftOrder, draftReplacement } from './order-draft.ts';
import { adopted, averagePrice, fillOf, intendedAt, type OrderFacts, overruled, tellsOutcome } from './order-facts.ts';
import { evidenceOf, isFinalEvidence, nextStatus, type OrderEvidence } from './order-transitions.ts';
import { isAhead, ReportsAhead } from './reports-ahead.ts';
import type { NewOrder, OrderChange } from './strategy.ts';

/** Books an execution: position, cash, fees. */
export interface FillLedger {
  /** @param intendedAt when its order was made here, by our clock; null where it was not */
  apply(book: StrategyState, fill: Fill, intendedAt: Timestamp | null): void;
  /** Whether an order's filled amount was set to the broker's figure and holds an execution of that time already. */
  isInOrder(orderId: string, at: Timestamp): boolean;
  /** Nothing is to be remembered of the order any more. */
  orderEnded(orderId: string): void;
}

/** Who hears what evidence changed, in the order in which it did. */
export interface OrderListener {
  filled(book: StrategyState, fill: Fill): void;
  changed(book: StrategyState, order: OrderSnapshot): void;
  /** The stream tells of a live order that nobody here has: the open orders have to be read. */
  stranger(): void;
  /** A live order that nobody here has placed was taken into the book of what belongs to nobody. */
  external(order: OrderSnapshot): void;
  /** An order that was given up as never received turns out to be live: the broker's earlier word was wrong. */
  resurfaced(book: StrategyState, order: OrderSnapshot): void;
}

/**
 * The orders that are not final, of all books, and what evidence makes of them.
 *
 * 1. `status` follows reports, by the table in order-transitions.ts; `filled_amount` follows executions alone, each counted once by
 *    its id. So reports that are late, doubled or out of order change no quantity.
 * 2. An order whose report is ahead of its executions (final, or filled further) keeps its status until they are booked: {@link behind}
 *    says that the broker's activities have to be read. A position is never guessed from a report.
 * 3. What belongs to no order of ours goes to UNASSIGNED.
 *
 * Everything is staged in the books; whoever calls commits.
 */
export class OrderManager {
  readonly #books: Books;
  readonly #ids: ClientOrderIds;
  readonly #ledger: FillLedger;
  readonly #sid: (asset: string) => number;
  readonly #now: () => Timestamp;
  readonly #listener: OrderListener;
  readonly #open: OpenOrders;
  readonly #ahead = new ReportsAhead();
  readonly #ended: EndedOrders;

  constructor(options: {
    readonly books: Books;
    readonly ids: ClientOrderIds;
    readonly ledger: FillLedger;
    /** The host's number for an asset. */
    readonly sid: (asset: string) => number;
    readonly now: () => Timestamp;
    readonly listener: OrderListener;
  }) {
    this.#books = options.books;
    this.#ids = options.ids;
    this.#ledger = options.ledger;
    this.#sid = options.sid;
    this.#now = options.now;
    this.#listener = options.listener;
    this.#open = new OpenOrders(options.books);
    this.#ended = new EndedOrders((brokerOrderId) => this.#open.forget(brokerOrderId));
  }

  /** Reads the open orders of every book anew: after a restore, and after a rollback of evidence. */
  reindex(): void {
    this.#open.reindex();
  }

  /** Makes an order known that a handler staged, once the handler has succeeded. */
  track(book: StrategyState, order: OrderSnapshot): void {
    this.#open.track(book, order);
  }

  /**
   * Stages a strategy's order and its intent.
   * @throws StrategyError ORDER_INVALID
   */
  draft(book: StrategyState, wanted: NewOrder): OrderSnapshot {
    const at = this.#now();
    return this.#stageIntent(book, draftOrder(book.name, this.#ids.next(book.name), wanted, at), at);
  }

  /**
   * Stages an order in place of `old`, and its intent.
   * @throws StrategyError ORDER_INVALID
   */
  draftReplacement(book: StrategyState, old: OrderSnapshot, change: OrderChange): OrderSnapshot {
    const at = this.#now();
    const order = draftReplacement(book.name, this.#ids.next(book.name), old, change, at);
    const staged = this.#stageIntent(book, order, at);
    const status = nextStatus(old.status, 'replace_requested', old.filled_amount !== '0');
    if (old.status !== 'pending' && old.status !== 'unknown') book.setOrder({ ...old, status, updated_at: at });
    return staged;
  }

  find(orderId: string): { readonly book: StrategyState; readonly order: OrderSnapshot } | undefined {
    return this.#open.find(orderId);
  }

  /** Open orders, oldest first within each book. */
  open(): OrderSnapshot[] {
    return this.#open.all();
  }

  isUnknown(orderId: string): boolean {
    return this.#open.isUnknown(orderId);
  }

  unknown(): readonly string[] {
    return this.#open.unknown();
  }

  /** True while the broker has told of executions that are not booked. */
  get behind(): boolean {
    return this.#ahead.size > 0;
  }

  /** The order that a report or an execution is about; undefined where none is open. */
  orderIdOf(orderId: string | null, brokerOrderId: string): string | undefined {
    return this.#open.idOf(orderId, brokerOrderId);
  }

  /** Evidence that is not a report of the order itself. Nothing happens where the order is not open. */
  learn(orderId: string, evidence: OrderEvidence, reason: string | null = null): void {
    const found = this.find(orderId);
    if (found === undefined) return;
    const received = evidence !== 'never_received' && evidence !== 'never_sent';
    this.#apply(found.book, found.order, evidence, {}, reason, received);
  }

  /**
   * The broker's report of an order, ours or not.
   * @param read it was asked for just now. What the stream tells may be old: it does not make an order live that nobody here has.
   */
  report(report: OrderReport, read = false): void {
    const orderId = this.orderIdOf(report.order_id, report.broker_order_id);
    if (orderId === undefined) {
      this.#reportOfStranger(report, read);
      return;
    }
    const found = this.find(orderId);
    const evidence = evidenceOf(report.status);
    if (found === undefined || evidence === null) return;
    const { book, order } = found;
    const facts: OrderFacts = {};
    if (order.broker_order_id === null) facts.broker_order_id = report.broker_order_id;
    // Venues differ in whether a replacement's amount counts what was filled before: theirs is the truth.
    if (order.replaces != null && !decimal(order.amount).eq(report.amount)) facts.amount = report.amount;
    if (isAhead(order, report)) {
      this.#ahead.keep(orderId, report);
      this.#apply(book, order, isFinalEvidence(evidence) ? 'accepted' : evidence, facts, report.reason);
      return;
    }
    this.#apply(book, order, evidence, facts, report.reason);
  }

  /** Books an execution unless its id is booked already; says whether it was new. */
  fill(report: FillReport): boolean {
    const orderId = this.orderIdOf(report.order_id, report.broker_order_id);
    const found = orderId === undefined ? undefined : this.find(orderId);
    const ended = this.#ended.get(report.order_id ?? this.#open.namedByBroker(report.broker_order_id) ?? '');
    const book = found?.book ?? (ended && this.#books.get(ended.strategy)) ?? this.#books.ownerOf(report.order_id);
    if (this.#books.haveExecution(report.execution_id)) return false;

    const fill = fillOf(report, orderId ?? ended?.orderId ?? report.order_id ?? report.broker_order_id);
    this.#ledger.apply(book, fill, intendedAt(found?.order));
    book.addEvent({ kind: 'fill', fill, at: this.#now() });
    this.#listener.filled(book, fill);
    if (found !== undefined) this.#fillOrder(book, found.order, fill);
    return true;
  }

  /** The broker's word on an order's whole state, filled amount included, as a reconciliation's plan gives it. */
  overrule(book: StrategyState, before: OrderSnapshot, report: OrderReport | null, reason: string): void {
    const after = overruled(before, report, reason, this.#now());
    this.#ahead.delete(before.order_id);
    this.#put(book, before, after, report !== null);
  }

  /** Takes an order into a book that nobody here has a record of: live at the broker, so it counts. */
  adopt(report: OrderReport, into?: StrategyState): void {
    if (this.orderIdOf(report.order_id, report.broker_order_id) !== undefined || isFinal(report.status)) return;
    const book = into ?? this.#books.ownerOf(report.order_id);
    const order = adopted(report, this.#sid(report.asset), this.#now());
    book.setOrder(order);
    this.track(book, order);
    this.#addOutcome(book, order);
    this.#listener.changed(book, order);
  }

  #reportOfStranger(report: OrderReport, read: boolean): void {
    if (isFinal(report.status) || evidenceOf(report.status) === null) return;
    const ended = this.#ended.get(report.order_id ?? this.#open.namedByBroker(report.broker_order_id) ?? '');
    // A late report about an order that is final is no news, except where it was given up on the broker's word.
    if (ended?.received === true) return;
    if (!read) {
      this.#listener.stranger();
      return;
    }
    if (ended === undefined) {
      this.adopt(report);
      const found = this.find(report.order_id ?? report.broker_order_id);
      if (found?.book === this.#books.unassigned) this.#listener.external(found.order);
      return;
    }
    const book = this.#books.get(ended.strategy) ?? this.#books.unassigned;
    this.#ended.delete(ended.orderId);
    this.adopt(report, book);
    const found = this.find(report.order_id ?? report.broker_order_id);
    if (found !== undefined) this.#listener.resurfaced(book, found.order);
  }

  #stageIntent(book: StrategyState, drafted: OrderSnapshot, at: Timestamp): OrderSnapshot {
    const order: OrderSnapshot = { ...drafted, sid: this.#sid(drafted.asset) };
    book.setOrder(order);
    book.addEvent({ kind: 'order_intent', order, at });
    return order;
  }

  #fillOrder(book: StrategyState, order: OrderSnapshot, fill: Fill): void {
    const before = decimal(order.filled_amount);
    const isHeld = this.#ledger.isInOrder(order.order_id, fill.at);
    const after = isHeld ? before : before.plus(fill.amount);
    const total = decimal(order.amount);
    // An order that was adopted half-filled may have counted this execution already.
    const filled = after.abs().gt(total.abs()) ? total : after;
    const facts: OrderFacts = {
      filled_amount: decimalString(filled),
      ...(isHeld ? {} : { average_fill_price: averagePrice(order, fill, before, after) }),
    };
    if (order.broker_order_id === null && fill.broker_order_id !== null) facts.broker_order_id = fill.broker_order_id;

    const ahead = this.#ahead.get(order.order_id);
    const evidence = ahead === undefined ? null : evidenceOf(ahead.status);
    const caughtUp = ahead !== undefined && filled.abs().gte(decimal(ahead.filled_amount).abs());
    if (caughtUp) this.#ahead.delete(order.order_id);
    if (caughtUp && evidence !== null && isFinalEvidence(evidence)) {
      this.#apply(book, order, evidence, facts, ahead.reason);
      return;
    }
    this.#apply(book, order, filled.eq(total) ? 'filled' : 'partially_filled', facts, null);
  }

  #apply(
    book: StrategyState,
    order: OrderSnapshot,
    evidence: OrderEvidence,
    facts: OrderFacts,
    reason: string | null,
    received = true,
  ): void {
    const status = nextStatus(
      order.status,
      evidence,
      decimal(facts.filled_amount ?? order.filled_amount).isZero() === false,
    );
    if (status === order.status && Object.keys(facts).length === 0 && (reason ?? order.reason) === order.reason) return;
    const settled = order.status === 'unknown' && status !== 'unknown';
    const after: OrderSnapshot = {
      ...order,
      ...facts,
      status,
      reason: reason ?? (settled ? null : (order.reason ?? null)),
      updated_at: this.#now(),
    };
    this.#put(book, order, after, received);
  }

  #put(book: StrategyState, before: OrderSnapshot, after: OrderSnapshot, received = true): void {
    book.setOrder(after);
    if (!isFinal(after.status)) this.#open.track(book, after);
    else {
      this.#open.end(after);
      this.#ledger.orderEnded(after.order_id);
      this.#ahead.delete(after.order_id);
      this.#ended.add({
        orderId: after.order_id,
        strategy: book.name,
        brokerOrderId: after.broker_order_id,
        received,
      });
    }
    if (tellsOutcome(before.status, after.status)) this.#addOutcome(book, after);
    this.#listener.changed(book, after);
  }

  #addOutcome(book: StrategyState, order: OrderSnapshot): void {
    book.addEvent({
      kind: 'order_outcome',
      order_id: order.order_id,
      status: order.status,
      broker_order_id: order.broker_order_id,
      reason: order.reason ?? null,
      at: this.#now(),
    });
  }
}
