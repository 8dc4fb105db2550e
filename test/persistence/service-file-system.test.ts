import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { nodeFileSystem } from '../../src/persistence/node-file-system.ts';
import { sharedLayout, stages } from '../../src/persistence/protocol.ts';
import { stagedFileSystem } from '../../src/persistence/service-file-system.ts';
import { ServiceWords } from '../../src/persistence/service-words.ts';
import { faulty } from '../../src/testing/faulty-file-system.ts';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'holdfast-staged-'));
});
afterEach(() => rmSync(directory, { recursive: true }));

describe('a staged file system', () => {
  it('says in the shared words what call it is in and since when, also of calls that fail, and counts', () => {
    const shared = new SharedArrayBuffer(sharedLayout.bytes);
    const words = new Int32Array(shared);
    const longs = new BigInt64Array(shared);
    let now = 0;
    const seen: string[] = [];
    const everything = /./;
    const inner = faulty(nodeFileSystem, [
      {
        call: [
          ...(['create', 'openRead', 'write', 'read', 'truncate', 'fsync', 'fdatasync', 'close', 'link'] as const),
          ...(['rename', 'unlink', 'mkdir', 'readdir', 'lstat', 'directoryFsync', 'statfsType'] as const),
        ],
        path: everything,
        times: Number.POSITIVE_INFINITY,
        before: ({ call }) => {
          const stage = stages[Atomics.load(words, sharedLayout.stage)];
          const since = Atomics.load(longs, sharedLayout.stageSinceMicros);
          seen.push(`${call}: ${stage} ${Number(since) === now ? 'now' : 'at another time'}`);
        },
      },
    ]);
    const use = { fsyncs: 0, bytesWritten: 0 };
    const fs = stagedFileSystem(
      inner,
      new ServiceWords(shared, () => {
        now += 1;
        return now;
      }),
      use,
    );
    const path = join(directory, 'a');
    const file = fs.create(path);
    fs.write(file, Buffer.from('four'), 0, 4, 0);
    fs.truncate(file, 3);
    fs.fsync(file);
    fs.fdatasync(file);
    fs.close(file);
    const reading = fs.openRead(path);
    expect(fs.read(reading, Buffer.alloc(8), 0, 8, 0)).toBe(3);
    fs.close(reading);
    fs.link(path, `${path}2`);
    fs.rename(path, `${path}3`);
    fs.unlink(`${path}2`);
    fs.mkdir(join(directory, 'b'));
    expect(fs.readdir(directory)).toHaveLength(2);
    expect(fs.lstat(directory).kind).toBe('directory');
    fs.fsyncDirectory(directory);
    fs.statfsType(directory);
    expect(() => fs.unlink(path)).toThrow('ENOENT');
    expect(seen).toEqual([
      'create: open now',
      'write: write now',
      'truncate: truncate now',
      'fsync: fsync now',
      'fdatasync: fsync now',
      'close: close now',
      'openRead: open now',
      'read: read now',
      'close: close now',
      'link: link now',
      'rename: rename now',
      'unlink: unlink now',
      'mkdir: open now',
      'readdir: read now',
      'lstat: read now',
      'directoryFsync: directory fsync now',
      'statfsType: read now',
      'unlink: unlink now',
    ]);
    expect(stages[Atomics.load(words, sharedLayout.stage)]).toBe('idle');
    expect(use).toEqual({ fsyncs: 3, bytesWritten: 4 });
  });
});
