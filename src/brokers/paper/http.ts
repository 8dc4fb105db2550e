import { createHash, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { BrokerError } from '../../model/errors.ts';
import type { BrokerOperation } from './faults.ts';
import type { Refusal } from './refusals.ts';

/** A request after its keys were checked. */
export interface PaperRequest {
  readonly method: string;
  readonly path: string;
  readonly query: URLSearchParams;
  /** What the body holds as JSON; undefined where there is none. */
  readonly body: unknown;
}

export interface PaperAnswer {
  readonly status: number;
  /** Sent as JSON; undefined sends none. */
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
}

export interface PaperRoute {
  readonly method: string;
  /** Of the whole path; its groups come decoded. */
  readonly path: RegExp;
  /** What of a broker's operations it is, for misbehaviour. */
  readonly operation?: BrokerOperation;
  handle(request: PaperRequest, groups: readonly string[]): PaperAnswer;
}

export function get(path: RegExp, handle: PaperRoute['handle'], operation?: BrokerOperation): PaperRoute {
  return { method: 'GET', path, handle, ...(operation === undefined ? {} : { operation }) };
}

export interface PaperKeys {
  readonly keyId: string;
  readonly secretKey: string;
}

/** An answer in the real API's form of an error. */
export function errorAnswer(status: number, code: number, message: string, more: object = {}): PaperAnswer {
  return { status, body: { ...more, code, message } };
}

/** What the real one answers to each refusal: status and code. */
const refusals: Readonly<Record<Refusal, readonly [status: number, code: number]>> = {
  invalid_request: [422, 42210000],
  duplicate_order_id: [422, 40010001],
  unknown_asset: [422, 42210000],
  insufficient_buying_power: [403, 40310000],
  insufficient_amount: [403, 40310000],
  shorts_not_allowed: [403, 40310000],
  wash_trade: [403, 40310000],
  order_not_found: [404, 40410000],
  order_not_live: [422, 42210000],
  nothing_changed: [422, 42210000],
};

/** The exchange's refusal as an answer. Anything else that was thrown is an error of ours, and is thrown on. */
export function refusalAnswer(error: unknown): PaperAnswer {
  if (!(error instanceof BrokerError)) throw error;
  const { refusal, ...details } = error.details;
  const [status, code] = refusals[refusal as Refusal];
  return errorAnswer(status, code, error.message, details);
}

/** Whether both keys are right, in a time that does not tell how much of them is. */
export function authorized(keys: PaperKeys, keyId: unknown, secretKey: unknown): boolean {
  const idFits = same(keys.keyId, keyId);
  return same(keys.secretKey, secretKey) && idFits;
}

export function headersAuthorized(keys: PaperKeys, request: IncomingMessage): boolean {
  return authorized(keys, request.headers['apca-api-key-id'], request.headers['apca-api-secret-key']);
}

function same(expected: string, given: unknown): boolean {
  const digest = (text: string) => createHash('sha256').update(text).digest();
  return typeof given === 'string' && timingSafeEqual(digest(expected), digest(given));
}

const bodyBytesMax = 64 * 1024;

/** Resolves with the body's text, or null where it is too long. */
export async function readBody(request: IncomingMessage): Promise<string | null> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request) {
    bytes += (chunk as Buffer).byteLength;
    if (bytes > bodyBytesMax) return null;
    chunks.push(chunk as Buffer);
  }
  return Buffer.concat(chunks).toString('utf8');
}

export function send(response: ServerResponse, answer: PaperAnswer): void {
  const text = answer.body === undefined ? '' : JSON.stringify(answer.body);
  response.writeHead(answer.status, {
    ...(answer.body === undefined ? {} : { 'content-type': 'application/json; charset=UTF-8' }),
    'content-length': Buffer.byteLength(text),
    ...answer.headers,
  });
  response.end(text);
}
