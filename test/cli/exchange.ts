import { createServer, type Server } from 'node:net';
import { PaperExchange } from '../../src/brokers/paper/exchange.ts';
import { type PaperServer, type PaperServerOptions, startPaperServer } from '../../src/brokers/paper/server.ts';
import type { Bar, MarketEvent } from '../../src/model/market.ts';
import { keys } from './support.ts';

export interface Market extends AsyncDisposable {
  readonly exchange: PaperExchange;
  readonly server: PaperServer;
  readonly url: string;
  /** Plays these next. */
  give(...events: readonly MarketEvent[]): void;
  /** Ends the tape after what was given. */
  end(): void;
}

export interface MarketOptions extends Partial<PaperServerOptions> {
  /** Order updates are told so long after what they tell, and so after the market event that filled the order. */
  readonly updatesLateMs?: number;
}

/** A paper broker in this process whose market does what the test says. */
export async function market({ updatesLateMs = 0, ...options }: MarketOptions = {}): Promise<Market> {
  const exchange = new PaperExchange({ assets: { AAPL: 'USD' }, cash: { USD: '100000' }, listFromTape: true });
  if (updatesLateMs > 0) tellLate(exchange, updatesLateMs);
  const waiting: MarketEvent[] = [];
  let over = false;
  let wake: () => void = () => {};
  async function* tape(): AsyncGenerator<MarketEvent> {
    for (;;) {
      yield* waiting.splice(0);
      if (waiting.length > 0) continue;
      if (over) return;
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
  }
  const server = await startPaperServer({ exchange, keys, speed: Number.POSITIVE_INFINITY, tape: tape(), ...options });
  return {
    exchange,
    server,
    url: server.url,
    give(...events) {
      waiting.push(...events);
      wake();
    },
    end() {
      over = true;
      wake();
    },
    async [Symbol.asyncDispose]() {
      over = true;
      wake();
      await server.close();
    },
  };
}

function tellLate(exchange: PaperExchange, ms: number): void {
  const subscribe = exchange.subscribe.bind(exchange);
  exchange.subscribe = (listener) =>
    subscribe({
      update: (update) => void setTimeout(() => listener.update(update), ms),
      disconnect: () => listener.disconnect(),
    });
}

/** The bar of a day: opens and closes at `close`, and reaches three above and below. */
export function bar(day: number, close: number, asset = 'AAPL'): Bar {
  return {
    kind: 'bar',
    asset,
    at: new Date(Date.UTC(2020, 0, 1 + day, 21)).toISOString().replace('Z', '000Z'),
    open: String(close),
    high: String(close + 3),
    low: String(close - 3),
    close: String(close),
    volume: '1000',
  } as Bar;
}

/** A server that takes connections and never answers. */
export async function silentServer(): Promise<{ readonly url: string } & AsyncDisposable> {
  const server: Server = createServer((socket) => {
    socket.on('error', () => {});
    sockets.add(socket);
  });
  const sockets = new Set<import('node:net').Socket>();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as import('node:net').AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** A configuration of `run` that trades AAPL on the paper broker at `url`. */
export function configFor(url: string, more: Readonly<Record<string, unknown>> = {}): Record<string, unknown> {
  return {
    state_dir: 'state',
    force_file_system: true,
    broker: { module: 'alpaca', options: { url, settleMs: 20, readAttemptsMax: 1, timeoutMs: 3000 } },
    feed: { kind: 'stream', url },
    strategies: [
      {
        name: 'ladder',
        module: 'ladder',
        options: { asset: 'AAPL', quantity: '2', offset: '0.02' },
        initial_cash: { USD: '50000' },
      },
    ],
    reconciliation: { policy: 'SYNC_TO_BROKER', interval_ms: 0, deadline_ms: 5000 },
    ...more,
  };
}
