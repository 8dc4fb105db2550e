import fs from 'node:fs';
import { dirname } from 'node:path';
import { errnoError, isErrno } from './errno.ts';
import type { FileHandle, FileKind, FileStat, FileSystem } from './file-system.ts';

export { errnoError } from './errno.ts';

const windows = process.platform === 'win32';
const { O_CREAT, O_EXCL, O_RDONLY, O_WRONLY } = fs.constants;
// Neither flag exists on Windows, where the constants are undefined.
const O_NOFOLLOW = fs.constants.O_NOFOLLOW ?? 0;
const O_NONBLOCK = fs.constants.O_NONBLOCK ?? 0;
const O_DIRECTORY = fs.constants.O_DIRECTORY ?? 0;

/** The operating system's own files, through node:fs, synchronously. */
export const nodeFileSystem: FileSystem = {
  create: (path) => ({ fd: fs.openSync(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600), path }),
  openRead(path) {
    // Without O_NONBLOCK opening a FIFO that nobody writes to would hang the thread for good.
    const file: FileHandle = { fd: fs.openSync(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK), path };
    const stat = fs.fstatSync(file.fd);
    if (stat.isFile()) return file;
    fs.closeSync(file.fd);
    throw errnoError(stat.isDirectory() ? 'EISDIR' : 'EINVAL', 'open', path);
  },
  write: (file, bytes, offset, length, position) =>
    named(file.path, () => fs.writeSync(file.fd, bytes, offset, length, position)),
  read: (file, bytes, offset, length, position) =>
    named(file.path, () => fs.readSync(file.fd, bytes, offset, length, position)),
  truncate: (file, length) => named(file.path, () => fs.ftruncateSync(file.fd, length)),
  fsync: (file) => named(file.path, () => fs.fsyncSync(file.fd)),
  fdatasync: (file) => named(file.path, () => fs.fdatasyncSync(file.fd)),
  close: (file) => named(file.path, () => fs.closeSync(file.fd)),
  link: (from, to) => fs.linkSync(from, to),
  rename: (from, to) => fs.renameSync(from, to),
  unlink: (path) => fs.unlinkSync(path),
  mkdir: makeDirectory,
  readdir: (path) => fs.readdirSync(path),
  lstat: (path) => fileStat(fs.lstatSync(path)),
  fsyncDirectory(path) {
    // Windows has no such call for directories; nothing is promised there about power loss.
    if (windows) return;
    const fd = fs.openSync(path, O_RDONLY | O_DIRECTORY);
    try {
      named(path, () => fs.fsyncSync(fd));
    } finally {
      fs.closeSync(fd);
    }
  },
  // Some platforms tell the type as a signed 32-bit number.
  statfsType: (path) => fs.statfsSync(path).type >>> 0,
};

/** Node's own recursive mkdir never returns where a directory refuses new names with ENOENT, as those of /proc do. */
function makeDirectory(path: string): void {
  try {
    fs.mkdirSync(path, { mode: 0o700 });
  } catch (error) {
    if (isErrno(error, 'EEXIST') && fs.statSync(path, { throwIfNoEntry: false })?.isDirectory() === true) return;
    const parent = dirname(path);
    if (!isErrno(error, 'ENOENT') || parent === path || fs.existsSync(parent)) throw error;
    makeDirectory(parent);
    fs.mkdirSync(path, { mode: 0o700 });
  }
}

/** Errors of calls on a descriptor don't say which file it was. */
function named<T>(path: string, call: () => T): T {
  try {
    return call();
  } catch (error) {
    if (error instanceof Error && !('path' in error)) Object.assign(error, { path });
    throw error;
  }
}

function fileKind(stat: fs.Stats): FileKind {
  if (stat.isFile()) return 'file';
  if (stat.isDirectory()) return 'directory';
  if (stat.isSymbolicLink()) return 'symlink';
  if (stat.isFIFO()) return 'pipe';
  if (stat.isSocket()) return 'socket';
  return stat.isCharacterDevice() || stat.isBlockDevice() ? 'device' : 'other';
}

function fileStat(stat: fs.Stats): FileStat {
  return {
    kind: fileKind(stat),
    size: stat.size,
    // Windows makes these bits up, and shows everything as writable by everybody.
    mode: windows ? 0o600 : stat.mode & 0o7777,
    uid: stat.uid,
    inode: stat.ino,
    mtimeMs: stat.mtimeMs,
  };
}
