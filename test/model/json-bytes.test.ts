import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { jsonNumberBytes, jsonTextBytes, numberBytesMax } from '../../src/model/json-bytes.ts';
import { encodeSizedStateValue, stateValueBytes } from '../../src/model/state-value.ts';

const where = { strategy: 'alpha', key: 'k' };
const sized = (value: unknown, bytesMax = 2 ** 24) => encodeSizedStateValue(value, where, bytesMax);

describe('the bytes of JSON, counted without writing it', () => {
  test('of a text are those that JSON.stringify writes, whatever is in it', () => {
    const unit = fc.oneof(
      fc.string({ unit: 'binary' }),
      // Surrogates alone, in pairs and the wrong way round, controls, quotes and backslashes.
      fc
        .array(fc.oneof(fc.integer({ min: 0, max: 0x7f }), fc.integer({ min: 0xd7f0, max: 0xe010 }), fc.nat(0xffff)))
        .map((units) => String.fromCharCode(...units)),
    );
    fc.assert(
      fc.property(unit, fc.constantFrom(1, 40), (text, times) => {
        const repeated = text.repeat(times);
        expect(jsonTextBytes(repeated)).toBe(Buffer.byteLength(JSON.stringify(repeated)));
      }),
      { numRuns: 2_000 },
    );
  });

  test('of a number are exact where it is whole, and never too few', () => {
    fc.assert(
      fc.property(fc.oneof(fc.double({ noNaN: true }), fc.maxSafeInteger(), fc.integer()), (value) => {
        fc.pre(Number.isFinite(value) && !Object.is(value, -0));
        const exact = JSON.stringify(value).length;
        if (Number.isSafeInteger(value)) expect(jsonNumberBytes(value)).toBe(exact);
        expect(jsonNumberBytes(value)).toBeGreaterThanOrEqual(exact);
      }),
      { numRuns: 2_000 },
    );
    expect(JSON.stringify(-0.0000012345678901234567)).toHaveLength(numberBytesMax);
  });
});

describe('the size of a state value falls out of its encoding', () => {
  const whole = fc.oneof(
    fc.integer(),
    fc.string({ unit: 'binary' }),
    fc.constantFrom(null, undefined, true, false, -0),
    fc.bigInt(),
    fc.date({ noInvalidDate: true }),
    fc.uint8Array(),
    fc.int32Array(),
    fc.uint8Array().map((bytes) => bytes.buffer.slice(0)),
  );
  const tree = (leaf: fc.Arbitrary<unknown>) =>
    fc.letrec<{ value: unknown }>((tie) => ({
      value: fc.oneof(
        { depthSize: 'small', withCrossShrink: true },
        leaf,
        fc.array(tie('value')),
        fc.dictionary(fc.oneof(fc.string(), fc.constantFrom('$holdfast', '__proto__', 'é"')), tie('value')),
        fc.array(fc.tuple(tie('value'), tie('value'))).map((entries) => new Map(entries)),
        fc.array(tie('value')).map((values) => new Set(values)),
      ),
    })).value;

  test('exactly, where all numbers are whole', () => {
    fc.assert(
      fc.property(tree(whole), (value) => {
        const { json, bytes } = sized(value);
        expect(bytes).toBe(stateValueBytes(json));
      }),
      { numRuns: 300 },
    );
  });

  test('never too small, and by at most 24 bytes a number too large', () => {
    fc.assert(
      fc.property(fc.array(fc.double({ noNaN: true, noDefaultInfinity: true })), (value) => {
        const { json, bytes } = sized(value);
        const exact = stateValueBytes(json);
        expect(bytes).toBeGreaterThanOrEqual(exact);
        expect(bytes).toBeLessThanOrEqual(exact + 24 * value.length);
        // At its exact size it is kept, whatever it was counted as, and with a byte less it is not.
        expect(sized(value, exact).bytes).toBe(Math.min(bytes, exact));
        expect(() => sized(value, exact - 1)).toThrow(expect.objectContaining({ code: 'STATE_VALUE_TOO_LARGE' }));
      }),
      { numRuns: 300 },
    );
  });

  test('and a value that is too large is refused where it comes to the limit, before it is copied', () => {
    const refused = (value: unknown, path: string): void => {
      expect(() => sized(value, 1_000)).toThrow(
        expect.objectContaining({
          code: 'STATE_VALUE_TOO_LARGE',
          details: expect.objectContaining({ strategy: 'alpha', key: 'k', path, bytes_max: 1_000 }),
        }),
      );
    };
    refused({ a: [1, 'x'.repeat(1_001)] }, '$.a[1]');
    refused({ b: new Uint8Array(1_001) }, '$.b');
    refused([new ArrayBuffer(1_001)], '$[0]');
    refused(new Array(1_001).fill(1), '$');
    refused({ m: new Map([['k', new Float64Array(500)]]) }, '$.m.entries[0][1]');
  });
});
