import type { OrderSnapshot } from '../model/order.ts';
import type { StrategyState } from '../state/host-state.ts';
import type { Books } from './books.ts';

/** Which book has which order that is not final, by our id and by the broker's. The books hold the orders; this only finds them. */
export class OpenOrders {
  readonly #books: Books;
  readonly #owners = new Map<string, StrategyState>();
  readonly #byBrokerId = new Map<string, string>();
  readonly #unknown = new Set<string>();

  constructor(books: Books) {
    this.#books = books;
    this.reindex();
  }

  /** Reads the books anew: after a restore, and after a rollback of evidence. */
  reindex(): void {
    this.#owners.clear();
    this.#unknown.clear();
    for (const book of this.#books.all()) for (const order of book.orders()) this.track(book, order);
  }

  /** Keeps up with an order that is open. */
  track(book: StrategyState, order: OrderSnapshot): void {
    this.#owners.set(order.order_id, book);
    if (order.status === 'unknown') this.#unknown.add(order.order_id);
    else this.#unknown.delete(order.order_id);
    this.#nameByBroker(order);
  }

  /** The order is final: it is found no more, but the broker's id still tells whose it was, until {@link forget}. */
  end(order: OrderSnapshot): void {
    this.#owners.delete(order.order_id);
    this.#unknown.delete(order.order_id);
    this.#nameByBroker(order);
  }

  forget(brokerOrderId: string): void {
    this.#byBrokerId.delete(brokerOrderId);
  }

  find(orderId: string): { readonly book: StrategyState; readonly order: OrderSnapshot } | undefined {
    const book = this.#owners.get(orderId);
    const order = book?.order(orderId);
    return book === undefined || order === undefined ? undefined : { book, order };
  }

  /** Oldest first within each book. */
  all(): OrderSnapshot[] {
    return [...this.#owners.keys()].flatMap((id) => this.find(id)?.order ?? []);
  }

  isUnknown(orderId: string): boolean {
    return this.#unknown.has(orderId);
  }

  unknown(): readonly string[] {
    return [...this.#unknown];
  }

  get unknownCount(): number {
    return this.#unknown.size;
  }

  /** The order id that the broker's id belongs to, open or ended lately. */
  namedByBroker(brokerOrderId: string): string | undefined {
    return this.#byBrokerId.get(brokerOrderId);
  }

  /** The open order that a report or an execution is about; undefined where none is open. */
  idOf(orderId: string | null, brokerOrderId: string): string | undefined {
    if (orderId !== null && this.#owners.has(orderId)) return orderId;
    const known = this.#byBrokerId.get(brokerOrderId);
    return known !== undefined && this.#owners.has(known) ? known : undefined;
  }

  #nameByBroker(order: OrderSnapshot): void {
    if (order.broker_order_id !== null) this.#byBrokerId.set(order.broker_order_id, order.order_id);
  }
}
