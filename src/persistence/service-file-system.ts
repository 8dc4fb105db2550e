import type { FileSystem } from './file-system.ts';
import type { Stage } from './protocol.ts';
import type { ServiceWords } from './service-words.ts';

/** What went through a file system since it was made. */
export interface FileSystemUse {
  fsyncs: number;
  bytesWritten: number;
}

/**
 * A file system that says in the shared words what call it is in, so that the engine's thread can tell a slow disk from a busy
 * worker, and counts what it did. Reading an entry's facts (lstat, readdir, statfs) counts as reading.
 */
export function stagedFileSystem(inner: FileSystem, words: ServiceWords, use: FileSystemUse): FileSystem {
  const staged =
    <Arguments extends unknown[], Result>(stage: Stage, call: (...args: Arguments) => Result) =>
    (...args: Arguments): Result => {
      words.enter(stage);
      try {
        return call(...args);
      } finally {
        words.leave();
      }
    };
  const write = staged('write', inner.write.bind(inner));
  const counted =
    <Argument>(call: (argument: Argument) => void) =>
    (argument: Argument): void => {
      use.fsyncs += 1;
      call(argument);
    };
  return {
    create: staged('open', inner.create.bind(inner)),
    openRead: staged('open', inner.openRead.bind(inner)),
    write(...args) {
      const count = write(...args);
      use.bytesWritten += count;
      return count;
    },
    read: staged('read', inner.read.bind(inner)),
    truncate: staged('truncate', inner.truncate.bind(inner)),
    fsync: counted(staged('fsync', inner.fsync.bind(inner))),
    fdatasync: counted(staged('fsync', inner.fdatasync.bind(inner))),
    close: staged('close', inner.close.bind(inner)),
    link: staged('link', inner.link.bind(inner)),
    rename: staged('rename', inner.rename.bind(inner)),
    unlink: staged('unlink', inner.unlink.bind(inner)),
    mkdir: staged('open', inner.mkdir.bind(inner)),
    readdir: staged('read', inner.readdir.bind(inner)),
    lstat: staged('read', inner.lstat.bind(inner)),
    fsyncDirectory: counted(staged('directory fsync', inner.fsyncDirectory.bind(inner))),
    statfsType: staged('read', inner.statfsType.bind(inner)),
  };
}
