import { z } from 'zod';
import { type Decimal, type DecimalString, decimal, decimalSchema } from './money.ts';
import { assetSchema } from './names.ts';
import { type Timestamp, timestampSchema } from './time.ts';

export const orderTypes = ['market', 'limit', 'stop', 'stop_limit'] as const;
export type OrderType = (typeof orderTypes)[number];

export const timesInForce = ['day', 'gtc', 'ioc', 'fok'] as const;
export type TimeInForce = (typeof timesInForce)[number];

/**
 * pending: intent recorded, the broker has not answered. unknown: sent or perhaps sent, and no evidence of what became of it.
 * open and partially_filled: live at the broker. pending_cancel, pending_replace: live, and asked to end. The rest are final.
 */
export const openOrderStatuses = [
  'pending',
  'unknown',
  'open',
  'partially_filled',
  'pending_cancel',
  'pending_replace',
] as const;
export const finalOrderStatuses = ['filled', 'canceled', 'rejected', 'expired', 'replaced'] as const;
export type OpenOrderStatus = (typeof openOrderStatuses)[number];
export type FinalOrderStatus = (typeof finalOrderStatuses)[number];
export type OrderStatus = OpenOrderStatus | FinalOrderStatus;

/** An order as of one commit: a frozen value, replaced and never edited. */
export interface OrderSnapshot {
  /** Chosen by us, at most 48 characters: the client order id that the broker sees. A replacement is an order of its own. */
  readonly order_id: string;
  readonly asset: string;
  readonly sid?: number | null;
  /** Signed: a sell is negative. */
  readonly amount: DecimalString;
  readonly order_type: OrderType;
  readonly limit_price?: DecimalString | null;
  readonly stop_price?: DecimalString | null;
  readonly time_in_force?: TimeInForce;
  /** Null until the broker has named it. */
  readonly broker_order_id: string | null;
  readonly status: OrderStatus;
  /** Signed like `amount`. */
  readonly filled_amount: DecimalString;
  readonly average_fill_price?: DecimalString | null;
  readonly created_at?: Timestamp;
  readonly updated_at?: Timestamp;
  /** The order_id that this order replaces at the broker. */
  readonly replaces?: string | null;
  /** Why it was rejected, canceled, or is unknown. */
  readonly reason?: string | null;
}

export const orderSchema: z.ZodType<OrderSnapshot> = z.strictObject({
  order_id: z.string().min(1).max(128),
  asset: assetSchema,
  sid: z.int().nonnegative().nullable().exactOptional(),
  amount: decimalSchema,
  order_type: z.enum(orderTypes),
  limit_price: decimalSchema.nullable().exactOptional(),
  stop_price: decimalSchema.nullable().exactOptional(),
  time_in_force: z.enum(timesInForce).exactOptional(),
  broker_order_id: z.string().max(128).nullable(),
  status: z.enum([...openOrderStatuses, ...finalOrderStatuses]),
  filled_amount: decimalSchema,
  average_fill_price: decimalSchema.nullable().exactOptional(),
  created_at: timestampSchema.exactOptional(),
  updated_at: timestampSchema.exactOptional(),
  replaces: z.string().max(128).nullable().exactOptional(),
  reason: z.string().max(2000).nullable().exactOptional(),
});

const finalStatuses: ReadonlySet<string> = new Set(finalOrderStatuses);

export function isFinal(status: OrderStatus): status is FinalOrderStatus {
  return finalStatuses.has(status);
}

/** What an order has still to do, signed. */
export function leftOf({ amount, filled_amount }: Pick<OrderSnapshot, 'amount' | 'filled_amount'>): Decimal {
  return decimal(amount).minus(decimal(filled_amount));
}
