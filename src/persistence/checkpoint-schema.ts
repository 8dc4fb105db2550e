import { z } from 'zod';
import { isOrder, isPosition } from '../model/entry-forms.ts';
import { decimalSchema } from '../model/money.ts';
import { assetSchema, strategyNameSchema } from '../model/names.ts';
import { finalOrderStatuses, type OrderSnapshot, openOrderStatuses, orderTypes } from '../model/order.ts';
import type { PositionSnapshot } from '../model/position.ts';
import { emptyCursor, type StateCheckpoint, type StrategySnapshot, strategySnapshotShape } from '../model/snapshot.ts';
import { timestampSchema } from '../model/time.ts';

export type DecodedCheckpoint =
  | { readonly kind: 'ok'; readonly checkpoint: StateCheckpoint; readonly seed: boolean }
  /** damaged: not a true checkpoint. foreign: a true one of another strategy. newer_format: only a newer version can read it. */
  | { readonly kind: 'damaged' | 'foreign' | 'newer_format'; readonly why: string };

export const checkpointFormat = 'holdfast-checkpoint';
export const checkpointFormatVersion = 1;

const placeShape = {
  timestamp: timestampSchema,
  epoch: z.int().nonnegative(),
  sequence: z.int().nonnegative(),
} satisfies z.ZodRawShape;

/** A checkpoint without what grows: its entries are checked one by one. */
export type CheckpointHead = Omit<StrategySnapshot, 'strategy_state' | 'positions' | 'pending_orders'> &
  Pick<StateCheckpoint, 'timestamp' | 'epoch' | 'sequence'>;
const { strategy_state, positions, pending_orders, ...headShape } = strategySnapshotShape;
export const checkpointHeadSchema: z.ZodType<CheckpointHead> = z.strictObject({ ...headShape, ...placeShape });

const checkpointShape = {
  format: z.literal(checkpointFormat),
  format_version: z.literal(checkpointFormatVersion),
  ...headShape,
  strategy_state,
  ...placeShape,
  checksum: z.string(),
} satisfies z.ZodRawShape;
/** For a file whose entries are known to be right, which they nearly always are. */
const checkpointAroundEntriesSchema = z.strictObject({
  ...checkpointShape,
  positions: z.custom<readonly PositionSnapshot[]>(),
  pending_orders: z.custom<readonly OrderSnapshot[]>(),
}) satisfies z.ZodType<StateCheckpoint>;
/** For any other, of which it says what is wrong. */
const checkpointSchema = z.strictObject({
  ...checkpointShape,
  positions,
  pending_orders,
}) satisfies z.ZodType<StateCheckpoint>;

/** The format that Holdfast grew from: no version, no place in the order, no checksum, and fewer fields in each entry. */
const seedSchema = z.strictObject({
  strategy_name: strategyNameSchema,
  timestamp: timestampSchema,
  strategy_state,
  positions: z.array(
    z.strictObject({
      asset: assetSchema,
      sid: z.int().nonnegative().nullable().exactOptional(),
      amount: decimalSchema,
      cost_basis: decimalSchema,
      last_price: decimalSchema.nullable().default(null),
    }),
  ),
  pending_orders: z.array(
    z.strictObject({
      order_id: z.string().min(1).max(128),
      asset: assetSchema,
      sid: z.int().nonnegative().nullable().exactOptional(),
      amount: decimalSchema,
      order_type: z.enum(orderTypes),
      limit_price: decimalSchema.nullable().exactOptional(),
      stop_price: decimalSchema.nullable().exactOptional(),
      broker_order_id: z.string().max(128).nullable().default(null),
      status: z.enum([...openOrderStatuses, ...finalOrderStatuses]),
      filled_amount: decimalSchema.default('0'),
      created_at: timestampSchema.exactOptional(),
    }),
  ),
  cash_balance: decimalSchema,
});

/** `value` is JSON whose checksum was verified: what is wrong in it is the fault of who wrote it, and still no state to trade on. */
export function parseCheckpoint(value: Readonly<Record<string, unknown>>): DecodedCheckpoint {
  const entriesAreRight = areAll(value['positions'], isPosition) && areAll(value['pending_orders'], isOrder);
  const parsed = (entriesAreRight ? checkpointAroundEntriesSchema : checkpointSchema).safeParse(value);
  if (!parsed.success) return { kind: 'damaged', why: whyNot(parsed.error, value) };
  return checked(parsed.data, value, false);
}

/** Reads as epoch 0, sequence 0: older than anything that Holdfast writes. */
export function parseSeedCheckpoint(value: Readonly<Record<string, unknown>>, currency: string): DecodedCheckpoint {
  const parsed = seedSchema.safeParse(value);
  if (!parsed.success) return { kind: 'damaged', why: whyNot(parsed.error, value) };
  const checkpoint: StateCheckpoint = {
    format: checkpointFormat,
    format_version: checkpointFormatVersion,
    ...parsed.data,
    epoch: 0,
    sequence: 0,
    currency,
    other_cash: {},
    broker_cursor: emptyCursor,
    halt: null,
    checksum: null,
  };
  return checked(checkpoint, value, true);
}

/** What the schema does not see: keys that would vanish or win in silence. */
function checked(
  checkpoint: StateCheckpoint,
  raw: Readonly<Record<string, unknown>>,
  seed: boolean,
): DecodedCheckpoint {
  // z.record skips this key without a word.
  if (Object.hasOwn(Object(raw['other_cash']), '__proto__')) {
    return { kind: 'damaged', why: 'other_cash has a key "__proto__", which is no currency' };
  }
  const twice = whyTwice(checkpoint);
  return twice === null ? { kind: 'ok', checkpoint, seed } : { kind: 'damaged', why: twice };
}

/** Of two entries for one key a reader would keep one, and nobody could say which. Null where there are none. */
export function whyTwice(snapshot: Pick<StrategySnapshot, 'positions' | 'pending_orders'>): string | null {
  const twice =
    firstTwice(snapshot.positions, ({ asset }) => asset) ??
    firstTwice(snapshot.pending_orders, ({ order_id }) => order_id);
  return twice === null ? null : `it has two entries for ${JSON.stringify(twice)}`;
}

function firstTwice<T>(entries: readonly T[], keyOf: (entry: T) => string): string | null {
  // Entries that are sorted by their keys, as positions are, need no set to tell.
  let last: string | null = null;
  let seen: Set<string> | null = null;
  for (let index = 0; index < entries.length; index += 1) {
    const key = keyOf(entries[index] as T);
    if (seen === null && last !== null && key <= last) seen = new Set(entries.slice(0, index).map(keyOf));
    if (seen?.has(key)) return key;
    seen?.add(key);
    last = key;
  }
  return null;
}

function areAll(value: unknown, isRight: (entry: unknown) => boolean): boolean {
  return Array.isArray(value) && value.every(isRight);
}

function whyNot(error: z.ZodError, value: unknown): string {
  const issue = error.issues[0];
  if (issue === undefined) return 'it does not have the form of a checkpoint';
  const path = issue.path.map(String).join('.');
  const at = path === '' ? '' : ` at ${path}`;
  if (typeof valueAt(value, issue.path) === 'number' && issue.code === 'invalid_type' && issue.expected === 'string') {
    return `it does not have the form of a checkpoint${at}: a number, where a string is expected; decimals are strings such as "150.25"`;
  }
  return `it does not have the form of a checkpoint${at}: ${issue.message}`;
}

function valueAt(value: unknown, path: readonly PropertyKey[]): unknown {
  let at = value;
  for (const key of path) {
    if (typeof at !== 'object' || at === null || !Object.hasOwn(at, key)) return undefined;
    at = (at as Record<PropertyKey, unknown>)[key];
  }
  return at;
}
