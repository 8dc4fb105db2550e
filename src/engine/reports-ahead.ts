import { decimal } from '../model/money.ts';
import { isFinal, type OrderSnapshot } from '../model/order.ts';
import type { OrderReport } from '../model/report.ts';

/** Whether a report counts executions that are not booked yet. */
export function isAhead(order: OrderSnapshot, report: OrderReport): boolean {
  return decimal(report.filled_amount).abs().gt(decimal(order.filled_amount).abs());
}

/** Reports that tell more than the executions booked so far, one for each order: what it says waits for them. */
export class ReportsAhead {
  readonly #reports = new Map<string, OrderReport>();

  get size(): number {
    return this.#reports.size;
  }

  get(orderId: string): OrderReport | undefined {
    return this.#reports.get(orderId);
  }

  delete(orderId: string): void {
    this.#reports.delete(orderId);
  }

  /** Of two reports the final one tells more, and of two that are not final the one that is filled further. */
  keep(orderId: string, report: OrderReport): void {
    const known = this.#reports.get(orderId);
    if (known !== undefined && !isFinal(report.status)) {
      if (isFinal(known.status) || decimal(known.filled_amount).abs().gt(decimal(report.filled_amount).abs())) return;
    }
    this.#reports.set(orderId, report);
  }
}
