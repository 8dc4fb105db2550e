import type { Halt } from '../model/event.ts';
import type { JsonObject } from '../model/json.ts';
import type { StateCheckpoint, StrategySnapshot } from '../model/snapshot.ts';
import { orderLine, positionLine } from './checkpoint-lines.ts';
import { checkpointFormat, checkpointFormatVersion } from './checkpoint-schema.ts';
import type { CheckpointText, EntryForm } from './checkpoint-text.ts';

export type CheckpointPlace = Pick<StateCheckpoint, 'epoch' | 'sequence' | 'timestamp'>;

/**
 * Writes the lines of a checkpoint that its checksum covers, as docs/internals/file-formats.md shows them.
 * @returns true where positions and orders are known to have no key twice
 * @throws StateError CHECKPOINT_INVALID where a position or an order has what the file could not give back
 */
export function layOut(text: CheckpointText, snapshot: StrategySnapshot, at: CheckpointPlace): boolean {
  const { strategy_name: name, positions, pending_orders: orders, broker_cursor: cursor, halt } = snapshot;
  text.line(`{"format": ${quote(checkpointFormat)}, "format_version": ${checkpointFormatVersion},`);
  text.line(
    ` "strategy_name": ${quote(name)}, "timestamp": ${quote(at.timestamp)}, "epoch": ${at.epoch}, "sequence": ${at.sequence},`,
  );
  stateBlock(text, memberLines(snapshot.strategy_state));
  const positionsAscend = listBlock(text, [' "positions": [', ' ', '],'], positions, {
    key: ({ asset }) => asset,
    line: (position) => positionLine(position, name),
  });
  const ordersAscend = listBlock(text, [' "pending_orders": [', ' ', '],'], orders, {
    key: ({ order_id }) => order_id,
    line: (order) => orderLine(order, name),
  });
  text.line(
    ` "cash_balance": ${quote(snapshot.cash_balance)}, "currency": ${quote(snapshot.currency)}, "other_cash": {${memberLines(snapshot.other_cash).join(', ')}},`,
  );
  text.line(` "broker_cursor": {"activity_id": ${quote(cursor.activity_id)}, "at": ${quote(cursor.at)},`);
  listBlock(text, ['  "recent_execution_ids": [', '  ', ']},'], cursor.recent_execution_ids, {
    key: (id) => id,
    line: (id) => quote(id),
  });
  text.line(` "halt": ${haltText(halt)},`);
  return positionsAscend && ordersAscend;
}

/** Entries one to a line, so that a change of one entry is a change of one line. */
function listBlock<T>(
  text: CheckpointText,
  [open, indent, close]: readonly [open: string, indent: string, close: string],
  entries: readonly T[],
  form: Omit<EntryForm<T>, 'indent'>,
): boolean {
  text.line(entries.length === 0 ? `${open}${close}` : open);
  const ascend = text.list(entries, { indent: `${indent} `, ...form });
  if (entries.length > 0) text.line(`${indent}${close}`);
  return ascend;
}

/** Not a list of the text's: nobody can tell whether a value was changed in its depths. */
function stateBlock(text: CheckpointText, members: readonly string[]): void {
  if (members.length === 0) {
    text.line(' "strategy_state": {},');
    return;
  }
  text.line(' "strategy_state": {');
  for (const [index, member] of members.entries()) text.line(`  ${member}${index === members.length - 1 ? '' : ','}`);
  text.line(' },');
}

/** In the order of their keys, whatever order they were set in. */
function memberLines(object: JsonObject): string[] {
  return Object.keys(object)
    .sort()
    .map((key) => `${quote(key)}: ${JSON.stringify(object[key])}`);
}

function haltText(halt: Halt | null): string {
  if (halt === null) return 'null';
  return `{"reason": ${quote(halt.reason)}, "source": ${quote(halt.source)}, "at": ${quote(halt.at)}}`;
}

function quote(text: string | null): string {
  return JSON.stringify(text);
}
