import fs from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { nodeFileSystem } from '../../src/persistence/node-file-system.ts';
import { createFileSystem, type FaultRule, faulty } from '../../src/testing/faulty-file-system.ts';
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
const disk = (...rules: FaultRule[]) => faulty(nodeFileSystem, rules);
const outcome = (call: () => unknown) => {
  try {
    call();
    return 'done';
  } catch (error) {
    return (error as NodeJS.ErrnoException).code;
  }
};

describe('a faulty file system', () => {
  it('without rules does what the one below does, and logs it', () => {
    const good = disk();
    const file = good.create(path('a'));
    expect(good.write(file, Buffer.from('hello'), 0, 5, 0)).toBe(5);
    good.fsync(file);
    good.fdatasync(file);
    good.truncate(file, 4);
    good.close(file);
    good.link(path('a'), path('b'));
    good.rename(path('b'), path('c'));
    good.fsyncDirectory(directory);
    good.mkdir(path('d'));
    const read = good.openRead(path('c'));
    const bytes = new Uint8Array(9);
    expect(good.read(read, bytes, 0, 9, 0)).toBe(4);
    good.close(read);
    good.unlink(path('c'));
    expect(good.readdir(directory).sort()).toEqual(['a', 'd']);
    expect(good.lstat(path('a'))).toEqual(nodeFileSystem.lstat(path('a')));
    expect(good.statfsType(directory)).toBe(nodeFileSystem.statfsType(directory));
    expect(good.calls.map(({ call }) => call)).toEqual([
      'create',
      'write',
      'fsync',
      'fdatasync',
      'truncate',
      'close',
      'link',
      'rename',
      'directoryOpen',
      'directoryFsync',
      'mkdir',
      'openRead',
      'read',
      'close',
      'unlink',
      'readdir',
      'lstat',
      'statfsType',
    ]);
    expect(good.calls[6]).toEqual({ call: 'link', path: path('a'), to: path('b'), fault: null });
    good.clearCalls();
    expect(good.calls).toEqual([]);
  });

  it('fails with the errors that node:fs throws', () => {
    const real = thrownBy(() => fs.unlinkSync(path('nothing')));
    const bad = disk({ call: 'unlink', errno: 'ENOENT' });
    expect(() => bad.unlink(path('nothing'))).toThrow(expect.objectContaining({ ...real, message: real.message }));
    expect(bad.calls).toEqual([{ call: 'unlink', path: path('nothing'), to: null, fault: 'ENOENT' }]);
  });

  it('fails at the nth call that matches, as often as it is told', () => {
    const bad = disk({ call: 'readdir', nth: 2, times: 2, errno: 'EIO' });
    expect([1, 2, 3, 4].map(() => outcome(() => bad.readdir(directory)))).toEqual(['done', 'EIO', 'EIO', 'done']);
    const dead = disk({ call: 'readdir', times: Number.POSITIVE_INFINITY, errno: 'EIO' });
    expect([1, 2, 3].map(() => outcome(() => dead.readdir(directory)))).toEqual(['EIO', 'EIO', 'EIO']);
  });

  it('looks at paths, of link and rename at both', () => {
    fs.writeFileSync(path('a'), '');
    const bad = disk({ call: ['link', 'lstat'], path: /b$/, errno: 'EIO', times: 9 });
    expect(outcome(() => bad.lstat(path('a')))).toBe('done');
    expect(outcome(() => bad.lstat(path('b')))).toBe('EIO');
    expect(outcome(() => bad.link(path('a'), path('b')))).toBe('EIO');
    expect(outcome(() => bad.link(path('a'), path('c')))).toBe('done');
    bad.setRules([{ call: 'lstat', path: 'holdfast-', errno: 'EIO' }]);
    expect(outcome(() => bad.lstat(path('a')))).toBe('EIO');
  });

  it('gives short counts, truly', () => {
    const short = disk({ call: 'write', count: 2 }, { call: 'read', count: 1 });
    const file = short.create(path('a'));
    expect(short.write(file, Buffer.from('hello'), 0, 5, 0)).toBe(2);
    short.close(file);
    expect(fs.readFileSync(path('a'), 'utf8')).toBe('he');
    const read = short.openRead(path('a'));
    expect(short.read(read, new Uint8Array(9), 0, 9, 0)).toBe(1);
    short.close(read);
  });

  it('can do the work and report an error all the same, as a close always does', () => {
    const bad = disk({ call: 'rename', errno: 'EIO', done: true }, { call: 'close', errno: 'EIO' });
    const file = bad.create(path('a'));
    expect(outcome(() => bad.close(file))).toBe('EIO');
    expect(outcome(() => fs.closeSync(file.fd))).toBe('EBADF');
    expect(outcome(() => bad.rename(path('a'), path('b')))).toBe('EIO');
    expect(fs.existsSync(path('b'))).toBe(true);
  });

  it('tells the two halves of a directory fsync apart', () => {
    const bad = disk({ call: 'directoryOpen', errno: 'EMFILE' }, { call: 'directoryFsync', errno: 'EIO' });
    expect(() => bad.fsyncDirectory(directory)).toThrow(expect.objectContaining({ code: 'EMFILE', syscall: 'open' }));
    expect(() => bad.fsyncDirectory(directory)).toThrow(expect.objectContaining({ code: 'EIO', syscall: 'fsync' }));
    expect(outcome(() => bad.fsyncDirectory(directory))).toBe('done');
  });

  it('lets a test look on before a call, and make it wait', () => {
    const seen: string[] = [];
    const slow = disk({ call: 'readdir', delayMs: 30, before: ({ call }) => seen.push(call) });
    const start = performance.now();
    slow.readdir(directory);
    expect(performance.now() - start).toBeGreaterThanOrEqual(29);
    expect(seen).toEqual(['readdir']);
  });

  it('can be switched on and off from another thread, and made by module and options', () => {
    const on = new SharedArrayBuffer(4);
    const bad = createFileSystem({
      rules: [{ call: 'readdir', errno: 'EIO', times: Number.POSITIVE_INFINITY, while: on }],
    });
    expect(outcome(() => bad.readdir(directory))).toBe('done');
    Atomics.store(new Int32Array(on), 0, 1);
    expect(outcome(() => bad.readdir(directory))).toBe('EIO');
    Atomics.store(new Int32Array(on), 0, 0);
    expect(outcome(() => bad.readdir(directory))).toBe('done');
    expect(outcome(() => createFileSystem().readdir(directory))).toBe('done');
  });
});

function thrownBy(call: () => unknown): Error {
  try {
    call();
  } catch (error) {
    return error as Error;
  }
  throw new RangeError('it did not throw');
}
