import { constants } from 'node:buffer';
import { StateError } from '../model/errors.ts';
import type { StrategySnapshot } from '../model/snapshot.ts';
import { checksumIn } from './checkpoint-checksum.ts';
import { type CheckpointPlace, layOut } from './checkpoint-layout.ts';
import { assertFits } from './checkpoint-lines.ts';
import { parseCheckpointName } from './checkpoint-names.ts';
import {
  checkpointFormat,
  checkpointFormatVersion,
  checkpointHeadSchema,
  type DecodedCheckpoint,
  parseCheckpoint,
  parseSeedCheckpoint,
  whyTwice,
} from './checkpoint-schema.ts';
import { CheckpointText, type EncodedCheckpoint } from './checkpoint-text.ts';
import { whyNotJson } from './json-check.ts';

/** Beyond this a file is not read: what is longer cannot become one string in V8. */
export const checkpointBytesMax: number = Math.min(2 ** 30, constants.MAX_STRING_LENGTH);

/**
 * The bytes of a checkpoint file, as docs/internals/file-formats.md specifies them: a pure function of snapshot and place.
 * Positions and orders are frozen by it, if they were not.
 * @param last the strategy's checkpoint before; it saves work where little has changed since, and the bytes are the same without
 * @param room gives so many bytes, none of them among those of `last`
 * @throws StateError CHECKPOINT_INVALID where the snapshot holds what the file could not give back exactly, or
 * CHECKPOINT_TOO_LARGE beyond {@link checkpointBytesMax}
 */
export function encodeCheckpoint(
  snapshot: StrategySnapshot,
  at: CheckpointPlace,
  last: EncodedCheckpoint | null = null,
  room: (length: number) => Buffer = Buffer.allocUnsafeSlow,
): EncodedCheckpoint {
  const name = snapshot.strategy_name;
  assertHeadFits(snapshot, at);
  const text = new CheckpointText(last);
  if (!isOnceEach(text, snapshot, at)) refuseWhere(whyTwice(snapshot), name);
  return text.seal((length) => {
    if (length > checkpointBytesMax) throw tooLarge(name);
    return room(length);
  });
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
  const checksum = checksumIn(bytes);
  if (checksum?.holds === false) {
    return damaged('its checksum does not match: bytes have changed since it was written');
  }
  const json = parseJson(bytes);
  if ('why' in json) return damaged(json.why);
  const value = json.value;
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return damaged('it holds no JSON object');
  const parsed = parseKnown(value as Record<string, unknown>, checksum !== null, expected.currency ?? 'USD');
  return parsed.kind === 'ok' ? placed(parsed, expected) : parsed;
}

function parseKnown(value: Record<string, unknown>, summed: boolean, currency: string): DecodedCheckpoint {
  const version = value['format_version'];
  if (value['format'] === checkpointFormat && typeof version === 'number' && version > checkpointFormatVersion) {
    return {
      kind: 'newer_format',
      why: `it has format_version ${version}; this release reads up to ${checkpointFormatVersion}: start the release that wrote it`,
    };
  }
  const ours = ['format', 'format_version', 'epoch', 'sequence', 'checksum'].some((key) => Object.hasOwn(value, key));
  if (ours && !summed) return damaged('it does not end with a checksum line: cut off, or edited by hand');
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

/** Lays the text out. */
function isOnceEach(text: CheckpointText, snapshot: StrategySnapshot, at: CheckpointPlace): boolean {
  try {
    return layOut(text, snapshot, at);
  } catch (error) {
    throw error instanceof RangeError ? tooLarge(snapshot.strategy_name) : error;
  }
}

function assertHeadFits(snapshot: StrategySnapshot, { timestamp, epoch, sequence }: CheckpointPlace): void {
  const { strategy_name: name, cash_balance, currency, other_cash, broker_cursor, halt } = snapshot;
  const place = { timestamp, epoch, sequence };
  const head = { strategy_name: name, cash_balance, currency, other_cash, broker_cursor, halt, ...place };
  assertFits(head, checkpointHeadSchema, () => `the checkpoint of strategy ${name}`);
  refuseWhere(whyNotJson(snapshot.strategy_state, 'strategy_state'), name);
}

function refuseWhere(why: string | null, name: string): void {
  if (why === null) return;
  throw new StateError(
    'CHECKPOINT_INVALID',
    `the checkpoint of strategy ${name} cannot be written: ${why}. The earlier checkpoint is unchanged.`,
    { details: { strategy: name } },
  );
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
