import type { Halt } from '../model/event.ts';
import type { Timestamp } from '../model/time.ts';
import type { StrategyState } from '../state/host-state.ts';

/** How long a reason may be in a file. */
const reasonLengthMax = 2000;

/** Latches a book. One that is halted keeps its first reason. */
export function haltBook(book: StrategyState, reason: string, source: string, at: Timestamp): void {
  if (book.halt !== null) return;
  const halt: Halt = { reason: reason.slice(0, reasonLengthMax), source, at };
  book.setHalt(halt);
  book.addEvent({ kind: 'halt', ...halt });
}

export function liftHalt(book: StrategyState, reason: string, at: Timestamp): void {
  if (book.halt === null) return;
  book.setHalt(null);
  book.addEvent({ kind: 'resume', reason: reason.slice(0, reasonLengthMax), at });
}

/** Whether a book was halted by the halt of the whole account, and not by itself. */
export function sharesHalt(book: StrategyState, account: Halt): boolean {
  const { halt } = book;
  return halt !== null && halt.at === account.at && halt.source === account.source && halt.reason === account.reason;
}
