/**
 * HTTP to an Alpaca Trading API: one request in, one checked answer or one BrokerError out.
 *
 * C1. Only reads are tried again; a write whose answer is lost is settled by whoever knows its client order id.
 * C2. A refusal counts as evidence only in the broker's own words: a JSON object with a message. An HTML page from a proxy, an
 *     empty body or half an answer is BROKER_ANSWER_INVALID or BROKER_UNAVAILABLE, which are no evidence.
 * C3. No error holds a key: what a server said is cut and redacted, and headers stay in here. Redirects are refused, because
 *     headers would follow them.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { z } from 'zod';
import { BrokerError, type ErrorDetails } from '../../model/errors.ts';
import { backoffMs, type Deadline } from './deadline.ts';
import type { BrokerKeys } from './keys.ts';
import { errorSchema } from './schemas.ts';

export interface AlpacaRequest<T> {
  readonly method: 'GET' | 'POST' | 'PATCH' | 'DELETE';
  readonly path: string;
  readonly query?: Readonly<Record<string, string>>;
  readonly body?: Readonly<Record<string, unknown>>;
  /** What the answer must be; null where it has no content. */
  readonly schema: z.ZodType<T> | null;
  /** What is asked for, for messages: "positions". */
  readonly what: string;
}

export interface ClientSettings {
  readonly url: string;
  readonly keys: BrokerKeys;
  readonly readAttemptsMax: number;
  readonly random: () => number;
}

/** An answer is not read beyond this. */
const answerBytesMax = 32 * 1024 * 1024;
const retryBaseMs = 200;
const retryMaxMs = 5_000;
const excerptLength = 200;

export class AlpacaClient {
  readonly #settings: ClientSettings;

  constructor(settings: ClientSettings) {
    this.#settings = settings;
  }

  /** Resolves with the parsed answer. Reads are tried again, with jittered backoff, within the deadline. */
  async request<T>(request: AlpacaRequest<T>, deadline: Deadline): Promise<T> {
    const attempts = request.method === 'GET' ? this.#settings.readAttemptsMax : 1;
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await this.#once(request, deadline);
      } catch (error) {
        const waitMs = retryAfter(error, attempt, this.#settings.random);
        if (waitMs === null || attempt >= attempts || waitMs >= deadline.remainingMs()) throw error;
        await this.#wait(waitMs, request, deadline);
      }
    }
  }

  async #once<T>(request: AlpacaRequest<T>, deadline: Deadline): Promise<T> {
    const { status, headers, text } = await this.#exchange(request, deadline);
    if (status < 200 || status > 299) throw this.#refusal(request, status, headers, text);
    if (request.schema === null) return undefined as T;
    const json = parseJson(text);
    const parsed = request.schema.safeParse(json);
    if (parsed.success) return parsed.data;
    const issue = parsed.error.issues[0];
    const where = json === undefined ? 'it is not JSON' : `at ${issue?.path.join('.') || 'the top'}: ${issue?.message}`;
    throw this.#error('BROKER_ANSWER_INVALID', request, `the answer cannot be understood (${where})`, {
      status,
      excerpt: this.#excerpt(text),
    });
  }

  async #exchange(
    { method, path, query, body, what }: AlpacaRequest<unknown>,
    deadline: Deadline,
  ): Promise<{ readonly status: number; readonly headers: Headers; readonly text: string }> {
    const search = query === undefined ? '' : `?${new URLSearchParams(query)}`;
    try {
      const response = await fetch(`${this.#settings.url}${path}${search}`, {
        method,
        headers: {
          ...this.#settings.keys.headers(),
          accept: 'application/json',
          ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
        redirect: 'error',
        signal: deadline.signal,
      });
      return { status: response.status, headers: response.headers, text: await readText(response) };
    } catch (error) {
      throw this.#lost({ method, path, what }, deadline, error);
    }
  }

  async #wait(ms: number, request: AlpacaRequest<unknown>, deadline: Deadline): Promise<void> {
    try {
      await sleep(ms, undefined, { signal: deadline.signal });
    } catch (error) {
      throw this.#lost(request, deadline, error);
    }
  }

  /** No answer: nothing is known of whether the request was carried out. */
  #lost(
    request: Pick<AlpacaRequest<unknown>, 'method' | 'path' | 'what'>,
    deadline: Deadline,
    error: unknown,
  ): BrokerError {
    if (deadline.signal.aborted && (deadline.signal.reason as Error | undefined)?.name === 'TimeoutError') {
      return this.#error('BROKER_TIMEOUT', request, `no answer within ${deadline.timeoutMs} ms`, {}, true);
    }
    if (deadline.signal.aborted) return this.#error('BROKER_UNREACHABLE', request, 'the adapter was closed', {});
    const reason = failure(error);
    return this.#error(
      'BROKER_UNREACHABLE',
      request,
      `no answer (${this.#excerpt(reason)})`,
      { reason: this.#excerpt(reason) },
      true,
    );
  }

  #refusal(request: AlpacaRequest<unknown>, status: number, headers: Headers, text: string): BrokerError {
    const parsed = errorSchema.safeParse(parseJson(text));
    const words = parsed.success ? this.#excerpt(parsed.data.message) : null;
    const details: ErrorDetails = {
      status,
      broker_code: parsed.success ? (parsed.data.code ?? null) : null,
      ...(words === null ? { excerpt: this.#excerpt(text) } : { broker_message: words }),
    };
    const said = words === null ? `status ${status} without a reason` : `status ${status}: ${words}`;
    if (status === 429) {
      const retry_after_ms = rateLimitMs(headers);
      return this.#error('BROKER_RATE_LIMITED', request, said, { ...details, retry_after_ms }, true);
    }
    if (status >= 500 || status === 408) return this.#error('BROKER_UNAVAILABLE', request, said, details, true);
    const forbidden = status === 403 && (words === null || /^forbidden\.?$/i.test(words));
    if (status === 401 || forbidden) {
      return this.#error(
        'BROKER_UNAUTHORIZED',
        request,
        `${said}; check the keys and that they belong to ${this.#settings.url}`,
        details,
      );
    }
    // That it has no such order is what ends one as never received. A gateway says "Not Found" as well, but without the API's code.
    const isGateway = status === 404 && details['broker_code'] === null;
    if (words === null || isGateway) return this.#error('BROKER_ANSWER_INVALID', request, said, details);
    if (status === 404) return this.#error('BROKER_NOT_FOUND', request, said, details);
    if (/client_order_id must be unique/i.test(words))
      return this.#error('BROKER_DUPLICATE_ORDER_ID', request, said, details);
    return this.#error('BROKER_REJECTED', request, said, details);
  }

  #error(
    code: string,
    { method, path, what }: Pick<AlpacaRequest<unknown>, 'method' | 'path' | 'what'>,
    reason: string,
    details: ErrorDetails,
    retryable = false,
  ): BrokerError {
    return new BrokerError(code, `broker, ${what}: ${reason}`, { details: { ...details, method, path }, retryable });
  }

  #excerpt(text: string): string {
    // Redacted before it is cut: half a key is a secret too.
    return this.#settings.keys.redact(text.slice(0, 100_000)).slice(0, excerptLength);
  }
}

/** How long to wait before trying a failed read again; null where that would not help. */
function retryAfter(error: unknown, attempt: number, random: () => number): number | null {
  if (!(error instanceof BrokerError) || !error.retryable || error.code === 'BROKER_TIMEOUT') return null;
  const jitter = backoffMs(attempt - 1, retryBaseMs, retryMaxMs, random);
  const asked = error.details['retry_after_ms'];
  return typeof asked === 'number' ? asked + jitter : jitter;
}

/** Retry-After in seconds or as a date; else X-RateLimit-Reset, an epoch in seconds, which is what Alpaca documents. */
function rateLimitMs(headers: Headers): number {
  const after = headers.get('retry-after');
  if (after !== null) {
    if (/^\d{1,9}(\.\d+)?$/.test(after)) return Math.ceil(Number(after) * 1000);
    const date = Date.parse(after);
    if (!Number.isNaN(date)) return Math.max(0, date - Date.now());
  }
  const reset = headers.get('x-ratelimit-reset');
  if (reset !== null && /^\d{1,12}$/.test(reset))
    return Math.min(60_000, Math.max(0, Number(reset) * 1000 - Date.now()));
  return 1_000;
}

async function readText(response: Response): Promise<string> {
  if (response.body === null) return '';
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of response.body) {
    bytes += chunk.byteLength;
    if (bytes > answerBytesMax) throw new Error(`an answer of more than ${answerBytesMax} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** fetch says "fetch failed" and keeps why in its cause. */
function failure(error: unknown): string {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  if (!(cause instanceof Error)) return String(cause);
  const code = 'code' in cause && typeof cause.code === 'string' ? cause.code : null;
  return code ?? cause.message;
}
