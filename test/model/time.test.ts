import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { micros, timestamp } from '../../src/model/time.ts';

describe('an instant', () => {
  it('comes back to the microsecond', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 4_102_444_800_000_000 }), (at) => {
        expect(micros(timestamp(at))).toBe(at);
      }),
    );
  });

  it.each([
    ['2025-10-02T16:30:00.5+02:00', '2025-10-02T14:30:00.500000Z'],
    ['2025-10-02T14:30:00.123456789Z', '2025-10-02T14:30:00.123456Z'],
    ['2024-02-29T00:00:00Z', '2024-02-29T00:00:00.000000Z'],
    ['2025-12-31T23:00:00-05:00', '2026-01-01T04:00:00.000000Z'],
    ['2025-10-31T24:00:00Z', '2025-11-01T00:00:00.000000Z'],
  ])('%s is %s', (text, utc) => {
    expect(timestamp(micros(text))).toBe(utc);
  });

  it('is read and written the same whatever second was read before it', () => {
    const seconds = fc.constantFrom('2025-10-02T14:30:00', '2025-10-02T14:30:01', '1969-12-31T23:59:59');
    const fractions = fc.constantFrom('', '.5', '.000001', '.123456', '.999999', '.1234567');
    const zones = fc.constantFrom('Z', '+02:00', '-00:30');
    const texts = fc.array(fc.tuple(seconds, fractions, zones), { minLength: 2, maxLength: 6 });
    fc.assert(
      fc.property(texts, (parts) => {
        for (const [second, fraction, zone] of parts) {
          const at = micros(`${second}${fraction}${zone}`);
          const places = fraction.slice(1).padEnd(6, '0').slice(0, 6);
          expect(at).toBe(Date.parse(`${second}${zone}`) * 1000 + Number(places));
          expect(timestamp(at)).toBe(`${new Date(Math.floor(at / 1e6) * 1000).toISOString().slice(0, 19)}.${places}Z`);
        }
      }),
    );
  });

  it.each(['2025-10-02T14:30:00.12a456Z', '2025-10-02T14:30:00.123456z', '2025-10-02T14:30:00.1234567'])(
    '%j is none, also after one in its second',
    (text) => {
      micros('2025-10-02T14:30:00.123456Z');
      expect(() => micros(text)).toThrow(expect.objectContaining({ code: 'TIMESTAMP_INVALID' }));
    },
  );

  it.each([
    '2025-10-02T14:30:00',
    '2025-10-02 14:30:00Z',
    '2025-10-02',
    '2025-02-29T00:00:00Z',
    '2025-02-30T00:00:00Z',
    '2025-04-31T12:00:00+02:00',
    '2025-13-01T00:00:00Z',
    '2025-10-02T25:00:00Z',
    '1759415400',
    '',
  ])('%j is none', (text) => {
    expect(() => micros(text)).toThrow(expect.objectContaining({ code: 'TIMESTAMP_INVALID' }));
  });
});
