import { describe, expect, it } from 'vitest';
import { StateError } from '../../src/model/errors.ts';
import { errnoError } from '../../src/persistence/errno.ts';
import { encodeGroup } from '../../src/persistence/journal-format.ts';
import type { JournalRecord } from '../../src/persistence/records.ts';
import { restore } from '../../src/persistence/restore.ts';
import { checksumLineFor } from '../support/checkpoint-fixtures.ts';
import {
  at,
  checkpoint,
  commit,
  delta,
  directory,
  groupOffsets,
  MemoryFiles,
  open,
  putCheckpoint,
  reference,
  restored,
  restoring,
  type Session,
  start,
  stateOf,
} from './journal-fixtures.ts';

const both = ['alpha', 'beta'];
const seed = (name: string, cash = '25000.00') =>
  Buffer.from(
    JSON.stringify({
      strategy_name: name,
      timestamp: '2025-10-02T14:00:00Z',
      strategy_state: { custom_data: { last_signal: 'buy' } },
      positions: [],
      pending_orders: [],
      cash_balance: cash,
    }),
  );

/** Three commits; a checkpoint of all at 1 and at 3; one commit more. */
function usual(): Session {
  const session = open(new MemoryFiles(), 1);
  commit(session, delta(0, 1, both));
  checkpoint(session, 1);
  commit(session, delta(1, 3, ['alpha']));
  checkpoint(session, 1);
  commit(session, delta(3, 4, ['beta']));
  return session;
}

function damage(fs: MemoryFiles, file: string, at = 20): void {
  const bytes = Buffer.from(fs.get(file));
  bytes[at] = (bytes[at] ?? 0) ^ 1;
  fs.put(file, bytes);
}

function withoutJournal(fs: MemoryFiles): MemoryFiles {
  const copy = fs.copy();
  for (const name of copy.names()) copy.files.delete(`${directory}/journal/${name}`);
  return copy;
}

function codeOf(work: () => unknown): StateError {
  try {
    work();
  } catch (error) {
    if (error instanceof StateError) return error;
    throw error;
  }
  throw new Error('nothing was thrown');
}

describe('restore', () => {
  it('gives nothing, at sequence 0, where nothing is', () => {
    const { recovery, base, maxEpoch, nextSegment } = restored(new MemoryFiles());
    const empty = {
      epoch: 0,
      sequence: 0,
      timestamp: null,
      age_ms: null,
      stale: false,
      used: [],
      lost: [],
      quarantined: [],
    };
    expect(recovery).toEqual(empty);
    expect({ base, maxEpoch, nextSegment }).toEqual({ base: 0, maxEpoch: 0, nextSegment: 1 });
  });

  it('gives what was appended, from the journal alone', () => {
    const session = open(new MemoryFiles(), 1);
    const records = [delta(0, 2, ['alpha']), delta(2, 3, ['beta']), delta(3, 7, both)];
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

  it('starts from the newest checkpoints and applies the journal after them, to one point for all', () => {
    const session = usual();
    const { mirror, recovery, coverage, maxEpoch } = restored(session.fs);
    expect(stateOf(mirror)).toEqual(stateOf(session.mirror));
    expect(recovery.used).toEqual([
      { strategy: 'alpha', source: 'checkpoint', file: 'alpha_checkpoint.json', epoch: 1, sequence: 3, records: 0 },
      { strategy: 'beta', source: 'checkpoint', file: 'beta_checkpoint.json', epoch: 1, sequence: 3, records: 1 },
    ]);
    expect(Object.fromEntries(coverage)).toEqual({ alpha: [3, 1], beta: [3, 1] });
    expect(maxEpoch).toBe(1);
  });

  it('brings strategies whose checkpoints are of different sequences to the same point', () => {
    const session = open(new MemoryFiles(), 1);
    commit(session, delta(0, 1, both));
    checkpoint(session, 1, ['alpha']);
    commit(session, delta(1, 2, both), delta(2, 5, ['beta']));
    checkpoint(session, 1, ['beta']);
    commit(session, delta(5, 6, both));
    const { mirror, recovery } = restored(session.fs);
    expect(stateOf(mirror)).toEqual(stateOf(session.mirror));
    expect(recovery.used.map(({ sequence, records }) => [sequence, records])).toEqual([
      [1, 2],
      [5, 1],
    ]);
  });

  it('needs no record that the checkpoints hold already', () => {
    const session = open(new MemoryFiles(), 1, { segmentBytesMax: 1 });
    commit(session, delta(0, 1, both));
    checkpoint(session, 1);
    commit(session, delta(1, 2, both));
    checkpoint(session, 1);
    session.writer.trim(1);
    expect(session.fs.names()).toEqual(['1-1.journal']);
    const { mirror, recovery } = restored(session.fs);
    expect(stateOf(mirror)).toEqual(stateOf(session.mirror));
    expect(recovery).toMatchObject({ sequence: 2, lost: [] });
  });
});

describe('a damaged checkpoint', () => {
  it.each([
    ['newest', 'alpha_checkpoint.json', 'alpha_checkpoint.1-1.json'],
    ['older', 'alpha_checkpoint.1-1.json', 'alpha_checkpoint.json'],
  ])('that is the %s costs nothing, is said, and goes to quarantine', (_name, bad, used) => {
    const session = usual();
    damage(session.fs, bad);
    const looked = restored(session.fs, { readOnly: true });
    expect(session.fs.get(bad)).toBeDefined();
    const { mirror, recovery } = restored(session.fs);
    expect(stateOf(mirror)).toEqual(stateOf(session.mirror));
    expect(recovery.used[0]?.file).toBe(used);
    expect(recovery.lost).toMatchObject([{ what: 'damaged_checkpoint', file: bad, acknowledged: false }]);
    expect(recovery.quarantined).toEqual([`quarantine/${bad}.1`]);
    expect(looked.recovery).toEqual({ ...recovery, quarantined: [] });
    expect(restored(session.fs).recovery).toMatchObject({ sequence: 4, lost: [] });
  });

  it("that is another strategy's file is foreign, and kept aside", () => {
    const session = usual();
    session.fs.put('alpha_checkpoint.json', session.fs.get('beta_checkpoint.json'));
    const { mirror, recovery } = restored(session.fs);
    expect(stateOf(mirror)).toEqual(stateOf(session.mirror));
    expect(recovery.lost).toMatchObject([{ what: 'foreign_file', file: 'alpha_checkpoint.json' }]);
  });

  it('does no harm where it is an older file that was copied over the newer', () => {
    const session = usual();
    session.fs.put('alpha_checkpoint.json', session.fs.get('alpha_checkpoint.1-1.json'));
    const { mirror } = restored(session.fs);
    expect(stateOf(mirror)).toEqual(stateOf(session.mirror));
  });

  it('is refused where all generations are, and the journal does not reach back; nothing is moved', () => {
    const session = open(new MemoryFiles(), 1, { segmentBytesMax: 1 });
    for (let sequence = 1; sequence <= 3; sequence++) {
      commit(session, delta(sequence - 1, sequence, both));
      checkpoint(session, 1);
    }
    session.writer.trim(2);
    const { fs } = session;
    const own = ['alpha_checkpoint.json', 'alpha_checkpoint.1-2.json', 'alpha_checkpoint.1-1.json'];
    for (const file of own) damage(fs, file);
    for (let attempt = 0; attempt < 2; attempt++) {
      const error = codeOf(() => restored(fs));
      expect(error.code).toBe('CHECKPOINT_CORRUPTED');
      for (const file of own) expect(error.message).toContain(`${file}: damaged`);
    }
    expect(fs.names('quarantine')).toEqual([]);
  });

  it('is restored from the journal alone where that reaches back', () => {
    const session = usual();
    for (const file of ['alpha_checkpoint.json', 'alpha_checkpoint.1-1.json']) damage(session.fs, file);
    const { mirror, recovery } = restored(session.fs);
    expect(stateOf(mirror)).toEqual(stateOf(session.mirror));
    expect(recovery.used[0]).toMatchObject({ source: 'journal', sequence: 1, records: 1 });
  });

  it('is refused untouched where its format is newer', () => {
    const session = usual();
    const newer = session.fs
      .get('alpha_checkpoint.json')
      .toString()
      .replace('"format_version": 1', '"format_version": 2');
    const body = newer.slice(0, newer.lastIndexOf(' "checksum"'));
    session.fs.put('alpha_checkpoint.json', Buffer.from(`${body}${checksumLineFor(body)}`));
    const error = codeOf(() => restored(session.fs));
    expect(error.code).toBe('FORMAT_NEWER');
    expect(error.message).toContain('alpha_checkpoint.json');
    expect(error.message).toContain(directory);
    expect(session.fs.names('quarantine')).toEqual([]);
  });
});

describe('restarts', () => {
  it('continue from the restore point, epoch after epoch', () => {
    const fs = new MemoryFiles();
    let sequence = 0;
    for (let epoch = 1; epoch <= 5; epoch++) {
      const session = open(fs, epoch);
      commit(session, delta(sequence, sequence + 2, both));
      sequence += 2;
      const { mirror, recovery, maxEpoch, base } = restored(fs);
      expect(stateOf(mirror)).toEqual(stateOf(session.mirror));
      expect(recovery).toMatchObject({ epoch, sequence, lost: [] });
      expect({ maxEpoch, base }).toEqual({ maxEpoch: epoch, base: sequence });
    }
  });

  it('do not depend on anything from before them', () => {
    const fs = new MemoryFiles();
    commit(open(fs, 1), delta(0, 2, both));
    const session = open(fs, 2);
    fs.files.delete(`${directory}/journal/1-0.journal`);
    const { mirror, recovery } = restored(fs);
    expect(stateOf(mirror)).toEqual(stateOf(session.mirror));
    expect(recovery).toMatchObject({ epoch: 2, sequence: 2, lost: [] });
    expect(recovery.used.every(({ source }) => source === 'journal')).toBe(true);
  });

  it('that died in their beginning count for nothing, wherever they died', () => {
    const whole = new MemoryFiles();
    const first = open(whole, 1);
    commit(first, delta(0, 2, both));
    const before = whole.copy();
    open(whole, 2);
    const bytes = whole.get('journal/2-2.journal');
    for (let cut = 0; cut < bytes.length; cut++) {
      const fs = before.copy();
      fs.put('journal/2-2.journal', bytes.subarray(0, cut));
      const { mirror, recovery, nextSegment } = restored(fs);
      expect(recovery).toMatchObject({ epoch: 1, sequence: 2 });
      expect(stateOf(mirror)).toEqual(stateOf(first.mirror));
      expect(nextSegment).toBeGreaterThan(2);
      const third = open(fs, 3);
      commit(third, delta(2, 3, ['alpha']));
      expect(restored(fs).recovery).toMatchObject({ epoch: 3, sequence: 3, lost: [] });
    }
  });

  it('of the worker alone, in the same epoch, take a name of their own', () => {
    const fs = new MemoryFiles();
    commit(open(fs, 1), delta(0, 2));
    fs.files.set(`${directory}/journal/1-2.journal`, { bytes: Buffer.from('torn'), inode: 77 });
    const session = open(fs, 1, { incarnation: 2 });
    expect(fs.names()).toContain('1-2-3.journal');
    commit(session, delta(2, 3));
    const { mirror, recovery } = restored(fs);
    expect(recovery).toMatchObject({ epoch: 1, sequence: 3 });
    expect(stateOf(mirror)).toEqual(stateOf(session.mirror));
  });

  it('leave abandoned history behind, its checkpoints included, and count on above it', () => {
    const fs = new MemoryFiles();
    const session = open(fs, 1);
    commit(session, delta(0, 2, both));
    const shorter = fs.copy();
    commit(session, delta(2, 5, both));
    checkpoint(session, 1);
    // A restart that saw only the first of the two groups, then the checkpoints of the second come to light.
    const second = open(shorter, 2);
    for (const name of both) shorter.put(`${name}_checkpoint.1-5.json`, fs.get(`${name}_checkpoint.json`));
    commit(second, delta(2, 3, ['alpha']));
    const { mirror, recovery, base, coverage } = restored(shorter);
    expect(stateOf(mirror)).toEqual(stateOf(second.mirror));
    expect(recovery).toMatchObject({ epoch: 2, sequence: 3 });
    expect(base).toBe(6);
    expect(coverage.get('alpha')).toEqual([]);
    const dead = shorter.copy();
    const third = open(shorter, 3);
    expect(restored(shorter).recovery).toMatchObject({ epoch: 3, sequence: 6 });
    // A beginning that counts from above what it stood on, and was not finished, doesn't count.
    const beginning = shorter.get('journal/3-6.journal');
    dead.put('journal/3-6.journal', beginning);
    expect(restored(dead).recovery.sequence).toBe(6);
    const lines = beginning.toString().split('\n');
    dead.put(
      'journal/3-6.journal',
      encodeGroup(
        { group: 1, segment: 3, epoch: 3, first: 6, last: 6, strategies: 2 },
        lines.slice(1, -2).map((line) => `${line}\n`),
      ),
    );
    expect(restored(dead).recovery).toMatchObject({ epoch: 2, sequence: 3 });
    expect(restored(dead).base).toBe(7);
    commit(third, delta(6, 7));
    expect(restored(shorter).recovery).toMatchObject({ epoch: 3, sequence: 7 });
  });

  it('do not miss a strategy that only an abandoned history knew', () => {
    const fs = new MemoryFiles();
    const session = open(fs, 1);
    commit(session, delta(0, 2, both));
    const shorter = fs.copy();
    commit(session, delta(2, 5, ['gamma']));
    checkpoint(session, 1, ['gamma']);
    open(shorter, 2);
    shorter.put('gamma_checkpoint.json', fs.get('gamma_checkpoint.json'));
    expect(restored(shorter).mirror.strategies()).toEqual(both);
  });

  it('are refused where their beginning is damaged, because nobody knows what it stood on', () => {
    const fs = new MemoryFiles();
    commit(open(fs, 1), delta(0, 2, both));
    commit(open(fs, 2), delta(2, 3, ['alpha']));
    const [, second = 0] = groupOffsets(fs.get('journal/2-2.journal'));
    for (let index = 0; index < second; index++) {
      const copy = fs.copy();
      damage(copy, 'journal/2-2.journal', index);
      expect(codeOf(() => restored(copy)).code).toBe('JOURNAL_DAMAGED');
    }
  });

  it('bring a strategy over a damaged part of their beginning by its checkpoint and what they stood on', () => {
    const fs = new MemoryFiles();
    const first = open(fs, 1);
    commit(first, delta(0, 1, both));
    checkpoint(first, 1, ['beta']);
    commit(first, delta(1, 2, both));
    const session = open(fs, 2);
    // The same beginning, but in three groups, of which the one with beta is damaged.
    const [, opening, alpha, beta, ready] = fs
      .get('journal/2-2.journal')
      .toString()
      .split(/(?<=\n)/);
    const common = { segment: 2, epoch: 2, first: 2, last: 2 };
    const groups = [
      encodeGroup({ ...common, group: 1, strategies: 1 }, [String(opening), String(alpha)]),
      encodeGroup({ ...common, group: 2, strategies: 2 }, [String(beta)]),
      encodeGroup({ ...common, group: 3, strategies: 2 }, [String(ready)]),
    ];
    fs.put('journal/2-2.journal', Buffer.concat(groups));
    expect(stateOf(restored(fs, { readOnly: true }).mirror)).toEqual(stateOf(session.mirror));
    damage(fs, 'journal/2-2.journal', (groups[0]?.length ?? 0) + 150);
    const { mirror, recovery } = restored(fs, { readOnly: true });
    expect(stateOf(mirror)).toEqual(stateOf(session.mirror));
    expect(recovery.used).toMatchObject([
      { strategy: 'alpha', source: 'journal', file: 'journal/2-2.journal' },
      { strategy: 'beta', source: 'checkpoint', sequence: 1, records: 1 },
    ]);
    // Without the checkpoint the journal before it still leads there; without both there is no way.
    fs.files.delete(`${directory}/beta_checkpoint.json`);
    expect(stateOf(restored(fs, { readOnly: true }).mirror)).toEqual(stateOf(session.mirror));
    fs.files.delete(`${directory}/journal/1-0.journal`);
    expect(codeOf(() => restored(fs)).code).toBe('JOURNAL_DAMAGED');
  });
});

describe('checkpoints past the end of the journal', () => {
  it('are restored where all are of one restore point', () => {
    const session = usual();
    commit(session, delta(4, 5, both));
    checkpoint(session, 1);
    const { mirror, recovery, coverage } = restored(withoutJournal(session.fs));
    expect(stateOf(mirror)).toEqual(stateOf(session.mirror));
    expect(recovery).toMatchObject({ epoch: 1, sequence: 5 });
    expect(recovery.lost).toMatchObject([{ what: 'damaged_journal', file: 'journal', acknowledged: false }]);
    expect(coverage.get('alpha')).toEqual([5]);
  });

  it('are refused where they differ, and each is named with its sequence', () => {
    const session = usual();
    checkpoint(session, 1, ['beta']);
    const error = codeOf(() => restored(withoutJournal(session.fs)));
    expect(error.code).toBe('JOURNAL_MISSING');
    expect(error.message).toContain('alpha_checkpoint.json: valid, epoch 1, sequence 3');
    expect(error.message).toContain('beta_checkpoint.json: valid, epoch 1, sequence 4');
  });

  it('are restored where there is one strategy, but not from an older one than a damaged newer', () => {
    const session = open(new MemoryFiles(), 1);
    commit(session, delta(0, 1));
    checkpoint(session, 1);
    commit(session, delta(1, 2));
    checkpoint(session, 1);
    const fs = withoutJournal(session.fs);
    expect(restored(fs).recovery.sequence).toBe(2);
    damage(fs, 'alpha_checkpoint.json');
    const error = codeOf(() => restored(fs));
    expect(error.code).toBe('JOURNAL_MISSING');
    expect(error.message).toContain('alpha_checkpoint.1-1.json is older than alpha_checkpoint.json, which is damaged');
    damage(fs, 'alpha_checkpoint.1-1.json');
    expect(codeOf(() => restored(fs)).code).toBe('CHECKPOINT_CORRUPTED');
  });

  it('show that a torn end was durable', () => {
    const session = open(new MemoryFiles(), 1);
    commit(session, delta(0, 1, both), delta(1, 3, both));
    checkpoint(session, 1, ['alpha']);
    const { fs } = session;
    const bytes = fs.get('journal/1-0.journal');
    fs.put('journal/1-0.journal', bytes.subarray(0, bytes.length - 2));
    expect(codeOf(() => restored(fs)).code).toBe('JOURNAL_DAMAGED');
    checkpoint(session, 1);
    expect(restored(fs).recovery).toMatchObject({ sequence: 3 });
    // What the torn header tells of reaches beyond the checkpoints: it was durable as a whole.
    const more = open(new MemoryFiles(), 1);
    commit(more, delta(0, 1));
    more.writer.append([delta(1, 2), delta(2, 3)]);
    more.mirror.apply(delta(1, 2) as never);
    checkpoint(more, 1);
    more.fs.put('journal/1-0.journal', more.fs.get('journal/1-0.journal').subarray(0, -2));
    expect(codeOf(() => restored(more.fs)).code).toBe('JOURNAL_DAMAGED');
  });

  it('are refused where a strategy that the journal knows has none', () => {
    const session = open(new MemoryFiles(), 1);
    commit(session, delta(0, 1, both));
    const journal = session.fs.get('journal/1-0.journal');
    commit(session, delta(1, 2, both));
    checkpoint(session, 1, ['alpha']);
    session.fs.put('journal/1-0.journal', journal);
    expect(codeOf(() => restored(session.fs)).code).toBe('JOURNAL_MISSING');
  });
});

describe("a file in the seed's format", () => {
  it('is where a strategy starts that has nothing newer', () => {
    const fs = new MemoryFiles();
    fs.put('alpha_checkpoint.json', seed('alpha'));
    fs.put('beta_checkpoint.json', seed('beta', '1'));
    const { mirror, recovery } = restored(fs);
    expect(recovery).toMatchObject({ epoch: 0, sequence: 0, lost: [], timestamp: '2025-10-02T14:00:00.000000Z' });
    expect(recovery.used).toMatchObject([{ source: 'seed_checkpoint', file: 'alpha_checkpoint.json' }, {}]);
    expect(mirror.snapshot('alpha').cash_balance).toBe('25000.00');
    expect(mirror.sequence).toBe(0);
  });

  it('counts for nothing once the journal has the strategy, even when somebody edits it', () => {
    const fs = new MemoryFiles();
    fs.put('alpha_checkpoint.json', seed('alpha'));
    const session = open(fs, 1);
    const position: JournalRecord = delta(0, 1, ['beta']);
    commit(session, position);
    fs.put('alpha_checkpoint.json', seed('alpha', '7'));
    const { mirror, recovery } = restored(fs);
    expect(mirror.snapshot('alpha').cash_balance).toBe('25000.00');
    expect(recovery.used[0]).toMatchObject({ strategy: 'alpha', source: 'journal' });
  });

  it('starts a strategy that a journal does not know', () => {
    const session = usual();
    session.fs.put('gamma_checkpoint.json', seed('gamma'));
    const { mirror, recovery } = restored(session.fs);
    expect(mirror.strategies()).toEqual(['alpha', 'beta', 'gamma']);
    expect(recovery).toMatchObject({ sequence: 4, lost: [] });
    const next = open(session.fs, 2);
    commit(next, delta(4, 5, ['gamma']));
    expect(stateOf(restored(session.fs).mirror)).toEqual(stateOf(next.mirror));
  });

  it('does not stand in for a checkpoint that is lost', () => {
    const session = open(new MemoryFiles(), 1, { segmentBytesMax: 1 });
    for (let sequence = 1; sequence <= 3; sequence++) {
      commit(session, delta(sequence - 1, sequence, both));
      checkpoint(session, 1);
    }
    session.writer.trim(2);
    for (const file of ['alpha_checkpoint.1-2.json', 'alpha_checkpoint.1-1.json'])
      session.fs.files.delete(`${directory}/${file}`);
    session.fs.put('alpha_checkpoint.json', seed('alpha'));
    expect(codeOf(() => restored(session.fs)).code).toBe('JOURNAL_MISSING');
  });

  it('is refused beside newer checkpoints without a journal, because nobody knows what they had in common', () => {
    const session = usual();
    const fs = withoutJournal(session.fs);
    fs.put('gamma_checkpoint.json', seed('gamma'));
    expect(codeOf(() => restored(fs)).code).toBe('JOURNAL_MISSING');
  });
});

describe('age', () => {
  it.each([
    ['an hour and a bit', 3_601_000, true],
    ['just an hour', 3_600_000, false],
    ['a little in the future', -60_000, false],
    ['in the future', -60_001, true],
  ])('is told where the newest sign of life is %s old', (_name, ageMs, stale) => {
    const session = usual();
    const now = start + 4_000_000 + ageMs * 1000;
    const { recovery } = restored(session.fs, { now });
    expect(recovery).toMatchObject({ timestamp: at(4), age_ms: ageMs, stale });
  });

  it('counts from the last heartbeat, so that an idle host is not stale', () => {
    const session = usual();
    session.writer.append([{ kind: 'heartbeat', at: at(5000) }]);
    checkpoint(session, 1);
    expect(restored(session.fs).recovery.timestamp).toBe(at(5000));
  });

  it('counts from a checkpoint where there is nothing newer', () => {
    const fs = new MemoryFiles();
    const session = open(fs, 1);
    commit(session, delta(0, 1));
    putCheckpoint(fs, session.mirror.snapshot('alpha'), 1, 1);
    expect(restored(withoutJournal(fs)).recovery.timestamp).toBe(at(1));
  });
});

describe('looking on while an engine runs', () => {
  it('looks again where a file went away or was replaced meanwhile', () => {
    const session = usual();
    const { fs } = session;
    for (const file of ['alpha_checkpoint.json', 'journal/1-0.journal']) {
      let failures = 3;
      fs.before = (call, path) => {
        if (call === 'openRead' && path.endsWith(file) && failures-- > 0) throw errnoError('ENOENT', 'open', path);
      };
      expect(restored(fs, { readOnly: true, lockHeld: true }).recovery.sequence).toBe(4);
    }
    fs.before = (call, path) => {
      if (call === 'openRead') throw errnoError('ENOENT', 'open', path);
    };
    expect(codeOf(() => restored(fs, { readOnly: true })).code).toBe('STATE_CHANGED');
    expect(codeOf(() => restored(fs)).code).toBe('STATE_CHANGED');
  });

  it('looks again where two reads did not fit together', () => {
    const session = usual();
    const { fs } = session;
    const whole = fs.get('journal/1-0.journal');
    damage(fs, 'journal/1-0.journal', (groupOffsets(whole).at(-1) ?? 0) - 5);
    damage(fs, 'alpha_checkpoint.json');
    let reads = 0;
    fs.before = (call, path) => {
      if (call === 'openRead' && path.endsWith('1-0.journal') && ++reads === 3) fs.put('journal/1-0.journal', whole);
    };
    expect(restore(fs, directory, { ...restoring, readOnly: true, lockHeld: true }).recovery.sequence).toBe(4);
  });

  it('passes a read error on, with errno and path', () => {
    const { fs } = usual();
    fs.before = (call, path) => {
      if (call === 'read' && path.endsWith('.journal')) throw errnoError('EIO', call, path);
    };
    const error = codeOf(() => restored(fs, { readOnly: true }));
    expect(error).toMatchObject({
      code: 'READ_FAILED',
      details: { errno: 'EIO', path: `${directory}/journal/1-0.journal` },
    });
  });
});

describe('what is not ours', () => {
  it('is left alone in the journal, and said', () => {
    const { fs } = usual();
    fs.put('journal/notes.txt', Buffer.from('x'));
    expect(restored(fs).recovery.lost).toMatchObject([{ what: 'foreign_file', file: 'journal/notes.txt' }]);
    expect(fs.get('journal/notes.txt').toString()).toBe('x');
  });

  it('is refused where it stands in the place of a segment', () => {
    const { fs } = usual();
    fs.put('journal/1-9.journal', Buffer.from(''));
    fs.directories.add(`${directory}/journal/1-9.journal`);
    expect(codeOf(() => restored(fs)).code).toBe('STATE_PATH_REFUSED');
  });
});
