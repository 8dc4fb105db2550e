import { describe, expect, it } from 'vitest';
import type { StrategyConfig } from '../../src/cli/config.ts';
import { loadStrategy } from '../../src/cli/load-module.ts';
import type { StrategyContext } from '../../src/engine/strategy.ts';
import { Scratch } from './support.ts';

async function load(source: string, more: Partial<StrategyConfig> = {}) {
  using scratch = new Scratch();
  scratch.file('strategy.mjs', source);
  return await loadStrategy(
    { name: 'mine', module: './strategy.mjs', options: {}, ...more },
    `file://${scratch.at('engine.json')}`,
  );
}

describe('a strategy module', () => {
  it('makes a strategy, under the name and with the assets and cash of the configuration', async () => {
    const source =
      'export const createStrategy = ({ name, options }) => ({ name: "other", assets: ["X"], onTrade() {}, o: options });';
    expect(await load(source)).toMatchObject({ name: 'mine', assets: ['X'] });
    const configured = await load(source, { assets: ['AAPL'], initial_cash: { USD: '5' } });
    expect(configured).toMatchObject({ name: 'mine', assets: ['AAPL'], initialCash: { USD: '5' } });
  });

  it('may give an instance of a class, whose handlers know their object', async () => {
    const source =
      'class S { heard = 0; onTrade() { this.heard += 1; globalThis.heardByS = this.heard; } } export const createStrategy = async () => new S();';
    const strategy = await load(source);
    strategy.onTrade?.({} as StrategyContext, {} as never);
    strategy.onTrade?.({} as StrategyContext, {} as never);
    expect((globalThis as { heardByS?: number }).heardByS).toBe(2);
  });

  it.each(['ladder', 'mean-reversion', 'breakout'])('may be the built-in %s', async (module) => {
    const strategy = await load('', { module, options: { asset: 'AAPL' } });
    expect(strategy).toMatchObject({ name: 'mine', assets: ['AAPL'] });
    expect(strategy.onBar).toBeTypeOf('function');
  });

  it.each([
    [
      'is not there',
      './none.mjs',
      'MODULE_NOT_FOUND',
      /strategy mine: there is no module "\.\/none\.mjs" .*ladder, mean-reversion/,
    ],
    ['is a package that is not there', 'no-such-package-here', 'MODULE_NOT_FOUND', /no-such-package-here/],
    ['is a name of Object', 'constructor', 'MODULE_NOT_FOUND', /constructor/],
  ])('that %s is refused', async (_, module, code, told) => {
    await expect(load('', { module })).rejects.toMatchObject({ code, message: expect.stringMatching(told) });
  });

  it.each([
    [
      'does not parse',
      'export const = 3;',
      'MODULE_FAILED',
      /strategy mine: module "\.\/strategy\.mjs" could not be loaded/,
    ],
    ['throws when it is loaded', 'throw new Error("no market today");', 'MODULE_FAILED', /no market today/],
    ['lacks a module of its own', 'import "./helper.mjs";', 'MODULE_FAILED', /helper\.mjs/],
    [
      'exports something else',
      'export const strategy = 1;',
      'MODULE_INVALID',
      /exports no function "createStrategy" \(it exports strategy\)/,
    ],
    [
      'throws in its factory',
      'export function createStrategy() { throw new Error("no window given"); }',
      'STRATEGY_FAILED',
      /strategy mine: createStrategy failed: no window given/,
    ],
    [
      'throws what is no error',
      'export function createStrategy() { throw "text"; }',
      'STRATEGY_FAILED',
      /failed: text/,
    ],
    ['gives nothing', 'export function createStrategy() {}', 'MODULE_INVALID', /is no strategy/],
    [
      'gives an object without handlers',
      'export const createStrategy = () => ({ on_trade() {} });',
      'MODULE_INVALID',
      /at least one of onStart/,
    ],
  ])('that %s is refused', async (_, source, code, told) => {
    await expect(load(source)).rejects.toMatchObject({ code, message: expect.stringMatching(told) });
  });
});
