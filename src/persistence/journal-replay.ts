import { CheckpointCorrupted, StateError } from '../model/errors.ts';
import type { FileSystem } from './file-system.ts';
import type { ChainSegment, JournalChain } from './journal-chain.ts';
import type { WholeOutline } from './journal-records.ts';
import { readSegment, scanSegment } from './journal-scan.ts';
import { outlinesOf, recordsOf } from './journal-walk.ts';
import type { Mirror } from './mirror.ts';
import type { JournalRecord } from './records.ts';

export interface ReplayTrace {
  /** Whether the strategy's start is that state, or later: then it need not be read. */
  covers(whole: WholeOutline): boolean;
  see(record: JournalRecord | WholeOutline, segment: ChainSegment): void;
}

/**
 * Applies the chain's last run to a mirror that holds the start points, segment by segment: memory does not grow with the journal.
 * @param from groups that end before this sequence are passed over unread: every strategy has a start there or later
 * @param trace is told of each record that is read, before it is applied
 * @returns false where a file has gone since the chain was read
 * @throws CheckpointCorrupted JOURNAL_DAMAGED where the records are not what their headers say
 */
export function replay(
  fs: FileSystem,
  directory: string,
  chain: JournalChain,
  mirror: Mirror,
  from: number,
  trace: ReplayTrace,
): boolean {
  const run = chain.run;
  if (run === null) return true;
  mirror.start(run.first);
  for (const [index, segment] of chain.segments.entries()) {
    if (index < run.start.index || segment.void || segment.groups === 0) continue;
    const bytes = readSegment(fs, directory, segment.file);
    if (bytes === null) return false;
    if (segment.begins !== null && index > run.start.index) mirror.start(segment.begins);
    // What a running engine has appended since is not part of the chain that was read.
    for (const group of scanSegment(bytes, segment.name).groups.slice(0, segment.groups)) {
      if (index === run.start.index && group.header.group < run.start.group) continue;
      const { first, last } = group.header;
      if (last < from) {
        mirror.start(Math.max(mirror.sequence, last));
        continue;
      }
      // Whole states stand where an incarnation begins, in groups that end where they begin: nothing else need be looked at twice.
      const records =
        first < last
          ? recordsOf(segment.file, bytes, group)
          : outlinesOf(segment.file, bytes, group, (whole) => trace.covers(whole));
      for (const record of records) {
        trace.see(record, segment);
        if (record.kind === 'delta') applied(mirror, record, segment.file);
      }
    }
  }
  if (mirror.sequence !== run.last)
    throw disagrees(`it ends at ${mirror.sequence} and not at ${run.last}`, 'journal', undefined);
  return true;
}

function applied(mirror: Mirror, record: JournalRecord & { readonly kind: 'delta' }, file: string): void {
  try {
    mirror.apply(record);
  } catch (error) {
    if (error instanceof StateError && error.code === 'DELTA_GAP') throw disagrees(error.message, file, error);
    throw error;
  }
}

function disagrees(why: string, file: string, cause: unknown): CheckpointCorrupted {
  return new CheckpointCorrupted(
    'JOURNAL_DAMAGED',
    `${file}: the records are not what the headers of their groups say: ${why}. Nothing was changed.`,
    { cause, details: { path: file } },
  );
}
