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
