import type { After } from '../actor/timers.ts';
import type { BrokerAdapter } from '../brokers/adapter.ts';
import { BrokerError, StrategyError } from '../model/errors.ts';
import type { OrderSnapshot } from '../model/order.ts';
import type { HostState, StrategyState } from '../state/host-state.ts';
import type { Alerter } from './alert.ts';
import { Backoff, pause } from './backoff.ts';
import { canAddExposure } from './exposure.ts';
import { type OrderManager, reasonOf } from './order-manager.ts';
import { isLive } from './order-transitions.ts';
import { type Answer, Outbox } from './outbox.ts';
import { lookUp, type Verdict } from './resolve.ts';
import type { NewOrder, OrderChange } from './strategy.ts';

export interface OrderDeskOptions {
  readonly state: HostState;
  readonly broker: BrokerAdapter;
  readonly orders: OrderManager;
  readonly gate: 'durable' | 'async';
  readonly lagMsMax: number;
  readonly after: After;
  readonly random?: () => number;
  readonly alert: Alerter;
  /** Why no order may leave now, or null. */
  readonly closedBecause: () => string | null;
  /** Runs `work` as an event of its own, after those that wait. */
  readonly inTurn: (work: () => void) => void;
  /** Orders here and there have to be read anew. */
  readonly catchUp: () => void;
  readonly halt: (reason: string, source: string) => void;
}

/** How often a cancel is asked again while the broker does not answer. */
const cancelAttemptsMax = 5;

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
  readonly #closing = new AbortController();
  readonly #lookUps = new Set<string>();
  readonly #unsettled = new Set<string>();
  readonly #cancelWhenLive = new Set<string>();
  readonly #cancelAttempts = new Map<string, number>();
  /** Waits before a cancel is asked again. */
  readonly #cancelWaits = new Set<Promise<void>>();
  #intents: { readonly orderId: string; readonly strategy: string }[] = [];
  #cancels: string[] = [];
  #changed: string[] = [];

  constructor(options: OrderDeskOptions) {
    const { state, broker, gate } = options;
    this.#options = options;
    this.#orders = options.orders;
    this.outbox = new Outbox({
      broker,
      gate,
      durableSequence: () => state.durableSequence,
      order: (orderId) => this.#orders.find(orderId)?.order,
      answered: (answer) => options.inTurn(() => this.#answered(answer)),
      obsolete: (orderId) =>
        options.inTurn(() => this.#neverSent(orderId, 'never sent: the order to replace has ended')),
    });
  }

  // In a handler: everything here is staged, and gone with the handler's changes when it fails.

  /** @throws StrategyError ORDER_INVALID, ORDER_REFUSED */
  draft(book: StrategyState, wanted: NewOrder): OrderSnapshot {
    this.#assertOpen(book);
    return this.#staged(book, () => this.#orders.draft(book, wanted));
  }

  /** @throws StrategyError ORDER_INVALID, ORDER_REFUSED */
  draftReplacement(book: StrategyState, orderId: string, change: OrderChange): OrderSnapshot {
    this.#assertOpen(book);
    if (!this.#options.broker.capabilities.replace)
      throw refused(book, 'the broker cannot replace orders: cancel and submit');
    const old = book.order(orderId);
    if (old === undefined) throw refused(book, `order ${orderId} is not open any more`);
    if (old.status !== 'pending' && old.status !== 'open' && old.status !== 'partially_filled') {
      throw refused(book, `order ${orderId} is ${old.status} and cannot be replaced now`);
    }
    if (book.orders().some(({ replaces }) => replaces === orderId)) {
      throw refused(book, `order ${orderId} is being replaced already`);
    }
    return this.#staged(book, () => this.#orders.draftReplacement(book, old, change));
  }

  // After a handler that succeeded, in its transaction.

  submit(book: StrategyState, order: OrderSnapshot): void {
    // A later handler of the same event may have found the order's fate already; what is staged is the truth.
    this.#orders.track(book, book.order(order.order_id) ?? order);
    this.#intents.push({ orderId: order.order_id, strategy: book.name });
  }

  cancel(orderId: string): void {
    const order = this.#orders.find(orderId)?.order;
    if (order === undefined) return;
    if (this.#withdraw(orderId)) {
      this.#neverSent(orderId, 'canceled before it was sent');
      return;
    }
    if (!isLive(order.status)) {
      this.#cancelWhenLive.add(orderId);
      return;
    }
    this.#orders.learn(orderId, 'cancel_requested');
    this.#cancels.push(orderId);
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
      for (const { orderId, strategy } of this.#intents.splice(0)) this.outbox.add(orderId, strategy, sequence);
    }
    if (this.#cancels.length > 0) {
      for (const orderId of this.#cancels.splice(0)) {
        const order = this.#orders.find(orderId)?.order;
        if (order !== undefined) this.outbox.cancel(order);
      }
    }
    if (this.#changed.length > 0) {
      for (const orderId of this.#changed.splice(0)) this.#followUp(orderId);
    }
    this.outbox.flush();
  }

  /** The transaction was taken back, and with it whatever it wished for. */
  takenBack(): void {
    this.#intents = [];
    this.#cancels = [];
    this.#changed = [];
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
  async settle(
    orderId: string,
    options: { readonly arrived?: boolean; readonly signal?: AbortSignal } = {},
  ): Promise<Verdict> {
    const { signal } = options;
    const verdict = await lookUp({
      broker: this.#options.broker,
      orderId,
      arrived: options.arrived ?? false,
      stillUnknown: () => this.#orders.isUnknown(orderId),
      after: this.#options.after,
      signal: signal === undefined ? this.#closing.signal : AbortSignal.any([signal, this.#closing.signal]),
      ...(this.#options.random === undefined ? {} : { random: this.#options.random }),
    });
    this.#options.inTurn(() => this.#applyVerdict(orderId, verdict));
    return verdict;
  }

  /** Looks again at orders whose look-up came to nothing. */
  settleAgain(): void {
    for (const orderId of [...this.#unsettled]) this.#lookUp(orderId, false);
  }

  /** Asks again for what a former life had asked: orders that were to be canceled and still live. */
  resendCancels(): void {
    for (const order of this.#orders.open()) if (order.status === 'pending_cancel') this.outbox.cancel(order);
  }

  /** An operator's word that the broker never had an order. */
  neverReceived(orderId: string, reason: string): void {
    this.#unsettled.delete(orderId);
    this.#ended(orderId, () => this.#orders.learn(orderId, 'never_received', reason));
  }

  /** Requests that are not answered, or are to be made again. */
  get underWay(): number {
    const { waiting, inFlight, canceling } = this.outbox;
    return waiting + inFlight + canceling + this.#cancelWaits.size;
  }

  /** Resolves once everything that was asked for now has left and is answered; an answer may ask for more. */
  async drained(): Promise<void> {
    await Promise.all([this.outbox.drained(), ...this.#cancelWaits]);
  }

  close(): void {
    this.#closing.abort();
  }

  /** What waited for an order to live can happen, or never will. */
  #followUp(orderId: string): void {
    const order = this.#orders.find(orderId)?.order;
    if (order === undefined) this.#cancelAttempts.delete(orderId);
    if (order !== undefined && !isLive(order.status)) return;
    this.outbox.targetChanged(orderId);
    if (this.#cancelWhenLive.delete(orderId) && order !== undefined) this.#options.inTurn(() => this.cancel(orderId));
  }

  #answered(answer: Answer): void {
    const { orderId } = answer;
    if (answer.request === 'cancel') this.#cancelFailed(orderId, answer.error);
    else if ('report' in answer) {
      const replaces = this.#orders.find(orderId)?.order.replaces ?? null;
      this.#orders.report(answer.report);
      // How far the replaced order was filled is told by its own report, on the stream or asked for.
      if (replaces !== null) this.#refresh(replaces);
    } else if (isRefusal(answer.error)) {
      this.#ended(orderId, () => this.#orders.learn(orderId, 'rejected', reasonOf(answer.error)));
    } else {
      const arrived = codeOf(answer.error) === 'BROKER_DUPLICATE_ORDER_ID';
      this.#orders.learn(orderId, 'unanswered', reasonOf(answer.error));
      if (!this.#orders.isUnknown(orderId)) return;
      const found = this.#orders.find(orderId);
      this.#options.alert('warn', 'ORDER_UNKNOWN', `order ${orderId}: no answer; it is looked up by its id`, {
        ...(found === undefined ? {} : { strategy: found.book.name }),
        details: { order_id: orderId },
        error: answer.error,
      });
      this.#lookUp(orderId, arrived);
    }
  }

  #lookUp(orderId: string, arrived: boolean): void {
    if (this.#lookUps.has(orderId)) return;
    this.#lookUps.add(orderId);
    this.#unsettled.delete(orderId);
    void this.settle(orderId, { arrived }).finally(() => this.#lookUps.delete(orderId));
  }

  #applyVerdict(orderId: string, verdict: Verdict): void {
    if (verdict.kind === 'found') {
      this.#orders.report({ ...verdict.report, order_id: verdict.report.order_id ?? orderId });
    } else if (verdict.kind === 'not_received') {
      this.#ended(orderId, () =>
        this.#orders.learn(orderId, 'never_received', 'not received: the broker says that it has no such order'),
      );
    } else if (verdict.kind === 'unsettled' && this.#orders.isUnknown(orderId)) {
      this.#unsettled.add(orderId);
      const found = this.#orders.find(orderId);
      const message = `order ${orderId} stays unknown: ${verdict.why}. Look for it at the broker, and settle it by hand`;
      this.#options.alert('error', 'ORDER_UNSETTLED', message, {
        ...(found === undefined ? {} : { strategy: found.book.name }),
        details: { order_id: orderId },
      });
      if (this.#options.broker.capabilities.clientOrderIds === 'none') this.#options.halt(message, 'engine');
    }
  }

  #cancelFailed(orderId: string, error: unknown): void {
    if (this.#orders.find(orderId) === undefined) return;
    if (isRefusal(error) || codeOf(error) === 'BROKER_NOT_FOUND') {
      this.#orders.learn(orderId, 'request_refused', reasonOf(error));
      this.#refresh(orderId);
      return;
    }
    const attempts = (this.#cancelAttempts.get(orderId) ?? 0) + 1;
    this.#cancelAttempts.set(orderId, attempts);
    if (attempts > cancelAttemptsMax) {
      this.#cancelAttempts.delete(orderId);
      this.#options.alert(
        'error',
        'CANCEL_UNANSWERED',
        `order ${orderId}: ${attempts} cancels without an answer; it may live on`,
        {
          details: { order_id: orderId },
          error,
        },
      );
      this.#options.catchUp();
      return;
    }
    // Canceling twice is the same as once, so that this, unlike an order, may be sent again.
    const waitMs = this.#backoff(attempts).nextMs(error);
    const wait = pause(this.#options.after, waitMs, this.#closing.signal).then(() => {
      this.#cancelWaits.delete(wait);
      if (!this.#closing.signal.aborted) this.#options.inTurn(() => this.#cancels.push(orderId));
    });
    this.#cancelWaits.add(wait);
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

  #backoff(attempts: number): Backoff {
    const backoff = new Backoff(this.#options.random === undefined ? {} : { random: this.#options.random });
    for (let attempt = 1; attempt < attempts; attempt += 1) backoff.nextMs();
    return backoff;
  }

  /** A handler may catch the refusal and go on: then nothing of the draft may stay. */
  #staged(book: StrategyState, draft: () => OrderSnapshot): OrderSnapshot {
    const savepoint = book.savepoint();
    try {
      const order = draft();
      this.#assertNoUnknown(book, order);
      return order;
    } catch (error) {
      book.rollbackTo(savepoint);
      throw error;
    }
  }

  #assertOpen(book: StrategyState): void {
    const { state, lagMsMax } = this.#options;
    const closed = this.#options.closedBecause();
    if (closed !== null) throw refused(book, closed);
    if (book.halt !== null) throw refused(book, `the strategy is halted: ${book.halt.reason}`);
    if (!state.acceptsIntents) throw refused(book, 'persistence takes no intents now');
    if (state.durableLagMs > lagMsMax) {
      throw refused(book, `nothing became durable for ${Math.round(state.durableLagMs)} ms, more than ${lagMsMax}`);
    }
  }

  #assertNoUnknown(book: StrategyState, draft: OrderSnapshot): void {
    if (this.#orders.unknown().length === 0) return;
    const others = book.orders().filter(({ asset, order_id }) => asset === draft.asset && order_id !== draft.order_id);
    const unknown = others.find(({ status }) => status === 'unknown');
    if (unknown === undefined) return;
    const held = book.position(draft.asset)?.amount ?? '0';
    if (!canAddExposure(draft.amount, held, others)) return;
    throw refused(
      book,
      `order ${unknown.order_id} in ${draft.asset} is unknown, so that no exposure may be added there`,
    );
  }
}

function refused(book: StrategyState, why: string): StrategyError {
  return new StrategyError('ORDER_REFUSED', `strategy "${book.name}": order refused: ${why}; nothing was sent`, {
    details: { strategy: book.name, why: why.slice(0, 500) },
    retryable: true,
  });
}

function codeOf(error: unknown): string | null {
  return error instanceof BrokerError ? error.code : null;
}

/** The broker said no, or did not let us in: either way it took nothing. */
function isRefusal(error: unknown): boolean {
  return codeOf(error) === 'BROKER_REJECTED' || codeOf(error) === 'BROKER_UNAUTHORIZED';
}
