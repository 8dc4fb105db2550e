import { isFinal, type OrderSnapshot } from '../model/order.ts';
import type { OrderReport } from '../model/report.ts';
import type { LocalBooks } from './types.ts';

export interface LocalOrder {
  readonly strategy: string;
  readonly order: OrderSnapshot;
}

export interface OrderMatch {
  readonly pairs: readonly { readonly local: LocalOrder; readonly report: OrderReport }[];
  /** Live in our books, and not among the broker's reports. */
  readonly missing: readonly LocalOrder[];
  /** Live at the broker, and in none of our books. */
  readonly unknown: readonly OrderReport[];
}

/**
 * Finds for each report the order that it is about: by the client order id that we chose, and where no order has it by the
 * broker's own id. All matches by the first come before any by the second; an order is matched once.
 */
export function matchOrders(books: LocalBooks, reports: readonly OrderReport[]): OrderMatch {
  const locals = books.strategies.flatMap(({ strategy, orders }) => orders.map((order) => ({ strategy, order })));
  const byOrderId = new Map(locals.map((local) => [local.order.order_id, local]));
  const byBrokerId = new Map(
    locals.flatMap((local) => (local.order.broker_order_id === null ? [] : [[local.order.broker_order_id, local]])),
  );
  const matched = new Map<OrderReport, LocalOrder>();
  const taken = new Set<LocalOrder>();
  const match = (report: OrderReport, local: LocalOrder | undefined): void => {
    if (local === undefined || matched.has(report) || taken.has(local)) return;
    matched.set(report, local);
    taken.add(local);
  };
  for (const report of reports) if (report.order_id !== null) match(report, byOrderId.get(report.order_id));
  for (const report of reports) match(report, byBrokerId.get(report.broker_order_id));
  return {
    pairs: [...matched].map(([report, local]) => ({ local, report })),
    missing: locals.filter((local) => !taken.has(local) && !isFinal(local.order.status)),
    unknown: reports.filter((report) => !matched.has(report) && !isFinal(report.status)),
  };
}

/** How a discrepancy names an order that we do not know. */
export function reportedOrderId(report: OrderReport): string {
  return report.order_id ?? report.broker_order_id;
}
