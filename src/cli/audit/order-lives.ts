import { Decimal, type DecimalString, decimal, decimalString } from '../../model/money.ts';
import type { Timestamp } from '../../model/time.ts';
import type { AuditRow } from '../../persistence/audit-rows.ts';

/** One order as the audit knows it, in the field names of `audit --json`. */
export interface OrderLife {
  readonly order_id: string;
  readonly strategy: string | null;
  readonly asset: string | null;
  readonly amount: DecimalString | null;
  readonly broker_order_id: string | null;
  /** The last that was learnt of it. */
  readonly status: string | null;
  readonly filled_amount: DecimalString;
  readonly fills: number;
  readonly first_at: Timestamp;
  readonly last_at: Timestamp;
  /** intent: its life is told from its intent on. found: it was open when the audit began. missing: neither is in what was read. */
  readonly begins_with: 'intent' | 'found' | 'missing';
}

/** The orders that rows are about, in the order of their first rows. */
export function orderLives(log: readonly AuditRow[]): readonly OrderLife[] {
  const rows = new Map<string, AuditRow[]>();
  for (const row of log) {
    if (row.order_id === null) continue;
    const own = rows.get(row.order_id);
    if (own === undefined) rows.set(row.order_id, [row]);
    else own.push(row);
  }
  return [...rows].map(([orderId, own]) => lifeOf(orderId, own));
}

function lifeOf(orderId: string, rows: readonly AuditRow[]): OrderLife {
  const kinds = new Set(rows.map(({ kind }) => kind));
  const order = rows.find(({ kind }) => kind === 'order_intent' || kind === 'order_found');
  const fills = rows.filter(({ kind }) => kind === 'fill');
  const filled = fills.reduce((sum, { amount }) => sum.plus(decimal(amount ?? '0')), new Decimal(0));
  return {
    order_id: orderId,
    strategy: rows.find(({ strategy }) => strategy !== null)?.strategy ?? null,
    asset: order?.asset ?? rows.find(({ asset }) => asset !== null)?.asset ?? null,
    amount: order?.amount ?? null,
    broker_order_id: rows.findLast(({ broker_order_id }) => broker_order_id !== null)?.broker_order_id ?? null,
    status: rows.findLast(({ status }) => status !== null)?.status ?? null,
    filled_amount: decimalString(filled),
    fills: fills.length,
    first_at: rows[0]?.at ?? '',
    last_at: rows.at(-1)?.at ?? '',
    begins_with: kinds.has('order_intent') ? 'intent' : kinds.has('order_found') ? 'found' : 'missing',
  };
}
