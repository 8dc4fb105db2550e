import { describe, expect, it } from 'vitest';
import { CheckpointCorrupted } from '../../src/model/errors.ts';
import type { JournalRecord } from '../../src/persistence/records.ts';
import type { Restored } from '../../src/persistence/restore.ts';
import { restore } from '../../src/persistence/restore.ts';
import { printRow } from '../support/fault-row.ts';
import {
  checkpoint,
  commit,
  delta,
  directory,
  MemoryFiles as Files,
  groupOffsets,
  type MemoryFiles,
  open,
  reference,
  restored,
  restoring,
  stateOf,
} from './journal-fixtures.ts';

const records: readonly JournalRecord[] = [
  delta(0, 1, ['alpha', 'beta']),
  delta(1, 3, ['alpha']),
  delta(3, 4, ['beta']),
  delta(4, 6, ['alpha']),
];
const file = 'journal/1-0.journal';

function written(): MemoryFiles {
  const session = open(new Files(), 1);
  commit(session, ...records);
  return session.fs;
}

/** States by restore point. */
const points = new Map(
  [0, 1, 3, 4, 6].map((sequence) => [
    sequence,
    stateOf(reference(records.filter((record) => record.kind === 'delta' && record.through <= sequence))),
  ]),
);

function expectPoint({ mirror, recovery }: Restored, sequence: number): void {
  expect(recovery.sequence).toBe(sequence);
  expect(mirror.sequence).toBe(sequence);
  expect(stateOf(mirror)).toEqual(points.get(sequence));
}

describe('a journal that a crash cut', () => {
  it('keeps every group before the cut, at every byte, and a copy of what was torn', () => {
    const whole = written();
    const bytes = whole.get(file);
    const ends = groupEnds(bytes);
    for (let cut = 0; cut < bytes.length; cut++) {
      const fs = whole.copy();
      fs.put(file, bytes.subarray(0, cut));
      const result = restored(fs);
      const groups = ends.filter((end) => end <= cut);
      expectPoint(result, [0, 0, 1, 3, 4, 6][groups.length] ?? -1);
      const torn = cut - (groups.at(-1) ?? 0);
      if (torn === 0) {
        expect(result.recovery.lost).toEqual([]);
        continue;
      }
      expect(result.recovery.lost).toMatchObject([{ what: 'torn_tail', file, acknowledged: false }]);
      expect(fs.get(String(result.recovery.quarantined[0]))).toEqual(bytes.subarray(cut - torn, cut));
      expect(fs.get(file).length).toBe(cut);
    }
    printRow(
      7,
      `the journal cut at each of ${bytes.length} bytes of ${ends.length} groups: every whole group kept, a copy of each torn one, 0 lost`,
    );
  });

  it.each([
    ['zeros', Buffer.alloc(5000)],
    ['garbage', Buffer.from('\u0001\u0002 garbage {"group": 9} \n and more')],
    ['the beginning of a header', Buffer.from('{"group":6,"segment":1,"epoch":1')],
    ['garbage after zeros', Buffer.concat([Buffer.alloc(600), Buffer.from('x')])],
  ])('restores all of it where %s follow', (name, appended) => {
    const fs = written();
    fs.put(file, Buffer.concat([fs.get(file), appended]));
    const result = restored(fs);
    expectPoint(result, 6);
    expect(result.recovery.lost.map(({ what }) => what)).toEqual(name === 'zeros' ? [] : ['torn_tail']);
  });

  it('restores all of it where a group of its own comes once more', () => {
    const fs = written();
    const bytes = fs.get(file);
    const offsets = [...groupOffsets(bytes), bytes.length];
    for (let group = 0; group < offsets.length - 1; group++) {
      const stale = fs.copy();
      stale.put(file, Buffer.concat([bytes, bytes.subarray(offsets[group], offsets[group + 1])]));
      const result = restored(stale);
      expectPoint(result, 6);
      expect(result.recovery.lost).toMatchObject([{ what: 'torn_tail' }]);
    }
  });

  it('does not let a group of another segment come alive', () => {
    const session = open(new Files(), 1, { segmentBytesMax: 1 });
    commit(session, ...records);
    const [first, second] = [session.fs.get('journal/1-0.journal'), session.fs.get('journal/1-1.journal')];
    session.fs.put('journal/1-4.journal', Buffer.concat([session.fs.get('journal/1-4.journal'), second, first]));
    expectPoint(restored(session.fs), 6);
  });

  it('does not let a group of another segment come alive that would be next by its number', () => {
    const first = open(new Files(), 1);
    commit(first, ...records);
    const { fs } = first;
    const bytes = fs.get(file);
    const second = open(fs, 1, { incarnation: 2 });
    const [name = ''] = fs.names().filter((each) => !file.endsWith(each));
    // Its second group is stale: what stands in the first segment at that number.
    const [, stale, end] = groupOffsets(bytes);
    fs.put(`journal/${name}`, Buffer.concat([fs.get(`journal/${name}`), bytes.subarray(stale, end)]));
    const result = restored(fs);
    expect(stateOf(result.mirror)).toEqual(stateOf(second.mirror));
    expect(result.recovery.lost).toMatchObject([
      { what: 'torn_tail', why: expect.stringContaining('a group of segment 1 where segment 2 goes on') },
    ]);
  });

  it('reads the same again after the restart that went on from it, and again after that', () => {
    const whole = written();
    const bytes = whole.get(file);
    whole.put(file, bytes.subarray(0, bytes.length - 3));
    const second = open(whole, 2);
    expect(second.restored.recovery.sequence).toBe(4);
    commit(second, delta(4, 5, ['beta']));
    const after = restored(whole);
    expect(after.recovery).toMatchObject({ epoch: 2, sequence: 5, lost: [], quarantined: [] });
    expect(stateOf(after.mirror)).toEqual(stateOf(second.mirror));
    expect(after.nextSegment).toBe(3);
  });

  it('keeps a torn end once, however often it is restored', () => {
    const fs = written();
    fs.put(file, Buffer.concat([fs.get(file), Buffer.from('torn')]));
    const first = restored(fs).recovery.quarantined;
    expect(restored(fs).recovery.quarantined).toEqual(first);
    expect(fs.names('quarantine')).toHaveLength(1);
    // A crash while the copy was written leaves a shorter one, which doesn't count as the copy.
    fs.put(String(first[0]), Buffer.from('to'));
    expect(restored(fs).recovery.quarantined).not.toEqual(first);
  });

  it('takes the torn end as in progress where an engine runs, and writes nothing', () => {
    const fs = written();
    fs.put(file, Buffer.concat([fs.get(file), Buffer.from('{"group":6,')]));
    fs.calls = [];
    const { recovery } = restore(fs, directory, { ...restoring, readOnly: true, lockHeld: true });
    expect(recovery).toMatchObject({ sequence: 6, lost: [], quarantined: [] });
    expect(fs.calls.filter((call) => /^(create|write|link|rename|unlink|mkdir|fsync)/.test(call))).toEqual([]);
  });
});

describe('a journal whose bytes were changed', () => {
  it('says so for every bit of every byte, or restores the last group but one where that one was last', () => {
    const whole = written();
    const bytes = whole.get(file);
    const last = groupOffsets(bytes).at(-1) ?? 0;
    for (let index = 0; index < bytes.length; index++) {
      const fs = whole.copy();
      const flipped = Buffer.from(bytes);
      flipped[index] = (bytes[index] ?? 0) ^ (1 << (index % 8));
      fs.put(file, flipped);
      if (index >= last) {
        const result = restored(fs);
        expectPoint(result, 4);
        expect(result.recovery.lost).toMatchObject([{ what: 'torn_tail' }]);
        continue;
      }
      const error = caught(() => restored(fs));
      // The first group of all holds nothing but the beginning: what follows stands by itself.
      if (error === null) expectPoint(restored(fs), 6);
      else expect(error.message).toContain(file);
      if (index >= (groupOffsets(bytes)[1] ?? 0)) expect(error?.code).toBe('JOURNAL_DAMAGED');
    }
  });

  it('is restored from checkpoints that stand past the damage, and keeps the damaged file', () => {
    const session = open(new Files(), 1);
    commit(session, ...records.slice(0, 3));
    checkpoint(session, 1);
    commit(session, ...records.slice(3));
    const bytes = Buffer.from(session.fs.get(file));
    const [, second = 0, third = 0, fourth = 0] = groupOffsets(bytes);
    for (const at of [second + 3, third + 150, fourth + 100]) {
      const fs = session.fs.copy();
      const damaged = Buffer.from(bytes);
      damaged[at] = (damaged[at] ?? 0) ^ 4;
      fs.put(file, damaged);
      const result = restored(fs);
      expectPoint(result, 6);
      expect(result.recovery.lost).toMatchObject([{ what: 'damaged_journal', file, acknowledged: false }]);
      expect(result.recovery.quarantined).toEqual(['quarantine/1-0.journal.1']);
      expect(restored(fs).recovery.quarantined).toEqual(['quarantine/1-0.journal.1']);
      expect(fs.get('quarantine/1-0.journal.1')).toEqual(damaged);
    }
  });

  it('is refused where one strategy has no checkpoint past the damage, and nothing is changed', () => {
    const session = open(new Files(), 1);
    commit(session, ...records.slice(0, 3));
    checkpoint(session, 1, ['alpha']);
    commit(session, ...records.slice(3));
    const { fs } = session;
    const damaged = Buffer.from(fs.get(file));
    damaged[(groupOffsets(damaged)[2] ?? 0) + 150] = 0;
    fs.put(file, damaged);
    fs.calls = [];
    const error = caught(() => restored(fs));
    expect(error?.code).toBe('JOURNAL_DAMAGED');
    expect(error?.message).toMatch(/beta|2 strategies/);
    expect(fs.calls.filter((call) => /^(create|write|link|rename|unlink|mkdir|fsync)/.test(call))).toEqual([]);
  });

  it('is refused where the damaged stretch held a strategy that nothing else knows', () => {
    const session = open(new Files(), 1);
    commit(session, delta(0, 1, ['alpha']), delta(1, 2, ['ghost']));
    checkpoint(session, 1, ['alpha']);
    commit(session, delta(2, 3, ['alpha']));
    const damaged = Buffer.from(session.fs.get(file));
    damaged[(groupOffsets(damaged)[2] ?? 0) + 150] = 0;
    session.fs.put(file, damaged);
    expect(caught(() => restored(session.fs))?.code).toBe('JOURNAL_DAMAGED');
  });

  it('is refused where a strategy whose beginning is lost is changed later', () => {
    const session = open(new Files(), 1);
    commit(session, delta(0, 1, ['alpha']), delta(1, 2, ['ghost']));
    checkpoint(session, 1, ['alpha']);
    commit(session, delta(2, 3, ['alpha', 'ghost']));
    const damaged = Buffer.from(session.fs.get(file));
    damaged[(groupOffsets(damaged)[2] ?? 0) + 150] = 0;
    session.fs.put(file, damaged);
    const error = caught(() => restored(session.fs));
    expect(error?.message).toContain('strategy ghost');
  });

  it('is not mistaken for a torn end where a later header shows that the damaged group was durable', () => {
    const fs = written();
    const damaged = Buffer.from(fs.get(file));
    const offsets = groupOffsets(damaged);
    damaged[(offsets[3] ?? 0) + 150] = 0;
    damaged[(offsets[4] ?? 0) + 150] = 0;
    fs.put(file, damaged);
    expect(caught(() => restored(fs))?.code).toBe('JOURNAL_DAMAGED');
  });

  it('is refused where a segment in the middle is missing, unless checkpoints stand past it', () => {
    const session = open(new Files(), 1, { segmentBytesMax: 1 });
    commit(session, ...records.slice(0, 3));
    const without = (fs: MemoryFiles) => {
      const copy = fs.copy();
      copy.files.delete(`${directory}/journal/1-1.journal`);
      return copy;
    };
    commit(session, ...records.slice(3));
    expect(caught(() => restored(without(session.fs)))?.code).toBe('JOURNAL_MISSING');
    checkpoint(session, 1);
    const result = restored(without(session.fs));
    expectPoint(result, 6);
    expect(result.recovery.lost).toMatchObject([{ what: 'damaged_journal', file: 'journal/1-3.journal' }]);
  });

  it('is refused where another segment was copied over the last', () => {
    const session = open(new Files(), 1, { segmentBytesMax: 1 });
    commit(session, ...records);
    session.fs.put('journal/1-4.journal', session.fs.get('journal/1-1.journal'));
    expect(caught(() => restored(session.fs))?.code).toBe('JOURNAL_DAMAGED');
  });

  it('says where a right CRC covers what is no record', async () => {
    const { encodeGroup } = await import('../../src/persistence/journal-format.ts');
    const fs = written();
    const group = { group: 6, segment: 1, epoch: 1, first: 6, last: 7, strategies: 2 };
    fs.put(file, Buffer.concat([fs.get(file), encodeGroup(group, ['{"kind":"delta"}\n'])]));
    expect(caught(() => restored(fs))).toMatchObject({ code: 'JOURNAL_DAMAGED' });
    expect(caught(() => restored(fs))?.message).toContain(`${file}, group 6`);
  });

  it('is refused untouched where its format is newer', async () => {
    const { encodeGroup } = await import('../../src/persistence/journal-format.ts');
    const fs = new Files();
    const group = { group: 1, segment: 1, epoch: 1, first: 0, last: 0, strategies: 0 };
    fs.put(file, encodeGroup(group, ['{"kind":"segment","format_version":2}\n']));
    expect(() => restored(fs)).toThrow(expect.objectContaining({ code: 'FORMAT_NEWER' }));
  });
});

function caught(work: () => unknown): CheckpointCorrupted | null {
  try {
    work();
    return null;
  } catch (error) {
    if (error instanceof CheckpointCorrupted) return error;
    throw error;
  }
}

function groupEnds(bytes: Buffer): number[] {
  return [...groupOffsets(bytes).slice(1), bytes.length];
}
