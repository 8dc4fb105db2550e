import { describe, expect, it } from 'vitest';
import { commit, delta, MemoryFiles, open, reference, restored, stateOf } from './journal-fixtures.ts';

describe('restore', () => {
  it('gives nothing, at sequence 0, where nothing is', () => {
    const { recovery, base, maxEpoch, nextSegment } = restored(new MemoryFiles());
    expect(recovery).toMatchObject({
      epoch: 0,
      sequence: 0,
      timestamp: null,
      age_ms: null,
      stale: false,
      used: [],
      lost: [],
    });
    expect({ base, maxEpoch, nextSegment }).toEqual({ base: 0, maxEpoch: 0, nextSegment: 1 });
  });

  it('gives what was appended, from the journal alone', () => {
    const session = open(new MemoryFiles(), 1);
    const records = [delta(0, 2, ['alpha']), delta(2, 3, ['beta']), delta(3, 7, ['alpha', 'beta'])];
    commit(session, ...records);
    const { mirror, recovery, base } = restored(session.fs);
    expect(stateOf(mirror)).toEqual(stateOf(reference(records)));
    expect(recovery).toMatchObject({ epoch: 1, sequence: 7, lost: [], quarantined: [] });
    expect(recovery.used).toEqual([
      { strategy: 'alpha', source: 'journal', file: 'journal/1-0.journal', epoch: 1, sequence: 2, records: 1 },
      { strategy: 'beta', source: 'journal', file: 'journal/1-0.journal', epoch: 1, sequence: 3, records: 1 },
    ]);
    expect(base).toBe(7);
  });
});
