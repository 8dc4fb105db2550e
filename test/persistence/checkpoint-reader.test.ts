import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { CheckpointStore } from '../../src/persistence/checkpoint-store.ts';
import { nodeFileSystem } from '../../src/persistence/node-file-system.ts';
import { faulty } from '../../src/testing/faulty-file-system.ts';
import { itemOf, temporaryDirectory } from '../support/checkpoint-fixtures.ts';

const file = 's_checkpoint.json';
const { bytes } = itemOf('s', 1, 1);
let directory: string;
let dispose: () => void;
beforeEach(() => {
  const temporary = temporaryDirectory();
  directory = temporary.path;
  dispose = () => temporary[Symbol.dispose]();
});
afterEach(() => dispose());

const path = () => join(directory, file);
const put = (mode = 0o600) => {
  fs.writeFileSync(path(), bytes);
  fs.chmodSync(path(), mode);
};
const read = (fileSystem = nodeFileSystem, bytesMax = 10_000) =>
  new CheckpointStore(fileSystem, directory, { generations: 3, bytesMax }).read(file);
const root = process.getuid?.() === 0;

describe('a checkpoint file', () => {
  it('is read, also when its group may write it, as a usual umask makes it', () => {
    for (const mode of [0o600, 0o644, 0o664]) {
      put(mode);
      expect(read().kind).toBe('ok');
    }
  });

  it('that went away is gone', () => {
    expect(read()).toEqual({ kind: 'gone' });
  });

  it('that goes away between two calls is gone', () => {
    put();
    const disk = faulty(nodeFileSystem, [{ call: 'openRead', before: () => fs.unlinkSync(path()) }]);
    expect(read(disk)).toEqual({ kind: 'gone' });
  });

  it.each<[string, () => void, RegExp]>([
    ['a symbolic link', () => fs.symlinkSync('elsewhere', path()), /symbolic link/],
    ['a link to a true one', () => linkToTrue(), /symbolic link/],
    ['a directory', () => fs.mkdirSync(path()), /directory/],
    ['a pipe', () => execFileSync('mkfifo', [path()]), /pipe/],
    ['a device', () => fs.symlinkSync('/dev/zero', path()), /symbolic link/],
    ['writable by everybody', () => put(0o666), /everybody can write it \(mode 0666\)/],
    ['too long', () => fs.writeFileSync(path(), Buffer.alloc(10_001)), /longer than 10000 bytes/],
  ])('that is %s is damaged, and stays as it is', (_, make, why) => {
    make();
    const before = fs.lstatSync(path()).ino;
    expect(read()).toEqual({ kind: 'damaged', why: expect.stringMatching(why) });
    expect(fs.lstatSync(path()).ino).toBe(before);
  });

  it.runIf(root)('that belongs to another user than the directory is damaged', () => {
    put();
    fs.chownSync(path(), 65_534, 65_534);
    expect(read()).toEqual({ kind: 'damaged', why: expect.stringContaining('belongs to user 65534') });
  });

  it.runIf(root)('that belongs to the owner of the directory is read by root too', () => {
    put();
    for (const name of [path(), directory]) fs.chownSync(name, 65_534, 65_534);
    expect(read().kind).toBe('ok');
  });

  it('that becomes a link between two calls is damaged', () => {
    put();
    const swap = () => {
      fs.renameSync(path(), `${path()}.moved`);
      fs.symlinkSync(`${path()}.moved`, path());
    };
    expect(read(faulty(nodeFileSystem, [{ call: 'openRead', before: swap }]))).toMatchObject({ kind: 'damaged' });
  });

  it('that grows beyond the limit while it is read is not read further', () => {
    put();
    const grow = () => fs.appendFileSync(path(), Buffer.alloc(20_000));
    const disk = faulty(nodeFileSystem, [{ call: 'read', before: grow }]);
    expect(read(disk)).toEqual({ kind: 'damaged', why: expect.stringContaining('longer than') });
  });

  it.each(['openRead', 'read'] as const)('on a bad sector (%s reports EIO) is damaged', (call) => {
    put();
    expect(read(faulty(nodeFileSystem, [{ call, errno: 'EIO' }]))).toMatchObject({ kind: 'damaged' });
  });

  it.each(['EMFILE', 'EACCES', 'ENOMEM'])('that %s keeps from being read is no damaged one', (errno) => {
    put();
    expect(() => read(faulty(nodeFileSystem, [{ call: 'openRead', errno }]))).toThrow(
      expect.objectContaining({ code: 'READ_FAILED', details: { stage: 'read', errno, path: path() } }),
    );
  });

  it('is read whole whatever short counts the system gives', () => {
    put();
    const disk = faulty(nodeFileSystem, [{ call: 'read', count: 1, times: Number.POSITIVE_INFINITY }]);
    expect(read(disk).kind).toBe('ok');
  });

  it.each(['../s_checkpoint.json', 'sub/s_checkpoint.json', '/etc/passwd', 's.json', ''])(
    'is never looked for at %j',
    (name) => {
      const store = new CheckpointStore(nodeFileSystem, directory, { generations: 3 });
      expect(() => store.read(name)).toThrow(expect.objectContaining({ code: 'CHECKPOINT_NAME_INVALID' }));
    },
  );
});

function linkToTrue(): void {
  fs.writeFileSync(`${path()}.true`, bytes, { mode: 0o600 });
  fs.symlinkSync(`${path()}.true`, path());
}
