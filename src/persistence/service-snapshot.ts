import type { MessagePort } from 'node:worker_threads';
import type { StrategySnapshot } from '../model/snapshot.ts';
import type { Timestamp } from '../model/time.ts';
import type { SnapshotSlice } from './protocol.ts';

/**
 * Sends snapshots of one sequence as slices, one strategy in a turn of the event loop, so that deltas go on in between. What is
 * sent was taken before the first turn and is immutable, so it stays of one sequence. Stops when the receiver closes its end.
 */
export async function sendSlices(
  snapshots: readonly StrategySnapshot[],
  at: { readonly sequence: number; readonly timestamp: Timestamp },
  port: MessagePort,
): Promise<void> {
  let open = true;
  port.once('close', () => {
    open = false;
  });
  const post = (slice: SnapshotSlice): void => port.postMessage(slice);
  for (const snapshot of snapshots) {
    if (!open) return;
    // The strategy's own state is no business of a reconciliation, and may be large.
    post({ kind: 'strategy', snapshot: JSON.stringify({ ...snapshot, strategy_state: {} }) });
    await new Promise((resolve) => setImmediate(resolve));
  }
  post({ kind: 'end', ...at });
}
