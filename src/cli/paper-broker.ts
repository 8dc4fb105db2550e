import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { PaperExchange } from '../brokers/paper/exchange.ts';
import { startPaperServer } from '../brokers/paper/server.ts';
import { ConfigError } from '../model/errors.ts';
import { type DecimalString, isDecimalString } from '../model/money.ts';
import { currencyPattern } from '../model/names.ts';
import { type CommonOptions, type ExitCode, writeLine } from './output.ts';
import { tapeFeed } from './tape-feed.ts';

export interface PaperBrokerOptions extends CommonOptions {
  readonly port: number;
  /** FILE or ASSET=FILE. */
  readonly tape: readonly string[];
  readonly speed: number;
  /** AMOUNT or AMOUNT:CURRENCY. */
  readonly cash: readonly string[];
  readonly from?: string;
  readonly to?: string;
  readonly seed?: number;
  readonly paused?: boolean;
}

/** Serves a paper exchange until SIGINT or SIGTERM. Every asset that the tape names can be traded. */
export async function paperBroker(options: PaperBrokerOptions): Promise<ExitCode> {
  const cash = parseCash(options.cash);
  const { APCA_API_KEY_ID, APCA_API_SECRET_KEY } = process.env;
  const made = APCA_API_KEY_ID === undefined || APCA_API_SECRET_KEY === undefined;
  const keys = {
    keyId: made ? `PAPER${randomBytes(8).toString('hex').toUpperCase()}` : APCA_API_KEY_ID,
    secretKey: made ? randomBytes(20).toString('hex') : APCA_API_SECRET_KEY,
  };
  const exchange = new PaperExchange({
    assets: {},
    cash,
    listFromTape: true,
    ...(options.seed === undefined ? {} : { seed: options.seed }),
  });
  const tapes = options.tape.map(parseTape);
  const server = await startPaperServer({
    exchange,
    keys,
    port: options.port,
    speed: options.speed === 0 ? Number.POSITIVE_INFINITY : options.speed,
    paused: options.paused ?? false,
    ...(tapes.length === 0 ? {} : { tape: tapeFeed(tapes, options) }),
  });
  if (options.json === true) {
    // One line, so that a program can read it while this one goes on.
    writeLine(JSON.stringify({ url: server.url, ...(made ? { key_id: keys.keyId, secret_key: keys.secretKey } : {}) }));
  } else {
    writeLine(
      `paper broker at ${server.url} (Alpaca Trading API v2, order updates at /stream, market at /stream/market)`,
    );
    if (made) {
      writeLine(`export APCA_API_KEY_ID=${keys.keyId}`);
      writeLine(`export APCA_API_SECRET_KEY=${keys.secretKey}`);
    }
    writeLine('Ctrl-C ends it.');
  }
  await Promise.race([once(process, 'SIGINT'), once(process, 'SIGTERM')]);
  await server.close();
  return 0;
}

function parseCash(given: readonly string[]): Readonly<Record<string, DecimalString>> {
  if (given.length === 0) return { USD: '100000' };
  return Object.fromEntries(
    given.map((text) => {
      const [amount = '', currency = 'USD'] = text.split(':');
      if (isDecimalString(amount) && currencyPattern.test(currency)) return [currency, amount];
      throw new ConfigError(
        'USAGE',
        `--cash ${text}: expected an amount such as 100000, or with a currency 100000:USDT`,
      );
    }),
  );
}

function parseTape(text: string): { path: string; asset?: string } {
  const named = /^([A-Za-z0-9._/-]{1,64})=(.+)$/.exec(text);
  return named === null ? { path: text } : { asset: named[1] as string, path: named[2] as string };
}
