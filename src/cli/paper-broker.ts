import { randomBytes } from 'node:crypto';
import { PaperExchange } from '../brokers/paper/exchange.ts';
import { startPaperServer } from '../brokers/paper/server.ts';
import { ConfigError } from '../model/errors.ts';
import type { MarketEvent } from '../model/market.ts';
import { type DecimalString, isDecimalString } from '../model/money.ts';
import { currencyPattern } from '../model/names.ts';
import { micros, type Timestamp, timestamp } from '../model/time.ts';
import { stopRequests } from '../state/stop-requests.ts';
import { type CommonOptions, type ExitCode, errorLine, writeLine, writeNotice } from './output.ts';
import { begin, type TapeFile, tapeFeed } from './tape-feed.ts';

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

/**
 * Serves a paper exchange until SIGINT or SIGTERM. Assets that the command names, and that of the tape's first event, can be traded
 * from the start; others from their first event on.
 * @throws ConfigError USAGE, PAPER_SERVER_NOT_STARTED; FeedError where the tape cannot be read
 */
export async function paperBroker(options: PaperBrokerOptions): Promise<ExitCode> {
  const cash = parseCash(options.cash);
  const currency = Object.keys(cash)[0] as string;
  const { keys, made } = findKeys(process.env);
  const tapes = options.tape.map(parseTape);
  const window = { from: parseTime('--from', options.from), to: parseTime('--to', options.to) };
  if (window.from !== undefined && window.to !== undefined && window.from > window.to) {
    throw usage(`--from ${options.from} is after --to ${options.to}: nothing of the tape is left`);
  }
  const begun = tapes.length === 0 ? null : await begin(tapeFeed(tapes, window));
  // What only the tape names may be anything; what the command names without a slash is taken for a share.
  const first = begun?.first == null ? {} : { [begun.first.asset]: { currency, fractions: 'any' } as const };
  const named = Object.fromEntries(tapes.flatMap(({ asset }) => (asset === undefined ? [] : [[asset, currency]])));
  const exchange = new PaperExchange({
    assets: { ...first, ...named },
    cash,
    listFromTape: true,
    ...(options.seed === undefined ? {} : { seed: options.seed }),
  });
  const server = await startPaperServer({
    exchange,
    keys,
    port: options.port,
    speed: options.speed === 0 ? Number.POSITIVE_INFINITY : options.speed,
    paused: options.paused ?? false,
    ...(begun === null ? {} : { tape: telling(begun.feed) }),
  });
  const stopped = signalled();
  if (options.json === true) {
    // One line, so that a program can read it while this one goes on.
    writeLine(JSON.stringify({ url: server.url, ...(made ? { key_id: keys.keyId, secret_key: keys.secretKey } : {}) }));
  } else {
    writeLine(`paper broker at ${server.url}`);
    writeLine('  Alpaca Trading API v2 under /v2, order updates at /stream, the market at /stream/market');
    if (made) {
      writeLine(`export APCA_API_KEY_ID=${keys.keyId}`);
      writeLine(`export APCA_API_SECRET_KEY=${keys.secretKey}`);
    }
    writeLine('Ctrl-C ends it.');
  }
  await stopped;
  await server.close();
  return 0;
}

/** Resolves at the first signal. While the server closes another one ends the process at once: there is nothing to lose. */
function signalled(): Promise<void> {
  const request = stopRequests();
  return new Promise((resolve) => {
    const onSignal = (signal: NodeJS.Signals): void => {
      if (request(signal) === 'second') process.exit(130);
      resolve();
    };
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, onSignal);
  });
}

/** The server goes on without its tape, so whoever started it is told. */
async function* telling(tape: AsyncGenerator<MarketEvent>): AsyncGenerator<MarketEvent> {
  let events = 0;
  try {
    for await (const event of tape) {
      events += 1;
      yield event;
    }
  } catch (error) {
    writeNotice(`${errorLine(error)}; the market stands still after ${events} events`);
    throw error;
  }
  writeNotice(`the tape is at its end after ${events} events; orders rest, and the market stands still`);
}

interface Keys {
  readonly keyId: string;
  readonly secretKey: string;
}

function findKeys(env: NodeJS.ProcessEnv): { readonly keys: Keys; readonly made: boolean } {
  const keyId = env['APCA_API_KEY_ID'] || null;
  const secretKey = env['APCA_API_SECRET_KEY'] || null;
  if (keyId !== null && secretKey !== null) return { keys: { keyId, secretKey }, made: false };
  if (keyId !== null || secretKey !== null) {
    throw usage('of APCA_API_KEY_ID and APCA_API_SECRET_KEY only one is set: set both, or neither');
  }
  const random = {
    keyId: `PAPER${randomBytes(8).toString('hex').toUpperCase()}`,
    secretKey: randomBytes(20).toString('hex'),
  };
  return { keys: random, made: true };
}

function parseCash(given: readonly string[]): Readonly<Record<string, DecimalString>> {
  if (given.length === 0) return { USD: '100000' };
  const cash: Record<string, DecimalString> = {};
  for (const text of given) {
    const [amount = '', currency = 'USD', ...rest] = text.split(':');
    const isAmount = rest.length === 0 && isDecimalString(amount) && !amount.startsWith('-');
    if (!isAmount || !currencyPattern.test(currency)) {
      throw usage(`--cash ${text}: expected an amount such as 100000, or with a currency 100000:USDT`);
    }
    if (Object.hasOwn(cash, currency))
      throw usage(`--cash ${text}: there is an amount of ${currency} already; give one`);
    cash[currency] = amount;
  }
  return cash;
}

/** Times of events compare as texts, so what is compared with them gets their form. A day ends with its last microsecond. */
function parseTime(option: '--from' | '--to', text: string | undefined): Timestamp | undefined {
  if (text === undefined) return undefined;
  const isDay = /^\d{4}-\d{2}-\d{2}$/.test(text);
  try {
    return timestamp(micros(isDay ? `${text}T${option === '--to' ? '23:59:59.999999' : '00:00:00'}Z` : text));
  } catch {
    throw usage(`${option} ${text}: expected a day such as 2014-01-01, or a time such as 2014-01-01T21:00:00Z`);
  }
}

function parseTape(text: string): TapeFile {
  const named = /^([A-Za-z0-9._/-]{1,64})=(.+)$/.exec(text);
  return named === null ? { path: text } : { asset: named[1] as string, path: named[2] as string };
}

function usage(message: string): ConfigError {
  return new ConfigError('USAGE', message);
}
