import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { errnoError } from '../../src/persistence/errno.ts';
import { JournalFollower } from '../../src/persistence/journal-follower.ts';
import { Audit, noted, upTo } from './audit-fixtures.ts';
import { commit, directory, groupOffsets, MemoryFiles, open } from './journal-fixtures.ts';

const all = Number.MAX_SAFE_INTEGER;

const first = (name: string): number => Number(name.split(/[-.]/)[1]);

describe('following a journal', () => {
  it('gives each group once, while the journal is written and segments are closed', () => {
    const fs = new MemoryFiles();
    const session = open(fs, 1, { segmentBytesMax: 1500 });
    const audit = new Audit(fs);
    expect(audit.read()).toBe(1);
    for (let n = 1; n <= 40; n += 1) {
      commit(session, noted(n - 1, n));
      if (n % 3 === 0) audit.read();
      expect(audit.read()).toBe(n % 3 === 0 ? 0 : 1);
    }
    expect(fs.names().length).toBeGreaterThan(5);
    expect(audit.numbers).toEqual(upTo(40));
    // The writer's own.
    expect(fs.open).toBe(1);
  });

  it('gives nothing beyond what is durable, and gives it later', () => {
    const fs = new MemoryFiles();
    const session = open(fs, 1);
    for (let n = 1; n <= 5; n += 1) commit(session, noted(n - 1, n));
    const audit = new Audit(fs);
    audit.read(3);
    expect(audit.numbers).toEqual([1, 2, 3]);
    audit.read(3);
    audit.read(4);
    expect(audit.numbers).toEqual([1, 2, 3, 4]);
    audit.read(5);
    expect(audit.numbers).toEqual(upTo(5));
  });

  it('gives no group of which a part is not there yet, wherever it is cut', () => {
    const fs = new MemoryFiles();
    const session = open(fs, 1);
    commit(session, noted(0, 1), noted(1, 2));
    const [name] = fs.names();
    const bytes = Buffer.from(fs.get(`journal/${name}`));
    const start = groupOffsets(bytes).at(-1) as number;
    fc.assert(
      fc.property(fc.integer({ min: start, max: bytes.length - 1 }), fc.boolean(), (end, zeros) => {
        const file = fs.files.get(`${directory}/journal/${name}`);
        if (file === undefined) throw new Error('it is there');
        file.bytes = zeros ? Buffer.concat([bytes.subarray(0, end), Buffer.alloc(300)]) : bytes.subarray(0, end);
        const audit = new Audit(fs);
        audit.read();
        expect(audit.numbers).toEqual([1]);
        file.bytes = bytes;
        audit.read();
        expect(audit.numbers).toEqual([1, 2]);
      }),
      { numRuns: 60 },
    );
  });

  it('reads the end of a segment once more when the next one has begun', () => {
    const fs = new MemoryFiles();
    const session = open(fs, 1, { segmentBytesMax: 900 });
    commit(session, noted(0, 1));
    const audit = new Audit(fs);
    audit.read();
    let appended = false;
    // Between its look at the end and its look at the names the writer appends, closes and begins anew.
    fs.before = (call, path) => {
      if (appended || call !== 'readdir' || !path.endsWith('journal')) return;
      appended = true;
      for (let n = 2; n <= 6; n += 1) commit(session, noted(n - 1, n));
    };
    audit.read();
    audit.read();
    expect(fs.names().length).toBeGreaterThan(1);
    expect(audit.numbers).toEqual(upTo(6));
    expect(audit.words).toEqual(['beginning']);
  });

  it('passes over damage to the groups behind it, and a torn end to the next segment', () => {
    const fs = new MemoryFiles();
    let session = open(fs, 1);
    for (let n = 1; n <= 4; n += 1) commit(session, noted(n - 1, n));
    const [name] = fs.names();
    const bytes = fs.get(`journal/${name}`);
    const offsets = groupOffsets(bytes);
    session = open(fs, 2);
    commit(session, noted(4, 5));
    // Of the second commit's group a byte, and half of the last group.
    bytes[(offsets[2] as number) + 150] = 0;
    const file = fs.files.get(`${directory}/journal/${name}`);
    if (file !== undefined) file.bytes = bytes.subarray(0, (offsets.at(-1) as number) + 120);
    const audit = new Audit(fs);
    audit.read();
    expect(audit.numbers).toEqual([1, 3, 5]);
    expect(audit.words).toEqual(['beginning', 'gap', 'gap']);
    expect(audit.batch.gaps).toHaveLength(2);
  });

  it('begins again where a file has gone, or another one has its name', () => {
    const fs = new MemoryFiles();
    const session = open(fs, 1, { segmentBytesMax: 900 });
    for (let n = 1; n <= 20; n += 1) commit(session, noted(n - 1, n));
    const audit = new Audit(fs);
    audit.read(3);
    // The journal's bound: everything but the last two segments goes.
    const names = fs.names().sort((a, b) => first(a) - first(b));
    for (const name of names.slice(0, -2)) fs.files.delete(`${directory}/journal/${name}`);
    audit.read();
    expect(audit.numbers.slice(0, 3)).toEqual([1, 2, 3]);
    expect(audit.numbers.at(-1)).toBe(20);
    expect(new Set(audit.numbers).size).toBe(audit.numbers.length);
    expect(audit.words).toEqual(['beginning', 'gap']);

    const [last] = names.slice(-1);
    const file = fs.files.get(`${directory}/journal/${last}`);
    if (file !== undefined) fs.files.set(`${directory}/journal/${last}`, { bytes: file.bytes, inode: 4711 });
    const before = audit.numbers.length;
    audit.read();
    expect(audit.numbers).toHaveLength(before);
  });

  it('is not led astray by another file of the same name, epoch and number, as a start that failed leaves room for', () => {
    const fs = new MemoryFiles();
    commit(open(fs, 1), noted(0, 1));
    const audit = new Audit(fs);
    audit.read();
    const other = new MemoryFiles();
    commit(open(other, 1), noted(0, 1, 'a-strategy-with-a-longer-name'), noted(1, 2));
    const [name] = fs.names();
    fs.files.set(`${directory}/journal/${name}`, { bytes: other.get(`journal/${name}`), inode: 4711 });
    audit.read();
    expect(audit.numbers).toEqual([1, 2]);
  });

  it('reads only from the segment in which what follows is known to be', () => {
    const fs = new MemoryFiles();
    const session = open(fs, 1, { segmentBytesMax: 900 });
    for (let n = 1; n <= 30; n += 1) commit(session, noted(n - 1, n));
    fs.calls = [];
    const audit = new Audit(fs, { epoch: 1, sequence: 29 });
    audit.read();
    expect(audit.numbers).toEqual([30]);
    const read = new Set(fs.calls.filter((call) => call.startsWith('read ')));
    // Of the others the first line, for their numbers.
    expect(read.size).toBeLessThanOrEqual(fs.names().length);
    const long = fs.calls.filter((call) => call.startsWith('lstat ') && call.endsWith('.journal'));
    expect(long.length).toBeLessThan(fs.names().length + 10);
  });

  it('gives a group that is larger than what it reads at once', () => {
    const fs = new MemoryFiles();
    const session = open(fs, 1);
    const large = noted(0, 1);
    const state = [['large', 'x'.repeat(3_000_000)]] as const;
    commit(session, { ...large, strategies: large.strategies.map((each) => ({ ...each, state })) }, noted(1, 2));
    const audit = new Audit(fs);
    audit.read();
    expect(audit.numbers).toEqual([1, 2]);
  });

  it('gives nothing where nothing is, and tells an error of the disk', () => {
    const fs = new MemoryFiles();
    expect(new JournalFollower(fs, directory, null).next(all)).toBeNull();
    const session = open(fs, 1);
    commit(session, noted(0, 1));
    const follower = new JournalFollower(fs, directory, null);
    fs.before = (call, path) => {
      if (call === 'read') throw errnoError('EIO', 'read', path);
    };
    expect(() => follower.next(all)).toThrow(/EIO/);
    fs.before = () => {};
    expect(follower.next(all)?.group.header).toMatchObject({ first: 0, last: 0, epoch: 1 });
    // The writer's own.
    expect(fs.open).toBe(1);
  });
});
