import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createBroker } from '../../../src/brokers/alpaca/adapter.ts';
import { BrokerKeys, readKeys } from '../../../src/brokers/alpaca/keys.ts';
import { parseAlpacaOptions } from '../../../src/brokers/alpaca/options.ts';

const sources = { keyIdEnv: 'KEY', secretKeyEnv: 'SECRET' };
let directory: string;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'holdfast-keys-'));
});
afterAll(() => rmSync(directory, { recursive: true }));

function keysFile(name: string, text: string, mode = 0o600): string {
  const path = join(directory, name);
  writeFileSync(path, text);
  chmodSync(path, mode);
  return path;
}

describe('keys', () => {
  it('come from the environment variables that are named', () => {
    expect(readKeys(sources, { KEY: 'id', SECRET: ' secret\n' }).headers()).toEqual({
      'APCA-API-KEY-ID': 'id',
      'APCA-API-SECRET-KEY': 'secret',
    });
  });

  it('that are missing are named, each', () => {
    expect(() => readKeys(sources, { KEY: 'id', SECRET: '' })).toThrow(
      expect.objectContaining({ code: 'BROKER_KEYS_MISSING', details: { missing: 'SECRET' } }),
    );
    expect(() => readKeys(sources, {})).toThrow('set KEY and SECRET');
  });

  it('come from a file that only its owner can read', () => {
    const path = keysFile('good.json', '{"key_id": "id", "secret_key": "secret"}');
    expect(readKeys({ ...sources, keysFile: path }, {}).authMessage()).toBe(
      '{"action":"auth","key":"id","secret":"secret"}',
    );
  });

  it.each([0o640, 0o604, 0o644])('in a file of mode %o are refused', (mode) => {
    const path = keysFile(`open-${mode}.json`, '{"key_id": "id", "secret_key": "secret"}', mode);
    expect(() => readKeys({ ...sources, keysFile: path }, {})).toThrow(
      expect.objectContaining({ code: 'BROKER_KEYS_FILE_UNSAFE' }),
    );
  });

  it('in a file that is absent, a directory, or not what it should be, are refused without a word of it', () => {
    const read = (path: string) => () => readKeys({ ...sources, keysFile: path }, {});
    expect(read(join(directory, 'absent'))).toThrow(expect.objectContaining({ code: 'BROKER_KEYS_MISSING' }));
    expect(read(directory)).toThrow(expect.objectContaining({ code: 'BROKER_KEYS_FILE_UNSAFE' }));
    const path = keysFile('bad.json', 'canary-secret');
    let shown = '';
    try {
      read(path)();
    } catch (error) {
      shown = inspect(error, { depth: 10 });
    }
    expect(shown).toContain('BROKER_KEYS_INVALID');
    expect(shown).not.toContain('canary');
  });

  it('that could not be a header are refused without a word of them', () => {
    for (const key of ['canary\nsecret', 'canary secret', '', 'canary\u00e9']) {
      expect(() => new BrokerKeys('id', key)).toThrow(
        expect.not.objectContaining({ message: expect.stringContaining('canary') }),
      );
    }
  });

  it('are not shown when their holder is printed or serialized', () => {
    const keys = new BrokerKeys('canary-id', 'canary-secret');
    expect(inspect(keys, { showHidden: true, depth: 5 }) + JSON.stringify(keys)).not.toContain('canary');
    expect(keys.redact('a canary-secret, "canary-id"')).toBe('a [key], "[key]"');
  });
});

describe('options', () => {
  it('default to the paper account', () => {
    expect(parseAlpacaOptions(undefined)).toMatchObject({ url: 'https://paper-api.alpaca.markets', timeoutMs: 10_000 });
  });

  it('take the address with or without the version', () => {
    expect(parseAlpacaOptions({ url: 'https://api.alpaca.markets/v2/' }).url).toBe('https://api.alpaca.markets');
  });

  it.each([
    [{ url: 'http://api.alpaca.markets' }, 'url'],
    [{ url: 'https://user:canary@api.alpaca.markets' }, 'url'],
    [{ url: 'nowhere' }, 'url'],
    [{ url: 'ftp://127.0.0.1' }, 'url'],
    [{ timeoutMs: 0 }, 'timeoutMs'],
    [{ secretKey: 'canary' }, 'secretKey'],
    [{ assets: { BTCUSD: 'BTC USD' } }, 'assets.BTCUSD'],
  ])('name what is wrong: %j', (options, path) => {
    let message = '';
    try {
      createBroker(options);
    } catch (error) {
      expect(error).toMatchObject({ code: 'BROKER_OPTIONS_INVALID', details: { path } });
      message = String(error);
    }
    expect(message).toContain('alpaca broker option');
    expect(message).not.toContain('canary');
  });
});
