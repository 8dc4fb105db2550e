import type { StrategySnapshot } from '../../model/snapshot.ts';
import { emptyCursor } from '../../model/snapshot.ts';
import { systemClock, timestamp } from '../../model/time.ts';
import { encodeCheckpoint } from '../../persistence/checkpoint-codec.ts';
import { type CheckpointItem, CheckpointStore } from '../../persistence/checkpoint-store.ts';
import { acquireLock } from '../../persistence/lock.ts';
import { nodeFileSystem } from '../../persistence/node-file-system.ts';
import { restore } from '../../persistence/restore.ts';
import { prepareStateDirectory } from '../../persistence/state-directory.ts';
import { type LoadPlan, lastWriters, positionAt, strategyName } from './plan.ts';
import { assertSamePlan, type LoadRecord, parseRecord, recordKey, recordStrategy } from './record.ts';

/** Base currency of what load keeps. */
export const loadCurrency = 'USD';
const cash = '1000000.00';

/** Where a directory stands before load goes on with it. */
export interface Begun {
  readonly record: LoadRecord;
  /** Commits of load that the state holds. */
  readonly commits: number;
}

/**
 * Makes the base state durable at epoch 0, sequence 0, where the directory has none yet, so that commit i gets sequence i. Holds the
 * directory's lock while it looks and writes, and frees it. On a directory that load has used it changes nothing.
 * @throws ConfigError LOAD_OTHER_VALUES; StateError LOAD_FOREIGN, STATE_DIRECTORY_LOCKED, and what restoring and writing throw
 */
export function beginDirectory(directory: string, plan: LoadPlan): Begun {
  prepareStateDirectory(nodeFileSystem, directory, { force: true });
  const lock = acquireLock(directory, { host: 'load' });
  try {
    const { mirror, recovery } = restore(nodeFileSystem, directory, {
      currency: loadCurrency,
      staleAfterMs: Number.MAX_SAFE_INTEGER,
      now: systemClock.nowMicros(),
      readOnly: true,
    });
    const found = mirror.strategies();
    const begun = mirror.has(recordStrategy) ? mirror.snapshot(recordStrategy).strategy_state[recordKey] : undefined;
    if (found.length > 0 || recovery.sequence > 0) {
      const record = parseRecord(begun, directory);
      assertSamePlan(plan, record, directory);
      // A base whose writing was cut short: no engine ever opened it, and it is written again.
      if (recovery.epoch > 0 || found.length === plan.strategies) {
        return { record, commits: recovery.sequence - record.passed_over };
      }
    }
    const record = { ...plan, passed_over: 0 };
    writeBase(directory, record);
    return { record, commits: 0 };
  } finally {
    lock.release();
  }
}

/** One strategy's whole state after `commits` commits: what a restore must give. */
export function strategyAt(record: LoadRecord, strategy: number, writers: Float64Array): StrategySnapshot {
  const name = strategyName(strategy);
  const first = strategy * record.positions;
  return {
    strategy_name: name,
    strategy_state: name === recordStrategy ? { [recordKey]: { ...record } } : {},
    positions: Array.from({ length: record.positions }, (_, index) =>
      positionAt(record, strategy, writers[first + index] ?? 0, index),
    ),
    pending_orders: [],
    cash_balance: cash,
    currency: loadCurrency,
    other_cash: {},
    broker_cursor: emptyCursor,
    halt: null,
  };
}

function writeBase(directory: string, record: LoadRecord): void {
  const store = new CheckpointStore(nodeFileSystem, directory, { generations: 2, currency: loadCurrency });
  store.writeBatch(baseItems(record), { between: () => {}, beforeRename: () => {} });
}

function* baseItems(record: LoadRecord): Generator<CheckpointItem> {
  const writers = lastWriters(record, 0);
  const at = { epoch: 0, sequence: 0 };
  for (let strategy = 0; strategy < record.strategies; strategy += 1) {
    const snapshot = strategyAt(record, strategy, writers);
    const { bytes } = encodeCheckpoint(snapshot, { ...at, timestamp: timestamp(systemClock.nowMicros()) });
    yield { strategy: snapshot.strategy_name, ...at, bytes };
  }
}
