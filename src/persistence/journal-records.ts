import { StateError } from '../model/errors.ts';
import { strategyNamePattern } from '../model/names.ts';
import type { Timestamp } from '../model/time.ts';
import { journalFormatVersion } from './journal-format.ts';
import type { JournalRecord } from './records.ts';

/**
 * The records of a group's body whose CRC is right. The check is of structure only, because the CRC already tells that these are
 * the bytes that were written; what it guards against is a file that another program made.
 * @throws StateError FORMAT_NEWER for a later format, JOURNAL_RECORD_INVALID for anything else that is no record
 */
export function decodeRecords(bytes: Buffer, start: number, length: number): JournalRecord[] {
  return decodeLines(bytes, start, length, decodeLine);
}

/** That a strategy's whole state stands here, without the state. */
export interface WholeOutline {
  readonly kind: 'whole';
  readonly strategy: string;
  readonly sequence: number;
  readonly at: Timestamp;
}

/**
 * The same, but of a whole state in an incarnation's beginning for which `isEnough` says so only the outline, which is how its line
 * begins: the states are nearly all there is in a beginning, and often what they hold is known better from checkpoints.
 */
export function outlineRecords(
  bytes: Buffer,
  start: number,
  length: number,
  isEnough: (whole: WholeOutline) => boolean,
): (JournalRecord | WholeOutline)[] {
  return decodeLines(bytes, start, length, (_, from, to) => {
    const whole = wholeOutline(bytes.toString('latin1', from, Math.min(to, from + outlineBytesMax)));
    return whole !== null && isEnough(whole) ? whole : decodeLine(bytes, from, to);
  });
}

function decodeLines<T>(
  bytes: Buffer,
  start: number,
  length: number,
  decode: (bytes: Buffer, from: number, to: number) => T,
): T[] {
  const end = start + length;
  const decoded: T[] = [];
  for (let from = start; from < end; ) {
    const to = bytes.indexOf(0x0a, from);
    if (to < 0 || to >= end) throw invalid('its last line does not end');
    decoded.push(decode(bytes, from, to));
    from = to + 1;
  }
  return decoded;
}

function decodeLine(bytes: Buffer, from: number, to: number): JournalRecord {
  return checkRecord(parse(bytes.toString('utf8', from, to)));
}

/** In the one form in which such a line is written; null for any other, which is then parsed. */
function wholeOutline(line: string): WholeOutline | null {
  const match = wholePattern.exec(line);
  if (match === null || match[1] !== match[2]) return null;
  const [, , through, at, strategy] = match as unknown as [string, string, string, string, string];
  const isRight = Number.isSafeInteger(Number(through)) && !strategy.includes('..');
  return isRight ? { kind: 'whole', strategy, sequence: Number(through), at } : null;
}

const wholePattern =
  /^\{"kind":"delta","previous":(0|[1-9]\d{0,15}),"through":(0|[1-9]\d{0,15}),"at":"([^"\\]{1,60})","strategies":\[\{"strategy":"([A-Za-z0-9][A-Za-z0-9._-]{0,99})","whole":true,/;
/** More than the pattern can take. */
const outlineBytesMax = 400;

/** The record of one line, without its line feed. @throws StateError JOURNAL_RECORD_INVALID, FORMAT_NEWER */
export function parseRecord<Kind extends JournalRecord['kind']>(
  line: string,
  kind: Kind,
): JournalRecord & { readonly kind: Kind } {
  const record = checkRecord(parse(line));
  if (record.kind !== kind) throw invalid(`a ${record.kind} record where a ${kind} record belongs`);
  return record as JournalRecord & { readonly kind: Kind };
}

function parse(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch (error) {
    throw invalid(`a line is not JSON: ${(error as Error).message.slice(0, 200)}`, error);
  }
}

/**
 * The record, if it is one: the same check before it is written and after it was read, so that nothing is acknowledged that a
 * restore would refuse. @throws as decodeRecords
 */
export function checkRecord(value: unknown): JournalRecord {
  if (!isObject(value)) throw invalid('a line holds no object');
  const kind = String(value['kind']);
  const fault = Object.hasOwn(faults, kind) ? faults[kind] : undefined;
  if (fault === undefined) throw invalid(`unknown kind ${JSON.stringify(value['kind'])?.slice(0, 60)}`);
  const why = fault(value);
  if (why !== null) throw invalid(`a ${kind} record: ${why}`);
  return value as unknown as JournalRecord;
}

type Fields = Readonly<Record<string, unknown>>;

const faults: Readonly<Record<string, (fields: Fields) => string | null>> = {
  segment(fields) {
    const version = fields['format_version'];
    if (isCount(version) && version > journalFormatVersion) throw newer(version);
    if (version !== journalFormatVersion) return 'format_version is missing';
    const { from, currency } = fields;
    if (currency !== undefined && typeof currency !== 'string') return 'currency is wrong';
    const fromIsRight = from === null || (isObject(from) && isCount(from['epoch']) && isCount(from['sequence']));
    return fromIsRight && isCount(fields['epoch']) && isCount(fields['base']) ? null : 'from, epoch or base is wrong';
  },
  delta(fields) {
    const { previous, through, strategies, marks } = fields;
    if (!isCount(previous) || !isCount(through) || previous > through) return 'previous or through is wrong';
    if (typeof fields['at'] !== 'string' || !Array.isArray(strategies)) return 'at or strategies is wrong';
    if (marks !== undefined && !isPairs(marks)) return 'marks is wrong';
    for (const change of strategies as unknown[]) {
      const why = changeFault(change);
      if (why !== null) return why;
    }
    return null;
  },
  ready: (fields) => (isCount(fields['base']) && isCount(fields['strategies']) ? null : 'base or strategies is wrong'),
  heartbeat: (fields) => (typeof fields['at'] === 'string' ? null : 'at is missing'),
  checkpointed: (fields) => (Array.isArray(fields['files']) ? null : 'files is missing'),
};

const pairFields = ['cash', 'state'] as const;
const textFields = [
  'positions_removed',
  'orders_removed',
  'cash_removed',
  'state_removed',
  'recent_execution_ids',
] as const;

function changeFault(change: unknown): string | null {
  if (!isObject(change)) return 'a change is no object';
  const { strategy, positions, orders, events, halt, cursor } = change;
  if (typeof strategy !== 'string' || !strategyNamePattern.test(strategy) || strategy.includes('..'))
    return 'the name of a strategy is wrong';
  if (positions !== undefined && !areKeyed(positions, 'asset')) return `positions of ${strategy} are wrong`;
  if (orders !== undefined && !areKeyed(orders, 'order_id')) return `orders of ${strategy} are wrong`;
  if (events !== undefined && !areKeyed(events, 'kind')) return `events of ${strategy} are wrong`;
  if (halt !== undefined && halt !== null && !isObject(halt)) return `halt of ${strategy} is wrong`;
  if (cursor !== undefined && !isObject(cursor)) return `cursor of ${strategy} is wrong`;
  for (const field of pairFields)
    if (change[field] !== undefined && !isPairs(change[field])) return `${field} is wrong`;
  for (const field of textFields)
    if (change[field] !== undefined && !areTexts(change[field])) return `${field} is wrong`;
  return null;
}

function isObject(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

function isPairs(value: unknown): boolean {
  return Array.isArray(value) && value.every((pair) => Array.isArray(pair) && pair.length === 2 && isText(pair[0]));
}

function areTexts(value: unknown): boolean {
  return Array.isArray(value) && value.every(isText);
}

function areKeyed(value: unknown, key: string): boolean {
  return Array.isArray(value) && value.every((entry) => isObject(entry) && isText(entry[key]));
}

function isText(value: unknown): value is string {
  return typeof value === 'string';
}

function invalid(why: string, cause?: unknown): StateError {
  return new StateError('JOURNAL_RECORD_INVALID', why, { cause });
}

function newer(version: number): StateError {
  return new StateError(
    'FORMAT_NEWER',
    `it has format_version ${version}; this release reads up to ${journalFormatVersion}: start the release that wrote it`,
    { details: { format_version: version } },
  );
}
