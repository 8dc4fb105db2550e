import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync, type SQLInputValue } from 'node:sqlite';
import { AuditBatch } from './audit-batch.ts';
import { auditError, auditFile, auditFormatVersion, newer } from './audit-database.ts';
import { AuditIntake } from './audit-intake.ts';
import type { AuditRow, ReportRow } from './audit-rows.ts';
import type { FileSystem } from './file-system.ts';
import { JournalFollower, type JournalPlace } from './journal-follower.ts';

/** Which rows are wanted; what is absent does not narrow. */
export interface AuditFilter {
  readonly orderId?: string;
  readonly strategy?: string;
  /** As timestamp() writes it: the form that sorts as text. */
  readonly since?: string;
}

export interface AuditView {
  /** Everything up to here is in audit.db; null where there is no audit yet. */
  readonly database: JournalPlace | null;
  /** Everything up to here is told, what the journal alone has included; null where there is nothing. */
  readonly through: JournalPlace | null;
  /** In the order of epoch, sequence and ordinal. */
  readonly log: readonly AuditRow[];
  readonly reports: readonly ReportRow[];
  /** Every declared gap, whatever the filter. */
  readonly gaps: readonly AuditRow[];
}

/**
 * What audit.db has, and behind it what the journal has and the audit has not taken yet: the same whether an engine runs, was killed
 * a moment ago, or never had an audit. Changes nothing.
 * @throws StateError AUDIT_FAILED, FORMAT_NEWER, READ_FAILED; CheckpointCorrupted JOURNAL_DAMAGED
 */
export function readAudit(fs: FileSystem, directory: string, filter: AuditFilter): AuditView {
  for (let attempt = 1; ; attempt += 1) {
    const { view, broken } = readOnce(fs, directory, filter);
    // Beside a running engine the audit may have moved on, and segments may have gone, between the two reads, or while the journal
    // was read: then nothing at all was found, or a gap that is none.
    if ((!broken && view.through !== null) || attempt >= attemptsMax) return view;
  }
}

const attemptsMax = 5;

function readOnce(
  fs: FileSystem,
  directory: string,
  filter: AuditFilter,
): { readonly view: AuditView; readonly broken: boolean } {
  const path = join(directory, auditFile);
  const kept = existsSync(path) ? readDatabase(path, filter) : nothing;
  const intake = new AuditIntake(kept.database);
  const follower = new JournalFollower(fs, directory, kept.database);
  const batch = new AuditBatch();
  for (;;) {
    const group = follower.next(Number.MAX_SAFE_INTEGER);
    if (group === null) break;
    intake.take(group, batch);
    // Of entries only the database tells; here they would fill the memory.
    batch.books.clear();
    batch.marks.clear();
  }
  const since = filter.since ?? '';
  const view = {
    database: kept.database,
    through: intake.place,
    log: [...kept.log, ...batch.log.filter((row) => fits(row, filter))],
    reports: [...kept.reports, ...batch.reports.filter(({ at }) => at >= since)],
    gaps: [...kept.gaps, ...batch.log.filter(isGap)],
  };
  return { view, broken: batch.gaps.length > 0 };
}

type Kept = Omit<AuditView, 'through'>;

const nothing: Kept = { database: null, log: [], reports: [], gaps: [] };

function readDatabase(path: string, filter: AuditFilter): Kept {
  let database: DatabaseSync | null = null;
  try {
    database = new DatabaseSync(path, { readOnly: true, timeout: 5_000 });
    // One moment for all that is read.
    database.exec('BEGIN');
    const version = Number(database.prepare('PRAGMA user_version').get()?.['user_version']);
    if (version > auditFormatVersion) throw newer(path, version);
    // The worker has made the file, and has not come to its tables.
    if (version === 0) return nothing;
    const read = database;
    const all = <Row>(sql: string, values: readonly SQLInputValue[]): Row[] =>
      read
        .prepare(`${sql} ORDER BY epoch, sequence, ordinal`)
        .all(...values)
        .map((row) => ({ ...row }) as Row);
    const place = database.prepare('SELECT epoch, sequence FROM audit_cursor').get();
    const wanted = conditions(filter);
    return {
      database: place === undefined ? null : { epoch: Number(place['epoch']), sequence: Number(place['sequence']) },
      log: all<AuditRow>(`SELECT * FROM order_audit_log ${wanted.where}`, wanted.values),
      reports: all<ReportRow>('SELECT * FROM reconciliation_report WHERE at >= ?', [filter.since ?? '']),
      gaps: all<AuditRow>("SELECT * FROM order_audit_log WHERE kind IN ('gap', 'abandoned')", []),
    };
  } catch (error) {
    throw auditError(error, path);
  } finally {
    database?.close();
  }
}

function conditions({ orderId, strategy, since }: AuditFilter): {
  readonly where: string;
  readonly values: readonly string[];
} {
  const terms: string[] = [];
  const values: string[] = [];
  for (const [term, value] of [
    ['order_id = ?', orderId],
    ['strategy = ?', strategy],
    ['at >= ?', since],
  ] as const) {
    if (value === undefined) continue;
    terms.push(term);
    values.push(value);
  }
  return { where: terms.length === 0 ? '' : `WHERE ${terms.join(' AND ')}`, values };
}

function fits(row: AuditRow, { orderId, strategy, since }: AuditFilter): boolean {
  return (
    (orderId === undefined || row.order_id === orderId) &&
    (strategy === undefined || row.strategy === strategy) &&
    (since === undefined || row.at >= since)
  );
}

function isGap({ kind }: AuditRow): boolean {
  return kind === 'gap' || kind === 'abandoned';
}
