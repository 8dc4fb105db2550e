import type { SnapshotDelta } from '../model/delta.ts';
import { StateError } from '../model/errors.ts';
import type { Timestamp } from '../model/time.ts';
import { groupBytesTarget } from './journal-format.ts';
import { lineOf } from './journal-lines.ts';
import type { JournalRecord } from './records.ts';

export interface PlannedGroup {
  readonly lines: string[];
  bytes: number;
  readonly first: number;
  last: number;
  /** Strategies that it names for the first time. */
  readonly names: Set<string>;
  readonly at: Timestamp;
}

/**
 * Cuts records into the groups that make them durable, of bounded size. A delta that is durable already is passed over. A strategy that is not
 * in `known` is written whole where it comes first: a name counts as known only once its group is durable, so that a failed write says it again.
 * @param reached durable through here
 * @throws StateError DELTA_GAP, JOURNAL_RECORD_INVALID, RECORD_TOO_LARGE
 */
export function planGroups(
  records: readonly JournalRecord[],
  reached: number,
  known: ReadonlySet<string>,
): PlannedGroup[] {
  const groups: PlannedGroup[] = [];
  let sequence = reached;
  let group: PlannedGroup | null = null;
  const named = new Set<string>();
  for (const record of records) {
    if (record.kind === 'delta' && record.through <= reached) continue;
    const at = record.at;
    group ??= { lines: [], bytes: 0, first: sequence, last: sequence, names: new Set(), at };
    let line: string;
    if (record.kind === 'delta') {
      line = lineOf(withNewOnesWhole(record, known, named, group.names));
      if (record.previous !== sequence || record.through <= record.previous) throw gap(record, sequence);
      sequence = record.through;
      group.last = sequence;
    } else {
      line = lineOf(record);
    }
    group.lines.push(line);
    group.bytes += Buffer.byteLength(line);
    if (group.bytes < groupBytesTarget) continue;
    groups.push(group);
    group = null;
  }
  if (group !== null) groups.push(group);
  return groups;
}

/** Collects lines and hands them on in batches of bounded size. */
export class Lines {
  readonly #flush: (lines: readonly string[]) => void;
  #lines: string[] = [];
  #bytes = 0;

  constructor(flush: (lines: readonly string[]) => void) {
    this.#flush = flush;
  }

  add(record: JournalRecord): void {
    const line = lineOf(record);
    this.#lines.push(line);
    this.#bytes += Buffer.byteLength(line);
    if (this.#bytes >= groupBytesTarget) this.end();
  }

  end(): void {
    if (this.#lines.length > 0) this.#flush(this.#lines);
    this.#lines = [];
    this.#bytes = 0;
  }
}

function gap(delta: SnapshotDelta, sequence: number): StateError {
  return new StateError(
    'DELTA_GAP',
    `a delta (${delta.previous}, ${delta.through}] does not connect to sequence ${sequence} of the journal: nothing was written`,
    { details: { previous: delta.previous, through: delta.through, sequence } },
  );
}

/** For begin(). */
export function notAtBase(state: SnapshotDelta, base: number): StateError {
  return new StateError(
    'DELTA_GAP',
    `a state that begins a journal must have previous = through = ${base}, and this has (${state.previous}, ${state.through}]`,
    { details: { previous: state.previous, through: state.through, sequence: base } },
  );
}

function withNewOnesWhole(
  delta: SnapshotDelta & { readonly kind: 'delta' },
  known: ReadonlySet<string>,
  named: Set<string>,
  names: Set<string>,
): SnapshotDelta & { readonly kind: 'delta' } {
  const isNew = (name: string) => !known.has(name) && !named.has(name);
  if (!delta.strategies.some(({ strategy }) => isNew(strategy))) return delta;
  const strategies = delta.strategies.map((change) => {
    if (!isNew(change.strategy)) return change;
    named.add(change.strategy);
    names.add(change.strategy);
    return { ...change, whole: true as const };
  });
  return { ...delta, strategies };
}
