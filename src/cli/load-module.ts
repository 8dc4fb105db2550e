import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';
import type { Strategy, StrategyFactory } from '../engine/strategy.ts';
import { ConfigError, StrategyError } from '../model/errors.ts';
import type { ModuleSpec, StrategyConfig } from './config.ts';
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
 * @throws ConfigError MODULE_NOT_FOUND, MODULE_INVALID; StrategyError STRATEGY_FAILED where its factory threw
 */
export async function loadStrategy(config: StrategyConfig, base: string): Promise<Strategy> {
  const create =
    builtIn[config.module]?.createStrategy ??
    (await loadModule<Strategy | Promise<Strategy>>(`strategy ${config.name}`, 'createStrategy', config, base));
  let made: Strategy;
  try {
    made = await create({ name: config.name, options: config.options });
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

/**
 * A function that a user's module exports. The module is a package, a path relative to `base`, or a file URL.
 * @throws ConfigError MODULE_NOT_FOUND, or MODULE_INVALID where it does not export the function
 */
export async function loadModule<Made>(
  what: string,
  name: string,
  spec: ModuleSpec,
  base: string,
): Promise<(options: Readonly<Record<string, unknown>>) => Made> {
  const module = await importModule(what, spec.module, base);
  const found = module[name];
  if (typeof found === 'function') return found as (options: Readonly<Record<string, unknown>>) => Made;
  throw new ConfigError('MODULE_INVALID', `${what}: module ${spec.module} exports no function "${name}"; export one`, {
    details: { module: spec.module },
  });
}

async function importModule(what: string, specifier: string, base: string): Promise<Record<string, unknown>> {
  try {
    const isPath = specifier.startsWith('.') || specifier.startsWith('/');
    const url = specifier.startsWith('file:')
      ? specifier
      : isPath
        ? new URL(specifier, base).href
        : pathToFileURL(createRequire(base).resolve(specifier)).href;
    return await import(url);
  } catch (cause) {
    throw new ConfigError(
      'MODULE_NOT_FOUND',
      `${what}: module ${JSON.stringify(specifier)} cannot be loaded (from ${base}): ${(cause as Error).message}. Give a package, a path, or a built-in strategy: ${Object.keys(builtIn).join(', ')}`,
      { cause, details: { module: specifier } },
    );
  }
}
