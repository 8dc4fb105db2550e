import { isDecimalString } from './money.ts';
import { assetPattern, currencyPattern } from './names.ts';
import { finalOrderStatuses, type OrderSnapshot, openOrderStatuses, orderTypes, timesInForce } from './order.ts';
import type { PositionSnapshot } from './position.ts';
import { isTimestamp } from './time.ts';

/*
 * What positionSchema and orderSchema take, in plain code: where many entries are read, a schema costs several times what parsing
 * them does. These say yes or no to what JSON.parse gave; why it is no, the schema tells.
 */

export function isPosition(value: unknown): value is PositionSnapshot {
  return fits(value, positionForm);
}

export function isOrder(value: unknown): value is OrderSnapshot {
  return fits(value, orderForm);
}

type Check = (value: unknown) => boolean;

interface Form {
  readonly fields: ReadonlyMap<string, Field>;
  readonly required: number;
}

interface Field {
  readonly check: Check;
  readonly isRequired: boolean;
}

function fits(value: unknown, form: Form): boolean {
  if (typeof value !== 'object' || value === null) return false;
  let required = 0;
  for (const name of Object.keys(value)) {
    const field = form.fields.get(name);
    if (field === undefined || !field.check((value as Readonly<Record<string, unknown>>)[name])) return false;
    if (field.isRequired) required += 1;
  }
  return required === form.required;
}

function form(required: Readonly<Record<string, Check>>, optional: Readonly<Record<string, Check>>): Form {
  const fields = new Map<string, Field>();
  for (const [name, check] of Object.entries(required)) fields.set(name, { check, isRequired: true });
  for (const [name, check] of Object.entries(optional)) fields.set(name, { check, isRequired: false });
  return { fields, required: Object.keys(required).length };
}

const isAsset: Check = (value) => typeof value === 'string' && assetPattern.test(value);
const isCurrency: Check = (value) => typeof value === 'string' && currencyPattern.test(value);
const isSid: Check = (value) => value === null || (Number.isSafeInteger(value) && (value as number) >= 0);
const isDecimalOrNull: Check = (value) => value === null || isDecimalString(value);

function isText(lengthMin: number, lengthMax: number): Check {
  return (value) => typeof value === 'string' && value.length >= lengthMin && value.length <= lengthMax;
}

function isTextOrNull(lengthMax: number): Check {
  const isRight = isText(0, lengthMax);
  return (value) => value === null || isRight(value);
}

function isOneOf(values: readonly string[]): Check {
  const known: ReadonlySet<unknown> = new Set(values);
  return (value) => known.has(value);
}

const positionForm = form(
  { asset: isAsset, amount: isDecimalString, cost_basis: isDecimalString, last_price: isDecimalOrNull },
  {
    sid: isSid,
    currency: isCurrency,
    total_cost: isDecimalString,
    realized_pnl: isDecimalString,
    fees: isDecimalString,
  },
);

const orderForm = form(
  {
    order_id: isText(1, 128),
    asset: isAsset,
    amount: isDecimalString,
    order_type: isOneOf(orderTypes),
    broker_order_id: isTextOrNull(128),
    status: isOneOf([...openOrderStatuses, ...finalOrderStatuses]),
    filled_amount: isDecimalString,
  },
  {
    sid: isSid,
    limit_price: isDecimalOrNull,
    stop_price: isDecimalOrNull,
    time_in_force: isOneOf(timesInForce),
    average_fill_price: isDecimalOrNull,
    created_at: isTimestamp,
    updated_at: isTimestamp,
    replaces: isTextOrNull(128),
    reason: isTextOrNull(2000),
  },
);
