import { z } from 'zod';
import { ConfigError } from '../../model/errors.ts';
import { assetSchema } from '../../model/names.ts';

/** Options of the Alpaca adapter: plain data that may cross threads, and names where keys are without holding any. */
export interface AlpacaOptions {
  /** Default https://paper-api.alpaca.markets: real money is for who asks for it by name. Plain http only to this machine. */
  readonly url: string;
  readonly keyIdEnv: string;
  readonly secretKeyEnv: string;
  readonly keysFile?: string;
  /** Asset for each symbol that is not its own name. Crypto positions, which come without the slash, need none: "BTCUSD" is "BTC/USD". */
  readonly assets: Readonly<Record<string, string>>;
  /** How long a call may take, retries and pages included, where the caller doesn't say. Milliseconds. */
  readonly timeoutMs: number;
  /** How often a read is tried, at least 1. */
  readonly readAttemptsMax: number;
  readonly settleMs: number;
  /** A stream without a sign of life for this long is taken for dead. Milliseconds. */
  readonly heartbeatMs: number;
  readonly reconnectMsMin: number;
  readonly reconnectMsMax: number;
}

const alpacaUrl = 'https://paper-api.alpaca.markets';

const optionsSchema = z.strictObject({
  url: z.string().default(alpacaUrl),
  keyIdEnv: z.string().min(1).default('APCA_API_KEY_ID'),
  secretKeyEnv: z.string().min(1).default('APCA_API_SECRET_KEY'),
  keysFile: z.string().min(1).exactOptional(),
  assets: z.record(z.string(), assetSchema).default({}),
  timeoutMs: z.int().min(1).max(600_000).default(10_000),
  readAttemptsMax: z.int().min(1).max(10).default(3),
  settleMs: z.int().min(0).max(600_000).default(5_000),
  heartbeatMs: z.int().min(10).max(600_000).default(15_000),
  reconnectMsMin: z.int().min(1).max(600_000).default(250),
  reconnectMsMax: z.int().min(1).max(600_000).default(30_000),
});

/** @throws ConfigError BROKER_OPTIONS_INVALID naming the option */
export function parseAlpacaOptions(options: unknown): AlpacaOptions {
  const parsed = optionsSchema.safeParse(options ?? {});
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    if (issue?.code === 'unrecognized_keys') {
      const known = Object.keys(optionsSchema.shape).join(', ');
      throw invalid(issue.keys.join(', '), `there is no such option; expected ${known}`);
    }
    throw invalid(issue?.path.join('.') ?? '', issue?.message ?? 'not what was expected');
  }
  return { ...parsed.data, url: checkUrl(parsed.data.url) };
}

const loopback = /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])$/;

function checkUrl(text: string): string {
  const url = URL.parse(text);
  if (url === null) throw invalid('url', `expected a URL such as "${alpacaUrl}"`);
  // The text is not quoted: it may hold a password, which is what is wrong with it.
  if (url.username !== '' || url.password !== '') throw invalid('url', 'must not hold a user name or password');
  const plain = url.protocol === 'http:' && loopback.test(url.hostname);
  if (url.protocol !== 'https:' && !plain) {
    throw invalid('url', 'expected https, or http to this machine: keys are sent with every request');
  }
  return url.href.replace(/\/+$/, '').replace(/\/v2$/, '');
}

function invalid(path: string, expected: string): ConfigError {
  return new ConfigError('BROKER_OPTIONS_INVALID', `alpaca broker option ${path}: ${expected}`, { details: { path } });
}
