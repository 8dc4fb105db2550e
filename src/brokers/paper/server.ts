/**
 * A paper exchange behind the Alpaca Trading API, so that an engine can be run, killed and reconciled against a broker in a process
 * of its own: REST under /v2, order updates at /stream, and of our own the market at /stream/market and the control paths under
 * /paper. All of it asks for the keys.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { WebSocketServer } from 'ws';
import { ConfigError } from '../../model/errors.ts';
import type { MarketEvent } from '../../model/market.ts';
import { serveAccountStream } from './account-stream.ts';
import { controlRoutes } from './control-routes.ts';
import type { PaperExchange } from './exchange.ts';
import {
  errorAnswer,
  headersAuthorized,
  type PaperAnswer,
  type PaperKeys,
  type PaperRoute,
  readBody,
  refusalAnswer,
  send,
} from './http.ts';
import { MarketStream } from './market-stream.ts';
import { TapePlayer, type TapeStatus } from './tape-player.ts';
import { tradingRoutes } from './trading-routes.ts';

export interface PaperServerOptions {
  readonly exchange: PaperExchange;
  readonly keys: PaperKeys;
  /** Default 0: any free one. */
  readonly port?: number;
  /** Default 127.0.0.1: nobody else reaches it. */
  readonly host?: string;
  /** What the market does, in order of time; it moves the exchange and is told at /stream/market. */
  readonly tape?: AsyncIterable<MarketEvent>;
  /** How much faster than it happened, default 1; Infinity is as fast as followers take it. */
  readonly speed?: number;
  /** Whether the tape waits for POST /paper/play. Default false. */
  readonly paused?: boolean;
  /** Order updates in binary frames, as the real trading stream (default), or in text frames. */
  readonly binaryFrames?: boolean;
}

export interface PaperServer {
  readonly port: number;
  /** Such as "http://127.0.0.1:8080". */
  readonly url: string;
  status(): TapeStatus;
  /** How many follow the market now. */
  followers(): number;
  /** Ends the tape, sockets and requests under way. */
  close(): Promise<void>;
}

/**
 * Resolves once it listens.
 * @throws ConfigError PAPER_OPTIONS_INVALID, PAPER_SERVER_NOT_STARTED where the port cannot be had
 */
export async function startPaperServer(options: PaperServerOptions): Promise<PaperServer> {
  const { exchange, keys, speed = 1, host = '127.0.0.1' } = options;
  if (!(speed > 0))
    throw new ConfigError('PAPER_OPTIONS_INVALID', 'paper server option speed: expected a number above 0');
  if (keys.keyId === '' || keys.secretKey === '') {
    throw new ConfigError('PAPER_OPTIONS_INVALID', 'paper server option keys: expected a key id and a secret key');
  }
  const market = new MarketStream();
  const player = new TapePlayer({
    tape: options.tape ?? noTape(),
    speed,
    paused: options.paused ?? false,
    play(events) {
      let moved = 0;
      try {
        for (const event of events) {
          exchange.onMarket(event);
          moved += 1;
        }
      } finally {
        // Followers see what moved the exchange, also when the next event is one that it cannot take.
        market.tell(moved === events.length ? events : events.slice(0, moved));
      }
    },
    congested: () => market.congested(),
    ended: (error) => market.end(error?.message ?? null),
  });
  const routes = [...tradingRoutes(exchange), ...controlRoutes(exchange, player)];
  const server = createServer((request, response) => {
    answer(request, response, routes, exchange, keys).catch((error: unknown) => {
      // What failed is ours; it is told in the body, since who uses a paper broker is who must see it.
      if (!response.headersSent)
        send(response, errorAnswer(500, 50010000, `internal server error occurred: ${String(error)}`));
      else response.destroy();
    });
  });
  const sockets = new WebSocketServer({ noServer: true, maxPayload: 64 * 1024 });
  server.on('upgrade', (request: IncomingMessage, raw: Duplex, head: Buffer) => {
    // Nobody else listens to it until it is a socket of ours: whoever resets it must not end the process.
    raw.on('error', () => raw.destroy());
    const path = urlOf(request)?.pathname;
    // The account's stream is authorized by its first message, as the real one; the market by the headers.
    if (path === '/stream') {
      sockets.handleUpgrade(request, raw, head, (socket) =>
        serveAccountStream(socket, exchange, keys, options.binaryFrames ?? true),
      );
    } else if (path !== '/stream/market') raw.end('HTTP/1.1 404 Not Found\r\nConnection: close\r\n\r\n');
    else if (!headersAuthorized(keys, request)) raw.end('HTTP/1.1 401 Unauthorized\r\nConnection: close\r\n\r\n');
    else sockets.handleUpgrade(request, raw, head, (socket) => market.serve(socket));
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', (cause) =>
      reject(
        new ConfigError(
          'PAPER_SERVER_NOT_STARTED',
          `the paper broker cannot listen on ${host}:${options.port ?? 0}: ${cause.message}`,
          {
            cause,
          },
        ),
      ),
    );
    server.listen(options.port ?? 0, host, resolve);
  });
  const { port } = server.address() as AddressInfo;
  if (options.tape !== undefined) player.start();
  return {
    port,
    url: `http://${host.includes(':') ? `[${host}]` : host}:${port}`,
    status: () => player.status(),
    followers: () => market.followers,
    async close() {
      await player.stop();
      for (const socket of sockets.clients) socket.terminate();
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      server.closeAllConnections();
      await closed;
    },
  };
}

async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  routes: readonly PaperRoute[],
  exchange: PaperExchange,
  keys: PaperKeys,
): Promise<void> {
  if (!headersAuthorized(keys, request)) {
    send(response, errorAnswer(401, 40110000, 'request is not authorized'));
    return;
  }
  const url = urlOf(request);
  const path = url?.pathname ?? '';
  const route = routes.find((candidate) => candidate.method === request.method && candidate.path.test(path));
  const groups = route === undefined ? null : decodeGroups(route.path.exec(path) ?? []);
  if (url === null || route === undefined || groups === null) {
    send(response, errorAnswer(404, 40410000, 'endpoint not found'));
    return;
  }
  const refused = misbehavesBefore(exchange, route);
  if (refused !== null) {
    send(response, refused);
    return;
  }
  const query = url.searchParams;
  const body = parseBody(await readBody(request));
  const result = body === invalidBody ? errorAnswer(400, 40010000, 'request body format is invalid') : handled();
  function handled(): PaperAnswer {
    try {
      return (route as PaperRoute).handle({ method: request.method ?? '', path, query, body }, groups ?? []);
    } catch (error) {
      return refusalAnswer(error);
    }
  }
  const accepted = result.status >= 200 && result.status <= 299;
  if (accepted && exchange.faults.takeDroppedAnswer(route.operation)) {
    request.socket.destroy();
    return;
  }
  const delay = route.operation === undefined ? undefined : exchange.faults.take('delay', route.operation);
  if (delay !== undefined) await sleep(delay.ms ?? 1000, undefined, { ref: false });
  if (!response.destroyed) send(response, result);
}

function misbehavesBefore(exchange: PaperExchange, { operation }: PaperRoute): PaperAnswer | null {
  if (operation === undefined) return null;
  const limited = exchange.faults.take('http_429', operation);
  if (limited !== undefined) {
    const ms = limited.ms ?? 1000;
    return {
      ...errorAnswer(429, 42910000, 'rate limit exceeded'),
      headers: {
        'retry-after': `${ms / 1000}`,
        'x-ratelimit-limit': '200',
        'x-ratelimit-remaining': '0',
        'x-ratelimit-reset': `${Math.ceil((Date.now() + ms) / 1000)}`,
      },
    };
  }
  if (exchange.faults.take('http_500', operation) === undefined) return null;
  return errorAnswer(500, 50010000, 'internal server error occurred');
}

/** Null where what was asked for is no path. */
function urlOf(request: IncomingMessage): URL | null {
  return URL.parse(request.url ?? '/', 'http://paper');
}

const invalidBody = Symbol('a body that is not JSON, or too long');

function parseBody(text: string | null): unknown {
  if (text === '') return undefined;
  try {
    return text === null ? invalidBody : JSON.parse(text);
  } catch {
    return invalidBody;
  }
}

/** Null where a group is not a well-formed piece of a URL. */
function decodeGroups(match: readonly string[]): readonly string[] | null {
  try {
    return match.slice(1).map(decodeURIComponent);
  } catch {
    return null;
  }
}

async function* noTape(): AsyncIterable<MarketEvent> {}
