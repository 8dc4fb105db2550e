import { randomBytes } from 'node:crypto';
import type { BrokerAdapter } from '../brokers/adapter.ts';
import { AlpacaBroker } from '../brokers/alpaca/adapter.ts';
import { BrokerKeys } from '../brokers/alpaca/keys.ts';
import { parseAlpacaOptions } from '../brokers/alpaca/options.ts';
import type { PaperActivity, PaperActivityRequest } from '../brokers/paper/activities.ts';
import { PaperExchange } from '../brokers/paper/exchange.ts';
import type { Misbehavior } from '../brokers/paper/faults.ts';
import type { PaperKeys } from '../brokers/paper/http.ts';
import type { PaperExchangeOptions } from '../brokers/paper/options.ts';
import { startPaperServer } from '../brokers/paper/server.ts';
import type { MarketEvent } from '../model/market.ts';

export interface PaperBrokerOptions extends Partial<PaperExchangeOptions> {
  /** Default 0: any free one. */
  readonly port?: number;
}

/** A paper broker behind HTTP, with its exchange at hand: what a test tells the market, and how it has the broker misbehave. */
export interface RunningPaperBroker extends AsyncDisposable {
  /** Such as "http://127.0.0.1:8080"; also the `url` of the broker modules "alpaca" and "paper". */
  readonly url: string;
  /** Made for this broker; wrong for every other. */
  readonly keys: PaperKeys;
  /** The keys as the environment variables that the broker modules read. */
  readonly env: Readonly<Record<'APCA_API_KEY_ID' | 'APCA_API_SECRET_KEY', string>>;
  readonly exchange: PaperExchange;
  /** What the market does next. @throws as PaperExchange.onMarket */
  market(event: MarketEvent): void;
  /** From now on, until it has happened as often as was asked for. */
  misbehave(fault: Misbehavior): void;
  /** Nothing is to go wrong any more. */
  behave(): void;
  /** A dividend, interest, a fee, a split or a transfer. @throws as PaperExchange.bookActivity */
  bookActivity(request: PaperActivityRequest): PaperActivity;
  /** An adapter that talks to it, with these options of the Alpaca adapter. Whoever asks for it closes it. */
  adapter(options?: Readonly<Record<string, unknown>>): BrokerAdapter;
  /** Ends the server, its sockets and requests under way. Safe to call twice. */
  close(): Promise<void>;
}

/**
 * Starts one on this machine's loopback address and resolves once it listens. Without options: USD 100,000, and every asset that the
 * market names can be traded.
 * @throws ConfigError PAPER_OPTIONS_INVALID, PAPER_SERVER_NOT_STARTED
 */
export async function startPaperBroker(options: PaperBrokerOptions = {}): Promise<RunningPaperBroker> {
  const { port = 0, ...given } = options;
  const exchange = new PaperExchange({ assets: {}, cash: { USD: '100000' }, listFromTape: true, ...given });
  const keys: PaperKeys = {
    keyId: `PAPER${randomBytes(8).toString('hex').toUpperCase()}`,
    secretKey: randomBytes(20).toString('hex'),
  };
  const server = await startPaperServer({ exchange, keys, port });
  let closed: Promise<void> | null = null;
  const close = () => {
    closed ??= server.close();
    return closed;
  };
  return {
    url: server.url,
    keys,
    env: { APCA_API_KEY_ID: keys.keyId, APCA_API_SECRET_KEY: keys.secretKey },
    exchange,
    market: (event) => exchange.onMarket(event),
    misbehave: (fault) => exchange.misbehave(fault),
    behave: () => exchange.faults.clear(),
    bookActivity: (request) => exchange.bookActivity(request),
    adapter: (more) =>
      new AlpacaBroker(
        'paper',
        parseAlpacaOptions({ settleMs: 250, ...more, url: server.url }),
        new BrokerKeys(keys.keyId, keys.secretKey),
      ),
    close,
    [Symbol.asyncDispose]: close,
  };
}
