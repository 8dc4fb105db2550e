import { join } from 'node:path';
import { StateError } from '../model/errors.ts';
import { decodeCheckpoint } from './checkpoint-codec.ts';
import { parseCheckpointName } from './checkpoint-names.ts';
import type { DecodedCheckpoint } from './checkpoint-schema.ts';
import { errnoName, errnoText, isErrno } from './errno.ts';
import { fileKindWords } from './file-kind.ts';
import type { FileStat, FileSystem } from './file-system.ts';
import { readBounded } from './read-file.ts';
import { withStage } from './write-file.ts';

export type ReadCheckpoint =
  | { readonly kind: 'read'; readonly decoded: DecodedCheckpoint; readonly stat: FileStat | null }
  | { readonly kind: 'gone' };

/**
 * Reads and verifies one checkpoint file; changes nothing.
 * @throws StateError READ_FAILED where reading failed for a reason outside the file, such as too many open files;
 * CHECKPOINT_NAME_INVALID for a name that is none, which also keeps every path inside the directory
 */
export function readCheckpointFile(
  fs: FileSystem,
  directory: string,
  file: string,
  options: { readonly bytesMax: number; readonly currency: string },
): ReadCheckpoint {
  const name = parseCheckpointName(file);
  if (name === null) {
    throw new StateError('CHECKPOINT_NAME_INVALID', `${JSON.stringify(file)} is not the name of a checkpoint file`);
  }
  const path = join(directory, file);
  try {
    const stat = withStage('read', path, () => fs.lstat(path));
    const unsafe = whyUnsafe(stat, withStage('read', directory, () => fs.lstat(directory)).uid);
    if (unsafe !== null) return damaged(unsafe);
    const bytes = withStage('read', path, () => readBounded(fs, path, options.bytesMax, stat.size));
    if (bytes === null) return damaged(`it is longer than ${options.bytesMax} bytes`);
    const decoded = decodeCheckpoint(bytes, { strategy: name.strategy, file, currency: options.currency });
    return { kind: 'read', decoded, stat };
  } catch (error) {
    const cause = error instanceof StateError ? error.cause : null;
    if (isErrno(cause, 'ENOENT')) return { kind: 'gone' };
    if (isErrno(cause) && unreadable.has(errnoName(cause))) return damaged(`it cannot be read: ${errnoText(cause)}`);
    throw error;
  }
}

/** Errors that are about this file, so that an older generation may well be readable: a bad sector, damage that the file
 * system noticed, or no regular file. */
const unreadable: ReadonlySet<string> = new Set(['EIO', 'EUCLEAN', 'EBADMSG', 'ELOOP', 'EISDIR', 'EINVAL', 'ENXIO']);

function whyUnsafe(stat: FileStat, directoryOwner: number): string | null {
  if (stat.kind !== 'file') return `it is ${fileKindWords[stat.kind]}, not a regular file`;
  if ((stat.mode & 0o002) !== 0) {
    return `everybody can write it (mode 0${stat.mode.toString(8)}): run chmod 600 on it if what is in it can be trusted`;
  }
  // Its owner may be the directory's, root, or who reads: an operator who looks at an engine's directory may be another user.
  if (![directoryOwner, 0, process.getuid?.()].includes(stat.uid)) {
    return `it belongs to user ${stat.uid} and the directory to user ${directoryOwner}`;
  }
  return null;
}

function damaged(why: string): ReadCheckpoint {
  return { kind: 'read', decoded: { kind: 'damaged', why }, stat: null };
}
