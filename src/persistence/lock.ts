import fs from 'node:fs';
import { hostname } from 'node:os';
import { dirname, join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { StateError } from '../model/errors.ts';
import { systemClock, timestamp } from '../model/time.ts';
import { fileKindWords } from './file-kind.ts';
import {
  epochExhausted,
  isThisProcess,
  lockDamaged,
  lockError,
  lockedError,
  sqliteCode,
  sqliteCodes,
} from './lock-errors.ts';
import { nodeFileSystem } from './node-file-system.ts';
import { bootId, processStart } from './process-identity.ts';
import { type Holder, readHolder, writeHolder } from './status-file.ts';

/*
 * One engine on one state directory: a SQLite database, lock.db, opened by the main thread with locking_mode=EXCLUSIVE and
 * written to once, which makes SQLite hold the kernel's lock on it until it is closed or the process is gone.
 *
 * L1  The lock is the kernel's: a kill -9 frees it, a SIGSTOP does not.
 * L2  It is a POSIX lock, which belongs to the process and falls when any descriptor of the file is closed by it. So in the
 *     holder's process lock.db is opened by SQLite and by nothing else, ever: SQLite keeps count of its own descriptors.
 * L3  Every acquisition stores a higher epoch in the same transaction that takes the lock.
 * L4  A damaged lock.db is refused and not replaced: of two starting engines each could replace the other's.
 */

export interface StateLock {
  /** Higher than that of every earlier holder of the directory. */
  readonly epoch: number;
  /**
   * Makes the epoch higher than `atLeast`, the highest epoch that the directory's files show, and returns it. It changes only
   * where lock.db was lost or came from a backup.
   */
  raiseEpoch(atLeast: number): number;
  /** Frees the directory. Safe to call twice. */
  release(): void;
}

export interface LockOptions {
  /** How long to wait for a holder to go away; the thread is blocked meanwhile. A killed process lives on for about 30 ms. */
  readonly waitMs?: number;
  /** Microseconds since 1970, as Clock.nowMicros gives. */
  readonly now?: () => number;
  /** The epoch becomes higher than this as well. */
  readonly atLeast?: number;
  /** The host's name in holder.json and in messages; the machine's by default. */
  readonly host?: string;
  /** What an operator may want to know although nothing failed. Default: a warning of the process. */
  readonly notice?: (message: string) => void;
}

/**
 * Takes the directory for this process, or throws StateError:
 * STATE_DIRECTORY_LOCKED naming who holds it, LOCK_DAMAGED, or LOCK_FAILED where lock.db can't be opened or written.
 */
export function acquireLock(directory: string, options: LockOptions = {}): StateLock {
  const { waitMs = 500, now = systemClock.nowMicros, atLeast = 0, host = hostname(), notice = warn } = options;
  const home = realHome(directory);
  if (held.has(home)) throw lockedError(home);
  const path = join(home, 'lock.db');
  prepareFile(path);
  let database: DatabaseSync | null = null;
  try {
    database = new DatabaseSync(path, { timeout: waitMs });
    const lock = new HeldLock(database, home, { host, since: timestamp(now()), atLeast, notice });
    held.set(home, lock);
    return lock;
  } catch (error) {
    database?.close();
    throw lockError(error, home);
  }
}

/**
 * Whether an engine holds the directory, and which. For other processes: they look at the lock without taking or disturbing it.
 * In the holder's own process it answers from memory and holder.json, because of L2.
 */
export function isLocked(directory: string): { readonly held: boolean; readonly holder: Holder | null } {
  const path = join(directory, 'lock.db');
  if (!fs.existsSync(path)) return { held: false, holder: null };
  const holder = readHolder(nodeFileSystem, directory);
  if (held.has(fs.realpathSync(directory)) || (holder !== null && isThisProcess(holder))) return { held: true, holder };
  return probe(path, directory) ? { held: true, holder } : { held: false, holder: null };
}

function warn(message: string): void {
  process.emitWarning(message, { type: 'HoldfastWarning' });
}

function realHome(directory: string): string {
  try {
    return fs.realpathSync(directory);
  } catch (error) {
    throw lockError(error, directory);
  }
}

/** By real path. The map also keeps the databases from being collected, which would close them and free the locks. */
const held = new Map<string, HeldLock>();

class HeldLock implements StateLock {
  #epoch = 0;
  readonly #database: DatabaseSync;
  readonly #home: string;
  readonly #who: Pick<Holder, 'host' | 'since'>;
  readonly #notice: (message: string) => void;

  constructor(
    database: DatabaseSync,
    home: string,
    options: Pick<Holder, 'host' | 'since'> & { readonly atLeast: number; readonly notice: (message: string) => void },
  ) {
    const { host, since, atLeast, notice } = options;
    this.#database = database;
    this.#home = home;
    this.#who = { host, since };
    this.#notice = notice;
    // EXTRA: the epoch must survive a power cut, with the directory entry of the journal that protects it.
    database.exec('PRAGMA locking_mode = EXCLUSIVE; PRAGMA synchronous = EXTRA');
    this.#store((stored) => Math.max(stored, atLeast) + 1);
  }

  get epoch(): number {
    return this.#epoch;
  }

  raiseEpoch(atLeast: number): number {
    if (atLeast >= this.#epoch) this.#store(() => atLeast + 1);
    return this.#epoch;
  }

  release(): void {
    if (held.get(this.#home) !== this) return;
    try {
      // While the lock is still held, so that it is never a successor's file that goes.
      fs.rmSync(join(this.#home, 'holder.json'), { force: true });
    } catch {
      // It is for information only, and the next holder replaces it; the lock must go all the same.
    }
    this.#database.close();
    held.delete(this.#home);
  }

  #store(next: (stored: number) => number): void {
    const database = this.#database;
    try {
      database.exec('BEGIN EXCLUSIVE');
      database.exec(table);
      const read = database.prepare('SELECT epoch FROM lock');
      read.setReadBigInts(true);
      const stored = read.get()?.['epoch'] ?? 0n;
      if (typeof stored !== 'bigint' || stored < 0n) throw lockDamaged(this.#home, `its epoch is ${stored}`);
      const epoch = next(Number(stored));
      // Nothing is stored then: a file with a name that nobody here gave must not spoil the lock for ever.
      if (epoch >= Number.MAX_SAFE_INTEGER) throw epochExhausted(this.#home, epoch);
      database.prepare('INSERT INTO lock VALUES (1, ?) ON CONFLICT DO UPDATE SET epoch = excluded.epoch').run(epoch);
      database.exec('COMMIT');
      this.#epoch = epoch;
    } catch (error) {
      if (database.isTransaction) database.exec('ROLLBACK');
      throw lockError(error, this.#home);
    }
    this.#sayWho();
  }

  /** The lock is held, whether it can be said or not. */
  #sayWho(): void {
    const who = {
      pid: process.pid,
      process_start: processStart(),
      boot_id: bootId(),
      ...this.#who,
      epoch: this.#epoch,
    };
    try {
      writeHolder(nodeFileSystem, this.#home, who);
    } catch (error) {
      if (!(error instanceof StateError)) throw error;
      this.#notice(`holder.json, which names who holds the directory, could not be written: ${error.message}`);
    }
  }
}

const table = 'CREATE TABLE IF NOT EXISTS lock (id INTEGER PRIMARY KEY CHECK (id = 1), epoch INTEGER NOT NULL) STRICT';

/** SQLite would make the file with the mode that the umask leaves, and would follow a link. */
function prepareFile(path: string): void {
  try {
    // O_EXCL: only a file that did not exist is opened and closed here, so no lock can fall by it (L2).
    nodeFileSystem.close(nodeFileSystem.create(path));
  } catch (error) {
    const exists = error instanceof Error && 'code' in error && error.code === 'EEXIST';
    if (!exists) throw lockError(error, dirname(path));
  }
  const { kind } = nodeFileSystem.lstat(path);
  if (kind === 'file') return;
  throw new StateError(
    'STATE_DIRECTORY_UNSAFE',
    `${path} is ${fileKindWords[kind]}, not a regular file: move it away after you have seen what it is.`,
    {
      details: { path },
    },
  );
}

const unusable: ReadonlySet<number> = new Set([sqliteCodes.readOnly, sqliteCodes.corrupt, sqliteCodes.notADatabase]);

/** True where a read of lock.db is refused. Read-only, so that it neither makes nor repairs anything. */
function probe(path: string, directory: string): boolean {
  let database: DatabaseSync | null = null;
  try {
    database = new DatabaseSync(path, { readOnly: true, timeout: 0 });
    database.prepare('SELECT count(*) FROM sqlite_schema').get();
    return false;
  } catch (error) {
    const code = sqliteCode(error);
    if (code === sqliteCodes.busy) return true;
    // To read anything SQLite first takes a shared lock, so a file that it found unusable is one that nobody holds.
    if (code !== null && unusable.has(code)) return false;
    throw lockError(error, directory);
  } finally {
    database?.close();
  }
}
