import { StateError } from './errors.ts';
import type { JsonValue } from './json.ts';
import { jsonNumberBytes, jsonTextBytes, numberBytesMax } from './json-bytes.ts';
import { Decimal, type Decimal as DecimalValue } from './money.ts';
import {
  type BigIntArray,
  bigIntArrays,
  invalidStateValue,
  type NumberArray,
  numberArrays,
  pathOf,
  type StateValuePlace,
  type Step,
  stateValueDepthMax,
  tagKey,
} from './state-value-form.ts';

/** One walk over one value. */
export class StateValueEncoder {
  readonly #where: StateValuePlace;
  readonly #bytesMax: number;
  /** Where the walk is, and the objects that it is inside of. */
  readonly #path: Step[] = [];
  readonly #open: { readonly object: object; readonly steps: number }[] = [];
  /** At least the JSON's bytes, and by how many it may be too high: counted on the way, so that no value is serialized for it. */
  #bytes = 0;
  #slack = 0;
  #tagged = false;

  constructor(where: StateValuePlace, bytesMax: number) {
    this.#where = where;
    this.#bytesMax = bytesMax;
  }

  /** Whether anything was written in a tagged form. */
  get tagged(): boolean {
    return this.#tagged;
  }

  /** After encode(): at least the bytes of its JSON, and exactly these where all its numbers are whole. */
  get bytes(): number {
    return this.#bytes;
  }

  encode(value: unknown): JsonValue {
    const json = this.#encodeOrRefuse(value);
    // Only what is too large by numbers that may be shorter than they were counted has to be measured.
    if (this.#bytes > this.#bytesMax) {
      this.#bytes = Buffer.byteLength(JSON.stringify(json));
      this.#slack = 0;
      this.#count(0);
    }
    return json;
  }

  /** A proxy's trap or a patched method can throw anything: told as what it is, and where. */
  #encodeOrRefuse(value: unknown): JsonValue {
    try {
      return this.#encode(value);
    } catch (error) {
      if (error instanceof StateError) throw error;
      return this.#refuse(`reading it threw: ${messageOf(error)}`, error);
    }
  }

  #encode(value: unknown): JsonValue {
    switch (typeof value) {
      case 'string':
        return this.#text(value);
      case 'number':
        if (!Number.isFinite(value)) {
          return this.#refuse(`${value} is not a number that JSON can hold; keep null or a string in its place`);
        }
        if (Object.is(value, -0)) return this.#tag('Number', 'value', '-0');
        this.#countNumber(value);
        return value;
      case 'boolean':
        this.#count(value ? 4 : 5);
        return value;
      case 'undefined':
        return this.#tag('undefined', 'value', null);
      case 'bigint':
        return this.#tag('BigInt', 'value', value.toString());
      case 'object':
        if (value !== null) return this.#encodeObject(value);
        this.#count(4);
        return null;
      default:
        return this.#refuse(`a ${typeof value} cannot be kept; keep the data that it is made from`);
    }
  }

  #encodeObject(value: object): JsonValue {
    if (this.#open.length === stateValueDepthMax) this.#refuseDepth(value);
    this.#open.push({ object: value, steps: this.#path.length });
    const json = this.#encodeKind(value);
    this.#open.pop();
    return json;
  }

  #encodeKind(value: object): JsonValue {
    const prototype: unknown = Object.getPrototypeOf(value);
    if (prototype === Object.prototype || prototype === null) return this.#encodePlain(value);
    if (prototype === Array.prototype && Array.isArray(value)) return this.#encodeArray(value);
    if (Decimal.isDecimal(value)) return this.#encodeDecimal(value);
    const list = listNames.get(prototype);
    if (list !== undefined) return this.#encodeList(list, value as NumberArray | BigIntArray);
    const bytes = bytesNames.get(prototype);
    if (bytes !== undefined) {
      const { buffer, byteOffset, byteLength } = value as Uint8Array;
      this.#expectRoom(byteLength);
      return this.#tag(bytes, 'base64', Buffer.from(buffer, byteOffset, byteLength).toString('base64'));
    }
    if (prototype === Map.prototype) return this.#encodeMap(value as Map<unknown, unknown>);
    if (prototype === Set.prototype) return this.#encodeSet(value as Set<unknown>);
    if (prototype === Date.prototype) return this.#encodeDate(value as Date);
    if (prototype === ArrayBuffer.prototype) {
      return this.#encodeBuffer(value as ArrayBuffer);
    }
    return this.#refuse(`${classOf(value)} is a class that would not come back; keep a plain object, Map, Set or Date`);
  }

  #encodePlain(value: object): JsonValue {
    const names = Object.getOwnPropertyNames(value);
    const json: Record<string, JsonValue> = {};
    const escaped = names.includes(tagKey) || names.includes('__proto__');
    const entries: JsonValue[] = [];
    this.#countList(names.length);
    for (const name of names) {
      this.#path.push(name);
      // With its colon, or as the first of a pair with its comma and brackets.
      this.#count(jsonTextBytes(name) + (escaped ? 3 : 1));
      const item = this.#encode(this.#property(value, name));
      if (escaped) entries.push(Object.freeze([name, item]));
      else json[name] = item;
      this.#path.pop();
    }
    this.#expectNoSymbols(value);
    return escaped ? this.#tag('Object', 'entries', Object.freeze(entries)) : Object.freeze(json);
  }

  #property(value: object, key: string): unknown {
    const property = Object.getOwnPropertyDescriptor(value, key);
    if (property === undefined || !('value' in property)) {
      return this.#refuse('an accessor (get or set) cannot be kept; keep its value');
    }
    if (!property.enumerable) this.#refuse('a property that is not enumerable cannot be kept');
    return property.value;
  }

  #encodeArray(value: readonly unknown[]): JsonValue {
    this.#expectRoom(value.length);
    const names = Object.getOwnPropertyNames(value);
    // The indices are listed first, and "length" comes right after them.
    if (names.length !== value.length + 1 || names[value.length] !== 'length') {
      const extra = names.find((name) => !/^(?:\d+|length)$/.test(name));
      if (extra === undefined) this.#refuse('an array with holes cannot be kept; fill them with null');
      this.#refuse(`an array with a property of its own (${extra}) cannot be kept; keep the two beside each other`);
    }
    this.#expectNoSymbols(value);
    return this.#encodeItems(value);
  }

  #encodeItems(value: readonly unknown[]): readonly JsonValue[] {
    const items = new Array<JsonValue>(value.length);
    this.#countList(value.length);
    for (let index = 0; index < value.length; index += 1) {
      this.#path.push(index);
      items[index] = this.#encode(value[index]);
      this.#path.pop();
    }
    return Object.freeze(items);
  }

  #encodeMap(value: ReadonlyMap<unknown, unknown>): JsonValue {
    this.#expectNothingElse(value);
    this.#path.push('entries');
    this.#countList(value.size);
    const entries: JsonValue[] = [];
    for (const entry of value) {
      this.#path.push(entries.length);
      entries.push(this.#encodeItems(entry));
      this.#path.pop();
    }
    this.#path.pop();
    return this.#tag('Map', 'entries', Object.freeze(entries));
  }

  #encodeSet(value: ReadonlySet<unknown>): JsonValue {
    this.#expectNothingElse(value);
    this.#path.push('values');
    const values = this.#encodeItems([...value]);
    this.#path.pop();
    return this.#tag('Set', 'values', values);
  }

  #encodeDate(value: Date): JsonValue {
    this.#expectNothingElse(value);
    if (Number.isNaN(value.getTime())) return this.#refuse('an invalid Date cannot be kept');
    return this.#tag('Date', 'value', value.toISOString());
  }

  #encodeDecimal(value: DecimalValue): JsonValue {
    const extra = Object.getOwnPropertyNames(value).find((name) => !decimalFields.has(name));
    if (extra !== undefined) this.#refuse(`a property of its own (${extra}) on a Decimal cannot be kept`);
    this.#expectNoSymbols(value);
    if (!value.isFinite()) return this.#refuse(`a Decimal that is ${value.toString()} cannot be kept`);
    if (Math.abs(value.e) > 1000 || value.d.length > 150) {
      return this.#refuse('a Decimal with more than a thousand digits cannot be kept; round it first');
    }
    return this.#tag('Decimal', 'value', value.isZero() && value.isNegative() ? '-0' : value.toFixed());
  }

  #encodeBuffer(value: ArrayBuffer): JsonValue {
    this.#expectNothingElse(value);
    if (value.resizable) this.#refuse('an ArrayBuffer that can be resized cannot be kept; keep a copy by slice()');
    this.#expectRoom(value.byteLength);
    return this.#tag('ArrayBuffer', 'base64', Buffer.from(value).toString('base64'));
  }

  #encodeList(name: string, value: NumberArray | BigIntArray): JsonValue {
    this.#countList(value.length);
    const values: JsonValue[] = Array.from(value as ArrayLike<number | bigint>, (item) => {
      if (typeof item === 'bigint') return this.#text(String(item));
      if (Object.is(item, -0)) return this.#text('-0');
      if (!Number.isFinite(item)) return this.#text(String(item));
      this.#countNumber(item);
      return item;
    });
    return this.#tag(name, 'values', Object.freeze(values));
  }

  /** A list among the content has been counted, a text has not. */
  #tag(name: string, field: string, content: JsonValue): JsonValue {
    this.#tagged = true;
    this.#count(name.length + tagBytes);
    if (name === 'undefined') return Object.freeze({ [tagKey]: name });
    this.#count(field.length + 4);
    return Object.freeze({ [tagKey]: name, [field]: typeof content === 'string' ? this.#text(content) : content });
  }

  /** What hangs on a Map or a Date beside its content would be lost in silence. */
  #expectNothingElse(value: object): void {
    const [extra] = Object.getOwnPropertyNames(value);
    if (extra !== undefined) this.#refuse(`a property of its own (${extra}) on ${classOf(value)} cannot be kept`);
    this.#expectNoSymbols(value);
  }

  #expectNoSymbols(value: object): void {
    const [symbol] = Object.getOwnPropertySymbols(value);
    if (symbol !== undefined) this.#refuse(`a property that is named by a symbol (${String(symbol)}) cannot be kept`);
  }

  #text(value: string): string {
    this.#expectRoom(value.length + 2);
    this.#count(jsonTextBytes(value));
    return value;
  }

  #countNumber(value: number): void {
    const bytes = jsonNumberBytes(value);
    if (bytes === numberBytesMax) this.#slack += bytes - numberBytesMin;
    this.#count(bytes);
  }

  /** The brackets of a list or an object, and its commas. */
  #countList(length: number): void {
    this.#count(length === 0 ? 2 : length + 1);
  }

  /** So that a value which refers to itself many times, or is far too large, cannot fill the memory on the way. */
  #count(bytes: number): void {
    this.#bytes += bytes;
    this.#expectRoom(0);
  }

  #expectRoom(bytes: number): void {
    const bytesMin = this.#bytes - this.#slack + bytes;
    if (bytesMin <= this.#bytesMax) return;
    const { strategy, key } = this.#where;
    const path = pathOf(this.#path);
    throw new StateError(
      'STATE_VALUE_TOO_LARGE',
      `strategy ${strategy}, state key ${JSON.stringify(key)}, at ${path}: the value has ${bytesMin} bytes or more and at most ${this.#bytesMax} are kept under one key; spread it over several keys, or keep less`,
      { details: { strategy, key, path, bytes: bytesMin, bytes_max: this.#bytesMax } },
    );
  }

  /** Only here are cycles looked for: every cycle comes to the bound, and a value without one pays nothing. */
  #refuseDepth(value: object): never {
    const seen = new Set<object>();
    for (const { object, steps } of [...this.#open, { object: value, steps: this.#path.length }]) {
      if (seen.has(object)) {
        this.#path.length = steps;
        return this.#refuse('the value contains itself, and a cycle cannot be kept');
      }
      seen.add(object);
    }
    return this.#refuse(`nesting deeper than ${stateValueDepthMax} cannot be kept`);
  }

  #refuse(why: string, cause?: unknown): never {
    throw invalidStateValue(this.#where, this.#path, why, cause);
  }
}

const listNames = new Map<unknown, string>(
  [...numberArrays.values(), ...bigIntArrays.values()].map((Class) => [Class.prototype, Class.name]),
);
const bytesNames = new Map<unknown, string>([
  [Uint8Array.prototype, 'Uint8Array'],
  [Buffer.prototype, 'Buffer'],
]);

/** "0.1": no number that is not whole, or not small, is shorter. */
const numberBytesMin = 3;
/** Braces, the tag's key with quotes and colon, and the quotes of the name. */
const tagBytes = 2 + tagKey.length + 3 + 2;
const decimalFields: ReadonlySet<string> = new Set(['s', 'e', 'd', 'constructor']);

function messageOf(error: unknown): string {
  try {
    return String(error instanceof Error ? error.message : error).slice(0, 300);
  } catch {
    return 'something that has no text';
  }
}

function classOf(value: object): string {
  const maker: unknown = (value as { constructor?: unknown }).constructor;
  return typeof maker === 'function' && maker.name !== '' ? `a ${maker.name}` : 'an object of an unnamed class';
}
