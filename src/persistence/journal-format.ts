import { crc32 } from 'node:zlib';
import { StateError } from '../model/errors.ts';
import type { JournalRecord } from './records.ts';

/*
 * The bytes of the journal: docs/internals/file-formats.md, section Journal. A group is a header line, then `bytes` bytes of
 * records, one JSON text a line. The CRC-32 runs over the header line up to the crc and over the body; the header begins with
 * group and segment number, and a reader knows which of them it expects, so a group that is moved or stale cannot come alive.
 */

export const journalFormatVersion = 1;
/** The folder of the segments, inside the state directory. */
export const journalFolder = 'journal';
/** A group is closed when its body has reached this size. */
export const groupBytesTarget: number = 4 * 1024 * 1024;
/** No body is longer, in a file that is written or one that is read: what is longer cannot become one string in V8. */
export const groupBytesMax: number = 256 * 1024 * 1024;
/** No header line is longer, line feed included. */
export const headerBytesMax = 240;

export interface GroupHeader {
  /** Counted from 1 within the segment. */
  readonly group: number;
  readonly segment: number;
  readonly epoch: number;
  /** `previous` of the first delta and `through` of the last; equal, and the sequence reached, where no delta advances it. */
  readonly first: number;
  readonly last: number;
  /** How many strategies the journal knows once this group is applied: none can vanish unseen with a damaged stretch. */
  readonly strategies: number;
  /** Length of the body. */
  readonly bytes: number;
}

export interface SegmentName {
  readonly epoch: number;
  /** The sequence that was reached when the segment was opened. */
  readonly first: number;
  /** Only where the name without it was taken. */
  readonly segment: number | null;
}

export function segmentName(name: SegmentName): string {
  const suffix = name.segment === null ? '' : `-${name.segment}`;
  return `${name.epoch}-${name.first}${suffix}.journal`;
}

/** Null for anything that is not exactly what segmentName gives. */
export function parseSegmentName(file: string): SegmentName | null {
  const match = /^(0|[1-9]\d{0,15})-(0|[1-9]\d{0,15})(?:-([1-9]\d{0,15}))?\.journal$/.exec(file);
  if (match === null) return null;
  const [epoch, first, segment] = [
    Number(match[1]),
    Number(match[2]),
    match[3] === undefined ? null : Number(match[3]),
  ];
  return [epoch, first, segment ?? 0].every(Number.isSafeInteger) ? { epoch, first, segment } : null;
}

/** One group, ready to be written. `lines` are records of encodeRecord. */
export function encodeGroup(header: Omit<GroupHeader, 'bytes'>, lines: readonly string[]): Buffer {
  const body = lines.join('');
  const bytes = Buffer.byteLength(body);
  const covered =
    `{"group":${header.group},"segment":${header.segment},"epoch":${header.epoch},"first":${header.first},` +
    `"last":${header.last},"strategies":${header.strategies},"bytes":${bytes}`;
  const group = Buffer.allocUnsafe(covered.length + crcTailLength + bytes);
  const start = covered.length + crcTailLength;
  group.write(covered, 0, 'latin1');
  group.write(body, start, 'utf8');
  const crc = crc32(group.subarray(start), crc32(group.subarray(0, covered.length)));
  group.write(crcTail(crc), covered.length, 'latin1');
  return group;
}

/** One line, line feed included. @throws StateError RECORD_TOO_LARGE */
export function encodeRecord(record: JournalRecord): string {
  try {
    return encodedLine(JSON.stringify(record), record);
  } catch (error) {
    // V8 refuses strings beyond its maximum with a RangeError.
    if (error instanceof RangeError) throw tooLarge(record, error);
    throw error;
  }
}

/** The line of a record that is JSON already. @throws StateError RECORD_TOO_LARGE */
export function encodedLine(json: string, record: JournalRecord): string {
  const line = `${json}\n`;
  // A character takes up to three bytes: only long lines have to be measured.
  if (line.length * 3 > groupBytesMax && Buffer.byteLength(line) > groupBytesMax) throw tooLarge(record, undefined);
  return line;
}

/** Reads a header line that starts at `offset`. Null where there is none in its one legal form; the CRC is not looked at. */
export function parseHeader(
  bytes: Buffer,
  offset: number,
): { readonly header: GroupHeader; readonly crc: string; readonly length: number } | null {
  const window = bytes.subarray(offset, offset + headerBytesMax);
  const length = window.indexOf(lineFeed) + 1;
  const match = length === 0 ? null : headerPattern.exec(window.toString('latin1', 0, length));
  if (match === null) return null;
  const [group, segment, epoch, first, last, strategies, size] = match.slice(1, 8).map(Number);
  const header = { group, segment, epoch, first, last, strategies, bytes: size } as GroupHeader;
  const sane = Object.values(header).every(Number.isSafeInteger) && header.first <= header.last;
  return sane && header.bytes <= groupBytesMax ? { header, crc: String(match[8]), length } : null;
}

/** Whether the body is all there, and the group's CRC is right. */
export function groupIsWhole(
  bytes: Buffer,
  offset: number,
  parsed: { readonly header: GroupHeader; readonly crc: string; readonly length: number },
): boolean {
  const start = offset + parsed.length;
  const end = start + parsed.header.bytes;
  if (end > bytes.length) return false;
  const covered = bytes.subarray(offset, start - crcTailLength);
  return hexadecimal(crc32(bytes.subarray(start, end), crc32(covered))) === parsed.crc;
}

/** What every header line begins with: where a reader looks for a group after a damaged one. */
export const headerStart = '{"group":';

const lineFeed = 0x0a;
const number = '(0|[1-9]\\d{0,15})';
const headerPattern = new RegExp(
  `^\\{"group":([1-9]\\d{0,15}),"segment":([1-9]\\d{0,15}),"epoch":${number},"first":${number},"last":${number},` +
    `"strategies":${number},"bytes":${number},"crc":"([0-9a-f]{8})"\\}\\n$`,
);
const crcTailLength: number = crcTail(0).length;

function crcTail(crc: number): string {
  return `,"crc":"${hexadecimal(crc)}"}\n`;
}

function hexadecimal(crc: number): string {
  return crc.toString(16).padStart(8, '0');
}

function tooLarge(record: JournalRecord, cause: unknown): StateError {
  const names = record.kind === 'delta' ? record.strategies.map((change) => change.strategy).slice(0, 5) : [];
  return new StateError(
    'RECORD_TOO_LARGE',
    `a ${record.kind} record${names.length === 0 ? '' : ` of ${names.join(', ')}`} is more than ${groupBytesMax} bytes: keep less in the strategy's state`,
    { cause, details: { bytes_max: groupBytesMax } },
  );
}
