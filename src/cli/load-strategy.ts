import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';
import type { Strategy, StrategyFactory } from '../engine/strategy.ts';
import { StrategyError } from '../model/errors.ts';
import type { StrategyConfig } from './config.ts';
import * as breakout from './strategies/breakout.ts';
import * as ladder from './strategies/ladder.ts';
import * as meanReversion from './strategies/mean-reversion.ts';

const builtIn: Readonly<Record<string, { createStrategy: StrategyFactory }>> = {
  breakout,
  ladder,
  'mean-reversion': meanReversion,
};

/**
 * Makes a strategy from its module: a built-in name, a package, a path relative to `base`, or a file URL, exporting
 * `createStrategy`.
 * @throws StrategyError STRATEGY_MODULE_NOT_FOUND, STRATEGY_MODULE_INVALID or STRATEGY_FAILED (its factory threw)
 */
export async function loadStrategy(config: StrategyConfig, base: string): Promise<Strategy> {
  const module = builtIn[config.module] ?? (await importModule(config, base));
  if (typeof module.createStrategy !== 'function') {
    throw new StrategyError(
      'STRATEGY_MODULE_INVALID',
      `strategy ${config.name}: module ${config.module} exports no function "createStrategy"; export one that returns a Strategy`,
    );
  }
  let made: Strategy;
  try {
    made = await module.createStrategy({ name: config.name, options: config.options });
  } catch (cause) {
    throw new StrategyError(
      'STRATEGY_FAILED',
      `strategy ${config.name}: createStrategy failed: ${(cause as Error).message}`,
      {
        cause,
      },
    );
  }
  return {
    ...bound(made),
    name: config.name,
    ...(config.assets === undefined ? {} : { assets: config.assets }),
    ...(config.initial_cash === undefined ? {} : { initialCash: config.initial_cash }),
  };
}

const handlers = ['onStart', 'onTrade', 'onQuote', 'onBar', 'onFill', 'onOrder', 'onTimer', 'onStop'] as const;

// A strategy may be an instance of a class, whose methods a spread would lose.
function bound(strategy: Strategy): Strategy {
  const own: Record<string, unknown> = { name: strategy.name };
  if (strategy.assets !== undefined) own['assets'] = strategy.assets;
  if (strategy.initialCash !== undefined) own['initialCash'] = strategy.initialCash;
  for (const handler of handlers) {
    const method: unknown = strategy[handler];
    if (typeof method === 'function') own[handler] = method.bind(strategy);
  }
  return own as unknown as Strategy;
}

async function importModule(config: StrategyConfig, base: string): Promise<{ createStrategy?: StrategyFactory }> {
  try {
    const specifier = config.module;
    const isPath = specifier.startsWith('.') || specifier.startsWith('/');
    const url = specifier.startsWith('file:')
      ? specifier
      : isPath
        ? new URL(specifier, base).href
        : pathToFileURL(createRequire(base).resolve(specifier)).href;
    return await import(url);
  } catch (cause) {
    throw new StrategyError(
      'STRATEGY_MODULE_NOT_FOUND',
      `strategy ${config.name}: module ${JSON.stringify(config.module)} cannot be loaded (from ${base}): ${(cause as Error).message}. Built in: ${Object.keys(builtIn).join(', ')}`,
      { cause },
    );
  }
}
