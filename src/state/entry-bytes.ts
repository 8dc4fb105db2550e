import type { StateEvent } from '../model/event.ts';
import { jsonTextBytes } from '../model/json-bytes.ts';
import type { OrderSnapshot } from '../model/order.ts';
import type { SizedStateValue } from '../model/state-value.ts';

/*
 * At least the bytes that an entry or event takes in a journal record, at a cost that does not grow with it: the checks of entries
 * bound every field, so that what cannot be long counts as its longest.
 */

/** The names of all fields, an asset twice as long for its escapes, six decimals, and what else a position has. */
export const positionBytesMax = 800;

/** The name of a strategy and those of all its fields. */
export const strategyBytes = 400;

/** An amount with its currency. */
export const cashBytesMax = 80;

/** A halt or a cursor: their texts are bounded by the checks of entries. */
export const latchBytesMax: number = 6 * 2_100 + 100;

export function orderBytes(order: OrderSnapshot): number {
  const { order_id, broker_order_id, replaces, reason } = order;
  // Its id once more, since it may be named as removed too.
  const characters = 2 * order_id.length + length(broker_order_id) + length(replaces) + length(reason);
  return 1_200 + 6 * characters;
}

/** A key that is named, with quotes and a comma. */
export function keyBytes(key: string): number {
  return 6 * key.length + 4;
}

/** A state value with its key. */
export function stateBytes(key: string, value: SizedStateValue | undefined): number {
  return keyBytes(key) + (value?.bytes ?? 0);
}

/** @param dataBytes of what an event carries as JSON of its own */
export function eventBytes(event: StateEvent, dataBytes: number): number {
  switch (event.kind) {
    case 'order_intent':
      return 100 + orderBytes(event.order);
    case 'order_outcome':
      return 200 + jsonTextBytes(event.order_id) + text(event.broker_order_id) + text(event.reason);
    case 'fill': {
      const { execution_id, order_id, broker_order_id } = event.fill;
      return 800 + 6 * (execution_id.length + order_id.length + length(broker_order_id));
    }
    case 'halt':
      return 100 + jsonTextBytes(event.reason) + jsonTextBytes(event.source);
    case 'resume':
      return 100 + jsonTextBytes(event.reason);
    case 'plan_action':
      return 100 + jsonTextBytes(event.report_id) + dataBytes;
    case 'note':
      return 100 + jsonTextBytes(event.name) + dataBytes;
  }
}

function length(value: string | null | undefined): number {
  return value?.length ?? 0;
}

function text(value: string | null): number {
  return value === null ? 4 : jsonTextBytes(value);
}
