import { z } from 'zod';
import { type DecimalString, decimalSchema } from './money.ts';
import { assetSchema, currencySchema } from './names.ts';
import {
  finalOrderStatuses,
  type OrderStatus,
  type OrderType,
  openOrderStatuses,
  orderTypes,
  type TimeInForce,
  timesInForce,
} from './order.ts';
import { type Timestamp, timestampSchema } from './time.ts';

/** What the broker says, in our words. Every adapter answers in these; quantities are signed, decimals are strings. */
export interface AccountReport {
  readonly account_id: string;
  readonly currency: string;
  /** Cash for each currency. */
  readonly cash: Readonly<Record<string, DecimalString>>;
  readonly equity: DecimalString | null;
  readonly buying_power: DecimalString | null;
  /** The broker does not let us trade now. */
  readonly blocked: boolean;
}

export interface PositionReport {
  readonly asset: string;
  readonly amount: DecimalString;
  readonly cost_basis: DecimalString | null;
  readonly last_price: DecimalString | null;
  readonly currency: string | null;
}

export interface OrderReport {
  /** Our client order id; null for an order that was placed elsewhere without one. */
  readonly order_id: string | null;
  readonly broker_order_id: string;
  readonly asset: string;
  readonly amount: DecimalString;
  readonly order_type: OrderType;
  readonly limit_price: DecimalString | null;
  readonly stop_price: DecimalString | null;
  readonly time_in_force: TimeInForce;
  readonly status: OrderStatus;
  readonly filled_amount: DecimalString;
  readonly average_fill_price: DecimalString | null;
  readonly reason: string | null;
  readonly created_at: Timestamp;
  readonly updated_at: Timestamp;
}

/** One execution as the broker tells it, on the stream or among its activities. */
export interface FillReport {
  readonly execution_id: string;
  /** The broker's id of the activity, where cursors begin; null on a stream that does not tell it. */
  readonly activity_id: string | null;
  readonly order_id: string | null;
  readonly broker_order_id: string;
  readonly asset: string;
  readonly amount: DecimalString;
  readonly price: DecimalString;
  readonly currency: string | null;
  readonly fee: DecimalString;
  readonly fee_currency: string | null;
  readonly at: Timestamp;
}

export const accountReportSchema: z.ZodType<AccountReport> = z.strictObject({
  account_id: z.string(),
  currency: currencySchema,
  cash: z.record(currencySchema, decimalSchema),
  equity: decimalSchema.nullable(),
  buying_power: decimalSchema.nullable(),
  blocked: z.boolean(),
});

export const positionReportSchema: z.ZodType<PositionReport> = z.strictObject({
  asset: assetSchema,
  amount: decimalSchema,
  cost_basis: decimalSchema.nullable(),
  last_price: decimalSchema.nullable(),
  currency: currencySchema.nullable(),
});

export const orderReportSchema: z.ZodType<OrderReport> = z.strictObject({
  order_id: z.string().nullable(),
  broker_order_id: z.string(),
  asset: assetSchema,
  amount: decimalSchema,
  order_type: z.enum(orderTypes),
  limit_price: decimalSchema.nullable(),
  stop_price: decimalSchema.nullable(),
  time_in_force: z.enum(timesInForce),
  status: z.enum([...openOrderStatuses, ...finalOrderStatuses]),
  filled_amount: decimalSchema,
  average_fill_price: decimalSchema.nullable(),
  reason: z.string().nullable(),
  created_at: timestampSchema,
  updated_at: timestampSchema,
});

export const fillReportSchema: z.ZodType<FillReport> = z.strictObject({
  execution_id: z.string().min(1),
  activity_id: z.string().nullable(),
  order_id: z.string().nullable(),
  broker_order_id: z.string(),
  asset: assetSchema,
  amount: decimalSchema,
  price: decimalSchema,
  currency: currencySchema.nullable(),
  fee: decimalSchema,
  fee_currency: currencySchema.nullable(),
  at: timestampSchema,
});
