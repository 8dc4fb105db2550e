import { join } from 'node:path';
import { StateError } from '../model/errors.ts';
import { nodeFileSystem } from './node-file-system.ts';
import { bootId, processStart } from './process-identity.ts';
import { type Holder, readHolder } from './status-file.ts';

/** SQLite's primary result codes that mean something here: https://sqlite.org/rescode.html */
export const sqliteCodes = { error: 1, busy: 5, readOnly: 8, corrupt: 11, constraint: 19, notADatabase: 26 } as const;

/** Our own statements fail with `error` or `constraint` only on tables that somebody else made. */
const damaged: ReadonlySet<number | null> = new Set([
  sqliteCodes.error,
  sqliteCodes.corrupt,
  sqliteCodes.constraint,
  sqliteCodes.notADatabase,
]);

/** SQLite's primary result code, or null where the error is none of SQLite's. */
export function sqliteCode(error: unknown): number | null {
  return error instanceof Error && 'errcode' in error && typeof error.errcode === 'number'
    ? error.errcode & 0xff
    : null;
}

/** What an error from lock.db means for who wanted the lock of `home`. A StateError stays what it is. */
export function lockError(error: unknown, home: string): StateError {
  if (error instanceof StateError) return error;
  const code = sqliteCode(error);
  if (code === sqliteCodes.busy) return lockedError(home);
  const path = join(home, 'lock.db');
  const message = error instanceof Error ? error.message : String(error);
  if (damaged.has(code)) return lockDamaged(home, message, error);
  return new StateError(
    'LOCK_FAILED',
    `could not use ${path}: ${message}. Look at the disk, and at the directory's owner and mode.`,
    { cause: error, details: { path }, retryable: true },
  );
}

/** lock.db is there and not what an engine leaves there, so that nobody can say which epoch was the last. */
export function lockDamaged(home: string, why: string, cause?: unknown): StateError {
  const path = join(home, 'lock.db');
  return new StateError(
    'LOCK_DAMAGED',
    `${path} is damaged, or not of Holdfast (${why}). Make sure that no engine runs on this directory, move the file to ` +
      'quarantine/ and start again: the epoch is found again from the other files.',
    { ...(cause === undefined ? {} : { cause }), details: { path } },
  );
}

/** No epoch is left above the highest that the directory shows: something that no engine wrote says so. */
export function epochExhausted(home: string, epoch: number): StateError {
  return new StateError(
    'EPOCH_EXHAUSTED',
    `${home} shows an epoch so high that none is left above it (${epoch} would be next), which no engine has reached: look for the ` +
      'name of a checkpoint or journal segment, or for a lock.db, that is not of Holdfast, and move it away. Nothing was changed.',
    { details: { path: home, epoch } },
  );
}

/** Names the holder as holder.json has it, which can lag behind the lock by a moment. */
export function lockedError(home: string): StateError {
  const holder = readHolder(nodeFileSystem, home);
  return new StateError(
    'STATE_DIRECTORY_LOCKED',
    `${home} is in use by ${nameOf(holder)}. Stop that engine, or use another state directory; never delete lock.db while it runs.`,
    {
      details: {
        path: home,
        pid: holder?.pid ?? null,
        host: holder?.host ?? null,
        since: holder?.since ?? null,
        epoch: holder?.epoch ?? null,
      },
    },
  );
}

/** True where the holder's process is this one, whichever thread asks. */
export function isThisProcess(holder: Holder): boolean {
  return holder.pid === process.pid && holder.process_start === processStart() && holder.boot_id === bootId();
}

function nameOf(holder: Holder | null): string {
  if (holder === null) return 'another process';
  const who = isThisProcess(holder) ? 'this process' : `process ${holder.pid} on ${holder.host}`;
  return `${who} since ${holder.since} (epoch ${holder.epoch})`;
}
