import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { loadBroker } from '../../src/brokers/load.ts';

let directory: string;
let base: string;
const methods = [
  'submitOrder',
  'cancelOrder',
  'replaceOrder',
  'fetchAccount',
  'fetchPositions',
  'fetchOpenOrders',
  'fetchOrder',
  'fetchFills',
  'connect',
  'close',
];
const good = `export const createBroker = (options) => ({ name: 'mine ' + (options.x ?? ''), capabilities: {}, ${methods.map((name) => `async ${name}() {}`).join(', ')} });`;

beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'holdfast-brokers-'));
  base = pathToFileURL(join(directory, 'config.json')).href;
  const write = (name: string, text: string) => writeFileSync(join(directory, name), text);
  write('good.mjs', good);
  write('empty.mjs', 'export const createbroker = 1;');
  write('half.mjs', 'export const createBroker = () => ({ name: "half", capabilities: {}, async close() {} });');
  write('nothing.mjs', 'export const createBroker = () => null;');
  write('throws.mjs', 'throw new Error("at load");');
  write('throws-later.mjs', 'export const createBroker = () => { throw new Error("when asked"); };');
  write('lacks.mjs', 'import "./not-there.mjs"; export const createBroker = () => null;');
  for (const [name, exports] of [
    ['both', { '.': './index.mjs' }],
    ['import-only', { '.': { import: './index.mjs' } }],
  ] as const) {
    const folder = join(directory, 'node_modules', name);
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, 'package.json'), JSON.stringify({ name, version: '1.0.0', exports }));
    writeFileSync(join(folder, 'index.mjs'), good);
  }
});
afterAll(() => rmSync(directory, { recursive: true }));
afterEach(() => vi.unstubAllEnvs());

describe('a broker that is named by its module', () => {
  it('is one of the two that come with the package', async () => {
    vi.stubEnv('APCA_API_KEY_ID', 'id');
    vi.stubEnv('APCA_API_SECRET_KEY', 'secret');
    const alpaca = await loadBroker({ module: 'alpaca' });
    const paper = await loadBroker({ module: 'paper', options: { url: 'http://127.0.0.1:1' } });
    expect([alpaca.name, paper.name]).toEqual(['alpaca', 'paper']);
    expect(paper.capabilities).toMatchObject({ clientOrderIds: 'enforced', settleMs: 250 });
    await alpaca.close();
    await paper.close();
  });

  it('is a path beside the configuration, a file: URL, or a package of the configuration’s project', async () => {
    const names = ['./good.mjs', join(directory, 'good.mjs'), pathToFileURL(join(directory, 'good.mjs')).href, 'both'];
    for (const module of names) {
      expect((await loadBroker({ module, options: { x: 1 } }, base)).name, module).toBe('mine 1');
    }
  });

  it.each([
    ['./absent.mjs', 'BROKER_MODULE_NOT_FOUND'],
    ['no-such-package-here', 'BROKER_MODULE_NOT_FOUND'],
    ['./empty.mjs', 'BROKER_MODULE_INVALID'],
    ['./half.mjs', 'BROKER_MODULE_INVALID'],
    ['./nothing.mjs', 'BROKER_MODULE_INVALID'],
    ['./throws.mjs', 'BROKER_MODULE_FAILED'],
    ['./throws-later.mjs', 'BROKER_MODULE_FAILED'],
    ['./lacks.mjs', 'BROKER_MODULE_FAILED'],
  ])('and is not as it should be is told so: %s', async (module, code) => {
    await expect(loadBroker({ module }, base)).rejects.toMatchObject({
      code,
      name: 'ConfigError',
      details: { module },
    });
  });

  it('is told where to look, and what it said when it failed', async () => {
    const told = async (module: string) => (await loadBroker({ module }, base).catch((error) => error)).message;
    expect(await told('./absent.mjs')).toContain('give a package, a path that begins with "./" or "/", or "alpaca"');
    expect(await told('./lacks.mjs')).toMatch(/could not be loaded: Cannot find /);
    expect(await told('./throws-later.mjs')).toMatch(/createBroker threw: \w+/);
  });

  it('says of its own options and keys what is wrong with them', async () => {
    vi.stubEnv('APCA_API_KEY_ID', '');
    await expect(loadBroker({ module: 'alpaca' })).rejects.toMatchObject({ code: 'BROKER_KEYS_MISSING' });
    await expect(loadBroker({ module: 'paper' })).rejects.toMatchObject({ code: 'BROKER_OPTIONS_INVALID' });
  });
});
