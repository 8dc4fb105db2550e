import { AuditBatch } from '../../src/persistence/audit-batch.ts';
import { AuditIntake } from '../../src/persistence/audit-intake.ts';
import { JournalFollower, type JournalPlace } from '../../src/persistence/journal-follower.ts';
import type { JournalRecord } from '../../src/persistence/records.ts';
import { at, change, directory, type MemoryFiles } from './journal-fixtures.ts';

export type Delta = JournalRecord & { readonly kind: 'delta' };

/** A delta (previous, through] with one note, whose number is `through`. */
export function noted(previous: number, through: number, strategy = 'alpha'): Delta {
  return {
    kind: 'delta',
    previous,
    through,
    at: at(through),
    strategies: [
      {
        ...change(strategy, through),
        events: [{ kind: 'note', name: 'number', data: through, at: at(through) }],
      },
    ],
  };
}

/** An audit in memory: what it has taken so far. */
export class Audit {
  readonly batch = new AuditBatch();
  readonly follower: JournalFollower;
  readonly intake: AuditIntake;

  constructor(fs: MemoryFiles, place: JournalPlace | null = null) {
    this.follower = new JournalFollower(fs, directory, place);
    this.intake = new AuditIntake(place);
  }

  /** Takes what there is. Returns how many groups that were. */
  read(through: number = Number.MAX_SAFE_INTEGER): number {
    for (let groups = 0; ; groups += 1) {
      const group = this.follower.next(through);
      if (group === null) return groups;
      this.intake.take(group, this.batch);
    }
  }

  get numbers(): readonly number[] {
    return this.batch.log.flatMap(({ event }) => {
      const { data } = JSON.parse(event) as { data?: number };
      return data === undefined ? [] : [data];
    });
  }

  /** Its own words. */
  get words(): readonly string[] {
    return this.batch.log.filter(({ ordinal }) => ordinal < 0).map(({ kind }) => kind);
  }
}

export function upTo(last: number, first = 1): readonly number[] {
  return Array.from({ length: last - first + 1 }, (_, index) => first + index);
}
