import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';
import { ConfigError, HoldfastError } from '../model/errors.ts';
import type { BrokerAdapter, BrokerFactory, BrokerSpec } from './adapter.ts';

/**
 * Makes the broker that a specification names, on whichever thread this is called.
 * @param baseUrl what relative paths and packages are looked up from, a file: URL; the working directory where absent
 * @throws ConfigError BROKER_MODULE_NOT_FOUND, BROKER_MODULE_INVALID (it exports no createBroker, or what that gives is no broker),
 * BROKER_MODULE_FAILED (it threw when it was loaded or asked); and what createBroker throws of our own errors
 */
export async function loadBroker(spec: BrokerSpec, baseUrl?: string): Promise<BrokerAdapter> {
  const module = await load(spec.module, baseUrl ?? pathToFileURL(`${process.cwd()}/`).href);
  const factory = (module as { readonly createBroker?: unknown }).createBroker;
  if (typeof factory !== 'function') {
    throw problem('BROKER_MODULE_INVALID', spec.module, 'it must export a function createBroker(options)');
  }
  const broker = await create(factory as BrokerFactory, spec);
  const missing = methods.filter((name) => typeof (broker as Partial<BrokerAdapter> | null)?.[name] !== 'function');
  if (missing.length > 0 || typeof broker.name !== 'string' || typeof broker.capabilities !== 'object') {
    throw problem(
      'BROKER_MODULE_INVALID',
      spec.module,
      `what createBroker gives lacks ${missing.join(', ') || 'name or capabilities'}`,
    );
  }
  return broker;
}

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
] as const satisfies readonly (keyof BrokerAdapter)[];

async function load(name: string, baseUrl: string): Promise<object> {
  if (name === 'alpaca') return import('./alpaca/adapter.ts');
  if (name === 'paper') return import('./paper/adapter.ts');
  const target = resolve(name, baseUrl);
  try {
    return await import(target);
  } catch (cause) {
    const code = (cause as { readonly code?: unknown } | null)?.code;
    const absent = code === 'ERR_MODULE_NOT_FOUND' || code === 'ERR_UNSUPPORTED_DIR_IMPORT' || code === 'ENOENT';
    // A module that is there and lacks a dependency of its own has failed; it is not what was not found.
    const itself = cause instanceof Error && (cause.message.includes(`'${name}'`) || mentions(cause.message, target));
    if (absent && itself) {
      throw problem(
        'BROKER_MODULE_NOT_FOUND',
        name,
        `there is no such module (looked for ${target}); give a package, a path that begins with "./" or "/", or "alpaca"`,
        cause,
      );
    }
    throw problem('BROKER_MODULE_FAILED', name, `it could not be loaded: ${wordsOf(cause)}`, cause);
  }
}

/** A path or file: URL against the base; a package from where the base is, so that the configuration's own packages are found. */
function resolve(name: string, baseUrl: string): string {
  if (/^(\.{1,2}\/|\/|file:)/.test(name)) return new URL(name, baseUrl).href;
  if (/^[A-Za-z]:[\\/]/.test(name)) return pathToFileURL(name).href;
  try {
    return pathToFileURL(createRequire(baseUrl).resolve(name)).href;
  } catch {
    // Packages that can only be imported are not found this way; the import finds them, or says why not.
    return name;
  }
}

/** Whether a "cannot find module 'A' imported from 'B'" is about the target as A. */
function mentions(message: string, target: string): boolean {
  if (!target.startsWith('file:')) return false;
  const path = decodeURIComponent(new URL(target).pathname);
  const at = message.indexOf(path);
  const from = message.indexOf('imported from');
  return at !== -1 && (from === -1 || at < from);
}

async function create(factory: BrokerFactory, spec: BrokerSpec): Promise<BrokerAdapter> {
  try {
    return await factory(spec.options ?? {});
  } catch (cause) {
    if (cause instanceof HoldfastError) throw cause;
    throw problem('BROKER_MODULE_FAILED', spec.module, `createBroker threw: ${wordsOf(cause)}`, cause);
  }
}

function wordsOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}

function problem(code: string, module: string, reason: string, cause?: unknown): ConfigError {
  return new ConfigError(code, `broker module ${JSON.stringify(module)}: ${reason}`, {
    details: { module },
    ...(cause === undefined ? {} : { cause }),
  });
}
