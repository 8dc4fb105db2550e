import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Decimal, decimal } from '../../src/model/money.ts';
import { plainDecimal } from '../../src/model/plain-decimal.ts';

describe('the straight path from a decimal string to a Decimal', () => {
  test('makes to the last word what decimal.js makes', () => {
    fc.assert(
      fc.property(decimalStrings, (text) => {
        const one = plainDecimal(Decimal, text);
        if (one !== null) expect(parts(one)).toEqual(parts(new Decimal(text)));
        expect(parts(decimal(text))).toEqual(parts(new Decimal(text)));
      }),
      { numRuns: 2000 },
    );
  });

  test.each([
    ['9999999', [9999999]],
    ['10000000', [1]],
    ['10000001', [1, 1]],
    ['99999999999999', [9999999, 9999999]],
    ['-7.0', [7]],
    ['0.0000001', [1]],
    ['0.00000001', [1000000]],
    ['10000000.00000000000001', [1, 0, 0, 1]],
    ['150.2500', [150, 2500000]],
  ])('%s is of the words %j', (text, words) => {
    const one = plainDecimal(Decimal, text);
    expect(one?.d).toEqual(words);
    expect(one?.toFixed()).toBe(new Decimal(text).toFixed());
  });

  test('leaves zeros, and what has more than fourteen digits on a side, to decimal.js', () => {
    for (const text of ['0', '-0', '0.000', '100000000000000', '1.000000000000001']) {
      expect(plainDecimal(Decimal, text), text).toBeNull();
      expect(parts(decimal(text))).toEqual(parts(new Decimal(text)));
    }
  });

  test('makes Decimals that calculate like any other', () => {
    fc.assert(
      fc.property(decimalStrings, decimalStrings, (a, b) => {
        expect(decimal(a).plus(decimal(b)).toFixed()).toBe(new Decimal(a).plus(b).toFixed());
        expect(decimal(a).times(decimal(b)).toFixed()).toBe(new Decimal(a).times(b).toFixed());
        expect(decimal(a).cmp(decimal(b))).toBe(new Decimal(a).cmp(b));
      }),
    );
    expect(decimal('1.5')).toBeInstanceOf(Decimal);
    expect(Decimal.isDecimal(decimal('1.5'))).toBe(true);
    expect(new Decimal(decimal('-1.5')).toFixed()).toBe('-1.5');
  });
});

const digits = fc.string({ unit: fc.constantFrom(...'000123456789'), maxLength: 16 });

const decimalStrings = fc.tuple(fc.constantFrom('', '-'), digits, digits).map(([sign, whole, places]) => {
  const plain = whole.replace(/^0+/, '');
  return `${sign}${plain === '' ? '0' : plain}${places === '' ? '' : `.${places}`}`;
});

function parts({ s, e, d }: Decimal): object {
  return { s, e, d };
}
