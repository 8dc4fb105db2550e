import { deepStrictEqual } from 'node:assert/strict';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { StateError } from '../../src/model/errors.ts';
import type { JsonValue } from '../../src/model/json.ts';
import { Decimal } from '../../src/model/money.ts';
import { decodeStateValue, encodeStateValue, stateValueBytes } from '../../src/model/state-value.ts';

const where = { strategy: 'mean_reversion', key: 'book' };
const encode = (value: unknown) => encodeStateValue(value, where);
/** Through a file and back. */
const roundTrip = (value: unknown) => decodeStateValue(JSON.parse(JSON.stringify(encode(value))) as JsonValue);

function refusal(run: () => unknown): StateError {
  try {
    run();
  } catch (error) {
    if (error instanceof StateError) return error;
    throw error;
  }
  throw new Error('expected a StateError');
}

function nested(depth: number, wrap: (inner: unknown) => unknown = (inner) => [inner]): unknown {
  let value: unknown = 1;
  for (let level = 0; level < depth; level += 1) value = wrap(value);
  return value;
}

describe('a state value comes back as what it was', () => {
  test('what JSON knows is written as it is and read without a copy', () => {
    const json = encode({ a: [1, 'two', null, true], b: { c: 0.1 } });
    expect(JSON.stringify(json)).toBe('{"a":[1,"two",null,true],"b":{"c":0.1}}');
    expect(decodeStateValue(json)).toBe(json);
    expect(decodeStateValue(json)).toBe(json);
  });

  test('Map, Set, Date, bigint, Decimal and undefined are written readably', () => {
    expect(encode(new Map([['AAPL', 3]]))).toEqual({ $holdfast: 'Map', entries: [['AAPL', 3]] });
    expect(encode(new Set(['a']))).toEqual({ $holdfast: 'Set', values: ['a'] });
    expect(encode(new Date(0))).toEqual({ $holdfast: 'Date', value: '1970-01-01T00:00:00.000Z' });
    expect(encode(12n)).toEqual({ $holdfast: 'BigInt', value: '12' });
    expect(encode(new Decimal('0.10'))).toEqual({ $holdfast: 'Decimal', value: '0.1' });
    expect(encode({ gone: undefined })).toEqual({ gone: { $holdfast: 'undefined' } });
    expect(Object.hasOwn(encode(undefined) as object, 'value')).toBe(false);
    expect(encode(-0)).toEqual({ $holdfast: 'Number', value: '-0' });
    expect(encode(Float64Array.of(1.5, Number.NaN))).toEqual({ $holdfast: 'Float64Array', values: [1.5, 'NaN'] });
    expect(encode(Uint8Array.of(0, 1, 2))).toEqual({ $holdfast: 'Uint8Array', base64: 'AAEC' });
  });

  test.each<[string, unknown]>([
    ['undefined', undefined],
    ['-0', -0],
    ['the largest number', Number.MAX_VALUE],
    ['a lone surrogate', '\ud800'],
    ['a Map with a Map as key', new Map([[new Map([[1n, new Date(5)]]), { a: undefined }]])],
    ['a Set of lists', new Set([[1], [-0]])],
    ['a Decimal with 128 digits', new Decimal(1).div(3)],
    ['Decimal -0', new Decimal('-0')],
    ['a negative bigint', -(2n ** 200n)],
    ['a Date before the year 0', new Date(-1e15)],
    ['Int8Array', Int8Array.of(-128, 127)],
    ['Uint8ClampedArray', Uint8ClampedArray.of(0, 255)],
    ['Int16Array', Int16Array.of(-5)],
    ['Uint16Array', Uint16Array.of(65535)],
    ['Int32Array', Int32Array.of(-(2 ** 31))],
    ['Uint32Array', Uint32Array.of(2 ** 32 - 1)],
    ['Float32Array', Float32Array.of(0.1, -0, Number.NaN, Number.NEGATIVE_INFINITY)],
    ['Float64Array', Float64Array.of(0.1, -0, Number.NaN, Number.POSITIVE_INFINITY)],
    ['BigInt64Array', BigInt64Array.of(-(2n ** 63n), 0n)],
    ['BigUint64Array', BigUint64Array.of(2n ** 64n - 1n)],
    ['Uint8Array', Uint8Array.of(9, 255)],
    ['a view of a part', new Uint8Array(Uint8Array.of(1, 2, 3, 4).buffer, 1, 2)],
    ['Buffer', Buffer.from('holdfast')],
    ['ArrayBuffer', Uint8Array.of(1, 2, 3).buffer],
    ['an object that looks like a tag', { $holdfast: 'Map', entries: [] }],
    ['a tag in a tag', { a: [{ $holdfast: { $holdfast: 1n } }] }],
    ['an empty Map in a list', [new Map(), {}, [], '']],
  ])('%s', (_, value) => {
    const back = roundTrip(value);
    expect(back).toStrictEqual(value);
    if (typeof value === 'object' && value !== null) {
      expect(Object.getPrototypeOf(back)).toBe(Object.getPrototypeOf(value));
    }
  });

  test('any nesting of all of them', () => {
    const leaf = fc.oneof(
      fc.double({ noNaN: true, noDefaultInfinity: true }),
      fc.string({ unit: 'binary' }),
      fc.constantFrom(null, undefined, true, -0),
      fc.bigInt(),
      fc.date({ noInvalidDate: true }),
      fc.float64Array(),
      fc.uint8Array(),
      fc
        .tuple(fc.bigInt(), fc.nat(30))
        .map(([digits, scale]) => new Decimal(digits.toString()).div(new Decimal(10).pow(scale))),
    );
    const { value } = fc.letrec<{ value: unknown }>((tie) => ({
      value: fc.oneof(
        { depthSize: 'small', withCrossShrink: true },
        leaf,
        fc.array(tie('value')),
        fc.dictionary(fc.oneof(fc.string(), fc.constantFrom('$holdfast', '__proto__', 'constructor')), tie('value')),
        fc.array(fc.tuple(tie('value'), tie('value'))).map((entries) => new Map(entries)),
        fc.array(tie('value')).map((values) => new Set(values)),
      ),
    }));
    fc.assert(
      fc.property(value, (original) => {
        const json = encode(original);
        // Node's comparison: the test runner's own is misled by a property named "constructor".
        deepStrictEqual(roundTrip(original), ordinary(original));
        deepStrictEqual(decodeStateValue(json), ordinary(original));
        deepStrictEqual(structuredClone(json), json);
        deepStrictEqual(encode(decodeStateValue(json)), json);
        expectFrozen(json);
      }),
      { numRuns: 200 },
    );
    expect(({} as Record<string, unknown>)['polluted']).toBeUndefined();
  });

  test('a key named __proto__ comes back as a property and sets no prototype', () => {
    const hostile = JSON.parse('{"__proto__": {"polluted": true}, "a": 1}') as object;
    const json = encode(hostile);
    expect(JSON.stringify(json)).not.toContain('"__proto__":');
    const back = roundTrip(hostile) as Record<string, unknown>;
    expect(Object.getOwnPropertyNames(back)).toEqual(['__proto__', 'a']);
    expect(Object.getPrototypeOf(back)).toBe(Object.prototype);
    expect(back['polluted']).toBeUndefined();
    // Also from a file that somebody else wrote, beside a tag that makes a copy necessary.
    const foreign = JSON.parse('{"__proto__": {"polluted": true}, "b": {"$holdfast": "BigInt", "value": "1"}}');
    const copy = decodeStateValue(foreign as JsonValue) as Record<string, unknown>;
    expect(Object.getPrototypeOf(copy)).toBe(Object.prototype);
    expect(copy['polluted']).toBeUndefined();
    expect(copy['b']).toBe(1n);
  });

  test('is encoded at once: later changes to the object do not count', () => {
    const value = { prices: [1], map: new Map([['a', [1]]]) };
    const json = encode(value);
    value.prices.push(2);
    value.map.set('b', [2]);
    expect(decodeStateValue(json)).toEqual({ prices: [1], map: new Map([['a', [1]]]) });
  });

  test('tagged values are new at each read, plain ones among them frozen', () => {
    const json = encode({ seen: new Set([1]), list: [{ a: 1 }] });
    const first = decodeStateValue(json) as { seen: Set<number>; list: object[] };
    first.seen.add(2);
    expect(decodeStateValue(json)).toEqual({ seen: new Set([1]), list: [{ a: 1 }] });
    expect(Object.isFrozen(first)).toBe(true);
    expect(Object.isFrozen(first.list[0])).toBe(true);
    expect(first.list).toBe((json as { list: unknown }).list);
  });

  test('what comes from a file is frozen when it is read', () => {
    const value = decodeStateValue(JSON.parse('{"a": [{"b": 1}]}') as JsonValue) as { a: object[] };
    expectFrozen(value as JsonValue);
  });

  test('an object without a prototype comes back with the usual one', () => {
    expect(roundTrip(Object.assign(Object.create(null), { a: 1 }))).toStrictEqual({ a: 1 });
  });
});

describe('what would not come back is refused at once, by strategy, key and path', () => {
  class Signal {
    strength = 1;
  }
  const cycle: { self?: unknown; list: unknown[] } = { list: [] };
  cycle.list.push({ back: cycle });

  test.each<[string, unknown, string, RegExp]>([
    ['a function', { a: [0, 1, 2, { b: () => 1 }] }, '$.a[3].b', /function/],
    ['a symbol', [Symbol('x')], '$[0]', /symbol/],
    ['a symbol as key', { a: { [Symbol('x')]: 1 } }, '$.a', /symbol/],
    ['NaN', { 'not a name': Number.NaN }, '$["not a name"]', /NaN/],
    ['Infinity', Number.POSITIVE_INFINITY, '$', /Infinity/],
    ['an invalid Date', [new Date(Number.NaN)], '$[0]', /invalid Date/],
    ['a Decimal that is not finite', [new Decimal('NaN')], '$[0]', /Decimal/],
    ['a Decimal that would fill pages', [new Decimal('1e9000')], '$[0]', /thousand digits/],
    ['a class instance', { signal: new Signal() }, '$.signal', /Signal/],
    ['a RegExp', [/x/], '$[0]', /RegExp/],
    ['a Promise', [Promise.resolve()], '$[0]', /Promise/],
    ['a WeakMap', [new WeakMap()], '$[0]', /WeakMap/],
    ['an Error', [new Error('x')], '$[0]', /Error/],
    ['a subclass of Map', [new (class Book extends Map {})()], '$[0]', /Book/],
    ['a subclass of Array', [new (class Row extends Array {})()], '$[0]', /Row/],
    ['a DataView', [new DataView(new ArrayBuffer(1))], '$[0]', /DataView/],
    ['an object of a class without a name', [Object.create({ constructor: null })], '$[0]', /unnamed/],
    ['an array with holes', { a: new Array(2) }, '$.a', /holes/],
    ['an array with a hole and a property', [Object.assign(new Array(2), { x: 1 })], '$[0]', /x/],
    ['an array with a property', ['ab'.match(/b/)], '$[0]', /index/],
    ['an array with a property that is a symbol', [Object.assign([], { [Symbol('s')]: 1 })], '$[0]', /symbol/],
    ['a Map with a property', [Object.assign(new Map(), { extra: 1 })], '$[0]', /extra/],
    ['a Set with a property', [Object.assign(new Set(), { extra: 1 })], '$[0]', /extra/],
    ['a Date with a property', [Object.assign(new Date(), { extra: 1 })], '$[0]', /extra/],
    [
      'an accessor',
      {
        a: {
          get b() {
            return 1;
          },
        },
      },
      '$.a.b',
      /accessor/,
    ],
    ['a hidden property', [Object.defineProperty({}, 'h', { value: 1 })], '$[0].h', /enumerable/],
    ['a function in a Map', { m: new Map([['k', () => 1]]) }, '$.m.entries[0][1]', /function/],
    ['a function in a Set', new Set([1, () => 1]), '$.values[1]', /function/],
    ['a cycle', cycle, '$.list[0].back', /cycle/],
  ])('%s', (_, value, path, message) => {
    const error = refusal(() => encode(value));
    expect(error.code).toBe('STATE_VALUE_INVALID');
    expect(error.details).toEqual({ ...where, path });
    expect(error.message).toMatch(message);
    expect(error.message).toContain('mean_reversion');
    expect(error.message).toContain('"book"');
    expect(error.message).toContain(path);
  });

  test('nesting to 256 is kept, of Maps too, and one more is refused', () => {
    for (const wrap of [
      (inner: unknown) => [inner],
      (inner: unknown) => ({ a: inner }),
      (inner: unknown) => new Map([[1, inner]]),
      (inner: unknown) => ({ $holdfast: inner }),
    ]) {
      const deepest = nested(256, wrap);
      // Compared as text: the comparison of a test runner is itself not made for such depths.
      expect(JSON.stringify(encode(decodeStateValue(encode(deepest))))).toBe(JSON.stringify(encode(deepest)));
      const error = refusal(() => encode(nested(257, wrap)));
      expect(error.code).toBe('STATE_VALUE_INVALID');
      expect(error.message).toMatch(/deeper than 256/);
    }
  });

  test('nesting of 5,000 and of 100,000 is refused in both directions, without a RangeError', () => {
    for (const depth of [5_000, 100_000]) {
      expect(refusal(() => encode(nested(depth))).code).toBe('STATE_VALUE_INVALID');
      expect(refusal(() => decodeStateValue(nested(depth) as JsonValue, where)).code).toBe('STATE_VALUE_INVALID');
    }
  });

  test('a value above the limit is refused with its size', () => {
    const error = refusal(() => encodeStateValue('x'.repeat(1000), where, { bytesMax: 1000 }));
    expect(error.code).toBe('STATE_VALUE_TOO_LARGE');
    expect(error.details).toMatchObject({ ...where, bytes_max: 1000 });
    expect(encodeStateValue('x'.repeat(998), where, { bytesMax: 1000 })).toHaveLength(998);
    expect(refusal(() => encode(new Uint8Array(16 * 1024 * 1024))).code).toBe('STATE_VALUE_TOO_LARGE');
    expect(refusal(() => encode('x'.repeat(64 * 1024 * 1024))).code).toBe('STATE_VALUE_TOO_LARGE');
  });

  test('the size is exact where characters take several bytes or numbers many digits', () => {
    for (const value of ['é'.repeat(400), '\u0001'.repeat(150), Array.from({ length: 50 }, () => 0.1 + 0.2)]) {
      const bytes = stateValueBytes(encode(value));
      expect(refusal(() => encodeStateValue(value, where, { bytesMax: bytes - 1 })).code).toBe('STATE_VALUE_TOO_LARGE');
      expect(encodeStateValue(value, where, { bytesMax: bytes })).toEqual(value);
    }
  });

  test('an object that holds itself through many references cannot fill the memory', () => {
    let value: unknown = ['leaf'];
    for (let level = 0; level < 60; level += 1) value = [value, value];
    expect(refusal(() => encodeStateValue(value, where, { bytesMax: 1e6 })).code).toBe('STATE_VALUE_TOO_LARGE');
  });
});

describe('a kept value that nobody here wrote is refused when it is read', () => {
  test.each<[string, JsonValue]>([
    ['an unknown tag', { $holdfast: 'Temporal' }],
    ['a tag that is not a text', { $holdfast: 3 }],
    ['a tag named like a method', { $holdfast: 'constructor' }],
    ['a Map without entries', { $holdfast: 'Map' }],
    ['a Map entry that is no pair', { $holdfast: 'Map', entries: [[1]] }],
    ['an Object key that is no text', { $holdfast: 'Object', entries: [[1, 1]] }],
    ['a Set without values', { $holdfast: 'Set', values: {} }],
    ['a Date that is none', { $holdfast: 'Date', value: 'yesterday' }],
    ['a Decimal with an exponent', { $holdfast: 'Decimal', value: '1e9' }],
    ['a BigInt that is none', { $holdfast: 'BigInt', value: '1.5' }],
    ['a number that is none', { $holdfast: 'Float64Array', values: ['x'] }],
    ['bytes that are no text', { $holdfast: 'Uint8Array', base64: 1 }],
  ])('%s', (_, json) => {
    const error = refusal(() => decodeStateValue({ a: [json] }, where));
    expect(error.code).toBe('STATE_VALUE_INVALID');
    expect(error.message).toContain('$.a[0]');
    expect(refusal(() => decodeStateValue(json)).message).toContain('state value');
  });
});

/** With the usual prototype in place of none, as a decoded object has it. */
function ordinary(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(ordinary);
  if (value instanceof Map) return new Map([...value].map(([key, item]) => [ordinary(key), ordinary(item)]));
  if (value instanceof Set) return new Set([...value].map(ordinary));
  if (typeof value !== 'object' || value === null) return value;
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== null && prototype !== Object.prototype) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, ordinary(item)]));
}

function expectFrozen(json: JsonValue): void {
  if (typeof json !== 'object' || json === null) return;
  expect(Object.isFrozen(json)).toBe(true);
  for (const item of Object.values(json)) expectFrozen(item);
}
