import { describe, expect, it } from 'vitest';
import { StateError } from '../../src/model/errors.ts';
import { errnoError } from '../../src/persistence/errno.ts';
import { groupBytesTarget } from '../../src/persistence/journal-format.ts';
import { JournalWriter } from '../../src/persistence/journal-writer.ts';
import type { Stage } from '../../src/persistence/protocol.ts';
import type { JournalRecord } from '../../src/persistence/records.ts';
import {
  at,
  checkpoint,
  commit,
  delta,
  directory,
  groupOffsets,
  MemoryFiles,
  open,
  reference,
  restored,
  stateOf,
} from './journal-fixtures.ts';

const heartbeat: JournalRecord = { kind: 'heartbeat', at: at(9) };

function writerOf(
  fs: MemoryFiles,
  more: { segmentBytesMax?: number; onStage?: (stage: Stage, path: string) => void } = {},
): JournalWriter {
  return new JournalWriter(fs, directory, {
    epoch: 1,
    incarnation: 1,
    segmentBytesMax: 1 << 20,
    segmentAheadBytes: 0,
    nextSegment: 1,
    ...more,
  });
}

function begun(fs: MemoryFiles, more: { segmentBytesMax?: number } = {}): JournalWriter {
  const writer = writerOf(fs, more);
  writer.begin({ epoch: 0, sequence: 0 }, 0, [], at(0));
  return writer;
}

/** Makes the next call of this name fail, once. */
function failNext(fs: MemoryFiles, call: string, code = 'EIO'): void {
  fs.before = (name, path) => {
    if (name !== call) return;
    fs.before = () => {};
    throw errnoError(code, name, path);
  };
}

function codeOf(work: () => void): StateError {
  try {
    work();
  } catch (error) {
    if (error instanceof StateError) return error;
    throw error;
  }
  throw new Error('nothing was thrown');
}

describe('the journal writer', () => {
  it('makes the folder and its name durable before the first segment, and that before begin() returns', () => {
    const fs = new MemoryFiles();
    begun(fs);
    const segment = `${directory}/journal/1-0.journal`;
    expect(fs.calls).toEqual([
      `mkdir ${directory}/journal`,
      `fsyncDirectory ${directory}`,
      `create ${segment}`,
      `write ${segment}`,
      `fdatasync ${segment}`,
      `fsyncDirectory ${directory}/journal`,
    ]);
  });

  it('costs one write and one fdatasync a group', () => {
    const fs = new MemoryFiles();
    const writer = begun(fs);
    fs.calls = [];
    const before = writer.fsyncs;
    writer.append([delta(0, 1), delta(1, 2), heartbeat]);
    expect(fs.calls.map((call) => call.split(' ')[0])).toEqual(['write', 'fdatasync']);
    expect(writer.fsyncs).toBe(before + 1);
    expect(writer.bytesWritten).toBe(fs.get('journal/1-0.journal').length);
    expect(writer.bytes).toBe(writer.bytesWritten);
  });

  it('takes nothing before it has begun, and nothing that does not connect', () => {
    expect(codeOf(() => writerOf(new MemoryFiles()).append([delta(0, 1)])).code).toBe('JOURNAL_NOT_BEGUN');
    const fs = new MemoryFiles();
    const writer = begun(fs);
    const bytes = fs.get('journal/1-0.journal');
    expect(codeOf(() => writer.append([delta(0, 1), delta(2, 3)])).code).toBe('DELTA_GAP');
    expect(codeOf(() => writer.append([delta(1, 2)])).code).toBe('DELTA_GAP');
    expect(codeOf(() => writer.append([{ kind: 'heartbeat' } as never])).code).toBe('JOURNAL_RECORD_INVALID');
    expect(fs.get('journal/1-0.journal')).toEqual(bytes);
    writer.append([]);
    expect(fs.get('journal/1-0.journal')).toEqual(bytes);
  });

  it('goes to another segment when one is full', () => {
    const fs = new MemoryFiles();
    const writer = begun(fs, { segmentBytesMax: 800 });
    for (let sequence = 1; sequence <= 4; sequence++) writer.append([delta(sequence - 1, sequence)]);
    expect(fs.names()).toEqual(['1-0.journal', '1-2.journal']);
    expect(writer.segments().map(({ segment, first, last }) => [segment, first, last])).toEqual([
      [1, 0, 2],
      [2, 2, 4],
    ]);
    expect(fs.open).toBe(1);
    writer.close();
    expect(fs.open).toBe(0);
    expect(restored(fs).recovery.sequence).toBe(4);
  });

  it.each(['create', 'write', 'fdatasync', 'fsyncDirectory', 'close'])(
    'gives a segment up for good when %s fails, and writes the same anew to the next',
    (call) => {
      const fs = new MemoryFiles();
      const writer = begun(fs, { segmentBytesMax: 1 });
      writer.append([delta(0, 1)]);
      failNext(fs, call, 'ENOSPC');
      const error = codeOf(() => writer.append([delta(1, 2)]));
      const stage = { create: 'open', fdatasync: 'fsync', fsyncDirectory: 'directory fsync' }[call] ?? call;
      expect(error).toMatchObject({ code: 'WRITE_FAILED', details: { stage, errno: 'ENOSPC' }, retryable: true });
      expect(fs.open).toBe(0);
      const synced = fs.calls.filter((each) => each.startsWith('fdatasync')).length;
      const before = fs.names();
      writer.append([delta(1, 2), delta(2, 3)]);
      // What was given up with nothing acknowledged in it makes room for what is written anew.
      const isRemoved = call !== 'create' && call !== 'close';
      expect(fs.names().length).toBe(isRemoved ? before.length : before.length + 1);
      expect(fs.calls.filter((each) => each.startsWith('fdatasync')).length).toBe(synced + 1);
      const { mirror, recovery } = restored(fs);
      expect(recovery).toMatchObject({ sequence: 3, lost: [] });
      expect(stateOf(mirror)).toEqual(stateOf(reference([delta(0, 1), delta(1, 2), delta(2, 3)])));
    },
  );

  it('leaves no more than one segment behind, however often the disk fails', () => {
    const fs = new MemoryFiles();
    const writer = begun(fs);
    writer.append([delta(0, 1)]);
    for (let attempt = 1; attempt <= 20; attempt++) {
      failNext(fs, attempt % 2 === 0 ? 'write' : 'fdatasync');
      codeOf(() => writer.append([delta(1, 2)]));
    }
    // The first holds what was acknowledged, the other what may yet be restored if the process is killed now.
    expect(fs.names()).toEqual(['1-0.journal', '1-1-20.journal']);
    expect(writer.segments().length).toBe(2);
    failNext(fs, 'unlink', 'EACCES');
    writer.append([delta(1, 2)]);
    expect(fs.names()).toEqual(['1-0.journal', '1-1-20.journal', '1-1-21.journal']);
    expect(restored(fs).recovery).toMatchObject({ sequence: 2, lost: [] });
    expect(writer.trim(2)).toEqual(['journal/1-0.journal', 'journal/1-1-20.journal']);
  });

  it('writes a strategy whole again where the group that named it first was lost', () => {
    const fs = new MemoryFiles();
    const writer = begun(fs);
    fs.before = (call, path) => {
      if (call === 'fdatasync') {
        fs.put('journal/1-0.journal', fs.get('journal/1-0.journal').subarray(0, -5));
        fs.before = () => {};
        throw errnoError('EIO', call, path);
      }
    };
    expect(codeOf(() => writer.append([delta(0, 1)])).code).toBe('WRITE_FAILED');
    writer.append([delta(0, 1)]);
    writer.append([delta(1, 2)]);
    expect(stateOf(restored(fs).mirror)).toEqual(stateOf(reference([delta(0, 1), delta(1, 2)])));
  });

  it('begins with nothing that does not stand at its base', () => {
    const writer = writerOf(new MemoryFiles());
    const begin = () => writer.begin({ epoch: 1, sequence: 3 }, 3, [delta(1, 2) as never], at(0));
    expect(codeOf(begin).code).toBe('DELTA_GAP');
  });

  it('passes over what is durable already', () => {
    const fs = new MemoryFiles();
    const writer = begun(fs);
    writer.append([delta(0, 1)]);
    const bytes = fs.get('journal/1-0.journal').length;
    writer.append([delta(0, 1)]);
    expect(fs.get('journal/1-0.journal').length).toBe(bytes);
  });

  it('leaves nothing behind where its beginning failed', () => {
    const fs = new MemoryFiles();
    begun(fs).append([delta(0, 1)]);
    for (const call of ['write', 'fdatasync', 'fsyncDirectory']) {
      const writer = new JournalWriter(fs, directory, {
        epoch: 2,
        incarnation: 1,
        segmentBytesMax: 1 << 20,
        segmentAheadBytes: 0,
        nextSegment: 2,
      });
      fs.before = (name, path) => {
        if (name === call && (call !== 'fsyncDirectory' || path.endsWith('journal')))
          throw errnoError('ENOSPC', name, path);
      };
      expect(codeOf(() => writer.begin({ epoch: 1, sequence: 1 }, 1, [], at(0))).code).toBe('WRITE_FAILED');
      expect(fs.names()).toEqual(['1-0.journal']);
    }
  });

  it('begins anew when its beginning failed, and nothing is taken in between', () => {
    for (const call of ['mkdir', 'create', 'write', 'fdatasync', 'fsyncDirectory']) {
      const fs = new MemoryFiles();
      const writer = writerOf(fs);
      failNext(fs, call);
      expect(codeOf(() => writer.begin({ epoch: 0, sequence: 0 }, 0, [], at(0))).code).toBe('WRITE_FAILED');
      expect(codeOf(() => writer.append([delta(0, 1)])).code).toBe('JOURNAL_NOT_BEGUN');
      writer.begin({ epoch: 0, sequence: 0 }, 0, [], at(0));
      writer.append([delta(0, 1)]);
      expect(restored(fs).recovery).toMatchObject({ sequence: 1, lost: [] });
    }
  });

  it('writes a large beginning and a large append in groups of bounded size', () => {
    const fs = new MemoryFiles();
    const big = 'x'.repeat(groupBytesTarget / 2);
    const whole = (name: string) => ({
      previous: 0,
      through: 0,
      at: at(0),
      strategies: [{ strategy: name, whole: true as const, state: [['big', big] as const] }],
    });
    const writer = writerOf(fs, { segmentBytesMax: 1 << 30 });
    writer.begin({ epoch: 0, sequence: 0 }, 0, ['a', 'b', 'c', 'd', 'e'].map(whole), at(0));
    expect(groupOffsets(fs.get('journal/1-0.journal'))).toHaveLength(3);
    const large = (sequence: number): JournalRecord => ({
      kind: 'delta',
      previous: sequence - 1,
      through: sequence,
      at: at(sequence),
      strategies: [{ strategy: 'a', state: [['big', big]] }],
    });
    writer.append([large(1), large(2), large(3)]);
    expect(groupOffsets(fs.get('journal/1-0.journal'))).toHaveLength(5);
    expect(restored(fs).recovery.sequence).toBe(3);
  });

  it('takes a name with its number where the short one is taken', () => {
    const fs = new MemoryFiles();
    fs.put('journal/1-0.journal', Buffer.from('somebody else'));
    begun(fs);
    expect(fs.names()).toEqual(['1-0-1.journal', '1-0.journal']);
  });

  it('tells each stage, and that it is idle after the last, failures included', () => {
    const fs = new MemoryFiles();
    const stages: Stage[] = [];
    const writer = writerOf(fs, { onStage: (stage) => stages.push(stage) });
    writer.begin({ epoch: 0, sequence: 0 }, 0, [], at(0));
    expect(stages).toEqual(['open', 'directory fsync', 'open', 'write', 'fsync', 'directory fsync', 'idle']);
    stages.length = 0;
    failNext(fs, 'fdatasync');
    codeOf(() => writer.append([delta(0, 1)]));
    expect(stages).toEqual(['write', 'fsync', 'idle']);
  });

  it('deletes only closed segments, oldest first, each made durable before the next', () => {
    const fs = new MemoryFiles();
    const session = open(fs, 1, { segmentBytesMax: 1 });
    for (let sequence = 1; sequence <= 4; sequence++) {
      commit(session, delta(sequence - 1, sequence));
      checkpoint(session, 1);
    }
    fs.calls = [];
    expect(session.writer.trim(2)).toEqual(['journal/1-0.journal', 'journal/1-0-2.journal', 'journal/1-1.journal']);
    expect(fs.calls.map((call) => call.split(' ')[0])).toEqual([
      'unlink',
      'fsyncDirectory',
      'unlink',
      'fsyncDirectory',
      'unlink',
      'fsyncDirectory',
    ]);
    expect(session.writer.trim(100)).toEqual(['journal/1-2.journal']);
    expect(fs.names()).toEqual(['1-3.journal']);
    expect(restored(fs).recovery).toMatchObject({ sequence: 4, lost: [] });
  });

  it('deletes segments that an earlier process left, once they are adopted', () => {
    const fs = new MemoryFiles();
    commit(open(fs, 1), delta(0, 1), delta(1, 2));
    const session = open(fs, 2);
    expect(session.writer.segments().map(({ file }) => file)).toEqual(['journal/1-0.journal', 'journal/2-2.journal']);
    expect(session.writer.trim(1)).toEqual([]);
    failNext(fs, 'unlink');
    expect(codeOf(() => session.writer.trim(2)).details).toMatchObject({ stage: 'unlink', errno: 'EIO' });
    fs.files.delete(`${directory}/journal/1-0.journal`);
    expect(session.writer.trim(2)).toEqual(['journal/1-0.journal']);
  });
});
