import type { After } from '../actor/timers.ts';
import type { BrokerAdapter } from '../brokers/adapter.ts';
import type { Clock } from '../model/time.ts';
import type { StrategyState } from '../state/host-state.ts';
import type { Alerter } from './alert.ts';
import type { OrderManager } from './order-manager.ts';
import { lookUp, type Verdict } from './resolve.ts';

export interface UnknownOrdersOptions {
  readonly broker: BrokerAdapter;
  readonly orders: OrderManager;
  readonly clock: Clock;
  readonly after: After;
  readonly random?: () => number;
  readonly alert: Alerter;
  readonly closing: AbortSignal;
  /** Runs `work` as an event of its own, after those that wait. */
  readonly inTurn: (work: () => void) => void;
  /** Ends an order that never lived. */
  readonly neverReceived: (orderId: string, reason: string) => void;
  /** Stops new orders of the strategy, or of all where it is null, until an operator resumes. In a transaction. */
  readonly halt: (book: StrategyState | null, reason: string) => void;
}

/**
 * Orders without evidence: looked up by their ids until there is some. Where there can be none, an operator has to look: the strategy
 * is halted, and where the venue does not know our ids at all, everything is. Nothing is ever sent again.
 */
export class UnknownOrders {
  readonly #options: UnknownOrdersOptions;
  readonly #orders: OrderManager;
  readonly #lookUps = new Set<string>();
  readonly #unsettled = new Set<string>();

  constructor(options: UnknownOrdersOptions) {
    this.#options = options;
    this.#orders = options.orders;
  }

  /** An order was not answered: says so, and looks it up. */
  unanswered(orderId: string, error: unknown, arrived: boolean): void {
    const found = this.#orders.find(orderId);
    this.#options.alert('warn', 'ORDER_UNKNOWN', `order ${orderId}: no answer; it is looked up by its id`, {
      ...(found === undefined ? {} : { strategy: found.book.name }),
      details: { order_id: orderId },
      error,
    });
    this.#lookUp(orderId, arrived);
  }

  /** Looks up an order until there is a verdict, or the signal aborts; the verdict is applied as an event. Never rejects. */
  async settle(
    orderId: string,
    options: { readonly arrived?: boolean; readonly signal?: AbortSignal } = {},
  ): Promise<Verdict> {
    const { signal } = options;
    const { broker, clock, after, random, closing } = this.#options;
    const createdAt = this.#orders.find(orderId)?.order.created_at ?? null;
    const verdict = await lookUp({
      broker,
      orderId,
      createdAt,
      clock,
      arrived: options.arrived ?? false,
      stillUnknown: () => this.#orders.isUnknown(orderId),
      after,
      signal: signal === undefined ? closing : AbortSignal.any([signal, closing]),
      ...(random === undefined ? {} : { random }),
    });
    this.#options.inTurn(() => this.#apply(orderId, verdict));
    return verdict;
  }

  /** Looks again at orders whose look-up came to nothing. */
  settleAgain(): void {
    for (const orderId of [...this.#unsettled]) this.#lookUp(orderId, false);
  }

  /** An operator's word that the broker never had an order. */
  settledByHand(orderId: string, reason: string): void {
    this.#unsettled.delete(orderId);
    this.#options.neverReceived(orderId, reason);
  }

  #lookUp(orderId: string, arrived: boolean): void {
    if (this.#lookUps.has(orderId)) return;
    this.#lookUps.add(orderId);
    this.#unsettled.delete(orderId);
    void this.settle(orderId, { arrived }).finally(() => this.#lookUps.delete(orderId));
  }

  #apply(orderId: string, verdict: Verdict): void {
    if (verdict.kind === 'found') {
      this.#orders.report({ ...verdict.report, order_id: verdict.report.order_id ?? orderId });
    } else if (verdict.kind === 'not_received') {
      this.#options.neverReceived(orderId, 'not received: the broker says that it has no such order');
    } else if (verdict.kind === 'unsettled' && this.#orders.isUnknown(orderId)) {
      this.#leaveToOperator(orderId, verdict.why);
    }
  }

  #leaveToOperator(orderId: string, why: string): void {
    this.#unsettled.add(orderId);
    const found = this.#orders.find(orderId);
    const message = `order ${orderId} stays unknown: ${why}. Look for it at the broker, and settle it by hand`;
    this.#options.alert('error', 'ORDER_UNSETTLED', message, {
      ...(found === undefined ? {} : { strategy: found.book.name }),
      details: { order_id: orderId },
    });
    const everything = this.#options.broker.capabilities.clientOrderIds === 'none';
    this.#options.halt(everything ? null : (found?.book ?? null), message);
  }
}
