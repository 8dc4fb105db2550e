import { z } from 'zod';
import { type Halt, haltSchema } from './event.ts';
import type { JsonObject } from './json.ts';
import { type DecimalString, decimalSchema } from './money.ts';
import { currencySchema, strategyNameSchema } from './names.ts';
import { type OrderSnapshot, orderSchema } from './order.ts';
import { type PositionSnapshot, positionSchema } from './position.ts';
import { type Timestamp, timestampSchema } from './time.ts';

/** How far the broker's account activities are booked: where catching up after a gap begins. */
export interface BrokerCursor {
  /** The broker's own id of the last activity read to the end, or null before the first. */
  readonly activity_id: string | null;
  readonly at: Timestamp | null;
  /** Execution ids booked lately (at most {@link recentExecutionsMax}, oldest first): each fill counts once. */
  readonly recent_execution_ids: readonly string[];
}

/** How many execution ids a book remembers. */
export const recentExecutionsMax = 4096;

export const emptyCursor: BrokerCursor = { activity_id: null, at: null, recent_execution_ids: [] };

/** Everything that one strategy must not lose, as of one sequence. Immutable. */
export interface StrategySnapshot {
  readonly strategy_name: string;
  /** The strategy's own keys; values in the readable tagged form of state-value.ts. */
  readonly strategy_state: JsonObject;
  /** Sorted by asset. */
  readonly positions: readonly PositionSnapshot[];
  /** Orders that are not final, in the order in which they were created. */
  readonly pending_orders: readonly OrderSnapshot[];
  /** Cash in `currency`, the host's base currency. */
  readonly cash_balance: DecimalString;
  readonly currency: string;
  /** Cash in any other currency. */
  readonly other_cash: Readonly<Record<string, DecimalString>>;
  readonly broker_cursor: BrokerCursor;
  readonly halt: Halt | null;
}

/** The whole host as of one sequence, the same for every strategy. */
export interface Snapshot {
  readonly sequence: number;
  readonly epoch: number;
  readonly timestamp: Timestamp;
  readonly strategies: readonly StrategySnapshot[];
}

/** A strategy's snapshot made durable as a file. docs/internals/file-formats.md specifies the bytes. */
export interface StateCheckpoint extends StrategySnapshot {
  readonly format: 'holdfast-checkpoint';
  readonly format_version: number;
  readonly timestamp: Timestamp;
  /** 0 for a file in the seed's format. */
  readonly epoch: number;
  readonly sequence: number;
  /** "sha256:" and 64 hexadecimal digits; null for a file in the seed's format, which has none. */
  readonly checksum: string | null;
}

export const brokerCursorSchema: z.ZodType<BrokerCursor> = z.strictObject({
  activity_id: z.string().nullable(),
  at: timestampSchema.nullable(),
  recent_execution_ids: z.array(z.string()).max(recentExecutionsMax),
});

/** The fields of a {@link StrategySnapshot}, for schemas that add to them. */
export const strategySnapshotShape: {
  readonly [Field in keyof StrategySnapshot]: z.ZodType<StrategySnapshot[Field]>;
} = {
  strategy_name: strategyNameSchema,
  strategy_state: z.custom<JsonObject>(
    (value) => typeof value === 'object' && value !== null && !Array.isArray(value),
    'expected an object',
  ),
  positions: z.array(positionSchema),
  pending_orders: z.array(orderSchema),
  cash_balance: decimalSchema,
  currency: currencySchema,
  other_cash: z.record(currencySchema, decimalSchema),
  broker_cursor: brokerCursorSchema,
  halt: haltSchema.nullable(),
};
