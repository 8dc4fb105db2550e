import type { OrderReference } from '../adapter.ts';
import { isLive, type LiveOrder } from './orders.ts';
import { refuse } from './refusals.ts';

/** Every order that an exchange ever took: by its own id, by the client's, and those that live by their asset. */
export class OrderStore {
  readonly #byId = new Map<string, LiveOrder>();
  readonly #byClientId = new Map<string, LiveOrder>();
  readonly #live = new Map<string, Set<LiveOrder>>();

  /** How many there ever were. */
  get size(): number {
    return this.#byId.size;
  }

  add(order: LiveOrder): void {
    this.#byId.set(order.id, order);
    this.#byClientId.set(order.clientId, order);
    const live = this.#live.get(order.asset) ?? new Set();
    this.#live.set(order.asset, live.add(order));
  }

  /** An order that has ended is kept, and lives no more. */
  retire(order: LiveOrder): void {
    this.#live.get(order.asset)?.delete(order);
  }

  /** Oldest first. */
  all(): Iterable<LiveOrder> {
    return this.#byId.values();
  }

  /** Of one asset in the order of time; of all assets, asset by asset. */
  *live(asset?: string): Iterable<LiveOrder> {
    if (asset !== undefined) yield* this.#live.get(asset) ?? [];
    else for (const orders of this.#live.values()) yield* orders;
  }

  byId(id: string): LiveOrder | undefined {
    return this.#byId.get(id);
  }

  byClientId(id: string): LiveOrder | undefined {
    return this.#byClientId.get(id);
  }

  /** @throws BrokerError BROKER_NOT_FOUND */
  find({ order_id, broker_order_id }: OrderReference): LiveOrder {
    const order = broker_order_id === null ? this.#byClientId.get(order_id) : this.#byId.get(broker_order_id);
    if (order === undefined) throw refuse('order_not_found', `order not found for ${broker_order_id ?? order_id}`);
    return order;
  }

  /** @throws BrokerError BROKER_NOT_FOUND, or BROKER_REJECTED where it has ended */
  findLive(reference: OrderReference): LiveOrder {
    const order = this.find(reference);
    if (!isLive(order)) throw refuse('order_not_live', `order is already in "${order.status}" state`);
    return order;
  }

  /** @throws BrokerError BROKER_DUPLICATE_ORDER_ID where an order, alive or ended, has this id of the client's */
  refuseKnown(clientId: string): void {
    if (this.#byClientId.has(clientId)) throw refuse('duplicate_order_id', 'client_order_id must be unique');
  }
}
