import { StateError } from '../model/errors.ts';
import type { FileHandle, FileSystem } from './file-system.ts';
import type { Stage } from './protocol.ts';
import { withStage, writeFully } from './write-file.ts';

/*
 * The file calls that every journal group depends on. They stand apart from the writer so that a measurement of the bare disk makes
 * exactly the calls that the journal makes, and follows it when they change.
 */

/** A group that is a larger part of the room ahead than this would use it up too soon to be worth writing it. */
const aheadPerGroup = 4;
const noRoom: ReadonlySet<string> = new Set(['ENOSPC', 'EDQUOT', 'EFBIG']);

/**
 * A segment's file, open for writing. Beyond what it holds it is filled with zeros: an fdatasync of bytes within the file's size has
 * nothing to tell the file system's own journal, and takes a quarter less (docs/decisions/0010-zeros-ahead.md).
 */
export class SegmentFile {
  readonly #fs: FileSystem;
  readonly #handle: FileHandle;
  readonly #zeros: Buffer;
  /** The file's size; infinite where no more is to be filled. */
  #filled = 0;

  /** A new file, empty. Its name is durable only after an fsync of the directory. */
  constructor(fs: FileSystem, path: string, aheadBytes: number) {
    this.#fs = fs;
    this.#zeros = Buffer.alloc(aheadBytes);
    this.#handle = fs.create(path);
  }

  /**
   * Writes a group at `position` and makes its bytes durable; a segment's first group also needs an fsync of the directory.
   * @throws StateError WRITE_FAILED with stage "write" or "fsync": the file is not to be written or fsynced again
   */
  append(bytes: Uint8Array, position: number, onStage?: (stage: Stage, path: string) => void): void {
    const { path } = this.#handle;
    onStage?.('write', path);
    writeFully(this.#fs, this.#handle, bytes, position);
    const end = position + bytes.length;
    if (end > this.#filled && bytes.length * aheadPerGroup <= this.#zeros.length) this.#fill(end);
    onStage?.('fsync', path);
    withStage('fsync', path, () => this.#fs.fdatasync(this.#handle));
  }

  /** Cuts off the zeros behind `length`, and closes. @throws what close() throws */
  finish(length: number): void {
    try {
      if (this.#filled > length) this.#fs.truncate(this.#handle, length);
    } catch {
      // Zeros at the end of a segment are no damage: nothing depends on their being gone.
    }
    this.close();
  }

  /** @throws the error of the system call */
  close(): void {
    this.#fs.close(this.#handle);
  }

  #fill(from: number): void {
    try {
      const zeros = this.#zeros;
      const count = withStage('write', this.#handle.path, () =>
        this.#fs.write(this.#handle, zeros, 0, zeros.length, from),
      );
      this.#filled = from + count;
    } catch (error) {
      // Where there is no room for zeros there may be some for groups.
      if (!(error instanceof StateError) || !noRoom.has(String(error.details['errno']))) throw error;
      this.#filled = Number.POSITIVE_INFINITY;
    }
  }
}
