import type { BrokerAdapter } from '../brokers/adapter.ts';
import { StrategyError } from '../model/errors.ts';
import { decimal } from '../model/money.ts';
import type { OrderSnapshot } from '../model/order.ts';
import type { HostState, StrategyState } from '../state/host-state.ts';
import type { Books } from './books.ts';
import { crossingOf } from './crossing.ts';
import { canAddExposure } from './exposure.ts';
import type { OrderManager } from './order-manager.ts';
import type { NewOrder, OrderChange } from './strategy.ts';

export interface OrderGateOptions {
  readonly state: HostState;
  readonly broker: BrokerAdapter;
  readonly orders: OrderManager;
  readonly books: Books;
  readonly lagMsMax: number;
  /** Why no order may leave now, or null. */
  readonly closedBecause: () => string | null;
}

/**
 * What a strategy asks for inside a handler, and why it is refused. Everything here is staged, and gone with the handler's changes
 * when that fails.
 */
export class OrderGate {
  readonly #options: OrderGateOptions;

  constructor(options: OrderGateOptions) {
    this.#options = options;
  }

  /**
   * One order; or two, where the venue takes none that goes through zero: the second opens what the first has closed before.
   * @throws StrategyError ORDER_INVALID, ORDER_REFUSED
   */
  draft(book: StrategyState, wanted: NewOrder): readonly [OrderSnapshot, ...OrderSnapshot[]] {
    this.#assertOpen(book);
    const { broker, books, orders } = this.#options;
    const savepoint = book.savepoint();
    const whole = this.#staged(book, () => orders.draft(book, wanted));
    const crossing = broker.capabilities.crossing === 'split' ? crossingOf(books, book, whole) : null;
    if (crossing === null) return [whole];
    book.rollbackTo(savepoint);
    if (crossing.close === '0') {
      throw refused(
        book,
        `other orders close the position in ${whole.asset} already, and ${broker.name} takes none that goes through zero; ask again when they have ended`,
      );
    }
    const first = this.#staged(book, () => orders.draft(book, { ...wanted, amount: crossing.close }));
    return [first, this.#staged(book, () => orders.draft(book, { ...wanted, amount: crossing.open }))];
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
    if (decimal(old.amount).eq(old.filled_amount)) throw refused(book, `order ${orderId} is filled`);
    const { broker, books, orders } = this.#options;
    const savepoint = book.savepoint();
    const draft = this.#staged(book, () => orders.draftReplacement(book, old, change));
    if (broker.capabilities.crossing === 'split' && crossingOf(books, book, draft) !== null) {
      book.rollbackTo(savepoint);
      throw refused(
        book,
        `a replacement of order ${orderId} by ${draft.amount} ${draft.asset} would go through zero, and ${broker.name} takes none that does; cancel it and submit the whole amount when it has ended, which is then sent as two`,
      );
    }
    return draft;
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
    if (this.#options.orders.unknown().length === 0) return;
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
