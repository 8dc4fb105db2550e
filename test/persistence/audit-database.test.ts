import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { AuditBatch } from '../../src/persistence/audit-batch.ts';
import { AuditDatabase } from '../../src/persistence/audit-database.ts';
import { auditedLog, query } from '../support/audited.ts';
import { noted } from './audit-fixtures.ts';

let directory: string;
let told: string[];
let open: AuditDatabase[];

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'holdfast-audit-db-'));
  told = [];
  open = [];
});

afterEach(() => {
  for (const database of open) database.close();
  rmSync(directory, { recursive: true, force: true });
});

function database(suspect = false): AuditDatabase {
  const made = AuditDatabase.open(directory, (message) => told.push(message), suspect);
  open.push(made);
  return made;
}

function batch(...deltas: readonly ReturnType<typeof noted>[]): AuditBatch {
  const made = new AuditBatch();
  for (const delta of deltas) made.add(1, delta);
  return made;
}

describe("the audit's database", () => {
  it('has mode 0600, with what SQLite keeps beside it, and a cursor that moves with the rows', () => {
    const audit = database();
    expect(audit.cursor()).toBeNull();
    audit.write(batch(noted(0, 1), noted(1, 2)), null);
    expect(audit.settle()).toBe(true);
    expect(audit.cursor()).toEqual({ epoch: 1, sequence: 2 });
    for (const name of readdirSync(directory)) {
      expect([name, statSync(join(directory, name)).mode & 0o777]).toEqual([name, 0o600]);
    }
    expect(auditedLog(directory).map(({ sequence, kind }) => [sequence, kind])).toEqual([
      [1, 'note'],
      [2, 'note'],
    ]);
  });

  it('takes all of a batch or nothing of it', () => {
    const audit = database();
    audit.write(batch(noted(0, 1)), null);
    const bad = batch(noted(1, 2));
    // The same place twice cannot be.
    bad.log.push(...batch(noted(1, 2)).log);
    expect(() => audit.write(bad, { epoch: 1, sequence: 1 })).toThrow(/UNIQUE/);
    expect(audit.cursor()).toEqual({ epoch: 1, sequence: 1 });
    expect(auditedLog(directory)).toHaveLength(1);
    expect(query(directory, 'SELECT amount FROM live_positions')).toEqual([{ amount: '1' }]);
    audit.write(batch(noted(1, 2)), { epoch: 1, sequence: 1 });
    expect(auditedLog(directory)).toHaveLength(2);
  });

  it('refuses a batch that does not go on from where it is, because somebody else wrote', () => {
    const one = database();
    const other = database();
    one.write(batch(noted(0, 1)), null);
    expect(() => other.write(batch(noted(0, 1)), null)).toThrow(
      expect.objectContaining({ code: 'AUDIT_CURSOR_MOVED', retryable: true }),
    );
    expect(auditedLog(directory)).toHaveLength(1);
  });

  it('keeps entries as they are now, and their values whole', () => {
    const audit = database();
    audit.write(batch(noted(0, 1), noted(1, 2), noted(2, 3, 'beta')), null);
    const gone = { strategy: 'alpha', positions_removed: ['ASSET1'], state_removed: ['last'] };
    const next = batch({ ...noted(3, 4), strategies: [gone], marks: [['ASSET2', '99']] });
    audit.write(next, { epoch: 1, sequence: 3 });
    expect(query(directory, 'SELECT strategy, asset, amount, last_price, sequence FROM live_positions')).toEqual([
      { strategy: 'alpha', asset: 'ASSET2', amount: '2', last_price: '99', sequence: 2 },
      { strategy: 'beta', asset: 'ASSET0', amount: '3', last_price: '11', sequence: 3 },
    ]);
    expect(query(directory, 'SELECT strategy, key, value FROM strategy_state')).toEqual([
      { strategy: 'beta', key: 'last', value: JSON.stringify({ sequence: 3, note: 'naïve \u2028 "{\\"group\\":1"' }) },
    ]);
    const whole = batch({ ...noted(4, 5, 'beta'), strategies: [{ strategy: 'beta', whole: true }] });
    audit.write(whole, { epoch: 1, sequence: 4 });
    expect(query(directory, "SELECT * FROM live_positions WHERE strategy = 'beta'")).toEqual([]);
    expect(query(directory, "SELECT * FROM strategy_state WHERE strategy = 'beta'")).toEqual([]);
  });

  it('does not count as settled while a reader keeps the log from being copied', () => {
    database().write(batch(noted(0, 1)), null);
    const reader = new DatabaseSync(join(directory, 'audit.db'), { readOnly: true });
    reader.exec('BEGIN');
    reader.prepare('SELECT count(*) FROM order_audit_log').get();
    const again = new DatabaseSync(join(directory, 'audit.db'), { timeout: 0 });
    expect(again.prepare('PRAGMA wal_checkpoint(TRUNCATE)').get()?.['busy']).toBe(1);
    again.close();
    reader.exec('ROLLBACK');
    reader.close();
    expect(database().settle()).toBe(true);
  });

  it('keeps a file that is no database in quarantine, says so, and begins anew', () => {
    writeFileSync(join(directory, 'audit.db'), 'not a database, but long enough to be looked at'.repeat(40), {
      mode: 0o600,
    });
    const audit = database();
    expect(audit.cursor()).toBeNull();
    expect(told[0]).toContain('quarantine/');
    expect(readdirSync(join(directory, 'quarantine'))).toContain('audit.db.1');
  });

  it('reads one to the end in which damage was found, and keeps it in quarantine', () => {
    const audit = database();
    for (let n = 0; n < 400; n += 1) audit.write(batch(noted(n, n + 1)), n === 0 ? null : { epoch: 1, sequence: n });
    audit.settle();
    audit.close();
    const path = join(directory, 'audit.db');
    const { size } = statSync(path);
    const file = new DatabaseSync(path);
    file.exec('PRAGMA journal_mode = DELETE');
    file.close();
    rmSync(`${path}-wal`, { force: true });
    rmSync(`${path}-shm`, { force: true });
    const bytes = Buffer.alloc(size - 16_384, 0xaa);
    const damaged = Buffer.concat([readFileSync(path).subarray(0, 16_384), bytes]);
    writeFileSync(path, damaged);
    expect(database(true).cursor()).toBeNull();
    expect(told).toHaveLength(1);
  });

  it('leaves one of a later release untouched', () => {
    database().close();
    const later = new DatabaseSync(join(directory, 'audit.db'));
    later.exec('PRAGMA user_version = 99');
    later.close();
    expect(() => database()).toThrow(expect.objectContaining({ code: 'FORMAT_NEWER', retryable: false }));
    expect(readdirSync(directory)).not.toContain('quarantine');
  });

  it('follows no link', () => {
    writeFileSync(join(directory, 'elsewhere'), '');
    symlinkSync(join(directory, 'elsewhere'), join(directory, 'audit.db'));
    expect(() => database()).toThrow(expect.objectContaining({ code: 'STATE_DIRECTORY_UNSAFE' }));
  });
});
