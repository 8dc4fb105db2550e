import { describe, expect, it } from 'vitest';
import { decodeCheckpoint, encodeCheckpoint } from '../../src/persistence/checkpoint-codec.ts';
import { blocks } from '../support/documents.ts';

// What the page on file formats shows is what the code reads and writes.

const examples = blocks('docs/internals/file-formats.md').filter(({ language }) => language === 'json');
const expected = { strategy: 'mean_reversion_v1', file: 'mean_reversion_v1_checkpoint.json' };
const bytesOf = (index: number) => Buffer.from(`${examples[index]?.text.trimEnd()}\n`);

describe('docs/internals/file-formats.md', () => {
  it('shows a checkpoint exactly as it is written', () => {
    const decoded = decodeCheckpoint(bytesOf(0), expected);
    if (decoded.kind !== 'ok') throw new Error(decoded.why);
    expect(Buffer.from(encodeCheckpoint(decoded.checkpoint, decoded.checkpoint).bytes).toString()).toBe(
      bytesOf(0).toString(),
    );
  });

  it('tells the length of the last line', () => {
    expect(bytesOf(0).length - bytesOf(0).lastIndexOf(' "checksum"')).toBe(88);
  });

  it('shows a file in the seed format that is read', () => {
    expect(decodeCheckpoint(bytesOf(1), expected)).toMatchObject({ kind: 'ok', seed: true });
  });
});
