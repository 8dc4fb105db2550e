import type { SnapshotDelta, StrategyDelta } from '../model/delta.ts';
import type { JsonValue } from '../model/json.ts';
import type { PositionSnapshot } from '../model/position.ts';
import { type AuditRow, type ReportRow, rowsOf } from './audit-rows.ts';
import type { JournalPlace } from './journal-follower.ts';

/** What one transaction brings to a strategy's entries: the newest value of each, null where it is gone. */
export interface BookChange {
  /** All that was before goes first. */
  whole: boolean;
  readonly positions: Map<string, PositionSnapshot | null>;
  /** Pairs, so that a value may be null. */
  readonly state: Map<string, { readonly value: JsonValue } | null>;
  /** When it last changed. */
  epoch: number;
  sequence: number;
  at: string;
}

/** What goes to the database as one transaction. Events are all there; entries conflate. */
export class AuditBatch {
  readonly log: AuditRow[] = [];
  readonly reports: ReportRow[] = [];
  readonly books: Map<string, BookChange> = new Map();
  /** Last prices that apply to every strategy's position in the asset. */
  readonly marks: Map<string, string> = new Map();
  /** Sentences for an operator. */
  readonly gaps: string[] = [];
  /** Where the audit is once this is written; null while nothing moved it. */
  cursor: (JournalPlace & { readonly at: string }) | null = null;

  add(epoch: number, delta: SnapshotDelta): void {
    const { log, reports } = rowsOf(epoch, delta);
    for (const row of log) this.log.push(row);
    for (const row of reports) this.reports.push(row);
    for (const change of delta.strategies) this.#change(epoch, delta, change);
    for (const [asset, price] of delta.marks ?? []) this.#mark(asset, price);
    this.cursor = { epoch, sequence: delta.through, at: delta.at };
  }

  #change(epoch: number, { through, at }: SnapshotDelta, change: StrategyDelta): void {
    const book = this.#book(change.strategy, epoch, through, at);
    if (change.whole === true) {
      book.whole = true;
      book.positions.clear();
      book.state.clear();
    }
    for (const asset of change.positions_removed ?? []) book.positions.set(asset, null);
    for (const position of change.positions ?? []) book.positions.set(position.asset, position);
    for (const key of change.state_removed ?? []) book.state.set(key, null);
    for (const [key, value] of change.state ?? []) book.state.set(key, { value });
  }

  #mark(asset: string, price: string): void {
    this.marks.set(asset, price);
    for (const { positions } of this.books.values()) {
      const position = positions.get(asset);
      if (position) positions.set(asset, { ...position, last_price: price });
    }
  }

  #book(strategy: string, epoch: number, sequence: number, at: string): BookChange {
    const known = this.books.get(strategy);
    const book = known ?? { whole: false, positions: new Map(), state: new Map(), epoch, sequence, at };
    if (known === undefined) this.books.set(strategy, book);
    else Object.assign(known, { epoch, sequence, at });
    return book;
  }
}
