import type { StateEvent } from '../model/event.ts';
import type { Fill } from '../model/fill.ts';
import { finalOrderStatuses, openOrderStatuses } from '../model/order.ts';
import { eventBytes } from './entry-bytes.ts';
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
import { EventData } from './event-data.ts';
import { eventTooLarge } from './state-limits.ts';

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

/** A frozen copy of an event, and at least its bytes in a journal record. */
export interface CheckedEvent {
  readonly event: StateEvent;
  readonly bytes: number;
}

/**
 * @throws StateError ENTRY_INVALID naming strategy, kind of event and field, or the path in the data that an event carries;
 *   EVENT_TOO_LARGE above `bytesMax`
 */
export function checkedEvent(strategy: string, event: StateEvent, bytesMax: number): CheckedEvent {
  const kind: unknown = (event as { kind?: unknown } | null)?.kind;
  const known = typeof kind === 'string' && Object.hasOwn(eventRules, kind);
  if (!known) {
    throw entryInvalid(strategy, 'event', kind, 'kind', `one of ${Object.keys(eventRules).join(', ')}`, kind);
  }
  const copy = checkedEntry(strategy, 'event', kind, event, eventRules[kind as StateEvent['kind']]);
  const data = new EventData(strategy, kind, bytesMax);
  const whole = withContent(strategy, copy, data);
  const bytes = eventBytes(whole, data.bytes);
  if (bytes > bytesMax) throw eventTooLarge(strategy, kind, bytes, bytesMax);
  return { event: whole, bytes };
}

function withContent(strategy: string, event: StateEvent, data: EventData): StateEvent {
  switch (event.kind) {
    case 'order_intent':
      return Object.freeze({ ...event, order: checkedOrder(strategy, event.order) });
    case 'fill':
      return Object.freeze({ ...event, fill: checkedFill(strategy, event.fill) });
    case 'plan_action':
      return Object.freeze({ ...event, action: data.copy(event.action) });
    case 'note':
      return Object.freeze({ ...event, data: data.copy(event.data) });
    default:
      return event;
  }
}

function checkedFill(strategy: string, fill: Fill): Fill {
  return checkedEntry(strategy, 'fill', (fill as { execution_id?: unknown } | null)?.execution_id, fill, fillRules);
}
