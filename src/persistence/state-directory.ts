import { homedir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { StateError } from '../model/errors.ts';
import { isErrno } from './errno.ts';
import { fileKindWords } from './file-kind.ts';
import type { FileStat, FileSystem } from './file-system.ts';
import { whyUnsafeFileSystem } from './file-system-kind.ts';
import { withStage } from './write-file.ts';

/** Where journal segments are, below the state directory. */
export const journalDirectory = 'journal';
/** Where damaged files are kept, below the state directory. */
export const quarantineDirectory = 'quarantine';

/** `HOLDFAST_STATE_DIR` as an absolute path, else `~/.holdfast/state`. */
export function defaultStateDirectory(env: Readonly<Record<string, string | undefined>>): string {
  const set = env['HOLDFAST_STATE_DIR'];
  return set === undefined || set === '' ? join(env['HOME'] || homedir(), '.holdfast', 'state') : resolve(set);
}

/**
 * Makes the state directory fit for use: it and its two subdirectories exist, are directories and no links, belong to this
 * user, can be written by nobody else, and their names are durable. What it makes has mode 0700.
 * @param options.force true: also on a file system that cannot keep the promises
 * @throws StateError STATE_DIRECTORY_UNSAFE, STATE_DIRECTORY_UNSUPPORTED (nothing was made), READ_FAILED or WRITE_FAILED
 */
export function prepareStateDirectory(fs: FileSystem, directory: string, options: { readonly force: boolean }): void {
  const path = resolve(directory);
  if (!options.force) refuseUnsafeFileSystem(fs, path);
  ensureDirectory(fs, path);
  for (const name of [journalDirectory, quarantineDirectory]) ensureDirectory(fs, join(path, name));
}

/** The nearest path at or above `path` that exists. */
function existing(fs: FileSystem, path: string): string {
  let at = path;
  while (statOrNull(fs, at) === null && dirname(at) !== at) at = dirname(at);
  return at;
}

function refuseUnsafeFileSystem(fs: FileSystem, path: string): void {
  const present = existing(fs, path);
  const why = whyUnsafeFileSystem(withStage('read', present, () => fs.statfsType(present)));
  if (why === null) return;
  throw new StateError(
    'STATE_DIRECTORY_UNSUPPORTED',
    `${path} is on ${why}: what is acknowledged there can be lost, and two engines may both get the lock. ` +
      'Use a directory on a local disk (ext4 or XFS), or force it where losing the state does not matter.',
    { details: { path } },
  );
}

function ensureDirectory(fs: FileSystem, path: string): void {
  if (statOrNull(fs, path) === null) {
    const top = existing(fs, path);
    withStage('open', path, () => fs.mkdir(path));
    // Each new directory is a name in the one above it, and that name must survive a power cut too.
    for (let made = path; made !== top && made !== dirname(made); made = dirname(made)) {
      withStage('directory fsync', dirname(made), () => fs.fsyncDirectory(dirname(made)));
    }
  }
  const stat = withStage('read', path, () => fs.lstat(path));
  const why = whyUnsafe(stat);
  if (why === null) return;
  throw new StateError('STATE_DIRECTORY_UNSAFE', `${path} ${why}.`, { details: { path } });
}

function whyUnsafe(stat: FileStat): string | null {
  if (stat.kind === 'symlink') return 'is a symbolic link: name the directory that it points to';
  if (stat.kind !== 'directory')
    return `is ${fileKindWords[stat.kind]}, not a directory: move it away, or use another state directory`;
  const user = process.getuid?.() ?? stat.uid;
  if (stat.uid !== user) {
    return `belongs to user ${stat.uid} and this is user ${user}: run as its owner, or give it to this user with chown`;
  }
  if ((stat.mode & 0o022) !== 0) {
    return `can be written by others (mode 0${stat.mode.toString(8)}): run chmod 700 on it after you have looked at what is in it`;
  }
  return null;
}

function statOrNull(fs: FileSystem, path: string): FileStat | null {
  return withStage('read', path, () => {
    try {
      return fs.lstat(path);
    } catch (error) {
      // ENOTDIR: something above it is a file; mkdir will say so with the right path.
      if (isErrno(error, 'ENOENT') || isErrno(error, 'ENOTDIR')) return null;
      throw error;
    }
  });
}
