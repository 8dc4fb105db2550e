import { describe, expect, it } from 'vitest';
import { errnoError } from '../../src/persistence/errno.ts';
import { scanSegment } from '../../src/persistence/journal-scan.ts';
import { JournalWriter } from '../../src/persistence/journal-writer.ts';
import { SegmentFile } from '../../src/persistence/segment-file.ts';
import { at, delta, directory, MemoryFiles } from './journal-fixtures.ts';

const path = `${directory}/journal/s`;
const group = (length: number): Buffer => Buffer.alloc(length, 'x');

function files(): MemoryFiles {
  const fs = new MemoryFiles();
  fs.mkdir(`${directory}/journal`);
  return fs;
}

/** What the file is: how much content, and how many zeros behind it. */
function shape(fs: MemoryFiles): readonly [content: number, zeros: number] {
  const bytes = fs.get('journal/s');
  const content = bytes.lastIndexOf('x') + 1;
  expect(bytes.subarray(content).every((byte) => byte === 0)).toBe(true);
  return [content, bytes.length - content];
}

/** Lets a call fail, from its nth time on. */
function failFrom(fs: MemoryFiles, nth: number, call: string, errno: string): void {
  let calls = 0;
  fs.before = (name, of) => {
    if (name === call) calls += 1;
    if (name === call && calls >= nth) throw errnoError(errno, name, of);
  };
}

describe('a segment’s file', () => {
  it('is filled with zeros beyond a group, and groups go where they are until they are used up', () => {
    const fs = files();
    const file = new SegmentFile(fs, path, 100);
    const shapes: unknown[] = [];
    for (let position = 0; position < 150; position += 25) {
      file.append(group(25), position);
      shapes.push(shape(fs));
    }
    expect(shapes).toEqual([
      [25, 100],
      [50, 75],
      [75, 50],
      [100, 25],
      [125, 0],
      [150, 100],
    ]);
    expect(fs.calls.filter((call) => call.startsWith('fdatasync'))).toHaveLength(6);
  });

  it('is not filled for groups that would soon use it up, nor where nothing is to be', () => {
    for (const [ahead, length] of [
      [100, 26],
      [0, 1],
    ] as const) {
      const fs = files();
      const file = new SegmentFile(fs, path, ahead);
      file.append(group(length), 0);
      expect(shape(fs)).toEqual([length, 0]);
    }
  });

  it.each(['ENOSPC', 'EDQUOT', 'EFBIG'])('takes groups where zeros have no room: %s', (errno) => {
    const fs = files();
    const file = new SegmentFile(fs, path, 100);
    failFrom(fs, 2, 'write', errno);
    file.append(group(10), 0);
    fs.before = () => {};
    file.append(group(10), 10);
    // Nor does it try again for each of them.
    expect(shape(fs)).toEqual([20, 0]);
  });

  it('fails by any other error of the zeros', () => {
    const fs = files();
    const file = new SegmentFile(fs, path, 100);
    failFrom(fs, 2, 'write', 'EIO');
    expect(() => file.append(group(10), 0)).toThrow(
      expect.objectContaining({ code: 'WRITE_FAILED', details: { stage: 'write', errno: 'EIO', path } }),
    );
  });

  it('ends where its content ends', () => {
    const fs = files();
    const file = new SegmentFile(fs, path, 100);
    file.append(group(10), 0);
    file.finish(10);
    expect(shape(fs)).toEqual([10, 0]);
    expect(fs.open).toBe(0);
  });

  it('is closed also where the zeros cannot be cut off', () => {
    const fs = files();
    const file = new SegmentFile(fs, path, 100);
    file.append(group(10), 0);
    failFrom(fs, 1, 'truncate', 'EIO');
    file.finish(10);
    expect(shape(fs)).toEqual([10, 100]);
    expect(fs.open).toBe(0);
  });
});

it('a segment with zeros ahead holds its groups and no damage, open, full and closed', () => {
  const fs = new MemoryFiles();
  const sizes = { segmentBytesMax: 2_000, segmentAheadBytes: 4_096 };
  const writer = new JournalWriter(fs, directory, { epoch: 1, incarnation: 1, nextSegment: 1, ...sizes });
  writer.begin({ epoch: 0, sequence: 0 }, 0, [], at(0));
  for (let commit = 1; commit <= 10; commit += 1) writer.append([delta(commit - 1, commit)]);
  const scanned = (): readonly (readonly [damages: number, zeros: boolean])[] =>
    fs.names().map((name, index) => {
      const bytes = fs.get(`journal/${name}`);
      const first = Number(name.split(/[-.]/)[1]);
      const { damages, groups } = scanSegment(bytes, { epoch: 1, first, segment: index + 1 });
      expect(groups.length).toBeGreaterThan(0);
      return [damages.length, bytes.at(-1) === 0];
    });
  const open = scanned();
  expect(open.length).toBeGreaterThan(1);
  expect(open).toEqual(open.map((_, index) => [0, index === open.length - 1]));
  writer.close();
  expect(scanned()).toEqual(open.map(() => [0, false]));
});

it('a group that was torn where zeros were is a torn tail, whichever of its bytes came through', () => {
  const fs = new MemoryFiles();
  const sizes = { segmentBytesMax: 1 << 20, segmentAheadBytes: 4_096 };
  const writer = new JournalWriter(fs, directory, { epoch: 1, incarnation: 1, nextSegment: 1, ...sizes });
  writer.begin({ epoch: 0, sequence: 0 }, 0, [], at(0));
  writer.append([delta(0, 1)]);
  const [name] = fs.names();
  const before = fs.get(`journal/${name}`);
  writer.append([delta(1, 2)]);
  const after = fs.get(`journal/${name}`);
  expect(after.length).toBe(before.length);
  const scan = (bytes: Buffer) => scanSegment(bytes, { epoch: 1, first: 0, segment: 1 });
  const whole = scan(before).groups.length;
  const start = before.findLastIndex((byte) => byte !== 0) + 1;
  const end = after.findLastIndex((byte) => byte !== 0) + 1;
  expect(scan(after).groups).toHaveLength(whole + 1);
  for (let cut = start + 1; cut < end; cut += 1) {
    const head = Buffer.concat([after.subarray(0, cut), before.subarray(cut)]);
    const tail = Buffer.concat([before.subarray(0, cut), after.subarray(cut)]);
    for (const torn of [head, tail]) {
      const { groups, damages } = scan(torn);
      expect(groups).toHaveLength(whole);
      expect(damages).toMatchObject([{ kind: 'tail', offset: start }]);
      expect(start + Number(damages[0]?.bytes)).toBeLessThanOrEqual(end);
    }
  }
});
