import { constants } from 'node:buffer';
import { hash } from 'node:crypto';
import { StateError } from '../model/errors.ts';
import type { Halt } from '../model/event.ts';
import type { JsonObject } from '../model/json.ts';
import type { StrategySnapshot } from '../model/snapshot.ts';
import type { Timestamp } from '../model/time.ts';
import { assertFits, orderLine, positionLine } from './checkpoint-lines.ts';
import { parseCheckpointName } from './checkpoint-names.ts';
import {
  type CheckpointHead,
  checkpointFormat,
  checkpointFormatVersion,
  checkpointHeadSchema,
  type DecodedCheckpoint,
  parseCheckpoint,
  parseSeedCheckpoint,
  whyTwice,
} from './checkpoint-schema.ts';
import { whyNotJson } from './json-check.ts';

/** Beyond this a file is not read: what is longer cannot become one string in V8. */
export const checkpointBytesMax: number = Math.min(2 ** 30, constants.MAX_STRING_LENGTH);

/**
 * The bytes of a checkpoint file, as docs/internals/file-formats.md specifies them: a pure function of its input. Positions and
 * orders are frozen by it, if they were not.
 * @throws StateError CHECKPOINT_INVALID where the snapshot holds what the file could not give back exactly, or
 * CHECKPOINT_TOO_LARGE beyond {@link checkpointBytesMax}
 */
export function encodeCheckpoint(
  snapshot: StrategySnapshot,
  at: { readonly epoch: number; readonly sequence: number; readonly timestamp: Timestamp },
): { readonly bytes: Uint8Array; readonly checksum: string } {
  const name = snapshot.strategy_name;
  assertWritable(snapshot, at);
  const cursor = snapshot.broker_cursor;
  const body = joined(name, [
    `{"format": ${quote(checkpointFormat)}, "format_version": ${checkpointFormatVersion},`,
    ` "strategy_name": ${quote(name)}, "timestamp": ${quote(at.timestamp)}, "epoch": ${at.epoch}, "sequence": ${at.sequence},`,
    ` "strategy_state": {${block(entryLines(snapshot.strategy_state), ' ')}},`,
    ` "positions": [${block(positionLines(snapshot), ' ')}],`,
    ` "pending_orders": [${block(orderLines(snapshot), ' ')}],`,
    ` "cash_balance": ${quote(snapshot.cash_balance)}, "currency": ${quote(snapshot.currency)}, "other_cash": {${entryLines(snapshot.other_cash).join(', ')}},`,
    ` "broker_cursor": {"activity_id": ${quote(cursor.activity_id)}, "at": ${quote(cursor.at)},`,
    `  "recent_execution_ids": [${block(cursor.recent_execution_ids.map(quote), '  ')}]},`,
    ` "halt": ${haltText(snapshot.halt)},\n`,
  ]);
  const covered = Buffer.from(body, 'utf8');
  const checksum = checksumOf(covered);
  const bytes = Buffer.concat([covered, Buffer.from(tail(checksum), 'latin1')]);
  if (bytes.length > checkpointBytesMax) throw tooLarge(name);
  return { bytes, checksum };
}

/**
 * Reads the bytes of a checkpoint file. Never throws: what the bytes are is in the answer, and `why` is a clause for a message
 * ("its checksum does not match …"). The checksum is verified over the raw bytes before anything in them is believed.
 * @param expected.strategy whose file it should be; null accepts any strategy's
 * @param expected.file its name: the place in the order that an older generation's name tells must be the one inside
 * @param expected.currency what `cash_balance` of a file in the seed's format is in (default "USD")
 */
export function decodeCheckpoint(
  bytes: Uint8Array,
  expected: { readonly strategy: string | null; readonly file: string; readonly currency?: string },
): DecodedCheckpoint {
  const ending = Buffer.from(
    bytes.buffer,
    bytes.byteOffset + Math.max(0, bytes.length - tailLength),
    Math.min(tailLength, bytes.length),
  );
  const checksum = tailPattern.exec(ending.toString('latin1'))?.[1] ?? null;
  if (checksum !== null && checksumOf(bytes.subarray(0, bytes.length - tailLength)) !== checksum) {
    return damaged('its checksum does not match: bytes have changed since it was written');
  }
  const json = parseJson(bytes);
  if ('why' in json) return damaged(json.why);
  const value = json.value;
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return damaged('it holds no JSON object');
  const parsed = parseKnown(value as Record<string, unknown>, checksum, expected.currency ?? 'USD');
  return parsed.kind === 'ok' ? placed(parsed, expected) : parsed;
}

function parseKnown(value: Record<string, unknown>, checksum: string | null, currency: string): DecodedCheckpoint {
  const version = value['format_version'];
  if (value['format'] === checkpointFormat && typeof version === 'number' && version > checkpointFormatVersion) {
    return {
      kind: 'newer_format',
      why: `it has format_version ${version}; this release reads up to ${checkpointFormatVersion}: start the release that wrote it`,
    };
  }
  const ours = ['format', 'format_version', 'epoch', 'sequence', 'checksum'].some((key) => Object.hasOwn(value, key));
  if (ours && checksum === null) return damaged('it does not end with a checksum line: cut off, or edited by hand');
  const state = value['strategy_state'];
  const tooDeep = state === undefined ? null : whyNotJson(state, 'strategy_state');
  if (tooDeep !== null) return damaged(tooDeep);
  return ours ? parseCheckpoint(value) : parseSeedCheckpoint(value, currency);
}

/** A true checkpoint must also be the one that its name promises. */
function placed(
  decoded: DecodedCheckpoint & { readonly kind: 'ok' },
  expected: { readonly strategy: string | null; readonly file: string },
): DecodedCheckpoint {
  const { strategy_name, epoch, sequence } = decoded.checkpoint;
  if (expected.strategy !== null && strategy_name !== expected.strategy) {
    return { kind: 'foreign', why: `it is a checkpoint of strategy ${strategy_name}, not of ${expected.strategy}` };
  }
  const named = parseCheckpointName(expected.file)?.generation ?? null;
  if (named !== null && (named.epoch !== epoch || named.sequence !== sequence)) {
    return damaged(`it holds epoch ${epoch}, sequence ${sequence}, which is not what its name says`);
  }
  return decoded;
}

const tailPattern = /^ "checksum": "(sha256:[0-9a-f]{64})"\}\n$/;
const tailLength: number = tail(`sha256:${'0'.repeat(64)}`).length;

function tail(checksum: string): string {
  return ` "checksum": "${checksum}"}\n`;
}

function checksumOf(bytes: Uint8Array): string {
  return `sha256:${hash('sha256', bytes, 'hex')}`;
}

function quote(text: string | null): string {
  return JSON.stringify(text);
}

/** Entries one to a line, so that a change of one entry is a change of one line. */
function block(lines: readonly string[], indent: string): string {
  return lines.length === 0 ? '' : `\n${indent} ${lines.join(`,\n${indent} `)}\n${indent}`;
}

/** In the order of their keys, whatever order they were set in. */
function entryLines(object: JsonObject): string[] {
  return Object.keys(object)
    .sort()
    .map((key) => `${quote(key)}: ${JSON.stringify(object[key])}`);
}

function positionLines({ strategy_name, positions }: StrategySnapshot): string[] {
  return positions.map((position) => positionLine(position, strategy_name));
}

function orderLines({ strategy_name, pending_orders }: StrategySnapshot): string[] {
  return pending_orders.map((order) => orderLine(order, strategy_name));
}

function haltText(halt: Halt | null): string {
  if (halt === null) return 'null';
  return `{"reason": ${quote(halt.reason)}, "source": ${quote(halt.source)}, "at": ${quote(halt.at)}}`;
}

function assertWritable(snapshot: StrategySnapshot, at: Omit<CheckpointHead, keyof StrategySnapshot>): void {
  const { strategy_name: name, cash_balance, currency, other_cash, broker_cursor, halt } = snapshot;
  const { timestamp, epoch, sequence } = at;
  const place = { timestamp, epoch, sequence };
  const head = { strategy_name: name, cash_balance, currency, other_cash, broker_cursor, halt, ...place };
  assertFits(head, checkpointHeadSchema, () => `the checkpoint of strategy ${name}`);
  const why = whyNotJson(snapshot.strategy_state, 'strategy_state') ?? whyTwice(snapshot);
  if (why === null) return;
  throw new StateError(
    'CHECKPOINT_INVALID',
    `the checkpoint of strategy ${name} cannot be written: ${why}. The earlier checkpoint is unchanged.`,
    { details: { strategy: name } },
  );
}

function joined(name: string, lines: readonly string[]): string {
  try {
    return lines.join('\n');
  } catch (error) {
    throw error instanceof RangeError ? tooLarge(name) : error;
  }
}

function tooLarge(name: string): StateError {
  return new StateError(
    'CHECKPOINT_TOO_LARGE',
    `the state of strategy ${name} is more than ${checkpointBytesMax} bytes as a checkpoint; keep less in it. The earlier checkpoint is unchanged.`,
    { details: { strategy: name, bytes_max: checkpointBytesMax } },
  );
}

/** A byte order mark, as some editors put before what they save, is passed over: the checksum of a file that has one covers it. */
function parseJson(bytes: Uint8Array): { readonly value: unknown } | { readonly why: string } {
  if (bytes.length === 0) return { why: 'it is empty' };
  if (bytes.length > checkpointBytesMax)
    return { why: `it is ${bytes.length} bytes long, more than ${checkpointBytesMax}` };
  if (bytes.every((byte) => byte === 0)) return { why: 'it holds nothing but zero bytes' };
  try {
    return { value: JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes)) };
  } catch (error) {
    return { why: `it is not JSON text in UTF-8: ${(error as Error).message.slice(0, 200)}` };
  }
}

function damaged(why: string): DecodedCheckpoint {
  return { kind: 'damaged', why };
}
