import { z } from 'zod';
import { type Fill, fillSchema } from './fill.ts';
import type { JsonValue } from './json.ts';
import { finalOrderStatuses, type OrderSnapshot, type OrderStatus, openOrderStatuses, orderSchema } from './order.ts';
import { type Timestamp, timestampSchema } from './time.ts';

/** What happened, each kept: events are appended to the journal and never conflated, unlike entries. */
export type StateEvent =
  /** An order is about to be sent. With the gate on it leaves only once this is durable. */
  | { readonly kind: 'order_intent'; readonly order: OrderSnapshot; readonly at: Timestamp }
  /** What became of an order, on the evidence of the broker; `unknown` is the lack of evidence. */
  | {
      readonly kind: 'order_outcome';
      readonly order_id: string;
      readonly status: OrderStatus;
      readonly broker_order_id: string | null;
      readonly reason: string | null;
      readonly at: Timestamp;
    }
  | { readonly kind: 'fill'; readonly fill: Fill; readonly at: Timestamp }
  | { readonly kind: 'halt'; readonly reason: string; readonly source: string; readonly at: Timestamp }
  | { readonly kind: 'resume'; readonly reason: string; readonly at: Timestamp }
  /** A reconciliation's action that was applied, with its evidence. */
  | { readonly kind: 'plan_action'; readonly report_id: string; readonly action: JsonValue; readonly at: Timestamp }
  /** Anything that a host wants to keep in order with the rest. */
  | { readonly kind: 'note'; readonly name: string; readonly data: JsonValue; readonly at: Timestamp };

/** The name of the notes that hold a reconciliation's report: each report is kept as one, whatever it found. */
export const reconciliationReportNote = 'reconciliation_report';

/** A latch that stops new orders and comes back after a restart. */
export interface Halt {
  readonly reason: string;
  /** Who set it: "reconciliation", "strategy", "persistence", "operator". */
  readonly source: string;
  readonly at: Timestamp;
}

export const haltSchema: z.ZodType<Halt> = z.strictObject({
  reason: z.string().max(2000),
  source: z.string().max(100),
  at: timestampSchema,
});

const at = timestampSchema;
export const stateEventSchema: z.ZodType<StateEvent> = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('order_intent'), order: orderSchema, at }),
  z.strictObject({
    kind: z.literal('order_outcome'),
    order_id: z.string(),
    status: z.enum([...openOrderStatuses, ...finalOrderStatuses]),
    broker_order_id: z.string().nullable(),
    reason: z.string().nullable(),
    at,
  }),
  z.strictObject({ kind: z.literal('fill'), fill: fillSchema, at }),
  z.strictObject({ kind: z.literal('halt'), reason: z.string(), source: z.string(), at }),
  z.strictObject({ kind: z.literal('resume'), reason: z.string(), at }),
  z.strictObject({ kind: z.literal('plan_action'), report_id: z.string(), action: z.json(), at }),
  z.strictObject({ kind: z.literal('note'), name: z.string(), data: z.json(), at }),
]) as z.ZodType<StateEvent>;
