import type { JsonValue } from './json.ts';
import { StateValueDecoder } from './state-value-decoder.ts';
import { StateValueEncoder } from './state-value-encoder.ts';
import { type StateValuePlace, stateValueDepthMax } from './state-value-form.ts';

export { type StateValuePlace, stateValueDepthMax };

/**
 * A strategy's own values in the form in which they cross threads and reach files: plain JSON, in which what JSON does not know is
 * an object with a "$holdfast" key that says what it is:
 *
 *     {"$holdfast": "Map", "entries": [["AAPL", 3]]}       {"$holdfast": "Date", "value": "2025-10-02T14:30:00.000Z"}
 *     {"$holdfast": "Set", "values": ["a", "b"]}           {"$holdfast": "Decimal", "value": "0.10"}
 *     {"$holdfast": "Float64Array", "values": [1, "NaN"]}  {"$holdfast": "Uint8Array", "base64": "AAEC"}
 *
 * and likewise BigInt, undefined, Number (for -0), ArrayBuffer, Buffer and the other typed arrays. A plain object with a "$holdfast"
 * or "__proto__" key of its own is written as {"$holdfast": "Object", "entries": […]}, so that it comes back as it was and no code
 * on the way can mistake it for a tag or set a prototype with it.
 */

/** A value larger than this is worth a warning: it is written whole each time that it is set. */
export const stateValueBytesWarn: number = 64 * 1024;
/** A value larger than this is refused unless a caller says otherwise. */
export const stateValueBytesMax: number = 16 * 1024 * 1024;

/** An encoded value with its size, which falls out of the encoding. */
export interface SizedStateValue {
  readonly json: JsonValue;
  /** At least the bytes of its JSON text in UTF-8; exactly these where all its numbers are whole, else at most 24 more for each. */
  readonly bytes: number;
}

/**
 * Encodes a value at once and deeply: the result is frozen, shares nothing with `value` and decodes to its equal. An object that is
 * referred to twice comes back as two. An object without a prototype comes back with the usual one. What somebody hung on a typed
 * array beside its numbers is not looked for.
 * @throws StateError STATE_VALUE_INVALID with `details.path` ("$.a[3].b") for what would not come back as it is: functions, symbols,
 *   NaN, infinities, cycles, class instances, sparse arrays, accessors, hidden properties, nesting beyond {@link stateValueDepthMax};
 *   and for what cannot be read, such as a proxy that throws
 * @throws StateError STATE_VALUE_TOO_LARGE when its JSON has more than `bytesMax` bytes, with the `details.path` where it came to that
 */
export function encodeStateValue(
  value: unknown,
  where: StateValuePlace,
  options: { readonly bytesMax?: number } = {},
): JsonValue {
  return encodeSizedStateValue(value, where, options.bytesMax ?? stateValueBytesMax).json;
}

/** The same with its size. */
export function encodeSizedStateValue(value: unknown, where: StateValuePlace, bytesMax: number): SizedStateValue {
  const encoder = new StateValueEncoder(where, bytesMax);
  const json = encoder.encode(value);
  if (!encoder.tagged && typeof json === 'object' && json !== null) withoutTags.add(json);
  return { json, bytes: encoder.bytes };
}

/**
 * Gives back what was encoded. Plain values are not copied: they are returned as they are, frozen (`json` is frozen in place where it
 * was not). Map, Set, Date, Decimal and binary values are new at each call; the objects and arrays around and in them are frozen.
 * @throws StateError STATE_VALUE_INVALID for a tag that nobody here writes, or nesting that no encoder makes
 */
export function decodeStateValue(json: JsonValue, where: StateValuePlace | null = null): unknown {
  if (typeof json !== 'object' || json === null || withoutTags.has(json)) return json;
  const value = new StateValueDecoder(where).decode(json);
  if (value === json) withoutTags.add(json);
  return value;
}

/** Bytes of the JSON text of an encoded value, in UTF-8. Costs a serialization. */
export function stateValueBytes(json: JsonValue): number {
  return Buffer.byteLength(JSON.stringify(json));
}

// Encoded values in which nothing is tagged are their own decoding; remembering them makes a repeated read free of work.
const withoutTags = new WeakSet<object>();
