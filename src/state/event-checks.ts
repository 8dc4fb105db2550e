import type { StateEvent } from '../model/event.ts';
import type { Fill } from '../model/fill.ts';
import type { JsonValue } from '../model/json.ts';
import { finalOrderStatuses, openOrderStatuses } from '../model/order.ts';
import {
  checkAsset,
  checkCurrency,
  checkDecimal,
  checkedEntry,
  checkedOrder,
  checkNullable,
  checkOneOf,
  checkText,
  checkTimestamp,
  entryInvalid,
  type FieldCheck,
  type FieldRule,
  type FieldRules,
} from './entry-checks.ts';

const required = (check: FieldCheck): FieldRule => ({ check });
const optional = (check: FieldCheck): FieldRule => ({ check, optional: true });
const text = checkText(0, 1_000_000);
const anything: FieldCheck = () => null;

const fillRules: FieldRules = new Map([
  ['execution_id', required(checkText(1, 200))],
  ['order_id', required(checkText(1, 128))],
  ['broker_order_id', required(checkNullable(checkText(0, 128)))],
  ['asset', required(checkAsset)],
  ['amount', required(checkDecimal)],
  ['price', required(checkDecimal)],
  ['currency', optional(checkCurrency)],
  ['fee', required(checkDecimal)],
  ['fee_currency', optional(checkCurrency)],
  ['at', required(checkTimestamp)],
]);

const eventRules: Readonly<Record<StateEvent['kind'], FieldRules>> = {
  order_intent: rules({ order: anything }),
  order_outcome: rules({
    order_id: text,
    status: checkOneOf([...openOrderStatuses, ...finalOrderStatuses]),
    broker_order_id: checkNullable(text),
    reason: checkNullable(text),
  }),
  fill: rules({ fill: anything }),
  halt: rules({ reason: text, source: text }),
  resume: rules({ reason: text }),
  plan_action: rules({ report_id: text, action: anything }),
  note: rules({ name: text, data: anything }),
};

function rules(fields: Readonly<Record<string, FieldCheck>>): FieldRules {
  return new Map([
    ['kind', required(anything)],
    ...Object.entries(fields).map(([name, check]): [string, FieldRule] => [name, required(check)]),
    ['at', required(checkTimestamp)],
  ]);
}

/** A frozen copy of an event. @throws StateError ENTRY_INVALID naming strategy, kind of event and field */
export function checkedEvent(strategy: string, event: StateEvent): StateEvent {
  const kind: unknown = (event as { kind?: unknown } | null)?.kind;
  const known = typeof kind === 'string' && Object.hasOwn(eventRules, kind);
  if (!known) {
    throw entryInvalid(strategy, 'event', kind, 'kind', `one of ${Object.keys(eventRules).join(', ')}`, kind);
  }
  const copy = checkedEntry(strategy, 'event', kind, event, eventRules[kind as StateEvent['kind']]);
  switch (copy.kind) {
    case 'order_intent':
      return Object.freeze({ ...copy, order: checkedOrder(strategy, copy.order) });
    case 'fill':
      return Object.freeze({ ...copy, fill: checkedFill(strategy, copy.fill) });
    case 'plan_action':
      return Object.freeze({ ...copy, action: frozenJson(strategy, copy.kind, copy.action, 0) });
    case 'note':
      return Object.freeze({ ...copy, data: frozenJson(strategy, copy.kind, copy.data, 0) });
    default:
      return copy;
  }
}

function checkedFill(strategy: string, fill: Fill): Fill {
  return checkedEntry(strategy, 'fill', (fill as { execution_id?: unknown } | null)?.execution_id, fill, fillRules);
}

const jsonDepthMax = 256;

function frozenJson(strategy: string, kind: string, value: unknown, depth: number): JsonValue {
  if (depth > jsonDepthMax) {
    throw entryInvalid(strategy, 'event', kind, null, `JSON nested at most ${jsonDepthMax} deep`, value);
  }
  if (value === null || typeof value === 'boolean' || typeof value === 'string') return value;
  if (typeof value === 'number' && Number.isFinite(value)) return value;
  if (Array.isArray(value)) return Object.freeze(value.map((item) => frozenJson(strategy, kind, item, depth + 1)));
  if (typeof value === 'object' && isPlain(value)) {
    const copy: Record<string, JsonValue> = {};
    for (const [key, item] of Object.entries(value)) {
      if (key === '__proto__') throw entryInvalid(strategy, 'event', kind, key, 'another name', item);
      if (item !== undefined) copy[key] = frozenJson(strategy, kind, item, depth + 1);
    }
    return Object.freeze(copy);
  }
  throw entryInvalid(strategy, 'event', kind, null, 'plain JSON data', value);
}

function isPlain(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}
