import fs from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { nodeFileSystem } from '../../src/persistence/node-file-system.ts';
import { bootId, processStart } from '../../src/persistence/process-identity.ts';
import {
  type Holder,
  readHolder,
  readStatus,
  type StatusFile,
  writeHolder,
  writeStatus,
} from '../../src/persistence/status-file.ts';
import { faulty } from '../../src/testing/faulty-file-system.ts';
import { at, temporaryDirectory } from '../support/checkpoint-fixtures.ts';

const status: StatusFile = {
  updated_at: at,
  host: 'trader-1',
  pid: 7,
  epoch: 3,
  incarnation: 1,
  phase: 'trading',
  durable_sequence: 48_213,
  received_sequence: 48_214,
  durable_lag_ms: 1.25,
  journal_bytes: 4096,
  segments: 2,
  last_checkpoint_at: null,
  last_error: null,
};
const holder: Holder = { pid: 7, process_start: '99', boot_id: null, host: 'trader-1', since: at, epoch: 3 };

let directory: string;
let dispose: () => void;
beforeEach(() => {
  const temporary = temporaryDirectory();
  directory = temporary.path;
  dispose = () => temporary[Symbol.dispose]();
});
afterEach(() => dispose());

describe('status.json and holder.json', () => {
  it('come back as they were written, and a new one replaces the old', () => {
    writeStatus(nodeFileSystem, directory, { ...status, phase: 'restoring' });
    writeStatus(nodeFileSystem, directory, status);
    writeHolder(nodeFileSystem, directory, holder);
    expect(readStatus(nodeFileSystem, directory)).toEqual(status);
    expect(readHolder(nodeFileSystem, directory)).toEqual(holder);
    expect(fs.readdirSync(directory).sort()).toEqual(['holder.json', 'status.json']);
  });

  it('are written without an fsync, since they are for information only', () => {
    const disk = faulty(nodeFileSystem);
    writeStatus(disk, directory, status);
    expect(disk.calls.map(({ call }) => call)).toEqual(['create', 'write', 'close', 'rename']);
  });

  it('leave the old one and no temporary file when they cannot be written', () => {
    writeStatus(nodeFileSystem, directory, status);
    for (const call of ['create', 'write', 'close', 'rename'] as const) {
      const disk = faulty(nodeFileSystem, [{ call, errno: 'ENOSPC' }]);
      expect(() => writeStatus(disk, directory, { ...status, phase: 'halted' })).toThrow(
        expect.objectContaining({ code: 'WRITE_FAILED', details: expect.objectContaining({ errno: 'ENOSPC' }) }),
      );
    }
    expect(readStatus(nodeFileSystem, directory)).toEqual(status);
    expect(fs.readdirSync(directory)).toEqual(['status.json']);
  });

  it('tell the first error when the temporary file cannot be removed either', () => {
    const disk = faulty(nodeFileSystem, [
      { call: 'rename', errno: 'EIO' },
      { call: 'unlink', errno: 'EACCES' },
    ]);
    expect(() => writeStatus(disk, directory, status)).toThrow(
      expect.objectContaining({ message: expect.stringContaining('EIO') }),
    );
  });

  it.each<[string, (path: string) => void]>([
    ['there is none', () => {}],
    ['it is half a file', (path) => fs.writeFileSync(path, '{"pid": 7,')],
    ['it is empty', (path) => fs.writeFileSync(path, '')],
    ['it is something else', (path) => fs.writeFileSync(path, '[1]')],
    [
      'it is too long',
      (path) => fs.writeFileSync(path, JSON.stringify({ ...status, ...holder, more: 'x'.repeat(70_000) })),
    ],
    ['it is a directory', (path) => fs.mkdirSync(path)],
    ['it is a link', (path) => fs.symlinkSync('elsewhere', path)],
    ['a figure is no figure', (path) => fs.writeFileSync(path, JSON.stringify({ ...status, ...holder, epoch: '3' }))],
  ])('read as nothing where %s', (_, make) => {
    make(join(directory, 'status.json'));
    make(join(directory, 'holder.json'));
    expect(readStatus(nodeFileSystem, directory)).toBeNull();
    expect(readHolder(nodeFileSystem, directory)).toBeNull();
  });

  it('may have fields that only a newer version knows', () => {
    fs.writeFileSync(join(directory, 'holder.json'), JSON.stringify({ ...holder, lease: 'x' }));
    expect(readHolder(nodeFileSystem, directory)).toEqual(holder);
  });
});

describe.runIf(process.platform === 'linux')('the identity of a process', () => {
  it('is when it began, in ticks, and the boot that it lives in', () => {
    const stat = fs.readFileSync('/proc/self/stat', 'utf8');
    expect(processStart()).toMatch(/^\d+$/);
    expect(stat.split(' ')).toContain(processStart());
    expect(bootId()).toMatch(/^[0-9a-f-]{36}$/);
  });

  it('is not disturbed by what a process calls itself', () => {
    const title = process.title;
    const start = processStart();
    process.title = 'a) b (c 1 2';
    expect(processStart()).toBe(start);
    process.title = title;
  });
});
