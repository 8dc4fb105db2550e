import { z } from 'zod';
import { type DecimalString, decimalSchema } from './money.ts';
import { assetSchema, currencySchema } from './names.ts';
import { type Timestamp, timestampSchema } from './time.ts';

/** One execution. Its `execution_id` is what makes it count exactly once. */
export interface Fill {
  readonly execution_id: string;
  readonly order_id: string;
  readonly broker_order_id: string | null;
  readonly asset: string;
  /** Signed: a sale is negative. */
  readonly amount: DecimalString;
  readonly price: DecimalString;
  /** Currency of the price; the host's base currency where absent. */
  readonly currency?: string;
  /** Positive is paid, negative is a rebate. */
  readonly fee: DecimalString;
  /** The price's currency where absent. */
  readonly fee_currency?: string;
  readonly at: Timestamp;
}

export const fillSchema: z.ZodType<Fill> = z.strictObject({
  execution_id: z.string().min(1).max(200),
  order_id: z.string().min(1).max(128),
  broker_order_id: z.string().max(128).nullable(),
  asset: assetSchema,
  amount: decimalSchema,
  price: decimalSchema,
  currency: currencySchema.exactOptional(),
  fee: decimalSchema,
  fee_currency: currencySchema.exactOptional(),
  at: timestampSchema,
});
