import { existsSync, readdirSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { ConfigError, StateError } from '../model/errors.ts';
import { systemClock } from '../model/time.ts';
import { auditFile } from '../persistence/audit-database.ts';
import { parseCheckpointName } from '../persistence/checkpoint-names.ts';
import { isLocked } from '../persistence/lock.ts';
import { nodeFileSystem } from '../persistence/node-file-system.ts';
import { type Restored, restore } from '../persistence/restore.ts';
import { journalDirectory, quarantineDirectory } from '../persistence/state-directory.ts';
import type { Holder } from '../persistence/status-file.ts';
import { busy } from './progress.ts';

/** A state directory as another process sees it: nothing is locked, nothing is written. */
export interface StateView {
  readonly directory: string;
  readonly running: boolean;
  readonly holder: Holder | null;
  readonly restored: Restored;
}

export const staleAfterMs = 3_600_000;

/**
 * What a restore of the directory would give now, whether an engine runs on it or not.
 * @throws StateError STATE_DIRECTORY_MISSING, STATE_DIRECTORY_FOREIGN, and whatever a restore throws
 */
export function readState(directory: string, options: { readonly staleAfterMs?: number } = {}): StateView {
  const absolute = stateDirectory(directory);
  const { held, holder } = isLocked(absolute);
  const restored = busy(`reading ${absolute}`, () =>
    restore(nodeFileSystem, absolute, {
      currency: null,
      staleAfterMs: options.staleAfterMs ?? staleAfterMs,
      now: systemClock.nowMicros(),
      readOnly: true,
      lockHeld: held,
    }),
  );
  return { directory: absolute, running: held, holder, restored };
}

/**
 * The absolute path of a directory that is a state directory, or an empty one that may become it.
 * @throws StateError STATE_DIRECTORY_MISSING; STATE_DIRECTORY_FOREIGN where there are files, and none of them is ours;
 *   READ_FAILED where it cannot be listed; ConfigError USAGE where no directory is named
 */
export function stateDirectory(directory: string): string {
  assertNamed(directory);
  const absolute = resolve(directory);
  const stat = statSync(absolute, { throwIfNoEntry: false });
  if (stat === undefined) {
    throw refused('STATE_DIRECTORY_MISSING', absolute, `no such directory. ${advice}`);
  }
  if (!stat.isDirectory()) throw refused('STATE_DIRECTORY_MISSING', absolute, `not a directory. ${advice}`);
  const names = list(absolute);
  if (names.length === 0 || names.some(isOurs)) return absolute;
  const below = names.find((name) => existsSync(join(absolute, name, 'lock.db')));
  const hint = below === undefined ? advice : `Did you mean ${join(absolute, below)}?`;
  throw refused('STATE_DIRECTORY_FOREIGN', absolute, `holds other files and no state of an engine. ${hint}`);
}

/**
 * An empty text, such as a variable of the shell that is not set, is no name for the working directory.
 * @throws ConfigError USAGE
 */
export function assertNamed(directory: string): void {
  if (directory !== '') return;
  throw new ConfigError('USAGE', 'the directory is an empty text: is a variable not set? "." is the working directory');
}

const advice = 'Give the state directory of an engine (its state_dir, or $HOLDFAST_STATE_DIR).';

const ours: ReadonlySet<string> = new Set([
  'lock.db',
  'holder.json',
  'status.json',
  auditFile,
  journalDirectory,
  quarantineDirectory,
]);

function isOurs(name: string): boolean {
  return ours.has(name) || parseCheckpointName(name) !== null;
}

function list(directory: string): readonly string[] {
  try {
    return readdirSync(directory);
  } catch (cause) {
    throw new StateError(
      'READ_FAILED',
      `${directory}: cannot be listed: ${(cause as Error).message}. Look at it as the user that the engine runs as.`,
      { cause, details: { path: directory } },
    );
  }
}

function refused(code: string, path: string, why: string): StateError {
  return new StateError(code, `${path}: ${why}`, { details: { path } });
}
