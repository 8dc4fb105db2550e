import { StateError } from '../model/errors.ts';
import { errnoName, errnoText, isErrno } from './errno.ts';
import type { FileHandle, FileSystem } from './file-system.ts';
import type { Stage } from './protocol.ts';

export { isErrno } from './errno.ts';

/**
 * Writes all of `bytes` at `position`, in as many calls as it takes. When it returns, the operating system has every byte
 * (nothing is durable yet). The count that each call returns is checked, because a full disk shows first as a short count.
 * @throws StateError WRITE_FAILED, with stage "write"; how much of the file was written is then unknown
 */
export function writeFully(fs: FileSystem, file: FileHandle, bytes: Uint8Array, position: number): void {
  let written = 0;
  while (written < bytes.length) {
    const left = bytes.length - written;
    const count = withStage('write', file.path, () => fs.write(file, bytes, written, left, position + written));
    if (!Number.isInteger(count) || count <= 0 || count > left) {
      throw new StateError(
        'WRITE_FAILED',
        `could not write ${file.path}: the system took ${count} of ${left} bytes without an error. ` +
          'The earlier state is unchanged; look at the free space and the health of the disk.',
        { details: { stage: 'write', errno: null, path: file.path }, retryable: true },
      );
    }
    written += count;
  }
}

/**
 * Runs one file call and turns what the operating system throws into a StateError: code WRITE_FAILED (READ_FAILED for the
 * stage "read"), retryable, with details `stage`, `errno` (such as "ENOSPC") and `path`. Any other error passes as it is.
 */
export function withStage<T>(stage: Stage, path: string, call: () => T): T {
  try {
    return call();
  } catch (error) {
    if (!isErrno(error)) throw error;
    // One call of the seam opens and fsyncs a directory; which of the two failed is known from the system call.
    const truly = stage === 'directory fsync' && error.syscall === 'open' ? 'directory open' : stage;
    const reading = stage === 'read';
    const errno = errnoName(error);
    throw new StateError(
      reading ? 'READ_FAILED' : 'WRITE_FAILED',
      `could not ${verbs[truly] ?? truly} ${path}: ${errnoText(error)}. ` +
        `${reading ? 'Nothing was changed' : 'The earlier state is unchanged'}; ${advice[errno] ?? 'look at the disk and the system log'}.`,
      { cause: error, details: { stage: truly, errno, path }, retryable: true },
    );
  }
}

const verbs: Partial<Record<Stage, string>> = {
  'directory open': 'open the directory',
  'directory fsync': 'fsync the directory',
  unlink: 'remove',
};

const advice: Readonly<Record<string, string>> = {
  ENOSPC: 'free space on its file system',
  EDQUOT: 'free space or raise the quota of this user',
  EROFS: 'the file system is read-only, often because the kernel gave it up: look at the system log',
  EIO: 'the device reported an error: look at the system log and replace the disk',
  EACCES: 'give this user the right to it (owner and mode of the directory)',
  EPERM: 'give this user the right to it (owner and mode of the directory)',
  EMFILE: 'raise the limit of open files of this process (ulimit -n)',
  EUCLEAN: 'the file system found itself damaged: look at the system log and check it',
  ENFILE: 'the machine has run out of open files: see what holds them',
};
