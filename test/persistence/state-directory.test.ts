import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { FileSystem } from '../../src/persistence/file-system.ts';
import { whyUnsafeFileSystem } from '../../src/persistence/file-system-kind.ts';
import { nodeFileSystem } from '../../src/persistence/node-file-system.ts';
import { defaultStateDirectory, prepareStateDirectory } from '../../src/persistence/state-directory.ts';
import { faulty } from '../../src/testing/faulty-file-system.ts';
import { temporaryDirectory } from '../support/checkpoint-fixtures.ts';

let home: string;
let dispose: () => void;
beforeEach(() => {
  const temporary = temporaryDirectory();
  home = temporary.path;
  dispose = () => temporary[Symbol.dispose]();
});
afterEach(() => dispose());

const state = () => join(home, 'a', 'state');
const mode = (path: string) => fs.statSync(path).mode & 0o777;
// Whatever /tmp is made of where the tests run, these look at what prepareStateDirectory does on a local disk.
const ext4 = 0xef53;
const local: FileSystem = { ...nodeFileSystem, statfsType: () => ext4 };
const prepare = (fileSystem = local, force = false) => prepareStateDirectory(fileSystem, state(), { force });
const unsafe = (why: RegExp, path = state()) =>
  expect.objectContaining({ code: 'STATE_DIRECTORY_UNSAFE', message: expect.stringMatching(why), details: { path } });

describe('defaultStateDirectory', () => {
  it('is what the environment says, as an absolute path, else a place in the home directory', () => {
    expect(defaultStateDirectory({ HOLDFAST_STATE_DIR: '/srv/state/' })).toBe('/srv/state');
    expect(defaultStateDirectory({ HOLDFAST_STATE_DIR: 'state' })).toBe(join(process.cwd(), 'state'));
    expect(defaultStateDirectory({ HOME: '/home/t' })).toBe('/home/t/.holdfast/state');
    expect(defaultStateDirectory({ HOLDFAST_STATE_DIR: '', HOME: '' })).toBe(join(homedir(), '.holdfast/state'));
  });
});

describe('prepareStateDirectory', () => {
  it('makes the directory, those above and those below, for this user alone', () => {
    const umask = process.umask(0);
    try {
      prepare();
    } finally {
      process.umask(umask);
    }
    for (const path of [join(home, 'a'), state(), join(state(), 'journal'), join(state(), 'quarantine')]) {
      expect(mode(path), path).toBe(0o700);
    }
  });

  it('makes every new name durable, from the top down to nothing that was there', () => {
    const disk = faulty(local);
    prepare(disk);
    const synced = disk.calls.filter(({ call }) => call === 'directoryFsync').map(({ path }) => path);
    expect(new Set(synced)).toEqual(new Set([state(), join(home, 'a'), home]));
  });

  it('is content with what is there and in order, and changes nothing', () => {
    prepare();
    fs.chmodSync(state(), 0o755);
    fs.writeFileSync(join(state(), 'lock.db'), 'x');
    const disk = faulty(local);
    prepare(disk);
    expect(mode(state())).toBe(0o755);
    expect(disk.calls.map(({ call }) => call).filter((call) => call !== 'lstat' && call !== 'statfsType')).toEqual([]);
  });

  it.each<[string, (path: string) => void, RegExp]>([
    ['a file', (path) => fs.writeFileSync(path, ''), /not a directory/],
    ['a link to a directory', (path) => fs.symlinkSync(home, path), /symbolic link/],
    ['a dangling link', (path) => fs.symlinkSync('nowhere', path), /symbolic link/],
    ['a pipe', (path) => execFileSync('mkfifo', [path]), /not a directory/],
    ['a directory that the group may write', (path) => makeWithMode(path, 0o770), /mode 0770.*chmod 700/],
    ['a directory that everybody may write', (path) => makeWithMode(path, 0o707), /mode 0707/],
    ['a directory like /tmp', (path) => makeWithMode(path, 0o1777), /mode 01777/],
  ])('refuses %s, in its own place and in that of its subdirectories', (_, make, why) => {
    fs.mkdirSync(join(home, 'a'));
    make(state());
    expect(() => prepare()).toThrow(unsafe(why));
    fs.rmSync(state(), { recursive: true });
    for (const name of ['journal', 'quarantine']) {
      const path = join(state(), name);
      fs.mkdirSync(state(), { mode: 0o700 });
      make(path);
      expect(() => prepare()).toThrow(unsafe(why, path));
      fs.rmSync(state(), { recursive: true });
    }
  });

  it.runIf(process.getuid?.() === 0)('refuses a directory of another user, also for root', () => {
    prepare();
    fs.chownSync(state(), 65_534, 65_534);
    expect(() => prepare()).toThrow(unsafe(/belongs to user 65534 and this is user 0/));
  });

  it('refuses a link also when its name is given with a slash at the end', () => {
    fs.mkdirSync(join(home, 'true'), { mode: 0o700 });
    fs.symlinkSync(join(home, 'true'), join(home, 'link'));
    expect(() => prepareStateDirectory(local, `${join(home, 'link')}/`, { force: false })).toThrow(
      unsafe(/symbolic link/, join(home, 'link')),
    );
  });

  it('says so where a file stands above the directory', () => {
    fs.writeFileSync(join(home, 'a'), '');
    expect(() => prepare()).toThrow(expect.objectContaining({ code: 'WRITE_FAILED' }));
  });

  it.each([
    ['NFS', 0x6969],
    ['SMB', 0x517b],
    ['CIFS', 0xff534d42],
    ['SMB2', 0xfe534d42],
    ['tmpfs', 0x01021994],
    ['ramfs', 0x858458f6],
    ['FUSE', 0x65735546],
    ['9p', 0x01021997],
    ['Ceph', 0x00c36400],
  ])('refuses %s before it makes anything there, unless forced', (name, type) => {
    const disk = { ...nodeFileSystem, statfsType: () => type };
    expect(() => prepare(disk)).toThrow(
      expect.objectContaining({ code: 'STATE_DIRECTORY_UNSUPPORTED', message: expect.stringContaining(name) }),
    );
    expect(fs.readdirSync(home)).toEqual([]);
    prepare(disk, true);
    expect(fs.readdirSync(state())).toEqual(['journal', 'quarantine']);
  });

  it.each([
    ['ext', ext4],
    ['XFS', 0x58465342],
    ['Btrfs', 0x9123683e],
    ['overlay', 0x794c7630],
    ['ZFS', 0x2fc12fc1],
  ])('takes %s', (_, type) => {
    expect(whyUnsafeFileSystem(type)).toBeNull();
  });

  it.runIf(fs.existsSync('/dev/shm'))('knows memory when it sees it', () => {
    expect(whyUnsafeFileSystem(nodeFileSystem.statfsType('/dev/shm'))).toMatch(/memory/);
  });

  it.each(['mkdir', 'directoryOpen', 'directoryFsync', 'lstat', 'statfsType'] as const)(
    'says that %s failed',
    (call) => {
      expect(() => prepare(faulty(local, [{ call, errno: 'EIO' }]))).toThrow(
        expect.objectContaining({ name: 'StateError', details: expect.objectContaining({ errno: 'EIO' }) }),
      );
    },
  );
});

function makeWithMode(path: string, to: number): void {
  fs.mkdirSync(path);
  fs.chmodSync(path, to);
}
