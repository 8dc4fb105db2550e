import type { MessagePort } from 'node:worker_threads';
import type { PositionSnapshot } from '../../src/model/position.ts';
import type { StrategySnapshot } from '../../src/model/snapshot.ts';
import type { SnapshotSlice } from '../../src/persistence/protocol.ts';
import { at } from '../reconciliation/scene.ts';

export function strategy(name: string, positions: readonly PositionSnapshot[]): StrategySnapshot {
  return {
    strategy_name: name,
    strategy_state: {},
    positions,
    pending_orders: [],
    cash_balance: '0',
    currency: 'USD',
    other_cash: {},
    broker_cursor: { activity_id: null, at: null, recent_execution_ids: [] },
    halt: null,
  };
}

/** Plays the persistence worker: sends the books as of one sequence. */
export function sendBooks(port: MessagePort, sequence: number, ...strategies: readonly StrategySnapshot[]): void {
  const post = (slice: SnapshotSlice): void => port.postMessage(slice);
  for (const each of strategies) post({ kind: 'strategy', snapshot: JSON.stringify(each) });
  post({ kind: 'end', sequence, timestamp: at(29) });
}
