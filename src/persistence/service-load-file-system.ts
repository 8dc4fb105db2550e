import { isAbsolute } from 'node:path';
import { pathToFileURL } from 'node:url';
import { ConfigError } from '../model/errors.ts';
import type { FileSystem } from './file-system.ts';
import { nodeFileSystem } from './node-file-system.ts';
import type { PersistenceOptions } from './protocol.ts';

/**
 * The file system that the worker is to use: node:fs, or what the named module's createFileSystem(options) gives.
 * @throws ConfigError FILE_SYSTEM_MODULE where there is no such module or function
 */
export async function loadFileSystem(named: PersistenceOptions['fileSystem']): Promise<FileSystem> {
  if (named === null) return nodeFileSystem;
  const { module, options } = named;
  let loaded: { readonly createFileSystem?: unknown };
  try {
    loaded = (await import(isAbsolute(module) ? pathToFileURL(module).href : module)) as typeof loaded;
  } catch (error) {
    throw notUsable(module, `it cannot be loaded: ${(error as Error).message}`, error);
  }
  if (typeof loaded.createFileSystem !== 'function') throw notUsable(module, 'it exports no createFileSystem(options)');
  return loaded.createFileSystem(options) as FileSystem;
}

function notUsable(module: string, why: string, cause?: unknown): ConfigError {
  return new ConfigError(
    'FILE_SYSTEM_MODULE',
    `file system module ${module}: ${why}. Give an absolute path or a URL of a module that exports createFileSystem(options).`,
    { cause, details: { module } },
  );
}
