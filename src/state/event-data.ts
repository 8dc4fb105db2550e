import type { JsonValue } from '../model/json.ts';
import { jsonNumberBytes, jsonTextBytes } from '../model/json-bytes.ts';
import { entryInvalid } from './entry-checks.ts';
import { eventTooLarge } from './state-limits.ts';

const depthMax = 256;

/** One walk over what an event carries as JSON of its own: a frozen copy, and at least its bytes. */
export class EventData {
  readonly #strategy: string;
  readonly #kind: string;
  readonly #bytesMax: number;
  readonly #path: (string | number)[] = [];
  #bytes = 0;

  constructor(strategy: string, kind: string, bytesMax: number) {
    this.#strategy = strategy;
    this.#kind = kind;
    this.#bytesMax = bytesMax;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** @throws StateError ENTRY_INVALID naming the path, EVENT_TOO_LARGE */
  copy(value: unknown): JsonValue {
    if (this.#path.length > depthMax) this.#refuse(`JSON nested at most ${depthMax} deep`, value);
    switch (typeof value) {
      case 'string':
        this.#count(value.length);
        this.#count(jsonTextBytes(value) - value.length);
        return value;
      case 'boolean':
        this.#count(5);
        return value;
      case 'number':
        if (!Number.isFinite(value)) break;
        this.#count(jsonNumberBytes(value));
        // JSON has no -0, and what is in memory is what is in the file.
        return value === 0 ? 0 : value;
      case 'object':
        if (value === null) {
          this.#count(4);
          return null;
        }
        if (Array.isArray(value)) return this.#copyList(value);
        if (isPlain(value)) return this.#copyObject(value);
        break;
    }
    return this.#refuse('plain JSON data', value);
  }

  #copyList(value: readonly unknown[]): JsonValue {
    this.#count(2 + value.length);
    return Object.freeze(Array.from(value, (item, index) => this.#step(index, item)));
  }

  #copyObject(value: object): JsonValue {
    const copy: Record<string, JsonValue> = {};
    this.#count(2);
    for (const [key, item] of Object.entries(value)) {
      if (key === '__proto__') this.#refuse('another name than "__proto__"', item);
      if (item === undefined) continue;
      this.#count(jsonTextBytes(key) + 2);
      copy[key] = this.#step(key, item);
    }
    return Object.freeze(copy);
  }

  #step(step: string | number, value: unknown): JsonValue {
    this.#path.push(step);
    const copy = this.copy(value);
    this.#path.pop();
    return copy;
  }

  #count(bytes: number): void {
    this.#bytes += bytes;
    if (this.#bytes > this.#bytesMax) throw eventTooLarge(this.#strategy, this.#kind, this.#bytes, this.#bytesMax);
  }

  #refuse(expected: string, got: unknown): never {
    const path = ['data', ...this.#path].join('.').slice(0, 300);
    throw entryInvalid(this.#strategy, 'event', this.#kind, path, expected, got);
  }
}

function isPlain(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}
