import type { Halt, StateEvent } from '../model/event.ts';
import type { DecimalString } from '../model/money.ts';
import type { OrderSnapshot } from '../model/order.ts';
import type { PositionSnapshot } from '../model/position.ts';
import type { SizedStateValue } from '../model/state-value.ts';
import type { CursorPosition } from './cursor-position.ts';

/** One staged change of one book: what stood there before, or for what is appended, what was appended. */
export type StagedChange =
  | { readonly part: 'position'; readonly key: string; readonly previous: PositionSnapshot | undefined }
  | { readonly part: 'order'; readonly key: string; readonly previous: RankedOrder | undefined }
  | { readonly part: 'cash'; readonly key: string; readonly previous: DecimalString | undefined }
  | { readonly part: 'state'; readonly key: string; readonly previous: SizedStateValue | undefined }
  | { readonly part: 'halt'; readonly previous: Halt | null }
  | { readonly part: 'cursor'; readonly previous: CursorPosition }
  /** `newExecution` is the execution id that this event made known. */
  | { readonly part: 'event'; readonly event: StateEvent; readonly newExecution: string | null }
  /** The book itself: stays staged through a rollback, since whoever registered it holds it. */
  | { readonly part: 'registration' };

/** `rank` counts the orders of a book in the order of their creation, and survives a rollback of their removal. */
export interface RankedOrder {
  readonly rank: number;
  readonly order: OrderSnapshot;
}

/** What can undo its own changes. */
export interface Undoable {
  undo(change: StagedChange): void;
}

interface Entry<Book extends Undoable> {
  readonly serial: number;
  readonly book: Book;
  readonly change: StagedChange;
  readonly bytes: number;
}

/**
 * Everything staged since the last commit, of all books, in order. Its cost follows what changed and never how much state there is.
 * Serial numbers never start again, so that a savepoint stays meaningful when other books' changes are taken out of the middle or
 * when there was a commit since.
 */
export class UndoLog<Book extends Undoable> {
  #entries: Entry<Book>[] = [];
  #serial = 0;
  #bytes = 0;

  get isEmpty(): boolean {
    return this.#entries.length === 0;
  }

  /** At least what everything staged takes in a journal record. */
  get bytes(): number {
    return this.#bytes;
  }

  push(book: Book, change: StagedChange, bytes: number): void {
    this.#entries.push({ serial: this.#serial++, book, change, bytes });
    this.#bytes += bytes;
  }

  savepoint(): number {
    return this.#serial;
  }

  /** Undoes, newest first, what `book` (every book where null) staged at or after the savepoint. */
  rollback(book: Book | null, savepoint: number): void {
    const kept: Entry<Book>[] = [];
    let index = this.#entries.length;
    while (index > 0) {
      const entry = this.#entries[index - 1];
      if (entry === undefined || entry.serial < savepoint) break;
      index -= 1;
      if ((book !== null && entry.book !== book) || entry.change.part === 'registration') kept.push(entry);
      else {
        this.#bytes -= entry.bytes;
        entry.book.undo(entry.change);
      }
    }
    this.#entries.length = index;
    for (let i = kept.length - 1; i >= 0; i -= 1) this.#entries.push(kept[i] as Entry<Book>);
  }

  /** Drops what `book` has staged, its registration included, without undoing it. */
  forget(book: Book): void {
    this.#entries = this.#entries.filter((entry) => {
      if (entry.book === book) this.#bytes -= entry.bytes;
      return entry.book !== book;
    });
  }

  /** Hands over everything staged, oldest first, and forgets it: from here it cannot be undone. */
  drain(visit: (book: Book, change: StagedChange, bytes: number) => void): void {
    const entries = this.#entries;
    this.#entries = [];
    this.#bytes = 0;
    for (const { book, change, bytes } of entries) visit(book, change, bytes);
  }

  /** Oldest first. */
  forEach(visit: (book: Book, change: StagedChange, bytes: number) => void): void {
    for (const { book, change, bytes } of this.#entries) visit(book, change, bytes);
  }

  /** For each book with something staged, its changes, newest first. */
  staged(): ReadonlyMap<Book, readonly StagedChange[]> {
    const byBook = new Map<Book, StagedChange[]>();
    for (let i = this.#entries.length - 1; i >= 0; i -= 1) {
      const { book, change } = this.#entries[i] as Entry<Book>;
      const changes = byBook.get(book);
      if (changes === undefined) byBook.set(book, [change]);
      else changes.push(change);
    }
    return byBook;
  }
}
