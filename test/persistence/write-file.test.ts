import { describe, expect, it } from 'vitest';
import { errnoError, errnoName, errnoText, isErrno } from '../../src/persistence/errno.ts';
import type { FileHandle, FileSystem } from '../../src/persistence/file-system.ts';
import { nodeFileSystem } from '../../src/persistence/node-file-system.ts';
import { withStage, writeFully } from '../../src/persistence/write-file.ts';

const file: FileHandle = { fd: -1, path: '/state/s' };

/** Takes at most what `counts` say, one after the other, and keeps what it took. */
function disk(counts: readonly number[]): FileSystem & { readonly bytes: Map<number, number> } {
  const bytes = new Map<number, number>();
  let call = 0;
  return {
    ...nodeFileSystem,
    bytes,
    write(_, from, offset, length, position) {
      const count = counts[call++] ?? length;
      for (let index = 0; index < Math.min(count, length); index++)
        bytes.set(position + index, Number(from[offset + index]));
      return count;
    },
  };
}

describe('writeFully', () => {
  it('goes on after short counts where the last one ended', () => {
    const bytes = Uint8Array.from({ length: 50 }, (_, index) => index);
    const fs = disk([1, 2, 3, 10]);
    writeFully(fs, file, bytes, 1000);
    expect([...fs.bytes]).toEqual([...bytes].map((byte, index) => [1000 + index, byte]));
  });

  it('makes no call for nothing', () => {
    const fs = { ...disk([]), write: () => expect.unreachable() };
    writeFully(fs, file, new Uint8Array(0), 0);
  });

  it.each([0, -1, 51, Number.NaN, 1.5])('does not believe a count of %d of 50', (count) => {
    expect(() => writeFully(disk([count]), file, new Uint8Array(50), 0)).toThrow(
      expect.objectContaining({ code: 'WRITE_FAILED', details: { stage: 'write', errno: null, path: '/state/s' } }),
    );
  });

  it('says what the system said', () => {
    const fs: FileSystem = {
      ...disk([]),
      write() {
        throw errnoError('ENOSPC', 'write', '/state/s');
      },
    };
    expect(() => writeFully(fs, file, new Uint8Array(1), 0)).toThrow(
      expect.objectContaining({
        code: 'WRITE_FAILED',
        retryable: true,
        details: { stage: 'write', errno: 'ENOSPC', path: '/state/s' },
        message: expect.stringMatching(/write \/state\/s: ENOSPC.*free space/),
      }),
    );
  });
});

describe('withStage', () => {
  const failing = (name: string, syscall: string) => () => {
    throw errnoError(name, syscall, '/state');
  };

  it('gives back what the call gives', () => {
    expect(withStage('open', '/state', () => 7)).toBe(7);
  });

  it('passes on any error that is none of the system', () => {
    const error = new TypeError('a bug');
    expect(() => withStage('write', '/state', () => failWith(error))).toThrow(error);
  });

  it('tells which half of a directory fsync failed', () => {
    const stage = (syscall: string) => {
      try {
        withStage('directory fsync', '/state', failing('EIO', syscall));
      } catch (error) {
        return (error as { details: { stage: string } }).details.stage;
      }
      return 'no error';
    };
    expect([stage('open'), stage('fsync')]).toEqual(['directory open', 'directory fsync']);
  });

  it('calls a failed read READ_FAILED', () => {
    expect(() => withStage('read', '/state', failing('EACCES', 'open'))).toThrow(
      expect.objectContaining({ code: 'READ_FAILED', message: expect.stringContaining('Nothing was changed') }),
    );
  });

  it.runIf(process.platform === 'linux').each([
    ['EDQUOT', /EDQUOT: disk quota exceeded, fsync.*quota/],
    ['EUCLEAN', /EUCLEAN: structure needs cleaning, fsync.*check it/],
    ['ESTALE', /ESTALE: stale file handle, fsync/],
    ['EROFS', /EROFS: read-only file system, fsync.*system log/],
    ['EREMOTEIO', /EREMOTEIO: remote I\/O error, fsync/],
  ])('names %s, also where Node has no name for it', (name, message) => {
    expect(() => withStage('fsync', '/state', failing(name, 'fsync'))).toThrow(
      expect.objectContaining({
        message: expect.stringMatching(message),
        details: { stage: 'fsync', errno: name, path: '/state' },
      }),
    );
  });
});

describe('errno', () => {
  it('is told from other errors with a code', () => {
    expect(isErrno(errnoError('EIO', 'read', '/'))).toBe(true);
    expect(isErrno(errnoError('EIO', 'read', '/'), 'EIO')).toBe(true);
    expect(isErrno(errnoError('EIO', 'read', '/'), 'ENOENT')).toBe(false);
    expect(isErrno(Object.assign(new Error('x'), { code: 'ERR_INVALID_ARG_TYPE' }))).toBe(false);
    expect(isErrno('EIO')).toBe(false);
  });

  it('has its name also where Node calls it unknown, as write and read do', () => {
    const message = 'UNKNOWN: unknown error, write';
    const error = Object.assign(new Error(message), { code: 'UNKNOWN', errno: -122, syscall: 'write' });
    expect(errnoName(error)).toBe('EDQUOT');
    expect(errnoText(error)).toBe('EDQUOT: disk quota exceeded, write');
  });

  it('keeps a number that nobody has a name for', () => {
    const error = Object.assign(errnoError('EIO', 'read', '/'), { code: 'Unknown system error -9999', errno: -9999 });
    expect(errnoName(error)).toBe('Unknown system error -9999');
  });

  it('refuses to make up an error that the platform does not have', () => {
    expect(() => errnoError('EWHATEVER', 'read', '/')).toThrow(RangeError);
  });
});

function failWith(error: Error): never {
  throw error;
}
