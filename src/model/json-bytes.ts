/** Bytes of a text as JSON, quotes and escapes included, in UTF-8: what JSON.stringify writes, without writing it. */
export function jsonTextBytes(text: string): number {
  const { length } = text;
  // A pattern is the faster way through a long text, a loop through a short one.
  if (length > 64 && !special.test(text)) return length + 2;
  let bytes = length + 2;
  for (let index = 0; index < length; index += 1) {
    const unit = text.charCodeAt(index);
    if (unit >= 0x20 && unit < 0x80) {
      if (unit === quote || unit === backslash) bytes += 1;
    } else if (unit < 0x20) {
      bytes += shortEscapes.has(unit) ? 1 : 5;
    } else if (unit < 0x800) {
      bytes += 1;
    } else if (unit < 0xd800 || unit > 0xdfff) {
      bytes += 2;
    } else if (unit < 0xdc00 && isLowSurrogate(text.charCodeAt(index + 1))) {
      // Two units are four bytes.
      bytes += 2;
      index += 1;
    } else {
      // A surrogate alone is written as an escape of six.
      bytes += 5;
    }
  }
  return bytes;
}

/**
 * At least the bytes of a number as JSON: exact for whole numbers below 2^53, {@link numberBytesMax} for any other, whose exact count
 * would cost its conversion to text.
 */
export function jsonNumberBytes(value: number): number {
  if (!Number.isSafeInteger(value)) return numberBytesMax;
  let bytes = value < 0 ? 2 : 1;
  for (let rest = Math.abs(value); rest >= 10; rest = Math.floor(rest / 10)) bytes += 1;
  return bytes;
}

/** "-0.0000012345678901234567": no number is longer. */
export const numberBytesMax = 25;

const quote = 0x22;
const backslash = 0x5c;
const shortEscapes: ReadonlySet<number> = new Set([0x08, 0x09, 0x0a, 0x0c, 0x0d]);
const special = /[^\x20\x21\x23-\x5b\x5d-\x7f]/;

function isLowSurrogate(unit: number): boolean {
  return unit >= 0xdc00 && unit <= 0xdfff;
}
