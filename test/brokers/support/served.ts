import { afterEach, beforeEach } from 'vitest';
import { PaperExchange } from '../../../src/brokers/paper/exchange.ts';
import { type PaperServer, startPaperServer } from '../../../src/brokers/paper/server.ts';

export const keys = { keyId: 'PKTESTKEYID', secretKey: 'canary-secret-0123456789' } as const;
export const headers: Record<string, string> = {
  'APCA-API-KEY-ID': keys.keyId,
  'APCA-API-SECRET-KEY': keys.secretKey,
};

/** A paper server for each test of a file: USD 10,000 and USDT 500; shares, and coins under both kinds of name, of which one has a fee. */
export class Served {
  #exchange: PaperExchange | null = null;
  #server: PaperServer | null = null;

  get exchange(): PaperExchange {
    if (this.#exchange === null) throw new Error('no test is under way');
    return this.#exchange;
  }

  get server(): PaperServer {
    if (this.#server === null) throw new Error('no test is under way');
    return this.#server;
  }

  async open(): Promise<void> {
    this.#exchange = new PaperExchange({
      assets: {
        ...{ AAPL: 'USD', MSFT: 'USD', 'BTC/USD': 'USD', BTCUSDT: 'USDT' },
        'ETH/USD': { currency: 'USD', feeBps: '25' },
      },
      cash: { USD: '10000', USDT: '500' },
      seed: 3,
    });
    this.#server = await startPaperServer({ exchange: this.#exchange, keys });
  }

  /** The answer to one request; `body` is what its JSON holds. */
  async call(method: string, path: string, body?: unknown, sent: Record<string, string> = headers) {
    const response = await fetch(`${this.server.url}${path}`, {
      method,
      headers: sent,
      ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    });
    const text = await response.text();
    return { status: response.status, headers: response.headers, body: text === '' ? undefined : JSON.parse(text) };
  }
}

export function serveEach(): Served {
  const served = new Served();
  beforeEach(() => served.open());
  afterEach(() => served.server.close());
  return served;
}

export const order = {
  symbol: 'AAPL',
  qty: '10',
  side: 'buy',
  type: 'limit',
  time_in_force: 'gtc',
  limit_price: '100',
} as const;
