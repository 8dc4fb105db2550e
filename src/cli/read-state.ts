import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { StateError } from '../model/errors.ts';
import { systemClock } from '../model/time.ts';
import { isLocked } from '../persistence/lock.ts';
import { nodeFileSystem } from '../persistence/node-file-system.ts';
import { type Restored, restore } from '../persistence/restore.ts';
import type { Holder } from '../persistence/status-file.ts';

/** A state directory as another process sees it: nothing is locked, nothing is written. */
export interface StateView {
  readonly directory: string;
  readonly running: boolean;
  readonly holder: Holder | null;
  readonly restored: Restored;
}

const staleAfterMs = 3_600_000;

/**
 * What a restore of the directory would give now, whether an engine runs on it or not.
 * @throws StateError STATE_DIRECTORY_MISSING, and whatever a restore throws
 */
export function readState(directory: string): StateView {
  const absolute = stateDirectory(directory);
  const { held, holder } = isLocked(absolute);
  const restored = restore(nodeFileSystem, absolute, {
    currency: 'USD',
    staleAfterMs,
    now: systemClock.nowMicros(),
    readOnly: true,
    lockHeld: held,
  });
  return { directory: absolute, running: held, holder, restored };
}

/** The absolute path of an existing directory. */
export function stateDirectory(directory: string): string {
  const absolute = resolve(directory);
  if (existsSync(absolute)) return absolute;
  throw new StateError(
    'STATE_DIRECTORY_MISSING',
    `${absolute}: no such directory. Give the state directory of an engine (its state_dir, or $HOLDFAST_STATE_DIR).`,
    { details: { path: absolute } },
  );
}
