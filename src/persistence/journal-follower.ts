import { join } from 'node:path';
import { StateError } from '../model/errors.ts';
import { isErrno } from './errno.ts';
import type { FileSystem } from './file-system.ts';
import { groupIsWhole, headerBytesMax, parseHeader } from './journal-format.ts';
import { type OrderedSegment, orderSegments } from './journal-order.ts';
import { listSegments, readSegment, type ScannedGroup, type SegmentFile, scanSegment } from './journal-scan.ts';
import { withStage } from './write-file.ts';

/*
 * Reads the journal's groups in order while somebody else writes it.
 *
 * F1  Only whole groups are given (length and CRC), in the order of segment numbers and, within a segment, of group numbers.
 * F2  A segment is left for the next only after its end was read once more while the next one had begun: the writer appends nothing
 *     to a segment after that.
 * F3  A place in a file is only a shortcut. Where a file has gone, or another one has its name, the reader begins again at the last
 *     segment that can hold what follows, so a group may be given twice and what is not there any more is passed over. Who takes the
 *     groups tells both by their sequences.
 */

export interface FollowedGroup {
  /** Relative to the state directory. */
  readonly file: string;
  /** `body` is where it begins in `bytes`. */
  readonly group: ScannedGroup;
  readonly bytes: Buffer;
}

export interface JournalPlace {
  readonly epoch: number;
  readonly sequence: number;
}

interface At extends OrderedSegment {
  readonly inode: number;
  /** Of the next group, and its number. */
  offset: number;
  group: number;
}

const readBytes = 1024 * 1024;

export class JournalFollower {
  readonly #fs: FileSystem;
  readonly #directory: string;
  #from: JournalPlace | null;
  #at: At | null = null;
  /** What was read of the file from `#bufferAt` on. */
  #buffer: Buffer = Buffer.alloc(0);
  #bufferAt = 0;

  /** @param from what is known already; null: from the oldest segment on */
  constructor(fs: FileSystem, directory: string, from: JournalPlace | null) {
    this.#fs = fs;
    this.#directory = directory;
    this.#from = from;
  }

  /**
   * The next whole group that ends at `through` or before; null where there is none now.
   * @throws StateError READ_FAILED, STATE_PATH_REFUSED
   */
  next(through: number): FollowedGroup | null {
    for (;;) {
      try {
        return this.#next(through);
      } catch (error) {
        if (!(error instanceof Gone)) throw error;
        this.#at = null;
      }
    }
  }

  #next(through: number): FollowedGroup | null {
    for (;;) {
      const at = this.#at ?? this.#begin();
      if (at === null) return null;
      let group = this.#groupAt(at) ?? this.#readGroup(at);
      if (group === null) {
        const later = this.#segmentAfter(at);
        if (later === null) return null;
        group = this.#readGroup(at) ?? this.#groupBehindDamage(at);
        if (group === null) {
          this.#enter(later);
          continue;
        }
      }
      const { header } = group;
      if (header.last > through) return null;
      const given = { file: at.file, group, bytes: this.#buffer };
      at.offset = this.#bufferAt + group.body + header.bytes;
      at.group = header.group + 1;
      this.#from = { epoch: header.epoch, sequence: header.last };
      return given;
    }
  }

  /** The last segment that was opened at what is known, or before: everything after that is in it or later. */
  #begin(): At | null {
    const ordered = orderSegments(this.#fs, this.#directory, new Map())?.segments ?? [];
    const whole = ordered.filter(({ segment }) => Number.isInteger(segment));
    const from = this.#from;
    const known = from === null ? undefined : whole.findLast(({ name }) => !isAfter(name.epoch, name.first, from));
    const first = known ?? whole[0];
    if (first === undefined) return null;
    this.#enter(first);
    return this.#at;
  }

  #enter(segment: OrderedSegment): void {
    this.#at = { ...segment, inode: this.#inode(segment.file), offset: 0, group: 1 };
    this.#buffer = Buffer.alloc(0);
    this.#bufferAt = 0;
  }

  /** The group at the reader's place, as far as it is in the buffer. */
  #groupAt(at: At): ScannedGroup | null {
    const start = at.offset - this.#bufferAt;
    const parsed = parseHeader(this.#buffer, start);
    if (parsed === null) return null;
    const { header, length } = parsed;
    const isOurs = header.group === at.group && header.segment === at.segment && header.epoch === at.name.epoch;
    if (!isOurs || !groupIsWhole(this.#buffer, start, parsed)) return null;
    return { header, offset: at.offset, body: start + length };
  }

  #readGroup(at: At): ScannedGroup | null {
    this.#load(at, readBytes);
    const needed = this.#bytesNeeded();
    if (needed > this.#buffer.length && this.#buffer.length === readBytes) this.#load(at, needed);
    return this.#groupAt(at);
  }

  #bytesNeeded(): number {
    const parsed = parseHeader(this.#buffer, 0);
    return parsed === null ? 0 : parsed.length + parsed.header.bytes;
  }

  #groupBehindDamage(at: At): ScannedGroup | null {
    const bytes = readSegment(this.#fs, this.#directory, at.file);
    if (bytes === null) throw new Gone();
    const next = scanSegment(bytes, at.name).groups.find(({ offset }) => offset > at.offset);
    if (next === undefined) return null;
    at.offset = next.offset;
    at.group = next.header.group;
    return this.#readGroup(at);
  }

  /** The next segment that has begun, where there is one. */
  #segmentAfter(at: At): OrderedSegment | null {
    let next: OrderedSegment | null = null;
    for (const listed of listSegments(this.#fs, this.#directory).segments) {
      const { name, file } = listed;
      if (file === at.file || isAfter(at.name.epoch, at.name.first, { epoch: name.epoch, sequence: name.first }))
        continue;
      const segment = this.#numberOf(listed);
      if (segment === null || segment <= at.segment) continue;
      if (next === null || segment < next.segment) next = { ...listed, segment };
    }
    return next;
  }

  /** As its first header tells; null where it has none that fits, as a file that was just made. */
  #numberOf({ file, name }: SegmentFile): number | null {
    const bytes = readSegment(this.#fs, this.#directory, file, headerBytesMax);
    const header = bytes === null ? undefined : parseHeader(bytes, 0)?.header;
    const isOwn = header?.group === 1 && header.epoch === name.epoch && header.first === name.first;
    return isOwn ? header.segment : null;
  }

  #load(at: At, length: number): void {
    if (this.#inode(at.file) !== at.inode) throw new Gone();
    const path = join(this.#directory, at.file);
    this.#bufferAt = at.offset;
    this.#buffer = this.#reading(path, () => {
      const file = this.#fs.openRead(path);
      const bytes = Buffer.allocUnsafeSlow(length);
      let read = 0;
      try {
        while (read < length) {
          const count = this.#fs.read(file, bytes, read, length - read, at.offset + read);
          if (count === 0) break;
          read += count;
        }
      } finally {
        this.#fs.close(file);
      }
      return bytes.subarray(0, read);
    });
  }

  #inode(file: string): number {
    const path = join(this.#directory, file);
    return this.#reading(path, () => this.#fs.lstat(path)).inode;
  }

  #reading<T>(path: string, call: () => T): T {
    try {
      return withStage('read', path, call);
    } catch (error) {
      if (error instanceof StateError && isErrno(error.cause, 'ENOENT')) throw new Gone();
      throw error;
    }
  }
}

/** The file that was read is there no more. */
class Gone extends Error {}

function isAfter(epoch: number, sequence: number, place: JournalPlace): boolean {
  return epoch > place.epoch || (epoch === place.epoch && sequence > place.sequence);
}
