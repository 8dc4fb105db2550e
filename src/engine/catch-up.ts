import type { ActivityCursor, BrokerAdapter, FillPage } from '../brokers/adapter.ts';
import type { OrderReport } from '../model/report.ts';
import type { OrderManager } from './order-manager.ts';

/** What the broker told about the time in which nobody listened. */
export interface CaughtUp {
  /** Reports of orders that are open here or there. */
  readonly reports: readonly OrderReport[];
  readonly page: FillPage;
}

/**
 * Reads what was missed: first the orders, then the executions after the cursor, so that every execution that a report counts is among
 * those read after it. Only reads; rejects with the adapter's error when one of them fails.
 */
export async function readMissed(
  broker: BrokerAdapter,
  orders: OrderManager,
  cursor: ActivityCursor,
): Promise<CaughtUp> {
  const reports = [...(await broker.fetchOpenOrders())];
  const shown = new Set(reports.map(({ order_id }) => order_id));
  // An order that was live and is not among the open ones has ended meanwhile; how is told by its own report. What was never shown to
  // us (pending, unknown) is for the look-up by id, which knows what a missing order proves.
  for (const order of orders.open()) {
    if (order.broker_order_id === null || shown.has(order.order_id)) continue;
    const report = await broker.fetchOrder(order.order_id);
    if (report !== null) reports.push(report);
  }
  const page = await broker.fetchFills(cursor);
  return { reports: [...reports, ...(await readOwners(broker, orders, page, reports))], page };
}

/**
 * An execution may name only the broker's order id, which nobody here has seen when the answer to the order was lost. It belongs to
 * one of the orders without a broker's id, if to any, and these are asked for before it could be booked as nobody's.
 */
async function readOwners(
  broker: BrokerAdapter,
  orders: OrderManager,
  page: FillPage,
  reports: readonly OrderReport[],
): Promise<OrderReport[]> {
  const named = new Set(reports.map(({ broker_order_id }) => broker_order_id));
  const assets = new Set<string>();
  for (const fill of page.fills) {
    if (fill.order_id !== null || named.has(fill.broker_order_id)) continue;
    if (orders.orderIdOf(null, fill.broker_order_id) === undefined) assets.add(fill.asset);
  }
  const found: OrderReport[] = [];
  if (assets.size === 0 || broker.capabilities.clientOrderIds === 'none') return found;
  for (const order of orders.open()) {
    if (order.broker_order_id !== null || !assets.has(order.asset)) continue;
    const report = await broker.fetchOrder(order.order_id);
    if (report !== null) found.push(report);
  }
  return found;
}
