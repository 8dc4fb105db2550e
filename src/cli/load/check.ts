import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import type { RecoveryLoss, RecoveryUse } from '../../model/recovery.ts';
import type { StrategySnapshot } from '../../model/snapshot.ts';
import { readState, type StateView } from '../read-state.ts';
import { strategyAt } from './base.ts';
import { lastWriters, strategyName } from './plan.ts';
import { parseRecord, recordKey, recordStrategy } from './record.ts';

/** What `load --check` prints. */
export interface LoadCheck {
  /** The restore point. */
  readonly sequence: number;
  readonly strategies: number;
  /** Fields that are not what the commits up to the restore point make them, or that are missing or too many. */
  readonly mismatches: number;
  readonly ok: boolean;
  /** What each strategy's state was restored from. */
  readonly used: Readonly<Record<string, Omit<RecoveryUse, 'strategy'>>>;
  readonly lost: readonly RecoveryLoss[];
}

export interface Mismatch {
  readonly strategy: string;
  /** Such as "positions.ASSET00003.amount". */
  readonly field: string;
  readonly expected: unknown;
  readonly restored: unknown;
}

/**
 * Restores the directory without a lock and without writing, computes every strategy's state at the restored sequence again, and
 * compares every field. Where nothing was ever committed, that is sequence 0 and ok.
 * @throws StateError LOAD_FOREIGN, and what a restore throws
 */
export function checkLoad(
  directory: string,
  onMismatch: (mismatch: Mismatch) => void = () => {},
  read: (directory: string) => StateView = readState,
): LoadCheck {
  if (!existsSync(resolve(directory))) return nothingCommitted;
  const { restored } = read(directory);
  const { mirror, recovery } = restored;
  const names = mirror.strategies();
  if (names.length === 0 && recovery.sequence === 0) return { ...nothingCommitted, lost: recovery.lost };
  const found = mirror.has(recordStrategy) ? mirror.snapshot(recordStrategy).strategy_state[recordKey] : undefined;
  const record = parseRecord(found, directory);
  const used = Object.fromEntries(recovery.used.map(({ strategy, ...use }) => [strategy, use]));
  const result = (mismatches: number): LoadCheck => ({
    sequence: recovery.sequence,
    strategies: record.strategies,
    mismatches,
    ok: mismatches === 0,
    used,
    lost: recovery.lost,
  });
  // A base whose writing was cut short: no engine ever opened it.
  if (recovery.epoch === 0 && names.length < record.strategies) return result(0);

  let mismatches = 0;
  const differs = (mismatch: Mismatch): void => {
    mismatches += 1;
    onMismatch(mismatch);
  };
  const writers = lastWriters(record, recovery.sequence - record.passed_over);
  const expected = new Set<string>();
  for (let strategy = 0; strategy < record.strategies; strategy += 1) {
    const name = strategyName(strategy);
    expected.add(name);
    const wanted = strategyAt(record, strategy, writers);
    if (mirror.has(name)) compare(wanted, mirror.snapshot(name), differs);
    else differs({ strategy: name, field: '', expected: 'a strategy', restored: undefined });
  }
  for (const name of names) {
    if (!expected.has(name)) differs({ strategy: name, field: '', expected: undefined, restored: 'a strategy' });
  }
  return result(mismatches);
}

const nothingCommitted: LoadCheck = { sequence: 0, strategies: 0, mismatches: 0, ok: true, used: {}, lost: [] };

function compare(expected: StrategySnapshot, restored: StrategySnapshot, differs: (mismatch: Mismatch) => void): void {
  const strategy = expected.strategy_name;
  const { positions: wanted, ...rest } = expected;
  const { positions: found, ...restFound } = restored;
  compareFields(strategy, '', rest, restFound, differs);
  const byAsset = new Map(found.map((position) => [position.asset, position]));
  for (const position of wanted) {
    const other = byAsset.get(position.asset) ?? {};
    compareFields(strategy, `positions.${position.asset}.`, position, other, differs);
    byAsset.delete(position.asset);
  }
  for (const [asset, position] of byAsset) compareFields(strategy, `positions.${asset}.`, {}, position, differs);
}

function compareFields(
  strategy: string,
  path: string,
  expected: object,
  restored: object,
  differs: (mismatch: Mismatch) => void,
): void {
  const wanted: Readonly<Record<string, unknown>> = { ...expected };
  const found: Readonly<Record<string, unknown>> = { ...restored };
  for (const field of new Set([...Object.keys(wanted), ...Object.keys(found)])) {
    if (isDeepStrictEqual(wanted[field], found[field])) continue;
    differs({ strategy, field: `${path}${field}`, expected: wanted[field], restored: found[field] });
  }
}
