export interface EndedOrder {
  readonly orderId: string;
  readonly strategy: string;
  readonly brokerOrderId: string | null;
  /** False where it was given up because the broker said that it never came. */
  readonly received: boolean;
}

/** How many are remembered; an older one is recognized by its id alone. */
export const endedOrdersMax = 10_000;

/** The orders that ended lately, so that a late report about one is known for what it is. The oldest are forgotten. */
export class EndedOrders {
  readonly #orders = new Map<string, EndedOrder>();
  readonly #forgotten: (brokerOrderId: string) => void;

  constructor(forgotten: (brokerOrderId: string) => void) {
    this.#forgotten = forgotten;
  }

  add(order: EndedOrder): void {
    this.#orders.delete(order.orderId);
    this.#orders.set(order.orderId, order);
    if (this.#orders.size <= endedOrdersMax) return;
    const [oldest] = this.#orders.values();
    if (oldest === undefined) return;
    this.#orders.delete(oldest.orderId);
    if (oldest.brokerOrderId !== null) this.#forgotten(oldest.brokerOrderId);
  }

  get(orderId: string): EndedOrder | undefined {
    return this.#orders.get(orderId);
  }

  delete(orderId: string): void {
    this.#orders.delete(orderId);
  }
}
