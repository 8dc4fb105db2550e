import { join } from 'node:path';
import { DatabaseSync, type SQLInputValue, type StatementSync } from 'node:sqlite';
import { StateError } from '../model/errors.ts';
import type { AuditBatch, BookChange } from './audit-batch.ts';
import type { AuditRow, ReportRow } from './audit-rows.ts';
import type { JournalPlace } from './journal-follower.ts';
import { sqliteCode, sqliteCodes } from './lock-errors.ts';
import { nodeFileSystem } from './node-file-system.ts';
import { quarantine } from './quarantine.ts';

/** The database, inside the state directory. */
export const auditFile = 'audit.db';
/** `user_version` of the database. */
export const auditFormatVersion = 1;

const names = [
  'epoch',
  'sequence',
  'ordinal',
  'at',
  'strategy',
  'kind',
  'order_id',
  'broker_order_id',
  'asset',
  'amount',
  'price',
  'status',
  'execution_id',
  'reason',
  'event',
] as const satisfies readonly (keyof AuditRow)[];

const reportNames = [
  'report_id',
  'epoch',
  'sequence',
  'ordinal',
  'at',
  'trigger',
  'policy',
  'outcome',
  'discrepancies',
  'actions',
  'halt',
  'report',
] as const satisfies readonly (keyof ReportRow)[];

const schema = `
CREATE TABLE order_audit_log (
  epoch INTEGER NOT NULL, sequence INTEGER NOT NULL, ordinal INTEGER NOT NULL, at TEXT NOT NULL, strategy TEXT, kind TEXT NOT NULL,
  order_id TEXT, broker_order_id TEXT, asset TEXT, amount TEXT, price TEXT, status TEXT, execution_id TEXT, reason TEXT,
  event TEXT NOT NULL, PRIMARY KEY (epoch, sequence, ordinal)
) STRICT, WITHOUT ROWID;
CREATE INDEX order_audit_log_order ON order_audit_log (order_id) WHERE order_id IS NOT NULL;
CREATE TABLE live_positions (
  strategy TEXT NOT NULL, asset TEXT NOT NULL, amount TEXT NOT NULL, cost_basis TEXT NOT NULL, last_price TEXT, currency TEXT,
  total_cost TEXT, realized_pnl TEXT, fees TEXT, epoch INTEGER NOT NULL, sequence INTEGER NOT NULL, at TEXT NOT NULL,
  PRIMARY KEY (strategy, asset)
) STRICT, WITHOUT ROWID;
CREATE TABLE strategy_state (
  strategy TEXT NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL, epoch INTEGER NOT NULL, sequence INTEGER NOT NULL, at TEXT NOT NULL,
  PRIMARY KEY (strategy, key)
) STRICT, WITHOUT ROWID;
CREATE TABLE reconciliation_report (
  report_id TEXT NOT NULL, epoch INTEGER NOT NULL, sequence INTEGER NOT NULL, ordinal INTEGER NOT NULL, at TEXT NOT NULL,
  trigger TEXT, policy TEXT, outcome TEXT, discrepancies INTEGER NOT NULL, actions INTEGER NOT NULL, halt TEXT, report TEXT NOT NULL,
  PRIMARY KEY (epoch, sequence, ordinal)
) STRICT, WITHOUT ROWID;
CREATE TABLE audit_cursor (
  id INTEGER PRIMARY KEY CHECK (id = 1), epoch INTEGER NOT NULL, sequence INTEGER NOT NULL, at TEXT NOT NULL
) STRICT;
PRAGMA user_version = ${auditFormatVersion};
`;

/**
 * audit.db, written by one worker. Rows and cursor change in one transaction, and write() returns once it is durable: synchronous =
 * FULL in WAL mode, so that readers neither wait nor make anybody wait.
 */
export class AuditDatabase {
  readonly #database: DatabaseSync;
  readonly #statements: Map<string, StatementSync> = new Map();
  readonly #path: string;
  #settled = false;

  /**
   * Opens it, or makes it with mode 0600. One that is damaged is kept in quarantine/, and a new one is made.
   * @param notice what an operator should know
   * @param suspect true: it is read to the end first, because SQLite has found damage in it
   * @throws StateError AUDIT_FAILED, which a later attempt may not meet; FORMAT_NEWER
   */
  static open(directory: string, notice: (message: string) => void, suspect = false): AuditDatabase {
    const path = join(directory, auditFile);
    try {
      return new AuditDatabase(path, directory, suspect);
    } catch (error) {
      const code = sqliteCode(error);
      if (code !== sqliteCodes.corrupt && code !== sqliteCodes.notADatabase) throw auditError(error, path);
      const why = (error as Error).message;
      for (const file of [auditFile, `${auditFile}-wal`, `${auditFile}-shm`]) {
        if (nodeFileSystem.readdir(directory).includes(file)) quarantine(nodeFileSystem, directory, file, why);
      }
      notice(`${path} was damaged (${why}): it is kept in quarantine/, and a new one begins with the state as it is`);
    }
    try {
      return new AuditDatabase(path, directory);
    } catch (error) {
      throw auditError(error, path);
    }
  }

  private constructor(path: string, directory: string, suspect = false) {
    this.#path = path;
    prepareFile(path, directory);
    const database = new DatabaseSync(path, { timeout: 5_000 });
    this.#database = database;
    try {
      const wal = database.prepare('PRAGMA journal_mode = WAL').get()?.['journal_mode'];
      if (wal !== 'wal')
        throw new StateError('AUDIT_FAILED', `${path}: SQLite gave journal mode ${String(wal)}, not WAL`);
      database.exec('PRAGMA synchronous = FULL');
      const version = Number(database.prepare('PRAGMA user_version').get()?.['user_version']);
      if (version > auditFormatVersion) throw newer(path, version);
      const found = suspect ? String(database.prepare('PRAGMA quick_check(1)').get()?.['quick_check']) : 'ok';
      if (found !== 'ok') throw Object.assign(new Error(found), { errcode: sqliteCodes.corrupt });
      if (version === 0) database.exec(`BEGIN IMMEDIATE; ${schema} COMMIT`);
    } catch (error) {
      database.close();
      throw error;
    }
  }

  /** Where the audit is; null where it has not begun. @throws StateError AUDIT_FAILED */
  cursor(): JournalPlace | null {
    return this.#guarded(() => {
      const row = this.#prepared('SELECT epoch, sequence FROM audit_cursor').get();
      return row === undefined ? null : { epoch: Number(row['epoch']), sequence: Number(row['sequence']) };
    });
  }

  /**
   * Makes durable anew what this connection found: after a failed fsync, or a kill, frames of the log may be read that never reached
   * the disk. Copied into the database they are written and synced again. False where a reader is in the way: then try later.
   */
  settle(): boolean {
    return this.#guarded(() => {
      this.#settled ||= Number(this.#prepared('PRAGMA wal_checkpoint(TRUNCATE)').get()?.['busy']) === 0;
      return this.#settled;
    });
  }

  /**
   * All of the batch or nothing, durable when it returns.
   * @param from where the batch goes on: AUDIT_CURSOR_MOVED where the database is elsewhere, because another process wrote to it
   * @throws StateError AUDIT_FAILED
   */
  write(batch: AuditBatch, from: JournalPlace | null): void {
    this.#guarded(() => {
      const database = this.#database;
      database.exec('BEGIN IMMEDIATE');
      try {
        this.#expect(from);
        for (const row of batch.log) this.#insert('order_audit_log', names, row);
        for (const row of batch.reports) this.#insert('reconciliation_report', reportNames, row);
        for (const [asset, price] of batch.marks) {
          this.#prepared('UPDATE live_positions SET last_price = ? WHERE asset = ?').run(price, asset);
        }
        for (const [strategy, change] of batch.books) this.#change(strategy, change);
        const { cursor } = batch;
        if (cursor !== null) {
          this.#prepared('INSERT OR REPLACE INTO audit_cursor VALUES (1, ?, ?, ?)').run(
            cursor.epoch,
            cursor.sequence,
            cursor.at,
          );
        }
        database.exec('COMMIT');
      } catch (error) {
        if (database.isTransaction) database.exec('ROLLBACK');
        throw error;
      }
    });
  }

  close(): void {
    this.#statements.clear();
    if (this.#database.isOpen) this.#database.close();
  }

  #expect(from: JournalPlace | null): void {
    const found = this.cursor();
    if (found?.epoch === from?.epoch && found?.sequence === from?.sequence) return;
    throw new StateError('AUDIT_CURSOR_MOVED', `${this.#path}: another process has written to it; it is opened again`, {
      details: { path: this.#path },
      retryable: true,
    });
  }

  #change(strategy: string, { whole, positions, state, epoch, sequence, at }: BookChange): void {
    if (whole) {
      this.#prepared('DELETE FROM live_positions WHERE strategy = ?').run(strategy);
      this.#prepared('DELETE FROM strategy_state WHERE strategy = ?').run(strategy);
    }
    for (const [asset, position] of positions) {
      if (position === null) {
        this.#prepared('DELETE FROM live_positions WHERE strategy = ? AND asset = ?').run(strategy, asset);
        continue;
      }
      const { amount, cost_basis, last_price, currency, total_cost, realized_pnl, fees } = position;
      const optional = [currency, total_cost, realized_pnl, fees].map((value) => value ?? null);
      this.#prepared('INSERT OR REPLACE INTO live_positions VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)').run(
        ...[strategy, asset, amount, cost_basis, last_price, ...optional, epoch, sequence, at],
      );
    }
    for (const [key, entry] of state) {
      if (entry === null) {
        this.#prepared('DELETE FROM strategy_state WHERE strategy = ? AND key = ?').run(strategy, key);
        continue;
      }
      this.#prepared('INSERT OR REPLACE INTO strategy_state VALUES (?, ?, ?, ?, ?, ?)').run(
        ...[strategy, key, JSON.stringify(entry.value), epoch, sequence, at],
      );
    }
  }

  #insert<Row, Name extends keyof Row & string>(table: string, columns: readonly Name[], row: Row): void {
    const marks = columns.map(() => '?').join(', ');
    this.#prepared(`INSERT INTO ${table} (${columns.join(', ')}) VALUES (${marks})`).run(
      ...columns.map((name) => row[name] as SQLInputValue),
    );
  }

  #prepared(sql: string): StatementSync {
    let statement = this.#statements.get(sql);
    if (statement === undefined) {
      statement = this.#database.prepare(sql);
      this.#statements.set(sql, statement);
    }
    return statement;
  }

  #guarded<T>(work: () => T): T {
    try {
      return work();
    } catch (error) {
      throw auditError(error, this.#path);
    }
  }
}

/** SQLite would make the file with the mode that the umask leaves, and would follow a link. */
function prepareFile(path: string, directory: string): void {
  try {
    nodeFileSystem.close(nodeFileSystem.create(path));
    nodeFileSystem.fsyncDirectory(directory);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  }
  if (nodeFileSystem.lstat(path).kind === 'file') return;
  throw new StateError(
    'STATE_DIRECTORY_UNSAFE',
    `${path} is not a regular file: move it away after you have seen what it is.`,
    { details: { path } },
  );
}

export function auditError(error: unknown, path: string): StateError {
  if (error instanceof StateError) return error;
  const message = error instanceof Error ? error.message : String(error);
  return new StateError(
    'AUDIT_FAILED',
    `could not use ${path}: ${message}. Trading goes on, and the journal keeps what is to come; look at the disk, and at the file's owner and mode.`,
    { cause: error, details: { path }, retryable: sqliteCode(error) !== null || 'code' in Object(error) },
  );
}

export function newer(path: string, version: number): StateError {
  return new StateError(
    'FORMAT_NEWER',
    `${path} has format version ${version}; this release reads up to ${auditFormatVersion}: use the release that wrote it. It was not touched.`,
    { details: { path, format_version: version } },
  );
}
