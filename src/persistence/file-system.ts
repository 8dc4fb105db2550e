/**
 * The seam between persistence and the operating system: every file call that persistence makes, synchronous, because the
 * persistence worker has a thread of its own and the thread pool belongs to the whole process (docs/decisions). Implementations:
 * node:fs here, a faulty one and a model of a disk under src/testing.
 *
 * Every call throws a NodeJS.ErrnoException with `code`, `syscall` and `path` when it fails. A file name is always absolute.
 */
export interface FileSystem {
  /** Opens a new file for writing: exclusive, never through a symbolic link, mode 0600. */
  create(path: string): FileHandle;
  /** Opens an existing regular file for reading, never through a symbolic link. */
  openRead(path: string): FileHandle;
  /** Returns the count written, which may be short: the caller loops. */
  write(file: FileHandle, bytes: Uint8Array, offset: number, length: number, position: number): number;
  /** Returns the count read; 0 at the end. */
  read(file: FileHandle, bytes: Uint8Array, offset: number, length: number, position: number): number;
  truncate(file: FileHandle, length: number): void;
  fsync(file: FileHandle): void;
  fdatasync(file: FileHandle): void;
  close(file: FileHandle): void;
  /** A second name for a file; fails with EEXIST where `to` exists. */
  link(from: string, to: string): void;
  rename(from: string, to: string): void;
  unlink(path: string): void;
  /** Mode 0700; parents too; no error where it exists. */
  mkdir(path: string): void;
  readdir(path: string): string[];
  lstat(path: string): FileStat;
  /** Opens a directory, fsyncs it, closes it: makes names durable. `stage` of an error is 'directory open' or 'directory fsync'. */
  fsyncDirectory(path: string): void;
  /** The file system's type as statfs tells it, for refusing network and memory file systems. */
  statfsType(path: string): number;
}

/** Opaque; on node:fs a file descriptor. `path` is for messages. */
export interface FileHandle {
  readonly fd: number;
  readonly path: string;
}

/** 'other': what the platform tells no further. */
export type FileKind = 'file' | 'directory' | 'symlink' | 'pipe' | 'socket' | 'device' | 'other';

export interface FileStat {
  readonly kind: FileKind;
  readonly size: number;
  readonly mode: number;
  readonly uid: number;
  readonly inode: number;
  readonly mtimeMs: number;
}
