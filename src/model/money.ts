import { Decimal as DecimalJs } from 'decimal.js';
import { z } from 'zod';
import { StateError } from './errors.ts';
import { plainDecimal } from './plain-decimal.ts';

/**
 * Money and quantities are Decimals inside and decimal strings outside. A decimal string has at most 24 digits on each side of
 * the point, so that a product of two has at most 96 digits and sums of them stay exact at the precision set here; only a division
 * can round, and who divides says how. Exponents are never written.
 */
export const Decimal: typeof DecimalJs = DecimalJs.clone({
  precision: 128,
  rounding: DecimalJs.ROUND_HALF_EVEN,
  toExpNeg: -9e15,
  toExpPos: 9e15,
});
export type Decimal = DecimalJs;

/** An exact decimal number as text, such as "-12.50": no exponent, no plus sign, no leading zeros. */
export type DecimalString = string;

const pattern = /^-?(?:0|[1-9]\d{0,23})(?:\.\d{1,24})?$/;

export const zero: Decimal = new Decimal(0);

export function isDecimalString(value: unknown): value is DecimalString {
  return typeof value === 'string' && pattern.test(value);
}

/**
 * Reads a decimal string exactly.
 * @param where what the text belongs to, for the message ("AAPL amount")
 * @throws StateError DECIMAL_INVALID for anything else, floats, NaN, hexadecimal and exponents included
 */
export function decimal(text: string, where = 'value'): Decimal {
  if (!isDecimalString(text)) {
    const shown = String(text).slice(0, 60);
    throw new StateError(
      'DECIMAL_INVALID',
      `${where}: expected a decimal string such as "150.25" with at most 24 digits before and after the point, got ${JSON.stringify(shown)}`,
      { details: { where } },
    );
  }
  return text === '0' ? zero : (plainDecimal(Decimal, text) ?? new Decimal(text));
}

/** Writes a decimal exactly and plainly: no exponent, no trailing zeros, and zero has no sign. */
export function decimalString(value: Decimal): DecimalString {
  return value.isZero() ? '0' : value.toFixed();
}

export const decimalSchema: z.ZodType<DecimalString> = z
  .string()
  .regex(pattern, 'expected a decimal string such as "150.25", at most 24 digits before and after the point');
