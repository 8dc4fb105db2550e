import type { SnapshotDelta } from '../model/delta.ts';
import type { AuditBatch } from './audit-batch.ts';
import { type AuditRow, foundOrders, noColumns } from './audit-rows.ts';
import type { FollowedGroup, JournalPlace } from './journal-follower.ts';
import { recordsOf } from './journal-walk.ts';
import type { JournalRecord } from './records.ts';

/*
 * Which of the journal's records are news to the audit. It is at a place (epoch, sequence), and goes on as a restore does:
 *
 * A1  A delta whose `previous` is the place is next. One whose `through` is not beyond the place was taken already: a commit may
 *     stand in two segments, and a reader may begin again.
 * A2  An incarnation's whole states count once its `ready` was read, all of them as one step; one without `ready` is void.
 * A3  Where what comes next does not begin at the place, a row says so: `gap` where records are missing, `abandoned` where the
 *     journal goes back behind what was taken. Nothing is passed over in silence, and what was taken stays.
 * A4  An audit without a place begins at the first incarnation that the journal has whole, with a `beginning` that says where.
 */
export class AuditIntake {
  #place: JournalPlace | null;
  #beginning: Beginning | null = null;

  /** @param place where the database is; null: nothing was taken ever */
  constructor(place: JournalPlace | null) {
    this.#place = place;
  }

  get place(): JournalPlace | null {
    return this.#place;
  }

  /** Adds what is new in the group. @throws CheckpointCorrupted JOURNAL_DAMAGED, StateError FORMAT_NEWER */
  take(followed: FollowedGroup, batch: AuditBatch): void {
    const { epoch, last } = followed.group.header;
    const place = this.#place;
    // Most of what is read again after a restart need not be parsed.
    if (place !== null && (epoch < place.epoch || (epoch === place.epoch && last <= place.sequence))) return;
    for (const record of recordsOf(followed.file, followed.bytes, followed.group)) this.#record(epoch, record, batch);
  }

  #record(epoch: number, record: JournalRecord, batch: AuditBatch): void {
    if (record.kind === 'segment') {
      const { from, base, at } = record;
      this.#beginning = from === null ? null : { epoch, from, base, at, states: [] };
    } else if (record.kind === 'delta') {
      if (record.previous === record.through) this.#collect(epoch, record);
      else this.#delta(epoch, record, batch);
    } else if (record.kind === 'ready') this.#begin(batch);
  }

  #collect(epoch: number, state: SnapshotDelta): void {
    const beginning = this.#beginning;
    if (beginning?.epoch === epoch && beginning.base === state.through) beginning.states.push(state);
    // The record that opened the segment is lost: on what the states stand is not known.
    else this.#beginning = { epoch, from: null, base: state.through, at: state.at, states: [state] };
  }

  /** A2. */
  #begin(batch: AuditBatch): void {
    const beginning = this.#beginning;
    this.#beginning = null;
    if (beginning === null) return;
    const { epoch, from, base, at, states } = beginning;
    const place = this.#place;
    if (place !== null && (epoch < place.epoch || (epoch === place.epoch && base <= place.sequence))) return;
    const changes = states.flatMap(({ strategies }) => strategies);
    if (place === null) {
      batch.log.push(beginningRow(epoch, base, from, at));
      for (const row of foundOrders(epoch, base, changes, at)) batch.log.push(row);
    } else if (from === null || from.epoch !== place.epoch || from.sequence !== place.sequence) {
      this.#broken(batch, place, from ?? { epoch, sequence: base }, { epoch, sequence: base }, at);
    }
    // One step for every strategy; events are never among whole states.
    batch.add(epoch, { previous: base, through: base, at, strategies: changes });
    this.#place = { epoch, sequence: base };
  }

  #delta(epoch: number, delta: SnapshotDelta, batch: AuditBatch): void {
    const place = this.#place;
    if (place === null) return;
    if (epoch < place.epoch || (epoch === place.epoch && delta.through <= place.sequence)) return;
    // `ready` is damaged: no delta is taken before a beginning is durable, so it was there.
    if (this.#beginning?.epoch === epoch) this.#begin(batch);
    const reached = this.#place ?? place;
    if (epoch !== reached.epoch || delta.previous !== reached.sequence) {
      const found = { epoch, sequence: delta.previous };
      this.#broken(batch, reached, found, { epoch, sequence: delta.through }, delta.at);
    }
    batch.add(epoch, delta);
    this.#place = { epoch, sequence: delta.through };
  }

  /** A3. */
  #broken(batch: AuditBatch, reached: JournalPlace, found: JournalPlace, to: JournalPlace, at: string): void {
    const goesBack =
      found.epoch < reached.epoch || (found.epoch === reached.epoch && found.sequence < reached.sequence);
    const kind = goesBack ? 'abandoned' : 'gap';
    const reason = goesBack
      ? `the journal goes on from sequence ${found.sequence} of epoch ${found.epoch}, behind ${reached.sequence} of epoch ${reached.epoch} where the audit was: what is in between was taken back by a restore from older files`
      : `what the journal had between sequence ${reached.sequence} of epoch ${reached.epoch} and ${found.sequence} of epoch ${found.epoch} is not in the audit: it was deleted, lost or damaged before it was read`;
    batch.gaps.push(reason);
    batch.log.push({
      ...ownRow(to.epoch, to.sequence, at),
      kind,
      reason,
      event: JSON.stringify({ kind, reached, found, at }),
    });
  }
}

interface Beginning {
  readonly epoch: number;
  readonly from: JournalPlace | null;
  readonly base: number;
  readonly at: string;
  readonly states: SnapshotDelta[];
}

function beginningRow(epoch: number, base: number, from: JournalPlace | null, at: string): AuditRow {
  const kind = 'beginning';
  const reason =
    base === 0
      ? 'the audit begins with an empty state'
      : `the audit begins with the state that was restored as sequence ${base} of epoch ${epoch}: what came before is not in it`;
  return { ...ownRow(epoch, base, at), kind, reason, event: JSON.stringify({ kind, from, base, at }) };
}

function ownRow(epoch: number, sequence: number, at: string): Omit<AuditRow, 'kind' | 'event'> {
  return { ...noColumns, epoch, sequence, ordinal: -1, at, strategy: null };
}
