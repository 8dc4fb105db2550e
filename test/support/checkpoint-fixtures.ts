import { hash } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { emptyCursor, type StrategySnapshot } from '../../src/model/snapshot.ts';
import { encodeCheckpoint } from '../../src/persistence/checkpoint-codec.ts';
import type { CheckpointItem } from '../../src/persistence/checkpoint-store.ts';
import type { FileSystem } from '../../src/persistence/file-system.ts';
import { nodeFileSystem } from '../../src/persistence/node-file-system.ts';

export const at = '2025-10-02T14:30:00.123456Z';

/** A small book with something in each field. */
export function snapshotOf(strategy: string, more: Partial<StrategySnapshot> = {}): StrategySnapshot {
  return {
    strategy_name: strategy,
    strategy_state: { custom_data: { last_signal: 'buy', signal_strength: 0.75 } },
    positions: [{ asset: 'AAPL', sid: 1, amount: '100', cost_basis: '150.25', last_price: '155.50' }],
    pending_orders: [
      {
        order_id: 'h1-7-1',
        asset: 'GOOGL',
        sid: 3,
        amount: '10',
        order_type: 'limit',
        limit_price: '2800.00',
        broker_order_id: 'broker-456',
        status: 'pending',
        filled_amount: '0',
        created_at: at,
      },
    ],
    cash_balance: '25000.00',
    currency: 'USD',
    other_cash: { EUR: '-12.5' },
    broker_cursor: { ...emptyCursor, activity_id: 'a1', recent_execution_ids: ['x1', 'x2'] },
    halt: null,
    ...more,
  };
}

/** What a store is given to write; `cash` tells one from another. */
export function itemOf(strategy: string, epoch: number, sequence: number, cash = '25000.00'): CheckpointItem {
  const { bytes } = encodeCheckpoint(snapshotOf(strategy, { cash_balance: cash }), { epoch, sequence, timestamp: at });
  return { strategy, epoch, sequence, bytes };
}

/** The last line for a text of lines, as docs/internals/file-formats.md specifies it: what somebody would write who wants to be believed. */
export function checksumLineFor(covered: string): string {
  const lines = covered.split(/(?<=\n)/);
  const sums: string[] = [];
  for (let from = 0; from < lines.length; from += 64) {
    sums.push(`${hash('sha256', lines.slice(from, from + 64).join(''), 'hex')}\n`);
  }
  return ` "checksum": "sha256:${hash('sha256', sums.join(''), 'hex')}"}\n`;
}

/** The real file system without the waiting: for tests that need no durability. */
export const unsyncedFileSystem: FileSystem = {
  ...nodeFileSystem,
  fsync: () => {},
  fdatasync: () => {},
  fsyncDirectory: () => {},
};

/** An empty directory of its own for a test, gone when `using` ends its block. */
export function temporaryDirectory(): { readonly path: string } & Disposable {
  const path = mkdtempSync(join(tmpdir(), 'holdfast-'));
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }) };
}
