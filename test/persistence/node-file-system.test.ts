import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { nodeFileSystem } from '../../src/persistence/node-file-system.ts';
import { temporaryDirectory } from '../support/checkpoint-fixtures.ts';

let directory: string;
let dispose: () => void;
beforeEach(() => {
  const temporary = temporaryDirectory();
  directory = temporary.path;
  dispose = () => temporary[Symbol.dispose]();
});
afterEach(() => dispose());
const path = (name: string) => join(directory, name);
const refused = (code: string, syscall: string) =>
  expect.objectContaining({ code, syscall, path: expect.stringContaining(directory) });

describe('create', () => {
  it('makes a file that only this user can read or write, whatever the umask', () => {
    const umask = process.umask(0);
    try {
      nodeFileSystem.close(nodeFileSystem.create(path('a')));
    } finally {
      process.umask(umask);
    }
    expect(fs.statSync(path('a')).mode & 0o777).toBe(0o600);
  });

  it('refuses a name that is taken, by a file or by a link that leads nowhere', () => {
    fs.writeFileSync(path('a'), 'mine');
    fs.symlinkSync(path('target'), path('b'));
    for (const name of ['a', 'b']) expect(() => nodeFileSystem.create(path(name))).toThrow(refused('EEXIST', 'open'));
    expect(fs.readFileSync(path('a'), 'utf8')).toBe('mine');
    expect(fs.existsSync(path('target'))).toBe(false);
  });
});

describe('mkdir', () => {
  it('makes what is missing above as well, for this user alone, and is content with what is there', () => {
    nodeFileSystem.mkdir(path('a/b/c'));
    nodeFileSystem.mkdir(path('a/b/c'));
    for (const name of ['a', 'a/b', 'a/b/c']) expect(fs.statSync(path(name)).mode & 0o777, name).toBe(0o700);
  });

  it('refuses a file and a link that leads nowhere, also above', () => {
    fs.writeFileSync(path('file'), '');
    fs.symlinkSync(path('nowhere'), path('link'));
    expect(() => nodeFileSystem.mkdir(path('file'))).toThrow(refused('EEXIST', 'mkdir'));
    expect(() => nodeFileSystem.mkdir(path('file/a'))).toThrow(refused('ENOTDIR', 'mkdir'));
    expect(() => nodeFileSystem.mkdir(path('link/a'))).toThrow(refused('EEXIST', 'mkdir'));
  });

  it.skipIf(process.platform !== 'linux')('ends where a directory that is there takes no new names', () => {
    expect(() => nodeFileSystem.mkdir('/proc/holdfast/state')).toThrow(expect.objectContaining({ code: 'ENOENT' }));
  });
});

describe('openRead', () => {
  it('refuses what is no regular file, without waiting for anybody', async () => {
    fs.mkdirSync(path('directory'));
    fs.writeFileSync(path('file'), '');
    fs.symlinkSync(path('file'), path('link'));
    execFileSync('mkfifo', [path('pipe')]);
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(path('socket'), resolve));
    expect(() => nodeFileSystem.openRead(path('directory'))).toThrow(refused('EISDIR', 'open'));
    expect(() => nodeFileSystem.openRead(path('link'))).toThrow(refused('ELOOP', 'open'));
    expect(() => nodeFileSystem.openRead(path('pipe'))).toThrow(refused('EINVAL', 'open'));
    expect(() => nodeFileSystem.openRead(path('socket'))).toThrow(refused('ENXIO', 'open'));
    expect(() => nodeFileSystem.openRead(path('nothing'))).toThrow(refused('ENOENT', 'open'));
    await new Promise((resolve) => server.close(resolve));
  });

  it('leaves no descriptor open for what it refuses', () => {
    const open = () => fs.readdirSync('/proc/self/fd').length;
    fs.mkdirSync(path('directory'));
    const before = open();
    for (let attempt = 0; attempt < 5; attempt++) expect(() => nodeFileSystem.openRead(path('directory'))).toThrow();
    expect(open()).toBe(before);
  });
});

it('writes and reads at the positions that it is told', () => {
  const file = nodeFileSystem.create(path('a'));
  expect(nodeFileSystem.write(file, Buffer.from('-hello-'), 1, 5, 2)).toBe(5);
  nodeFileSystem.truncate(file, 6);
  nodeFileSystem.fsync(file);
  nodeFileSystem.fdatasync(file);
  nodeFileSystem.close(file);
  const bytes = new Uint8Array(8);
  const read = nodeFileSystem.openRead(path('a'));
  expect(nodeFileSystem.read(read, bytes, 1, 4, 2)).toBe(4);
  expect(nodeFileSystem.read(read, bytes, 0, 8, 6)).toBe(0);
  nodeFileSystem.close(read);
  expect(Buffer.from(bytes).toString()).toBe('\0hell\0\0\0');
});

it('says which file it was also where the call has only a descriptor', () => {
  const file = nodeFileSystem.create(path('a'));
  nodeFileSystem.close(file);
  const one = new Uint8Array(1);
  expect(() => nodeFileSystem.write(file, one, 0, 1, 0)).toThrow(refused('EBADF', 'write'));
  expect(() => nodeFileSystem.read(file, one, 0, 1, 0)).toThrow(refused('EBADF', 'read'));
  expect(() => nodeFileSystem.fsync(file)).toThrow(refused('EBADF', 'fsync'));
  expect(() => nodeFileSystem.fdatasync(file)).toThrow(refused('EBADF', 'fdatasync'));
  expect(() => nodeFileSystem.truncate(file, 0)).toThrow(refused('EBADF', 'ftruncate'));
  expect(() => nodeFileSystem.close(file)).toThrow(refused('EBADF', 'close'));
});

it('links without replacing, renames with replacing, and removes', () => {
  fs.writeFileSync(path('a'), 'a');
  fs.writeFileSync(path('b'), 'b');
  expect(() => nodeFileSystem.link(path('a'), path('b'))).toThrow(refused('EEXIST', 'link'));
  nodeFileSystem.link(path('a'), path('c'));
  nodeFileSystem.rename(path('a'), path('b'));
  expect(nodeFileSystem.readdir(directory).sort()).toEqual(['b', 'c']);
  expect(nodeFileSystem.lstat(path('b')).inode).toBe(nodeFileSystem.lstat(path('c')).inode);
  nodeFileSystem.unlink(path('b'));
  expect(fs.readFileSync(path('c'), 'utf8')).toBe('a');
});

it('makes directories for this user alone, with those above, and is content where they are', () => {
  nodeFileSystem.mkdir(path('a/b'));
  nodeFileSystem.mkdir(path('a/b'));
  for (const name of ['a', 'a/b']) expect(fs.statSync(path(name)).mode & 0o777).toBe(0o700);
});

it('tells what a name is without following it', () => {
  fs.writeFileSync(path('file'), 'four', { mode: 0o640 });
  fs.symlinkSync('file', path('link'));
  execFileSync('mkfifo', [path('pipe')]);
  const kinds = ['file', 'link', 'pipe', '.'].map((name) => nodeFileSystem.lstat(path(name)).kind);
  expect(kinds).toEqual(['file', 'symlink', 'pipe', 'directory']);
  expect(nodeFileSystem.lstat(path('file'))).toMatchObject({ size: 4, mode: 0o640, uid: process.getuid?.() });
});

it('fsyncs a directory, and nothing else', () => {
  fs.writeFileSync(path('file'), '');
  nodeFileSystem.fsyncDirectory(directory);
  expect(() => nodeFileSystem.fsyncDirectory(path('file'))).toThrow(refused('ENOTDIR', 'open'));
  expect(() => nodeFileSystem.fsyncDirectory(path('nothing'))).toThrow(refused('ENOENT', 'open'));
});

it.runIf(fs.existsSync('/proc/self'))('tells the type of a file system', () => {
  expect(nodeFileSystem.statfsType('/proc')).toBe(0x9fa0);
});
