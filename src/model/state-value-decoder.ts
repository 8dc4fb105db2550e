import type { JsonObject, JsonValue } from './json.ts';
import { Decimal, type Decimal as DecimalValue } from './money.ts';
import {
  bigIntArrays,
  invalidStateValue,
  numberArrays,
  type StateValuePlace,
  type Step,
  stateValueDepthMax,
  tagKey,
} from './state-value-form.ts';

/** One walk over one encoded value. */
export class StateValueDecoder {
  readonly #where: StateValuePlace | null;
  readonly #path: Step[] = [];

  constructor(where: StateValuePlace | null) {
    this.#where = where;
  }

  decode(json: JsonValue): unknown {
    return this.#decode(json);
  }

  #decode(json: JsonValue): unknown {
    if (typeof json !== 'object' || json === null) return json;
    if (this.#path.length > encodedDepthMax) this.#refuse('nests deeper than any value that was encoded here');
    if (Array.isArray(json)) return this.#decodeItems(json);
    return Object.hasOwn(json, tagKey) ? this.#decodeTagged(json as JsonObject) : this.#decodePlain(json as JsonObject);
  }

  #step(step: Step, json: JsonValue): unknown {
    this.#path.push(step);
    const value = this.#decode(json);
    this.#path.pop();
    return value;
  }

  #decodeItems(json: readonly JsonValue[]): readonly unknown[] {
    let copy: unknown[] | null = null;
    for (const [index, item] of json.entries()) {
      const value = this.#step(index, item);
      if (value !== item && copy === null) copy = json.slice(0, index);
      copy?.push(value);
    }
    return Object.freeze(copy ?? json);
  }

  #decodePlain(json: JsonObject): object {
    const entries: [string, unknown][] = [];
    let changed = false;
    for (const [key, item] of Object.entries(json)) {
      const value = this.#step(key, item);
      changed ||= value !== item;
      entries.push([key, value]);
    }
    return Object.freeze(changed ? Object.fromEntries(entries) : json);
  }

  #decodeTagged(json: JsonObject): unknown {
    const name = json[tagKey];
    const numbers = numberArrays.get(String(name));
    if (numbers !== undefined) return numbers.from(this.#list(json, 'values').map((item) => this.#number(item)));
    const bigInts = bigIntArrays.get(String(name));
    if (bigInts !== undefined) return bigInts.from(this.#list(json, 'values').map((item) => this.#bigInt(item)));
    switch (name) {
      case 'undefined':
        return undefined;
      case 'Number':
        return this.#number(json['value']);
      case 'BigInt':
        return this.#bigInt(json['value']);
      case 'Date':
        return this.#date(json['value']);
      case 'Decimal':
        return this.#decimal(json['value']);
      case 'Map':
        return new Map(this.#pairs(json));
      case 'Object':
        return Object.freeze(Object.fromEntries(this.#pairs(json).map(([key, value]) => [this.#text(key), value])));
      case 'Set':
        return new Set(this.#list(json, 'values').map((item, index) => this.#step(index, item)));
      case 'Uint8Array':
        return new Uint8Array(this.#bytes(json['base64']));
      case 'ArrayBuffer':
        return new Uint8Array(this.#bytes(json['base64'])).buffer;
      case 'Buffer':
        return this.#bytes(json['base64']);
      default:
        return this.#refuse(`is tagged ${JSON.stringify(name)}, which this version does not know`);
    }
  }

  #list(json: JsonObject, field: string): readonly JsonValue[] {
    const list = json[field];
    return Array.isArray(list) ? list : this.#refuse(`is tagged ${json[tagKey]} and has no list "${field}"`);
  }

  #pairs(json: JsonObject): [unknown, unknown][] {
    this.#path.push('entries');
    const pairs = this.#list(json, 'entries').map((pair, index): [unknown, unknown] => {
      const decoded = this.#step(index, pair);
      if (!Array.isArray(decoded) || decoded.length !== 2) this.#refuse(`has an entry ${index} that is not a pair`);
      return decoded as [unknown, unknown];
    });
    this.#path.pop();
    return pairs;
  }

  #text(value: unknown): string {
    return typeof value === 'string' ? value : this.#refuse('expected a text');
  }

  #number(value: unknown): number {
    if (typeof value === 'number') return value;
    if (value === '-0' || value === 'NaN' || value === 'Infinity' || value === '-Infinity') return Number(value);
    return this.#refuse('expected a number');
  }

  #bigInt(value: unknown): bigint {
    return typeof value === 'string' && /^-?\d+$/.test(value)
      ? BigInt(value)
      : this.#refuse('expected an integer as text');
  }

  #date(value: unknown): Date {
    const date = new Date(this.#text(value));
    return Number.isNaN(date.getTime()) ? this.#refuse('expected a date') : date;
  }

  #decimal(value: unknown): DecimalValue {
    const text = this.#text(value);
    return /^-?\d+(?:\.\d+)?$/.test(text) ? new Decimal(text) : this.#refuse('expected a decimal number as text');
  }

  #bytes(value: unknown): Buffer {
    return Buffer.from(this.#text(value), 'base64');
  }

  #refuse(why: string): never {
    throw invalidStateValue(
      this.#where,
      this.#path,
      `the kept value ${why}; the state was written by a newer version or by hand`,
    );
  }
}

// In one encoded value a level of nesting is at most three: the tagged object, its list, and the pair in the list.
const encodedDepthMax = stateValueDepthMax * 3 + 3;
