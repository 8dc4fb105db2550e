import { closeSync, fstatSync, openSync, readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { z } from 'zod';
import { ConfigError } from '../../model/errors.ts';

export interface KeySources {
  /** Environment variables that hold the keys. */
  readonly keyIdEnv: string;
  readonly secretKeyEnv: string;
  /** Or a file, readable by its owner only (mode 0600): {"key_id": "…", "secret_key": "…"}. It goes before the environment. */
  readonly keysFile?: string;
}

/**
 * The keys of one account. They are private to the object, so that printing, cloning or serializing whatever holds it shows
 * none, and leave it only as request headers, as the stream's first message, and as what `redact` looks for.
 */
export class BrokerKeys {
  readonly #keyId: string;
  readonly #secretKey: string;

  /** @throws ConfigError BROKER_KEYS_INVALID, which says nothing of their text */
  constructor(keyId: string, secretKey: string) {
    // Anything else could not be a header, and the error that says so would quote it.
    for (const [name, key] of [
      ['key id', keyId],
      ['secret key', secretKey],
    ] as const) {
      if (!/^[\x21-\x7e]{1,512}$/.test(key)) {
        throw new ConfigError(
          'BROKER_KEYS_INVALID',
          `the broker's ${name} must be 1 to 512 printable ASCII characters without spaces; check for a line break at its end`,
        );
      }
    }
    this.#keyId = keyId;
    this.#secretKey = secretKey;
  }

  headers(): Record<string, string> {
    return { 'APCA-API-KEY-ID': this.#keyId, 'APCA-API-SECRET-KEY': this.#secretKey };
  }

  /** The stream's authentication message. */
  authMessage(): string {
    return JSON.stringify({ action: 'auth', key: this.#keyId, secret: this.#secretKey });
  }

  /** The text without either key, also where a server quoted them as JSON or in a URL. */
  redact(text: string): string {
    let safe = text;
    for (const key of [this.#secretKey, this.#keyId]) {
      for (const form of new Set([key, JSON.stringify(key).slice(1, -1), encodeURIComponent(key)])) {
        safe = safe.replaceAll(form, '[key]');
      }
    }
    return safe;
  }
}

/** @throws ConfigError BROKER_KEYS_MISSING, BROKER_KEYS_FILE_UNSAFE or BROKER_KEYS_INVALID */
export function readKeys(sources: KeySources, env: Readonly<Record<string, string | undefined>>): BrokerKeys {
  if (sources.keysFile !== undefined) return readKeysFile(sources.keysFile);
  const keyId = env[sources.keyIdEnv];
  const secretKey = env[sources.secretKeyEnv];
  const missing = [keyId ? [] : [sources.keyIdEnv], secretKey ? [] : [sources.secretKeyEnv]].flat();
  if (!keyId || !secretKey) {
    throw new ConfigError(
      'BROKER_KEYS_MISSING',
      `no broker keys: set ${missing.join(' and ')}, or name a file of mode 0600 in the broker's option keysFile`,
      { details: { missing: missing.join(' ') } },
    );
  }
  return new BrokerKeys(keyId.trim(), secretKey.trim());
}

const fileSchema = z.object({ key_id: z.string(), secret_key: z.string() });

function readKeysFile(path: string): BrokerKeys {
  const text = readPrivately(path);
  // Neither the parser's error nor the text is passed on: both would show what the file holds.
  const parsed = fileSchema.safeParse(parseOrNull(text));
  if (!parsed.success) {
    throw new ConfigError('BROKER_KEYS_INVALID', `${path}: expected {"key_id": "…", "secret_key": "…"}`, {
      details: { path },
    });
  }
  return new BrokerKeys(parsed.data.key_id.trim(), parsed.data.secret_key.trim());
}

function readPrivately(path: string): string {
  let file: number;
  try {
    file = openSync(path, 'r');
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    const from = path === resolve(path) ? '' : '; a relative keysFile is looked for from the working directory';
    throw new ConfigError(
      'BROKER_KEYS_MISSING',
      `${resolve(path)}: the file with the broker's keys cannot be opened (${code})${from}`,
      { cause, details: { path } },
    );
  }
  try {
    const stat = fstatSync(file);
    const open = process.platform !== 'win32' && (stat.mode & 0o077) !== 0;
    if (!stat.isFile() || open) {
      throw new ConfigError(
        'BROKER_KEYS_FILE_UNSAFE',
        `${path}: expected a file that only its owner can read; run chmod 600 on it, and change the keys if others could read them`,
        { details: { path, mode: (stat.mode & 0o777).toString(8) } },
      );
    }
    return readFileSync(file, 'utf8');
  } finally {
    closeSync(file);
  }
}

function parseOrNull(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
