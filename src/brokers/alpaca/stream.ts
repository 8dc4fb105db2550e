/**
 * The account's stream of order updates over one WebSocket after another.
 *
 * S1. `connected` is told after each acknowledged listen, and not before: from then on no update is missed until `disconnected`.
 * S2. What cannot be read is a gap: the socket is dropped, and whoever listens catches up after the next `connected`.
 * S3. A socket that shows no life within the heartbeat is dropped.
 * S4. After close nothing is told any more, and no socket and no timer is left.
 */
import { WebSocket } from 'ws';
import { BrokerError } from '../../model/errors.ts';
import type { StreamConnection, StreamListener } from '../adapter.ts';
import { backoffMs } from './deadline.ts';
import type { BrokerKeys } from './keys.ts';
import { authorizationSchema, listeningSchema, streamMessageSchema, tradeUpdateSchema } from './schemas.ts';
import { type AssetNames, orderReport, updateFill } from './translate.ts';

export interface StreamSettings {
  /** http or https, as for requests. */
  readonly url: string;
  readonly keys: BrokerKeys;
  readonly assets: AssetNames;
  readonly timeoutMs: number;
  readonly heartbeatMs: number;
  readonly reconnectMsMin: number;
  readonly reconnectMsMax: number;
  readonly random: () => number;
  /** Aborts when the adapter closes. */
  readonly closing: AbortSignal;
}

/**
 * Resolves once the first listen was acknowledged. Rejects with BROKER_UNAUTHORIZED when the first authorization is refused, and with
 * BROKER_UNREACHABLE when none was acknowledged within the timeout, although it was tried again with backoff.
 */
export function openAlpacaStream(settings: StreamSettings, listener: StreamListener): Promise<StreamConnection> {
  const { promise, resolve, reject } = Promise.withResolvers<StreamConnection>();
  const fail = (error: BrokerError) => {
    settle();
    void stream.close().then(() => reject(error));
  };
  const unreachable = (reason: string, retryable: boolean) =>
    fail(new BrokerError('BROKER_UNREACHABLE', `broker, stream of order updates: ${reason}`, { retryable }));
  const stream = new AlpacaStream(settings, listener, {
    ready: () => {
      settle();
      resolve(stream);
    },
    refused: fail,
  });
  const limit = setTimeout(
    () => unreachable(`not open within ${settings.timeoutMs} ms (${stream.lastReason})`, true),
    settings.timeoutMs,
  );
  const onClosing = () => unreachable('the adapter was closed', false);
  const settle = () => {
    clearTimeout(limit);
    settings.closing.removeEventListener('abort', onClosing);
  };
  settings.closing.addEventListener('abort', onClosing);
  if (settings.closing.aborted) onClosing();
  else stream.start();
  return promise;
}

interface FirstOutcome {
  ready(): void;
  refused(error: BrokerError): void;
}

class AlpacaStream implements StreamConnection {
  /** Why the socket before this one was lost. */
  lastReason = 'no answer';
  /** What is wrong with this one, where anything was heard of it. */
  #trouble: string | null = null;
  readonly #settings: StreamSettings;
  readonly #listener: StreamListener;
  readonly #first: FirstOutcome;
  #socket: WebSocket | null = null;
  #listening = false;
  #everListened = false;
  #closed = false;
  #alive = true;
  #attempt = 0;
  #retry: NodeJS.Timeout | undefined;
  #heartbeat: NodeJS.Timeout | undefined;

  constructor(settings: StreamSettings, listener: StreamListener, first: FirstOutcome) {
    this.#settings = settings;
    this.#listener = listener;
    this.#first = first;
  }

  start(): void {
    const socket = new WebSocket(`${this.#settings.url.replace(/^http/, 'ws')}/stream`, {
      handshakeTimeout: this.#settings.timeoutMs,
      maxPayload: 4 * 1024 * 1024,
      followRedirects: false,
    });
    this.#socket = socket;
    this.#alive = true;
    socket.on('open', () => socket.send(this.#settings.keys.authMessage()));
    // The real stream sends binary frames, the market data streams text: both hold the same JSON.
    socket.on('message', (data) => this.#receive(socket, String(data)));
    socket.on('pong', () => {
      this.#alive = true;
    });
    socket.on('error', (error) => {
      this.#trouble = this.#settings.keys.redact(error.message).slice(0, 200);
    });
    socket.on('close', (code, reason) => this.#lost(socket, code, String(reason)));
    clearInterval(this.#heartbeat);
    this.#heartbeat = setInterval(() => this.#beat(socket), this.#settings.heartbeatMs);
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#retry);
    clearInterval(this.#heartbeat);
    const socket = this.#socket;
    this.#socket = null;
    if (socket === null || socket.readyState === WebSocket.CLOSED) return;
    await new Promise<void>((resolve) => {
      socket.once('close', () => resolve());
      socket.terminate();
    });
  }

  #beat(socket: WebSocket): void {
    if (!this.#alive) {
      this.#drop(socket, `no sign of life for ${this.#settings.heartbeatMs} ms`);
      return;
    }
    this.#alive = false;
    if (socket.readyState === WebSocket.OPEN) socket.ping();
  }

  #receive(socket: WebSocket, text: string): void {
    if (socket !== this.#socket) return;
    this.#alive = true;
    const message = streamMessageSchema.safeParse(parseJson(text));
    if (!message.success) this.#drop(socket, this.#about('a message that cannot be understood', text));
    else if (message.data.stream === 'authorization') this.#authorized(socket, message.data.data);
    else if (message.data.stream === 'listening') this.#acknowledged(socket, message.data.data);
    else if (message.data.stream === 'trade_updates' && this.#listening) this.#update(socket, message.data.data, text);
  }

  #authorized(socket: WebSocket, data: unknown): void {
    const answer = authorizationSchema.safeParse(data);
    if (answer.success && answer.data.status === 'authorized') {
      socket.send(JSON.stringify({ action: 'listen', data: { streams: ['trade_updates'] } }));
      return;
    }
    const error = new BrokerError(
      'BROKER_UNAUTHORIZED',
      `broker, stream of order updates: not authorized; check the keys and that they belong to ${this.#settings.url}`,
    );
    if (this.#everListened) this.#drop(socket, 'not authorized');
    else this.#first.refused(error);
  }

  #acknowledged(socket: WebSocket, data: unknown): void {
    const answer = listeningSchema.safeParse(data);
    if (!answer.success || !answer.data.streams.includes('trade_updates')) {
      this.#drop(socket, 'trade_updates are not available');
      return;
    }
    if (this.#listening) return;
    this.#listening = true;
    this.#everListened = true;
    this.#attempt = 0;
    this.#first.ready();
    this.#listener.connected();
  }

  #update(socket: WebSocket, data: unknown, text: string): void {
    const update = tradeUpdateSchema.safeParse(data);
    const fill = update.success ? updateFill(update.data, this.#settings.assets) : undefined;
    if (!update.success || fill === undefined) {
      this.#drop(socket, this.#about('an update that cannot be understood', text));
      return;
    }
    this.#listener.update(orderReport(update.data.order, this.#settings.assets), fill);
  }

  /** With the beginning of what was said. Redacted before it is cut: half a key is a secret too. */
  #about(what: string, text: string): string {
    return `${what}: ${this.#settings.keys.redact(text.slice(0, 100_000)).slice(0, 120)}`;
  }

  #drop(socket: WebSocket, reason: string): void {
    this.#trouble = reason;
    socket.removeAllListeners('message');
    socket.terminate();
  }

  #lost(socket: WebSocket, code: number, reason: string): void {
    if (this.#closed || socket !== this.#socket) return;
    clearInterval(this.#heartbeat);
    const words = this.#settings.keys.redact(reason).slice(0, 200);
    const why = this.#trouble ?? `closed with ${code} ${words}`.trim();
    this.lastReason = why;
    this.#trouble = null;
    const told = this.#listening;
    this.#listening = false;
    const waitMs =
      this.#settings.reconnectMsMin +
      backoffMs(this.#attempt, this.#settings.reconnectMsMin, this.#settings.reconnectMsMax, this.#settings.random);
    this.#attempt += 1;
    this.#retry = setTimeout(() => this.start(), Math.min(waitMs, this.#settings.reconnectMsMax));
    if (told) this.#listener.disconnected(why);
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
