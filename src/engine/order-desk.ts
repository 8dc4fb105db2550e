import type { After } from '../actor/timers.ts';
import type { BrokerAdapter } from '../brokers/adapter.ts';
import type { OrderSnapshot } from '../model/order.ts';
import type { Clock } from '../model/time.ts';
import type { HostState, StrategyState } from '../state/host-state.ts';
import type { Alerter } from './alert.ts';
import type { Books } from './books.ts';
import { brokerCode, isRefusal } from './broker-refusal.ts';
import { CancelDesk } from './cancel-desk.ts';
import { isAgainstPosition } from './crossing.ts';
import { reasonOf } from './order-facts.ts';
import { OrderGate } from './order-gate.ts';
import type { OrderManager } from './order-manager.ts';
import { isLive } from './order-transitions.ts';
import { type Answer, type Intent, Outbox } from './outbox.ts';
import type { Verdict } from './resolve.ts';
import type { NewOrder, OrderChange } from './strategy.ts';
import { UnknownOrders } from './unknown-orders.ts';

export interface OrderDeskOptions {
  readonly state: HostState;
  readonly broker: BrokerAdapter;
  readonly orders: OrderManager;
  readonly books: Books;
  readonly gate: 'durable' | 'async';
  readonly lagMsMax: number;
  readonly clock: Clock;
  readonly after: After;
  readonly random?: () => number;
  readonly alert: Alerter;
  /** Why no order may leave now, or null. */
  readonly closedBecause: () => string | null;
  /** Runs `work` as an event of its own, after those that wait. */
  readonly inTurn: (work: () => void) => void;
  /** Orders here and there have to be read anew. */
  readonly catchUp: () => void;
  /** Stops new orders of the strategy, or of all where it is null. In a transaction. */
  readonly halt: (book: StrategyState | null, reason: string) => void;
}

/**
 * From a strategy's wish to the broker's answer: what is refused, what leaves, and what an answer, or the lack of one, means.
 *
 * An order without an answer is `unknown`. It is looked up by its id until there is evidence, and until then its strategy can add no
 * exposure in its asset. It is never sent again, and never taken for rejected because nobody answered.
 */
export class OrderDesk {
  readonly outbox: Outbox;
  readonly #options: OrderDeskOptions;
  readonly #orders: OrderManager;
  readonly #gate: OrderGate;
  readonly #cancels: CancelDesk;
  readonly #unknown: UnknownOrders;
  readonly #closing = new AbortController();
  /** Orders that open what another closes before: drafted in this transaction, by the id of that one. */
  readonly #followers = new Map<string, OrderSnapshot>();
  #intents: Omit<Intent, 'sequence'>[] = [];
  #changed: string[] = [];

  constructor(options: OrderDeskOptions) {
    const { state, broker, gate, orders } = options;
    this.#options = options;
    this.#orders = orders;
    this.outbox = new Outbox({
      broker,
      gate,
      durableSequence: () => state.durableSequence,
      order: (orderId) => orders.find(orderId)?.order,
      answered: (answer) => options.inTurn(() => this.#answered(answer)),
      canFollow: (order) => !isAgainstPosition(options.books, order),
      obsolete: (orderId, why) => options.inTurn(() => this.#neverSent(orderId, `never sent: ${why}`)),
    });
    this.#gate = new OrderGate(options);
    const closing = this.#closing.signal;
    const refresh = (orderId: string): void => this.#refresh(orderId);
    const { unassigned } = options.books;
    this.#cancels = new CancelDesk({ ...options, unassigned, outbox: this.outbox, closing, refresh });
    this.#unknown = new UnknownOrders({
      ...options,
      closing,
      neverReceived: (orderId, reason) => this.#ended(orderId, () => orders.learn(orderId, 'never_received', reason)),
    });
  }

  // In a handler: everything here is staged, and gone with the handler's changes when it fails.

  /** @throws StrategyError ORDER_INVALID, ORDER_REFUSED */
  draft(book: StrategyState, wanted: NewOrder): OrderSnapshot {
    const [order, follower] = this.#gate.draft(book, wanted);
    if (follower !== undefined) this.#followers.set(order.order_id, follower);
    return order;
  }

  /** @throws StrategyError ORDER_INVALID, ORDER_REFUSED */
  draftReplacement(book: StrategyState, orderId: string, change: OrderChange): OrderSnapshot {
    return this.#gate.draftReplacement(book, orderId, change);
  }

  // After a handler that succeeded, in its transaction.

  submit(book: StrategyState, order: OrderSnapshot): void {
    this.#intend(book, order, null);
    const follower = this.#followers.get(order.order_id);
    if (follower !== undefined) this.#intend(book, follower, order.order_id);
  }

  cancel(orderId: string): void {
    if (this.#withdraw(orderId)) this.#neverSent(orderId, 'canceled before it was sent');
    else this.#cancels.cancel(orderId);
  }

  /** Takes back what has not left, of one strategy or of all. */
  withdrawAll(strategy: string | null, reason: string): void {
    const staged = this.#intents.filter((intent) => strategy === null || intent.strategy === strategy);
    this.#intents = this.#intents.filter((intent) => !staged.includes(intent));
    const orderIds = [...this.outbox.withdrawAll(strategy), ...staged.map(({ orderId }) => orderId)];
    for (const orderId of orderIds) this.#neverSent(orderId, `never sent: ${reason}`);
  }

  /** An order changed by evidence, in the transaction that is under way. */
  orderChanged(orderId: string): void {
    this.#changed.push(orderId);
  }

  // After a transaction.

  /** What the transaction wished for can happen, since it is committed at `sequence`. */
  committed(sequence: number): void {
    if (this.#intents.length > 0) {
      for (const intent of this.#intents.splice(0)) this.outbox.add({ ...intent, sequence });
    }
    // Clearing a map makes it anew, also where it is empty.
    if (this.#followers.size > 0) this.#followers.clear();
    this.#cancels.committed();
    if (this.#changed.length > 0) {
      for (const orderId of this.#changed.splice(0)) this.#followUp(orderId);
    }
    this.outbox.flush();
  }

  /** The transaction was taken back, and with it whatever it wished for. */
  takenBack(): void {
    this.#intents = [];
    this.#followers.clear();
    this.#changed = [];
    this.#cancels.takenBack();
  }

  /** Orders without an outcome, as found at a start: each is unknown until there is evidence. */
  markUnanswered(): number {
    for (const order of this.#orders.open()) {
      if (order.status === 'pending')
        this.#orders.learn(order.order_id, 'unanswered', 'the engine stopped before it was answered');
    }
    return this.#orders.unknown().length;
  }

  /** Looks up an order until there is a verdict, or the signal aborts; the verdict is applied as an event. Never rejects. */
  settle(orderId: string, options: { readonly signal?: AbortSignal } = {}): Promise<Verdict> {
    return this.#unknown.settle(orderId, options);
  }

  /** Looks again at orders whose look-up came to nothing. */
  settleAgain(): void {
    this.#unknown.settleAgain();
  }

  /** In a transaction: asks again for what a former life had asked, or had wished: orders that were to be canceled and still live. */
  resumeCancels(): void {
    this.#cancels.resume();
  }

  /** An operator's word that the broker never had an order. */
  neverReceived(orderId: string, reason: string): void {
    this.#unknown.settledByHand(orderId, reason);
  }

  /** Requests that are not answered, or are to be made again. */
  get underWay(): number {
    const { waiting, inFlight, canceling } = this.outbox;
    return waiting + inFlight + canceling + this.#cancels.waiting;
  }

  /** Resolves once everything that was asked for now has left and is answered; an answer may ask for more. */
  async drained(): Promise<void> {
    await Promise.all([this.outbox.drained(), this.#cancels.drained()]);
  }

  close(): void {
    this.#closing.abort();
  }

  #intend(book: StrategyState, order: OrderSnapshot, after: string | null): void {
    // A later handler of the same event may have found the order's fate already; what is staged is the truth.
    this.#orders.track(book, book.order(order.order_id) ?? order);
    this.#intents.push({ orderId: order.order_id, strategy: book.name, after });
  }

  /** What waited for an order to live can happen, or never will. */
  #followUp(orderId: string): void {
    const order = this.#orders.find(orderId)?.order;
    if (order !== undefined && !isLive(order.status)) return;
    this.outbox.targetChanged(orderId);
    this.#cancels.followUp(orderId);
  }

  #answered(answer: Answer): void {
    const { orderId } = answer;
    if (answer.request === 'cancel') this.#cancels.failed(orderId, answer.error);
    else if ('report' in answer) {
      const replaces = this.#orders.find(orderId)?.order.replaces ?? null;
      this.#orders.report(answer.report);
      // How far the replaced order was filled is told by its own report, on the stream or asked for.
      if (replaces !== null) this.#refresh(replaces);
    } else if (isRefusal(answer.error)) {
      this.#ended(orderId, () => this.#orders.learn(orderId, 'rejected', reasonOf(answer.error)));
    } else {
      this.#orders.learn(orderId, 'unanswered', reasonOf(answer.error));
      if (!this.#orders.isUnknown(orderId)) return;
      this.#unknown.unanswered(orderId, answer.error, brokerCode(answer.error) === 'BROKER_DUPLICATE_ORDER_ID');
    }
  }

  /** Reads one order's report; where that fails, the catch-up does it. */
  #refresh(orderId: string): void {
    if (this.#orders.find(orderId) === undefined) return;
    if (this.#options.broker.capabilities.clientOrderIds === 'none') {
      this.#options.catchUp();
      return;
    }
    this.#options.broker.fetchOrder(orderId).then(
      (report) => {
        if (report !== null)
          this.#options.inTurn(() => this.#orders.report({ ...report, order_id: report.order_id ?? orderId }));
      },
      () => this.#options.catchUp(),
    );
  }

  #neverSent(orderId: string, reason: string): void {
    this.#ended(orderId, () => this.#orders.learn(orderId, 'never_sent', reason));
  }

  /** Ends an order that never lived; one that it was to replace lives on as it was. */
  #ended(orderId: string, end: () => void): void {
    const replaces = this.#orders.find(orderId)?.order.replaces ?? null;
    end();
    if (replaces === null || this.#orders.find(replaces) === undefined) return;
    const { order } = this.#orders.find(replaces) ?? {};
    if (order?.status === 'pending_replace') this.#orders.learn(replaces, 'request_refused');
    this.#refresh(replaces);
  }

  #withdraw(orderId: string): boolean {
    const staged = this.#intents.findIndex((intent) => intent.orderId === orderId);
    if (staged >= 0) this.#intents.splice(staged, 1);
    return staged >= 0 || this.outbox.withdraw(orderId);
  }
}
