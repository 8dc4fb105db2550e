import type { BrokerAdapter, OrderReference } from '../brokers/adapter.ts';
import { BrokerError } from '../model/errors.ts';
import type { OrderSnapshot } from '../model/order.ts';
import type { OrderReport } from '../model/report.ts';
import { isLive } from './order-transitions.ts';

/** What came back for one request. An error is the adapter's, to be read as evidence or as the lack of it. */
export type Answer =
  | { readonly request: 'submit' | 'replace'; readonly orderId: string; readonly report: OrderReport }
  | { readonly request: 'submit' | 'replace'; readonly orderId: string; readonly error: unknown }
  | { readonly request: 'cancel'; readonly orderId: string; readonly error: unknown };

export interface OutboxOptions {
  readonly broker: BrokerAdapter;
  /** durable: an intent leaves once it is durable. async: at once. */
  readonly gate: 'durable' | 'async';
  readonly durableSequence: () => number;
  /** The order as it stands; undefined where it is final. */
  readonly order: (orderId: string) => OrderSnapshot | undefined;
  readonly answered: (answer: Answer) => void;
  /** Whether an order that was to open what another closes before it can do so now. */
  readonly canFollow: (order: OrderSnapshot) => boolean;
  /** What can no longer be sent: a replacement whose order has ended, or an order whose predecessor has not closed the position. */
  readonly obsolete: (orderId: string, why: string) => void;
}

export interface Intent {
  readonly orderId: string;
  readonly strategy: string;
  /** The commit that recorded it. */
  readonly sequence: number;
  /** The order that has to end first; null: none. */
  readonly after: string | null;
}

/**
 * Orders on their way out.
 *
 * 1. An intent leaves only when the sequence that recorded it is durable, and intents leave in the order in which they were
 *    committed. Nothing is ever sent twice.
 * 2. What has not left can be withdrawn, and then certainly never left.
 * 3. A replacement of an order that the broker has not shown yet waits until it has, and an order that follows another until that one
 *    has ended.
 */
export class Outbox {
  readonly #options: OutboxOptions;
  readonly #waiting = new Map<string, Intent>();
  readonly #inFlight = new Set<string>();
  /** Replacements past the gate, by the order that they wait for. */
  readonly #parked = new Map<string, Intent>();
  /** Intents past the gate, by the order that they follow. */
  readonly #following = new Map<string, Intent>();
  readonly #canceling = new Set<string>();
  #idle: (() => void)[] = [];

  constructor(options: OutboxOptions) {
    this.#options = options;
  }

  /** Intents that have not left, without those that follow another order: that one may live for long. */
  get waiting(): number {
    return this.#waiting.size + this.#parked.size;
  }

  /** Requests that have left and are not answered. */
  get inFlight(): number {
    return this.#inFlight.size;
  }

  /** Cancels that have left and are not answered. */
  get canceling(): number {
    return this.#canceling.size;
  }

  /** Takes an intent that was committed. */
  add(intent: Intent): void {
    this.#waiting.set(intent.orderId, intent);
  }

  /** Sends what may leave now. Called after each commit and whenever the durable sequence advanced. */
  flush(): void {
    if (this.#waiting.size === 0) return;
    const through = this.#options.gate === 'async' ? Number.POSITIVE_INFINITY : this.#options.durableSequence();
    for (const intent of this.#waiting.values()) {
      if (intent.sequence > through) break;
      this.#waiting.delete(intent.orderId);
      this.#leave(intent);
    }
    this.#settleIdle();
  }

  /** Takes an intent back; false where it has left, so that nobody can say any more that it did not. */
  withdraw(orderId: string): boolean {
    if (this.#waiting.delete(orderId)) {
      this.#settleIdle();
      return true;
    }
    for (const map of [this.#parked, this.#following]) {
      for (const [target, intent] of map) {
        if (intent.orderId !== orderId) continue;
        map.delete(target);
        this.#settleIdle();
        return true;
      }
    }
    return false;
  }

  /** Takes back all of a strategy's intents, or all; returns their order ids. */
  withdrawAll(strategy: string | null): string[] {
    const intents = [...this.#waiting.values(), ...this.#parked.values(), ...this.#following.values()];
    return intents
      .filter((intent) => strategy === null || intent.strategy === strategy)
      .map(({ orderId }) => orderId)
      .filter((orderId) => this.withdraw(orderId));
  }

  /** An order lives now, or is final: the replacement that waited for it can leave, or never will. */
  targetChanged(orderId: string): void {
    for (const map of [this.#parked, this.#following]) {
      const intent = map.get(orderId);
      if (intent === undefined) continue;
      map.delete(orderId);
      this.#leave(intent);
    }
    this.#settleIdle();
  }

  /** Resolves once nothing waits and nothing is in flight, cancels included. */
  drained(): Promise<void> {
    if (this.#isIdle()) return Promise.resolve();
    return new Promise((resolve) => this.#idle.push(resolve));
  }

  #leave(intent: Intent): void {
    const order = this.#options.order(intent.orderId);
    if (order === undefined) return;
    if (intent.after !== null && this.#options.order(intent.after) !== undefined) {
      this.#following.set(intent.after, intent);
    } else if (intent.after !== null && !this.#options.canFollow(order)) {
      this.#options.obsolete(order.order_id, 'the position that it was to follow is not closed');
    } else if (order.replaces == null) {
      this.#send('submit', order, () => this.#options.broker.submitOrder(requestOf(order)));
    } else this.#leaveReplacing(intent, order, order.replaces);
  }

  #leaveReplacing(intent: Intent, order: OrderSnapshot, replaces: string): void {
    const target = this.#options.order(replaces);
    if (target === undefined) {
      this.#options.obsolete(order.order_id, 'the order to replace has ended');
    } else if (isLive(target.status)) {
      this.#send('replace', order, () => this.#options.broker.replaceOrder(referenceOf(target), changeOf(order)));
    } else {
      this.#parked.set(target.order_id, intent);
    }
  }

  #send(request: 'submit' | 'replace', order: OrderSnapshot, call: () => Promise<OrderReport>): void {
    const orderId = order.order_id;
    this.#inFlight.add(orderId);
    settle(
      call,
      (report) => {
        // Whatever an adapter answers, an exception here would have nobody to catch it.
        const isReport = typeof report === 'object' && report !== null;
        if (!isReport || (report.order_id ?? orderId) !== orderId) {
          this.#answered({ request, orderId, error: noReport(request, orderId, report) });
        } else this.#answered({ request, orderId, report: { ...report, order_id: report.order_id ?? orderId } });
      },
      (error) => this.#answered({ request, orderId, error }),
    );
  }

  /** Asks the broker to cancel an order that it has shown. One request at a time. */
  cancel(order: OrderSnapshot): void {
    const orderId = order.order_id;
    if (this.#canceling.has(orderId)) return;
    this.#canceling.add(orderId);
    settle(
      () => this.#options.broker.cancelOrder(referenceOf(order)),
      () => {
        this.#canceling.delete(orderId);
        this.#settleIdle();
      },
      (error) => {
        this.#canceling.delete(orderId);
        this.#options.answered({ request: 'cancel', orderId, error });
        this.#settleIdle();
      },
    );
  }

  #answered(answer: Answer): void {
    this.#options.answered(answer);
    this.#inFlight.delete(answer.orderId);
    this.#settleIdle();
  }

  #settleIdle(): void {
    if (this.#idle.length === 0 || !this.#isIdle()) return;
    for (const resolve of this.#idle.splice(0)) resolve();
  }

  #isIdle(): boolean {
    return this.waiting === 0 && this.inFlight === 0 && this.canceling === 0;
  }
}

/** An adapter may throw where it should reject; both are answers. */
function settle<T>(call: () => Promise<T>, done: (value: T) => void, failed: (error: unknown) => void): void {
  new Promise<T>((resolve) => resolve(call())).then(done, failed);
}

function noReport(request: Answer['request'], orderId: string, answer: unknown): BrokerError {
  const got = typeof answer === 'object' && answer !== null ? 'that of another order' : String(answer);
  const message = `${request} order ${orderId}: expected the broker's report of the order, got ${got}`;
  return new BrokerError('BROKER_ANSWER_INVALID', message, { details: { order_id: orderId } });
}

function referenceOf(order: OrderSnapshot): OrderReference {
  return { order_id: order.order_id, broker_order_id: order.broker_order_id };
}

function requestOf(order: OrderSnapshot): Parameters<BrokerAdapter['submitOrder']>[0] {
  return {
    order_id: order.order_id,
    asset: order.asset,
    amount: order.amount,
    order_type: order.order_type,
    limit_price: order.limit_price ?? null,
    stop_price: order.stop_price ?? null,
    time_in_force: order.time_in_force ?? 'gtc',
  };
}

function changeOf(order: OrderSnapshot): Parameters<BrokerAdapter['replaceOrder']>[1] {
  return {
    order_id: order.order_id,
    amount: order.amount,
    ...(order.limit_price == null ? {} : { limit_price: order.limit_price }),
    ...(order.stop_price == null ? {} : { stop_price: order.stop_price }),
  };
}
