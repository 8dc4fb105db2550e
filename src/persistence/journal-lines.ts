import type { SnapshotDelta } from '../model/delta.ts';
import { encodedLine, encodeRecord } from './journal-format.ts';
import { checkRecord, parseRecord } from './journal-records.ts';
import type { JournalRecord } from './records.ts';

/*
 * Records that came as lines: each is checked once, and goes to disk as the line that it was. A record is never edited, so its line
 * stays true; a changed copy of it is another record.
 */

const lines = new WeakMap<JournalRecord, string>();

/** @throws StateError JOURNAL_RECORD_INVALID for anything but a delta, RECORD_TOO_LARGE */
export function deltaOfLine(line: string): SnapshotDelta & { readonly kind: 'delta' } {
  const record = parseRecord(line, 'delta');
  lines.set(record, encodedLine(line, record));
  return record;
}

/** One line, line feed included. @throws StateError JOURNAL_RECORD_INVALID, RECORD_TOO_LARGE */
export function lineOf(record: JournalRecord): string {
  return lines.get(record) ?? encodeRecord(checkRecord(record));
}
