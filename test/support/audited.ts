import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { AuditBatch } from '../../src/persistence/audit-batch.ts';
import { AuditIntake } from '../../src/persistence/audit-intake.ts';
import type { AuditRow } from '../../src/persistence/audit-rows.ts';
import { JournalFollower } from '../../src/persistence/journal-follower.ts';
import { nodeFileSystem } from '../../src/persistence/node-file-system.ts';

type Cells = Readonly<Record<string, unknown>>;

/** Rows of audit.db, read by SQLite and by nothing of ours. */
export function query(directory: string, sql: string): readonly Cells[] {
  const database = new DatabaseSync(join(directory, 'audit.db'), { readOnly: true, timeout: 20_000 });
  try {
    return database
      .prepare(sql)
      .all()
      .map((row) => ({ ...row }));
  } finally {
    database.close();
  }
}

export function auditedLog(directory: string): readonly AuditRow[] {
  return query(directory, 'SELECT * FROM order_audit_log ORDER BY epoch, sequence, ordinal') as unknown as AuditRow[];
}

/** The events that the journal's files hold now, as rows. */
export function journaledLog(directory: string): readonly AuditRow[] {
  const batch = new AuditBatch();
  const intake = new AuditIntake(null);
  const follower = new JournalFollower(nodeFileSystem, directory, null);
  for (;;) {
    const group = follower.next(Number.MAX_SAFE_INTEGER);
    if (group === null) return batch.log;
    intake.take(group, batch);
  }
}
