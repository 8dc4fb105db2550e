import { createHash, type Hash, hash } from 'node:crypto';

/*
 * The checksum of a checkpoint is a sum of sums: the lines above it in parts, SHA-256 of each part, and SHA-256 over the list of
 * those. Who keeps the sums of the parts that did not change sums only the rest (docs/decisions/0008-a-checksum-of-parts.md).
 */

/** Lines in a part; the last part has what is left. */
export const partLines = 64;

const newline = 0x0a;
const linePattern = /^ "checksum": "(sha256:[0-9a-f]{64})"\}\n$/;
/** How much of the list of sums is held at a time: a file may be nothing but newlines, and then no string holds all of it. */
const listChars = 65_536;

export function checksumLine(checksum: string): string {
  return ` "checksum": "${checksum}"}\n`;
}

export const checksumLineLength: number = checksumLine(`sha256:${'0'.repeat(64)}`).length;

/** What the last line says, and whether it is so; null where the last line is none of a checksum. */
export function checksumIn(bytes: Uint8Array): { readonly checksum: string; readonly holds: boolean } | null {
  const file = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  const end = Math.max(0, file.length - checksumLineLength);
  const checksum = linePattern.exec(file.toString('latin1', end))?.[1];
  if (checksum === undefined) return null;
  return { checksum, holds: checksumOf(partSums(file.subarray(0, end))) === checksum };
}

/** @param sums of the parts, in their order */
export function checksumOf(sums: Iterable<string>): string {
  let whole: Hash | null = null;
  let list = '';
  for (const sum of sums) {
    list += `${sum}\n`;
    if (list.length < listChars) continue;
    whole = (whole ?? createHash('sha256')).update(list);
    list = '';
  }
  return `sha256:${whole === null ? hash('sha256', list, 'hex') : whole.update(list).digest('hex')}`;
}

export function partSum(part: Uint8Array): string {
  return hash('sha256', part, 'hex');
}

function* partSums(covered: Buffer): Generator<string> {
  let from = 0;
  while (from < covered.length) {
    let to = from;
    for (let line = 0; line < partLines && to < covered.length; line += 1) {
      const end = covered.indexOf(newline, to);
      to = end === -1 ? covered.length : end + 1;
    }
    yield partSum(covered.subarray(from, to));
    from = to;
  }
}
