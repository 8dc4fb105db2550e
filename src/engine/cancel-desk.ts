import type { After } from '../actor/timers.ts';
import type { StrategyState } from '../state/host-state.ts';
import type { Alerter } from './alert.ts';
import { Backoff, pause } from './backoff.ts';
import { brokerCode, isRefusal } from './broker-refusal.ts';
import { CancelWishes } from './cancel-wishes.ts';
import { reasonOf } from './order-facts.ts';
import type { OrderManager } from './order-manager.ts';
import { isLive } from './order-transitions.ts';
import type { Outbox } from './outbox.ts';

export interface CancelDeskOptions {
  readonly orders: OrderManager;
  readonly outbox: Outbox;
  /** Where wishes are kept. */
  readonly unassigned: StrategyState;
  readonly after: After;
  readonly random?: () => number;
  readonly alert: Alerter;
  readonly closing: AbortSignal;
  /** Runs `work` as an event of its own, after those that wait. */
  readonly inTurn: (work: () => void) => void;
  /** Reads one order's report. */
  readonly refresh: (orderId: string) => void;
  /** Orders here and there have to be read anew. */
  readonly catchUp: () => void;
}

/** How often a cancel is asked again while the broker does not answer. */
const cancelAttemptsMax = 5;

/**
 * Cancels: sent once the broker has shown the order, asked again while it does not answer, and asked again by the next life, since
 * canceling twice is the same as once.
 */
export class CancelDesk {
  readonly #options: CancelDeskOptions;
  readonly #orders: OrderManager;
  readonly #wishes: CancelWishes;
  readonly #attempts = new Map<string, number>();
  /** Waits before a cancel is asked again. */
  readonly #waits = new Set<Promise<void>>();
  #staged: string[] = [];
  /** False until the start has found out what became of a former life's orders. */
  #open = false;

  constructor(options: CancelDeskOptions) {
    this.#options = options;
    this.#orders = options.orders;
    this.#wishes = new CancelWishes(options.unassigned);
  }

  /** In a transaction: of an order that has left, or whose fate nobody knows. */
  cancel(orderId: string): void {
    const order = this.#orders.find(orderId)?.order;
    if (order === undefined) {
      this.#wishes.delete(orderId);
      return;
    }
    if (!isLive(order.status)) {
      this.#wishes.add(orderId);
      return;
    }
    this.#wishes.delete(orderId);
    this.#orders.learn(orderId, 'cancel_requested');
    this.#staged.push(orderId);
  }

  /** In a transaction: what a former life had asked for, or had wished, and is still to come. */
  resume(): void {
    this.#open = true;
    for (const order of this.#orders.open()) if (order.status === 'pending_cancel') this.#staged.push(order.order_id);
    for (const orderId of this.#wishes.all()) this.cancel(orderId);
  }

  /** After a transaction: what it asked for can leave. */
  committed(): void {
    if (this.#staged.length === 0) return;
    for (const orderId of this.#staged.splice(0)) {
      const order = this.#orders.find(orderId)?.order;
      if (order !== undefined) this.#options.outbox.cancel(order);
    }
  }

  takenBack(): void {
    this.#staged = [];
    this.#wishes.reload();
  }

  /** After a transaction in which the order became live or final. */
  followUp(orderId: string): void {
    if (this.#orders.find(orderId) === undefined) this.#attempts.delete(orderId);
    if (this.#open && this.#wishes.has(orderId)) this.#options.inTurn(() => this.cancel(orderId));
  }

  /** The broker's answer to a cancel, where it is not yes. */
  failed(orderId: string, error: unknown): void {
    if (this.#orders.find(orderId) === undefined) return;
    if (isRefusal(error) || brokerCode(error) === 'BROKER_NOT_FOUND') {
      this.#orders.learn(orderId, 'request_refused', reasonOf(error));
      this.#options.refresh(orderId);
      return;
    }
    const attempts = (this.#attempts.get(orderId) ?? 0) + 1;
    this.#attempts.set(orderId, attempts);
    if (attempts > cancelAttemptsMax) this.#giveUp(orderId, attempts, error);
    else this.#askAgain(orderId, attempts, error);
  }

  /** How many are to be asked again. */
  get waiting(): number {
    return this.#waits.size;
  }

  async drained(): Promise<void> {
    await Promise.all(this.#waits);
  }

  #giveUp(orderId: string, attempts: number, error: unknown): void {
    this.#attempts.delete(orderId);
    const message = `order ${orderId}: ${attempts} cancels without an answer; it may live on`;
    this.#options.alert('error', 'CANCEL_UNANSWERED', message, { details: { order_id: orderId }, error });
    this.#options.catchUp();
  }

  #askAgain(orderId: string, attempts: number, error: unknown): void {
    const { after, closing, inTurn } = this.#options;
    const wait = pause(after, this.#backoff(attempts).nextMs(error), closing).then(() => {
      this.#waits.delete(wait);
      if (!closing.aborted) inTurn(() => this.#staged.push(orderId));
    });
    this.#waits.add(wait);
  }

  #backoff(attempts: number): Backoff {
    const backoff = new Backoff(this.#options.random === undefined ? {} : { random: this.#options.random });
    for (let attempt = 1; attempt < attempts; attempt += 1) backoff.nextMs();
    return backoff;
  }
}
