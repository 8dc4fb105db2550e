import { setTimeout as sleep } from 'node:timers/promises';
import { WebSocket } from 'ws';
import { BrokerError, FeedError } from '../../model/errors.ts';
import type { MarketEvent } from '../../model/market.ts';
import { backoffMs } from '../alpaca/deadline.ts';
import { type KeySources, readKeys } from '../alpaca/keys.ts';
import type { TapeEnded } from './market-stream.ts';

export interface MarketFeedOptions extends Partial<KeySources> {
  /** Events held that nobody has taken yet; the socket is paused beyond it. Default 10,000. */
  readonly bufferMax?: number;
  readonly reconnectMsMin?: number;
  readonly reconnectMsMax?: number;
  /** Ends the feed, quietly. */
  readonly signal?: AbortSignal;
}

/**
 * The market that a paper server at `url` plays, from the moment of connecting. The connection is made with the first `next()`, and
 * made again with backoff when it breaks; what happened meanwhile is lost, as on any market feed. Ends when the tape ends, when
 * `signal` aborts, or when the consumer stops. Keys are read as by the Alpaca adapter.
 * @throws FeedError FEED_BROKEN_OFF when the tape could not be played to its end, FEED_INVALID for what is no market event;
 * BrokerError BROKER_UNAUTHORIZED
 */
export async function* marketFeed(
  url: string,
  options: MarketFeedOptions = {},
): AsyncGenerator<MarketEvent, void, void> {
  const { bufferMax = 10_000, reconnectMsMin = 100, reconnectMsMax = 5_000, signal } = options;
  const keys = readKeys(
    {
      keyIdEnv: options.keyIdEnv ?? 'APCA_API_KEY_ID',
      secretKeyEnv: options.secretKeyEnv ?? 'APCA_API_SECRET_KEY',
      ...(options.keysFile === undefined ? {} : { keysFile: options.keysFile }),
    },
    process.env,
  );
  const address = `${url.replace(/\/+$/, '').replace(/^http/, 'ws')}/stream/market`;
  for (let attempt = 0; signal?.aborted !== true; ) {
    const socket = new MarketSocket(address, keys.headers(), bufferMax, signal);
    try {
      for (;;) {
        const batch = await socket.take();
        if (batch === null) break;
        if (batch.length > 0) attempt = 0;
        yield* batch;
      }
      if (socket.ended !== null) {
        if (socket.ended.error === null) return;
        throw new FeedError('FEED_BROKEN_OFF', `market feed ${url}: the tape broke off: ${socket.ended.error}`);
      }
      if (socket.failure !== null) throw socket.failure;
    } finally {
      socket.close();
    }
    await sleep(reconnectMsMin + backoffMs(attempt, reconnectMsMin, reconnectMsMax, Math.random), undefined, {
      ...(signal === undefined ? {} : { signal }),
    }).catch(() => undefined);
    attempt += 1;
  }
}

/** One connection: batches in order, then null. */
class MarketSocket {
  ended: TapeEnded | null = null;
  /** What trying again would not help. */
  failure: Error | null = null;
  readonly #socket: WebSocket;
  readonly #bufferMax: number;
  #buffer: MarketEvent[] = [];
  #closed = false;
  #wake: () => void = () => undefined;
  readonly #stop: AbortController = new AbortController();

  constructor(address: string, headers: Record<string, string>, bufferMax: number, signal: AbortSignal | undefined) {
    this.#bufferMax = bufferMax;
    this.#socket = new WebSocket(address, { headers, handshakeTimeout: 10_000, maxPayload: 16 * 1024 * 1024 });
    this.#socket.on('message', (data) => this.#receive(String(data)));
    this.#socket.on('unexpected-response', (_, response) => {
      if (response.statusCode === 401) {
        this.failure = new BrokerError('BROKER_UNAUTHORIZED', `market feed ${address}: not authorized; check the keys`);
      }
      this.#socket.terminate();
    });
    // The close that follows is what counts: the feed tries again.
    this.#socket.on('error', () => undefined);
    this.#socket.on('close', () => this.#end());
    if (signal?.aborted === true) this.#end();
    signal?.addEventListener('abort', () => this.close(), { signal: this.#stop.signal });
  }

  /** What has come, as soon as anything has; null once all was taken and no more will come. */
  async take(): Promise<readonly MarketEvent[] | null> {
    while (this.#buffer.length === 0 && !this.#closed) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    const batch = this.#buffer;
    if (batch.length === 0) return null;
    this.#buffer = [];
    if (!this.#closed && this.#socket.isPaused) this.#socket.resume();
    return batch;
  }

  close(): void {
    this.#stop.abort();
    this.#buffer = [];
    this.#end();
    this.#socket.terminate();
  }

  #end(): void {
    this.#closed = true;
    this.#wake();
  }

  #receive(text: string): void {
    if (this.#closed) return;
    const message = parse(text);
    if (message === null) {
      this.failure = new FeedError('FEED_INVALID', `market feed: expected market events, got ${text.slice(0, 120)}`);
      this.#end();
    } else if (Array.isArray(message)) {
      for (const event of message) this.#buffer.push(event);
      if (this.#buffer.length >= this.#bufferMax) this.#socket.pause();
      this.#wake();
    } else {
      this.ended = message as TapeEnded;
      this.#end();
    }
  }
}

/** Events are looked at, and not parsed by a schema: this runs on the engine's thread for each of them. */
function parse(text: string): readonly MarketEvent[] | TapeEnded | null {
  let message: unknown;
  try {
    message = JSON.parse(text);
  } catch {
    return null;
  }
  if (Array.isArray(message)) return message.every(isMarketEvent) ? message : null;
  const ended = message as Partial<TapeEnded> | null;
  return typeof ended === 'object' && ended?.kind === 'ended' ? { kind: 'ended', error: ended.error ?? null } : null;
}

const fields: Readonly<Record<string, readonly string[]>> = {
  trade: ['price', 'amount'],
  quote: ['bid', 'bid_amount', 'ask', 'ask_amount'],
  bar: ['open', 'high', 'low', 'close', 'volume'],
};

function isMarketEvent(value: unknown): value is MarketEvent {
  if (typeof value !== 'object' || value === null) return false;
  const event = value as Readonly<Record<string, unknown>>;
  const names = fields[String(event['kind'])];
  if (names === undefined || typeof event['asset'] !== 'string' || typeof event['at'] !== 'string') return false;
  for (const name of names) if (typeof event[name] !== 'string') return false;
  return true;
}
