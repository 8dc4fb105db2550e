import type { z } from 'zod';
import { isOrder, isPosition } from '../model/entry-forms.ts';
import { StateError } from '../model/errors.ts';
import { type OrderSnapshot, orderSchema } from '../model/order.ts';
import { type PositionSnapshot, positionSchema } from '../model/position.ts';

/*
 * One entry of a checkpoint as one line of text: a pure function of the entry. Fields have one order, whatever order they were
 * set in.
 *
 * Most entries are the same from one checkpoint to the next, and the next one takes over what is written here. That is sound only
 * while the entry cannot change, so it is frozen from then on (entries are flat: nothing below them could change either).
 */

export function positionLine(position: PositionSnapshot, strategy: string): string {
  return line(position, positionForm, () => `position ${position.asset} of ${strategy}`);
}

export function orderLine(order: OrderSnapshot, strategy: string): string {
  return line(order, orderForm, () => `order ${order.order_id} of ${strategy}`);
}

interface LineForm<T> {
  /** Says yes only where the schema does, and sooner. */
  readonly fits: (value: unknown) => boolean;
  readonly schema: z.ZodType<T>;
  readonly fields: readonly (keyof T & string)[];
}

const positionForm: LineForm<PositionSnapshot> = {
  fits: isPosition,
  schema: positionSchema,
  fields: fieldNames<PositionSnapshot>({
    asset: 0,
    sid: 0,
    amount: 0,
    cost_basis: 0,
    last_price: 0,
    currency: 0,
    total_cost: 0,
    realized_pnl: 0,
    fees: 0,
  }),
};

const orderForm: LineForm<OrderSnapshot> = {
  fits: isOrder,
  schema: orderSchema,
  fields: fieldNames<OrderSnapshot>({
    order_id: 0,
    asset: 0,
    sid: 0,
    amount: 0,
    order_type: 0,
    limit_price: 0,
    stop_price: 0,
    time_in_force: 0,
    broker_order_id: 0,
    status: 0,
    filled_amount: 0,
    average_fill_price: 0,
    created_at: 0,
    updated_at: 0,
    replaces: 0,
    reason: 0,
  }),
};

/** A record and not an array, so that a field added to the type and forgotten here does not compile. */
function fieldNames<T>(fields: Record<keyof T & string, 0>): readonly (keyof T & string)[] {
  return Object.keys(fields) as (keyof T & string)[];
}

function line<T extends object>(entry: T, { fits, schema, fields }: LineForm<T>, what: () => string): string {
  if (!fits(entry)) assertFits(entry, schema, what);
  const parts: string[] = [];
  for (const field of fields) {
    const value = entry[field];
    if (value !== undefined) parts.push(`"${field}": ${JSON.stringify(value)}`);
  }
  Object.freeze(entry);
  return `{${parts.join(', ')}}`;
}

/**
 * What goes into a file is checked here as well as where it was set: a file that its own reader would refuse is worse than an
 * error now. @throws StateError CHECKPOINT_INVALID
 */
export function assertFits<T>(value: T, schema: z.ZodType<T>, what: () => string): void {
  const checked = schema.safeParse(value);
  if (checked.success) return;
  const issue = checked.error.issues[0];
  const path = issue?.path.map(String).join('.') ?? '';
  throw new StateError(
    'CHECKPOINT_INVALID',
    `${what()} cannot be written: ${path === '' ? '' : `${path}: `}${issue?.message}. The earlier checkpoint is unchanged.`,
    { details: { what: what(), path } },
  );
}
