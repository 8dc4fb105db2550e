import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath, pathToFileURL } from 'node:url';
import type { Strategy, StrategyFactory } from '../engine/strategy.ts';
import { ConfigError, HoldfastError, StrategyError } from '../model/errors.ts';
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
 * @throws ConfigError MODULE_NOT_FOUND, MODULE_FAILED, MODULE_INVALID; StrategyError STRATEGY_FAILED where its factory threw, or the
 *   factory's own error where that is one of ours
 */
export async function loadStrategy(config: StrategyConfig, base: string): Promise<Strategy> {
  const create =
    (Object.hasOwn(builtIn, config.module) ? builtIn[config.module]?.createStrategy : undefined) ??
    (await loadModule<Strategy | Promise<Strategy>>(`strategy ${config.name}`, 'createStrategy', config, base));
  let made: Strategy;
  try {
    made = await create({ name: config.name, options: config.options });
  } catch (cause) {
    if (cause instanceof HoldfastError) throw cause;
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new StrategyError('STRATEGY_FAILED', `strategy ${config.name}: createStrategy failed: ${why}`, { cause });
  }
  return {
    ...bound(made, config),
    name: config.name,
    ...(config.assets === undefined ? {} : { assets: config.assets }),
    ...(config.initial_cash === undefined ? {} : { initialCash: config.initial_cash }),
  };
}

const handlers = ['onStart', 'onTrade', 'onQuote', 'onBar', 'onFill', 'onOrder', 'onTimer', 'onStop'] as const;

/** A strategy may be an instance of a class, whose methods a spread would lose. */
function bound(strategy: Strategy, { name, module }: StrategyConfig): Strategy {
  const given: Readonly<Record<string, unknown>> =
    typeof strategy === 'object' && strategy !== null ? { ...strategy } : {};
  const own: Record<string, unknown> = {};
  if (given['assets'] !== undefined) own['assets'] = given['assets'];
  if (given['initialCash'] !== undefined) own['initialCash'] = given['initialCash'];
  let found = 0;
  for (const handler of handlers) {
    const method: unknown = (strategy as Strategy | null | undefined)?.[handler];
    if (typeof method !== 'function') continue;
    own[handler] = method.bind(strategy);
    found += 1;
  }
  if (found > 0) return own as unknown as Strategy;
  throw new ConfigError(
    'MODULE_INVALID',
    `strategy ${name}: what createStrategy of module ${module} gives is no strategy: expected an object with at least one of ${handlers.join(', ')}`,
    { details: { module } },
  );
}

/**
 * A function that a user's module exports. The module is a package, a path relative to `base`, or a file URL.
 * @throws ConfigError MODULE_NOT_FOUND, MODULE_FAILED where it threw when it was loaded, or MODULE_INVALID where it does not export
 *   the function
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
  const exported = Object.keys(module).join(', ') || 'nothing';
  throw new ConfigError(
    'MODULE_INVALID',
    `${what}: module ${spec.module} exports no function "${name}" (it exports ${exported}); export one`,
    { details: { module: spec.module } },
  );
}

async function importModule(what: string, specifier: string, base: string): Promise<Record<string, unknown>> {
  const url = resolveModule(what, specifier, base);
  try {
    return await import(url);
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException;
    // A module that is there and lacks a dependency of its own has failed; it is not what was not found.
    if (code === 'ERR_MODULE_NOT_FOUND' && !existsSync(fileURLToPath(url)))
      throw notFound(what, specifier, base, cause);
    throw new ConfigError(
      'MODULE_FAILED',
      `${what}: module ${JSON.stringify(specifier)} could not be loaded: ${message ?? String(cause)}`,
      { cause, details: { module: specifier } },
    );
  }
}

function resolveModule(what: string, specifier: string, base: string): string {
  if (specifier.startsWith('file:')) return specifier;
  if (specifier.startsWith('.') || specifier.startsWith('/')) return new URL(specifier, base).href;
  try {
    return pathToFileURL(createRequire(base).resolve(specifier)).href;
  } catch (cause) {
    throw notFound(what, specifier, base, cause);
  }
}

function notFound(what: string, specifier: string, base: string, cause: unknown): ConfigError {
  const names = Object.keys(builtIn).join(', ');
  return new ConfigError(
    'MODULE_NOT_FOUND',
    `${what}: there is no module ${JSON.stringify(specifier)} (looked for from ${fileURLToPath(base)}). Give a package, a path that begins with "./" or "/", or a built-in strategy: ${names}`,
    { cause, details: { module: specifier } },
  );
}
