import type { FileHandle, FileSystem } from './file-system.ts';
import type { Stage } from './protocol.ts';
import { withStage, writeFully } from './write-file.ts';

/*
 * The two file calls that every journal group depends on. They stand apart from the writer so that a measurement of the bare disk
 * makes exactly the calls that the journal makes, and follows it when they change.
 */

/** A new segment's file, open and empty. Its name is durable only after an fsync of the directory. */
export function createSegmentFile(fs: FileSystem, path: string): FileHandle {
  return fs.create(path);
}

/**
 * Writes a group at `position` and makes its bytes durable; a segment's first group also needs an fsync of the directory.
 * @throws StateError WRITE_FAILED with stage "write" or "fsync": the file is not to be written or fsynced again
 */
export function appendToSegment(
  fs: FileSystem,
  file: FileHandle,
  bytes: Uint8Array,
  position: number,
  onStage?: (stage: Stage, path: string) => void,
): void {
  onStage?.('write', file.path);
  writeFully(fs, file, bytes, position);
  onStage?.('fsync', file.path);
  withStage('fsync', file.path, () => fs.fdatasync(file));
}
