import { describe, expect, it } from 'vitest';
import { JournalWriter } from '../../src/persistence/journal-writer.ts';
import { restore } from '../../src/persistence/restore.ts';
import { at, delta, directory, MemoryFiles, putCheckpoint, restoring, stateOf } from './journal-fixtures.ts';

function journalIn(currency: string): MemoryFiles {
  const fs = new MemoryFiles();
  const options = { epoch: 1, incarnation: 1, segmentBytesMax: 1e6, segmentAheadBytes: 0, nextSegment: 1, currency };
  const writer = new JournalWriter(fs, directory, options);
  writer.begin({ epoch: 0, sequence: 0 }, 0, [], at(0));
  writer.append([delta(0, 1, ['alpha'])]);
  return fs;
}

describe('the base currency of a state directory', () => {
  it('is the one that the journal names, for whoever only looks on', () => {
    const { mirror } = restore(journalIn('EUR'), directory, { ...restoring, currency: null });
    expect(mirror.snapshot('alpha').currency).toBe('EUR');
  });

  it('is refused where a host has another one, since positions without a currency would change what they are worth', () => {
    expect(() => restore(journalIn('EUR'), directory, { ...restoring, currency: 'USD' })).toThrowError(
      expect.objectContaining({ code: 'CURRENCY_MISMATCH' }),
    );
  });

  it('is learnt from a checkpoint where there is no journal', () => {
    const mirror = restore(journalIn('EUR'), directory, { ...restoring, currency: 'EUR' }).mirror;
    const fs = new MemoryFiles();
    putCheckpoint(fs, mirror.snapshot('alpha'), 1, 1);
    expect(stateOf(restore(fs, directory, { ...restoring, currency: null }).mirror)).toEqual(stateOf(mirror));
    expect(() => restore(fs, directory, { ...restoring, currency: 'USD' })).toThrowError(/kept in EUR/);
  });
});
