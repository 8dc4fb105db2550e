import { z } from 'zod';
import { type DecimalString, decimalSchema } from './money.ts';
import { assetSchema, currencySchema } from './names.ts';

/** What a strategy holds of one asset, as of one commit: a frozen value, replaced and never edited. */
export interface PositionSnapshot {
  readonly asset: string;
  /** A small integer for the asset, unique on the host. */
  readonly sid?: number | null;
  /** Signed: a short position is negative. */
  readonly amount: DecimalString;
  /** Average price per unit of what is held, for reading. The exact figure is `total_cost`. */
  readonly cost_basis: DecimalString;
  /** The last price seen; it rides on other changes and is sampled at each checkpoint. */
  readonly last_price: DecimalString | null;
  /** Currency of prices and costs; the host's base currency where absent. */
  readonly currency?: string;
  /** Exact cost of what is held, signed like `amount`; amount × cost_basis where absent. */
  readonly total_cost?: DecimalString;
  /** Profit realized in this asset since the book was opened, before fees. "0" where absent. */
  readonly realized_pnl?: DecimalString;
  /** Fees paid on this asset in `currency`. "0" where absent. */
  readonly fees?: DecimalString;
}

export const positionSchema: z.ZodType<PositionSnapshot> = z.strictObject({
  asset: assetSchema,
  sid: z.int().nonnegative().nullable().exactOptional(),
  amount: decimalSchema,
  cost_basis: decimalSchema,
  last_price: decimalSchema.nullable(),
  currency: currencySchema.exactOptional(),
  total_cost: decimalSchema.exactOptional(),
  realized_pnl: decimalSchema.exactOptional(),
  fees: decimalSchema.exactOptional(),
});
