import { join } from 'node:path';
import type { SnapshotDelta } from '../model/delta.ts';
import { StateError } from '../model/errors.ts';
import type { Timestamp } from '../model/time.ts';
import { isErrno } from './errno.ts';
import type { FileSystem } from './file-system.ts';
import { encodeGroup, encodeRecord, journalFolder, journalFormatVersion, segmentName } from './journal-format.ts';
import { Lines, notAtBase, planGroups } from './journal-plan.ts';
import { deletable } from './journal-retention.ts';
import type { Stage } from './protocol.ts';
import type { JournalRecord } from './records.ts';
import { SegmentFile } from './segment-file.ts';
import { withStage } from './write-file.ts';

export interface SegmentInfo {
  /** Relative to the state directory. */
  readonly file: string;
  readonly segment: number;
  readonly epoch: number;
  /** The sequence reached when it was opened. */
  readonly first: number;
  /** No record in it goes beyond this. */
  readonly last: number;
  readonly bytes: number;
}

export interface JournalWriterOptions {
  readonly epoch: number;
  readonly incarnation: number;
  /** A segment is closed when it has reached this size. */
  readonly segmentBytesMax: number;
  /** How far its file is filled with zeros beyond what it holds; 0: not at all. */
  readonly segmentAheadBytes: number;
  /** Above every number in the directory. */
  readonly nextSegment: number;
  /** The host's base currency, for the record that opens a segment. */
  readonly currency?: string;
  /** Told before each file call that may take long, and with 'idle' after the last. */
  readonly onStage?: (stage: Stage, path: string) => void;
}

/**
 * The one writer of the journal. Invariants:
 *
 * W1  A group is written only after the fdatasync of the group before it returned; a segment's first group counts only after the
 *     fsync of the directory that holds its name.
 * W2  After any failure the segment is given up for good: nothing of it is written or fsynced again. What it was to hold is
 *     written anew to the next segment when the caller gives it again. One that nothing acknowledged stands in is removed before
 *     the next is made: a disk that fails for long does not fill up with copies, and one that is full gets its last bytes back.
 * W3  Sequences only connect: a delta is written once `previous` is durable or in the same call.
 * W4  A strategy that the journal does not know yet is written whole, so that a reader can tell a new strategy from one whose
 *     beginning is lost.
 */
export class JournalWriter {
  readonly #fs: FileSystem;
  readonly #directory: string;
  readonly #options: JournalWriterOptions;
  /** Closed ones, oldest first. */
  #closed: SegmentInfo[] = [];
  /** Of the closed ones those that were given up before anything in them counted. */
  #worthless = new Set<SegmentInfo>();
  /** The newest name that was given up and removed: it is not given to another segment. */
  #removedFirst: number | null = null;
  #open: OpenSegment | null = null;
  #nextSegment: number;
  /** Durable through here; null before begin(). */
  #sequence: number | null = null;
  #known = new Set<string>();
  #fsyncs = 0;
  #bytesWritten = 0;

  /** @param directory the state directory */
  constructor(fs: FileSystem, directory: string, options: JournalWriterOptions) {
    this.#fs = fs;
    this.#directory = directory;
    this.#options = options;
    this.#nextSegment = options.nextSegment;
  }

  get fsyncs(): number {
    return this.#fsyncs;
  }

  get bytesWritten(): number {
    return this.#bytesWritten;
  }

  /** Of all segments that are there, adopted ones included. */
  get bytes(): number {
    return this.segments().reduce((sum, { bytes }) => sum + bytes, 0);
  }

  /** Oldest first; the open one is last. */
  segments(): readonly SegmentInfo[] {
    return this.#open === null ? [...this.#closed] : [...this.#closed, infoOf(this.#open)];
  }

  /** Segments that a restore found, so that trim() can delete them in their time. */
  adopt(segments: Iterable<SegmentInfo>): void {
    this.#closed = [...segments, ...this.#closed].sort((a, b) => a.segment - b.segment);
  }

  /**
   * Begins an incarnation: a new segment with the whole state of every strategy, durable when it returns, names included.
   * @param from the restore point that the states are of
   * @param base the sequence from which deltas continue
   * @param states one whole delta a strategy, each with previous = through = base
   * @throws StateError WRITE_FAILED: nothing has begun; call it again
   */
  begin(
    from: { readonly epoch: number; readonly sequence: number },
    base: number,
    states: Iterable<SnapshotDelta>,
    at: Timestamp,
  ): void {
    this.#giveUp();
    this.#sequence = null;
    this.#known = new Set();
    try {
      this.#attempt(() => this.#begin(from, base, states, at));
    } catch (error) {
      // What is restored stands in older files. A process that is started over and over on a full disk must not fill it further.
      this.#removeWorthless();
      throw error;
    }
  }

  #begin(
    from: { readonly epoch: number; readonly sequence: number },
    base: number,
    states: Iterable<SnapshotDelta>,
    at: Timestamp,
  ): void {
    const folder = join(this.#directory, journalFolder);
    this.#stage('open', folder, () => this.#fs.mkdir(folder));
    this.#stage('directory fsync', this.#directory, () => this.#fs.fsyncDirectory(this.#directory));
    const known = new Set<string>();
    const lines = new Lines((batch) => this.#writeGroup({ lines: batch, first: base, last: base, known: known.size }));
    const open = this.#create(base);
    lines.add(this.#opening(from, base, at));
    for (const state of states) {
      if (state.previous !== base || state.through !== base) throw notAtBase(state, base);
      for (const change of state.strategies) known.add(change.strategy);
      lines.add({ kind: 'delta', ...state });
    }
    lines.add({ kind: 'ready', base, strategies: known.size, at });
    lines.end();
    this.#known = known;
    this.#sequence = open.last;
  }

  /**
   * Makes records durable, in one group (in several where they are many megabytes). When it throws, some may be durable and some
   * not: give the same records again, and what is durable already is passed over.
   * @throws StateError WRITE_FAILED with `stage`, `errno` and `path`; DELTA_GAP, JOURNAL_NOT_BEGUN, JOURNAL_RECORD_INVALID, RECORD_TOO_LARGE: nothing
   * was written
   */
  append(records: readonly JournalRecord[]): void {
    const reached = this.#reached();
    const groups = planGroups(records, reached, this.#known);
    if (groups.length === 0) return;
    this.#attempt(() => {
      for (const group of groups) {
        this.#rotate();
        let lines = group.lines;
        if (this.#open === null) {
          const base = this.#reached();
          this.#create(base);
          lines = [encodeRecord(this.#opening(null, base, group.at)), ...lines];
        }
        this.#writeGroup({ ...group, lines, known: this.#known.size + group.names.size });
        for (const name of group.names) this.#known.add(name);
        this.#sequence = group.last;
      }
    });
  }

  /**
   * Deletes closed segments that end at `covered` or before, oldest first, and returns their names.
   * @throws StateError WRITE_FAILED, stage "unlink" or "directory fsync"; what was deleted stays deleted
   */
  trim(covered: number): readonly string[] {
    const deleted: string[] = [];
    const folder = join(this.#directory, journalFolder);
    try {
      for (let count = deletable(this.#closed, covered); count > 0; count -= 1) {
        const [oldest] = this.#closed;
        if (oldest === undefined) break;
        const path = join(this.#directory, oldest.file);
        this.#stage('unlink', path, () => unlinkIfThere(this.#fs, path));
        this.#closed.shift();
        deleted.push(oldest.file);
        // One by one: names that a power cut brings back are then again a prefix, and no hole in the journal.
        this.#stage('directory fsync', folder, () => this.#fs.fsyncDirectory(folder));
      }
    } finally {
      this.#options.onStage?.('idle', '');
    }
    return deleted;
  }

  /** What was appended is durable already; this frees the descriptor. @throws StateError WRITE_FAILED, stage "close" */
  close(): void {
    const open = this.#open;
    if (open === null) return;
    this.#retire(open);
    this.#attempt(() => this.#finish(open));
  }

  #reached(): number {
    if (this.#sequence !== null) return this.#sequence;
    throw new StateError(
      'JOURNAL_NOT_BEGUN',
      'the journal takes no records before begin() has made the restored state durable',
    );
  }

  #opening(
    from: { readonly epoch: number; readonly sequence: number } | null,
    base: number,
    at: Timestamp,
  ): JournalRecord {
    const { epoch, incarnation, currency } = this.#options;
    const version = { kind: 'segment', format_version: journalFormatVersion } as const;
    return { ...version, epoch, incarnation, from, base, ...(currency === undefined ? {} : { currency }), at };
  }

  #rotate(): void {
    const open = this.#open;
    if (open === null || open.bytes < this.#options.segmentBytesMax) return;
    this.#retire(open);
    this.#finish(open);
  }

  #finish({ handle, file, bytes }: OpenSegment): void {
    this.#stage('close', join(this.#directory, file), () => handle.finish(bytes));
  }

  #create(first: number): OpenSegment {
    const { epoch } = this.#options;
    this.#removeWorthless();
    // A number that failed is never used again, so that every attempt has a name of its own to fall back on.
    const segment = this.#nextSegment++;
    const names = [segmentName({ epoch, first, segment: null }), segmentName({ epoch, first, segment })];
    // A name that was used and deleted would sort a new segment before its elders.
    const isUsed = this.#closed.some((info) => info.epoch === epoch && info.first === first);
    if (isUsed || this.#removedFirst === first) names.shift();
    for (;;) {
      const file = `${journalFolder}/${names.shift()}`;
      const path = join(this.#directory, file);
      try {
        const { segmentAheadBytes } = this.#options;
        const handle = this.#stage('open', path, () => new SegmentFile(this.#fs, path, segmentAheadBytes));
        this.#open = { file, handle, segment, epoch, first, last: first, bytes: 0, groups: 0 };
        return this.#open;
      } catch (error) {
        const taken = error instanceof StateError && isErrno(error.cause, 'EEXIST');
        if (!taken || names.length === 0) throw error;
      }
    }
  }

  /** W1. The segment's `last` and size are set before anything can fail: they bound what may be in the file. */
  #writeGroup(group: {
    readonly lines: readonly string[];
    readonly first: number;
    readonly last: number;
    readonly known: number;
  }): void {
    const open = this.#open;
    if (open === null) throw new StateError('JOURNAL_NOT_BEGUN', 'no journal segment is open');
    const { handle, segment, epoch } = open;
    const { first, last } = group;
    const bytes = encodeGroup(
      { group: open.groups + 1, segment, epoch, first, last, strategies: group.known },
      group.lines,
    );
    const position = open.bytes;
    open.bytes += bytes.length;
    open.last = last;
    handle.append(bytes, position, this.#options.onStage);
    this.#fsyncs += 1;
    if (open.groups === 0) {
      const folder = join(this.#directory, journalFolder);
      this.#stage('directory fsync', folder, () => this.#fs.fsyncDirectory(folder));
      this.#fsyncs += 1;
    }
    open.groups += 1;
    this.#bytesWritten += bytes.length;
  }

  #stage<T>(stage: Stage, path: string, call: () => T): T {
    this.#options.onStage?.(stage, path);
    return withStage(stage, path, call);
  }

  /** W2. */
  #attempt(work: () => void): void {
    try {
      work();
    } catch (error) {
      this.#giveUp();
      throw error;
    } finally {
      this.#options.onStage?.('idle', '');
    }
  }

  #giveUp(): void {
    const open = this.#open;
    if (open === null) return;
    const info = this.#retire(open);
    // Of an incarnation that has not begun nothing counts, however many groups were written.
    if (open.groups === 0 || this.#sequence === null) this.#worthless.add(info);
    try {
      open.handle.close();
    } catch {
      // Nothing depends on this file any more, and whoever gave it up has an error to tell already.
    }
  }

  #retire(open: OpenSegment): SegmentInfo {
    const info = infoOf(open);
    this.#open = null;
    this.#closed.push(info);
    return info;
  }

  /** Best effort, and not made durable: a name that stays or comes back is read as what it is, and goes with trim(). */
  #removeWorthless(): void {
    for (const info of this.#worthless) {
      this.#worthless.delete(info);
      const path = join(this.#directory, info.file);
      try {
        this.#stage('unlink', path, () => unlinkIfThere(this.#fs, path));
      } catch {
        continue;
      }
      this.#closed = this.#closed.filter((each) => each !== info);
      this.#removedFirst = info.first;
    }
  }
}

interface OpenSegment {
  readonly file: string;
  readonly handle: SegmentFile;
  readonly segment: number;
  readonly epoch: number;
  readonly first: number;
  last: number;
  bytes: number;
  groups: number;
}

function infoOf({ file, segment, epoch, first, last, bytes }: OpenSegment): SegmentInfo {
  return { file, segment, epoch, first, last, bytes };
}

function unlinkIfThere(fs: FileSystem, path: string): void {
  try {
    fs.unlink(path);
  } catch (error) {
    if (!isErrno(error, 'ENOENT')) throw error;
  }
}
