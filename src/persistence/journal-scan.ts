import { join } from 'node:path';
import { StateError } from '../model/errors.ts';
import { isErrno } from './errno.ts';
import { fileKindWords } from './file-kind.ts';
import type { FileSystem } from './file-system.ts';
import {
  type GroupHeader,
  groupIsWhole,
  headerBytesMax,
  headerStart,
  journalFolder,
  parseHeader,
  parseSegmentName,
  type SegmentName,
} from './journal-format.ts';
import { withStage } from './write-file.ts';

/** A group whose CRC is right: where its header and its body begin. */
export interface ScannedGroup {
  readonly header: GroupHeader;
  readonly offset: number;
  readonly body: number;
}

/** A stretch of a segment that is no group, though it should be one. */
export interface ScannedDamage {
  readonly offset: number;
  readonly bytes: number;
  readonly why: string;
  /**
   * tail: nothing after it is ours, as when a crash tore the last group. inside: a whole group of the segment comes after it.
   * proven: no whole group after it, and yet it is no torn tail: a later header can be read, or the file is another segment's.
   */
  readonly kind: 'tail' | 'inside' | 'proven';
  /** The highest commit that a header in the stretch tells of, right or not; null where none does. */
  readonly claimed: number | null;
}

export interface SegmentScan {
  /** Null where no group is whole and the name doesn't tell. */
  readonly segment: number | null;
  readonly groups: readonly ScannedGroup[];
  readonly damages: readonly ScannedDamage[];
}

export interface SegmentFile {
  /** Relative to the state directory. */
  readonly file: string;
  readonly name: SegmentName;
}

/** Every segment's name, and what else lies in the journal's folder; both relative to the state directory, in no order. */
export function listSegments(
  fs: FileSystem,
  directory: string,
): { readonly segments: readonly SegmentFile[]; readonly foreign: readonly string[] } {
  const folder = join(directory, journalFolder);
  const segments: SegmentFile[] = [];
  const foreign: string[] = [];
  for (const entry of entriesOf(fs, folder)) {
    const name = parseSegmentName(entry);
    const file = `${journalFolder}/${entry}`;
    if (name === null) foreign.push(file);
    else segments.push({ file, name });
  }
  return { segments, foreign };
}

/**
 * A segment's bytes as they are now, `bytesMax` of them at most; null where the file has gone.
 * @throws StateError READ_FAILED, or STATE_PATH_REFUSED where it is no regular file, or larger than any segment
 */
export function readSegment(
  fs: FileSystem,
  directory: string,
  file: string,
  bytesMax: number = Number.MAX_SAFE_INTEGER,
): Buffer | null {
  const path = join(directory, file);
  try {
    return readRegular(fs, path, bytesMax);
  } catch (error) {
    if (error instanceof StateError && error.details['errno'] === 'ENOENT') return null;
    throw error;
  }
}

/**
 * Finds the groups of one segment. Zero bytes at the end are no damage: space that was allocated ahead. After a stretch that is
 * no group the search goes on for later groups of the same segment, which their CRC proves.
 */
export function scanSegment(bytes: Buffer, name: SegmentName): SegmentScan {
  const groups: ScannedGroup[] = [];
  const damages: ScannedDamage[] = [];
  let segment = name.segment;
  let expected = 1;
  let offset = 0;
  while (offset < bytes.length) {
    const found = groupAt(bytes, offset, { name, segment, group: expected });
    if (typeof found !== 'string') {
      groups.push(found);
      segment = found.header.segment;
      expected = found.header.group + 1;
      offset = found.body + found.header.bytes;
      continue;
    }
    const end = endOfContent(bytes);
    if (offset >= end) break;
    const later = laterGroup(bytes, offset, { name, segment, group: expected });
    damages.push({
      offset,
      bytes: (later.group?.offset ?? end) - offset,
      why: found,
      kind: later.group !== null ? 'inside' : later.proven || isAnotherSegment(bytes, offset) ? 'proven' : 'tail',
      claimed: later.claimed,
    });
    if (later.group === null) break;
    offset = later.group.offset;
    expected = later.group.header.group;
    segment = later.group.header.segment;
  }
  return { segment, groups, damages };
}

interface Expected {
  readonly name: SegmentName;
  readonly segment: number | null;
  readonly group: number;
}

/** The group that begins at `offset`, or why there is none. */
function groupAt(bytes: Buffer, offset: number, expected: Expected): ScannedGroup | string {
  const parsed = parseHeader(bytes, offset);
  if (parsed === null) {
    return bytes.length - offset < headerBytesMax && bytes.indexOf('\n', offset) < 0
      ? `the header of group ${expected.group} is cut off`
      : `no header of group ${expected.group}`;
  }
  const { header } = parsed;
  if (expected.segment !== null && header.segment !== expected.segment) {
    return `a group of segment ${header.segment} where segment ${expected.segment} goes on`;
  }
  if (header.group !== expected.group) return `group ${header.group} where group ${expected.group} is expected`;
  if (header.epoch !== expected.name.epoch)
    return `a group of epoch ${header.epoch} in a file of epoch ${expected.name.epoch}`;
  if (header.group === 1 && header.first !== expected.name.first) {
    return `it begins at sequence ${header.first}, which is not what its name says`;
  }
  if (groupIsWhole(bytes, offset, parsed)) return { header, offset, body: offset + parsed.length };
  return offset + parsed.length + header.bytes > bytes.length
    ? `group ${header.group} is cut off`
    : `group ${header.group}: its CRC does not match`;
}

/** The next whole group after a damaged stretch, and what headers in the stretch tell. */
function laterGroup(
  bytes: Buffer,
  from: number,
  expected: Expected,
): { readonly group: ScannedGroup | null; readonly proven: boolean; readonly claimed: number | null } {
  let proven = false;
  let claimed: number | null = null;
  for (let at = bytes.indexOf(headerStart, from); at >= 0; at = bytes.indexOf(headerStart, at + 1)) {
    const header = parseHeader(bytes, at)?.header;
    if (header === undefined || header.epoch !== expected.name.epoch || header.group < expected.group) continue;
    if (expected.segment !== null && header.segment !== expected.segment) continue;
    const group = groupAt(bytes, at, { ...expected, group: header.group });
    if (at > from && typeof group !== 'string') return { group, proven: true, claimed };
    if (header.first < header.last) claimed = Math.max(claimed ?? 0, header.last);
    // Group n+1 is written only after group n is durable: a header beyond the damaged group says that it was.
    if (at > from && header.group > expected.group) proven = true;
  }
  return { group: null, proven, claimed };
}

/** A whole first group, at the very beginning, that the file's name denies: another file was put in its place. */
function isAnotherSegment(bytes: Buffer, offset: number): boolean {
  const parsed = offset === 0 ? parseHeader(bytes, 0) : null;
  return parsed !== null && parsed.header.group === 1 && groupIsWhole(bytes, 0, parsed);
}

function endOfContent(bytes: Buffer): number {
  let end = bytes.length;
  while (end > 0 && bytes[end - 1] === 0) end -= 1;
  return end;
}

function entriesOf(fs: FileSystem, folder: string): string[] {
  try {
    return withStage('read', folder, () => fs.readdir(folder));
  } catch (error) {
    if (error instanceof StateError && isErrno(error.cause, 'ENOENT')) return [];
    throw error;
  }
}

/** A segment is closed at its size, and the last group in it has a bound: this is far above both. */
const segmentBytesReadMax = 2 ** 30;

function readRegular(fs: FileSystem, path: string, bytesMax: number): Buffer {
  const stat = withStage('read', path, () => fs.lstat(path));
  if (stat.kind !== 'file') {
    throw new StateError(
      'STATE_PATH_REFUSED',
      `${path} is ${fileKindWords[stat.kind]}, and a journal segment must be a regular file: see who put it there, and move it away`,
      { details: { path } },
    );
  }
  if (Math.min(stat.size, bytesMax) > segmentBytesReadMax) {
    throw new StateError(
      'STATE_PATH_REFUSED',
      `${path} has ${stat.size} bytes, and no journal segment has more than ${segmentBytesReadMax}: see who changed it, and restore it from a backup`,
      { details: { path, bytes: stat.size, bytes_max: segmentBytesReadMax } },
    );
  }
  const bytes = Buffer.allocUnsafeSlow(Math.min(stat.size, bytesMax));
  const file = withStage('read', path, () => fs.openRead(path));
  let length = 0;
  try {
    while (length < bytes.length) {
      const count = withStage('read', path, () => fs.read(file, bytes, length, bytes.length - length, length));
      if (count === 0) break;
      length += count;
    }
  } finally {
    fs.close(file);
  }
  return bytes.subarray(0, length);
}
