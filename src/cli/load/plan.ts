import { ConfigError } from '../../model/errors.ts';
import type { PositionSnapshot } from '../../model/position.ts';

/*
 * What a load test commits, as a pure function of four numbers, so that the state at any sequence can be computed again.
 *
 * Commit i, counted from 1, belongs to strategy (i - 1) mod N and replaces K of its M positions, chosen and valued by (seed, i)
 * alone. Commit 0 is the base: every position of every strategy.
 */
export interface LoadPlan {
  readonly strategies: number;
  readonly positions: number;
  /** Positions that a commit replaces: at most `positions`. */
  readonly changes: number;
  readonly seed: number;
}

/** The numbers of a plan by which a directory is told from another: they are recorded in the state. */
export const planFields: readonly (keyof LoadPlan)[] = ['strategies', 'positions', 'changes', 'seed'];

/** @throws ConfigError LOAD_OPTIONS_INVALID naming the option */
export function assertPlan(plan: LoadPlan): void {
  const limits = { strategies: [1, 10_000], positions: [1, 100_000], changes: [1, plan.positions] } as const;
  for (const [field, [min, max]] of Object.entries(limits)) {
    const value = plan[field as keyof typeof limits];
    if (Number.isSafeInteger(value) && value >= min && value <= max) continue;
    throw new ConfigError(
      'LOAD_OPTIONS_INVALID',
      `load --${field}: expected a whole number from ${min} to ${max}, got ${value}`,
      { details: { path: field } },
    );
  }
}

/** Counted from 0. Names sort as their numbers do. */
export function strategyName(strategy: number): string {
  return `load_${String(strategy).padStart(4, '0')}`;
}

/** The strategy of a commit, counted from 0. */
export function strategyOf(plan: LoadPlan, commit: number): number {
  return (commit - 1) % plan.strategies;
}

/** The k-th position that a commit replaces, by its number in the strategy; k from 0 to K - 1 gives K different ones. */
export function replacedBy(plan: LoadPlan, commit: number, k: number): number {
  return ((mixed(plan.seed, commit, choosing) % plan.positions) + k) % plan.positions;
}

/** A position as a commit leaves it where it replaces it: commit 0 gives the base's. */
export function positionAt(plan: LoadPlan, strategy: number, commit: number, index: number): PositionSnapshot {
  const base = commit === 0 ? strategy : 0;
  const sizes = mixed(plan.seed, commit, 2 * (index + base * plan.positions));
  const prices = mixed(plan.seed, commit, 2 * (index + base * plan.positions) + 1);
  const sign = (sizes & 1) === 0 ? '' : '-';
  const cents = 100 + ((prices & 0xffff) % 50_000);
  return {
    asset: assetName(index),
    sid: index,
    amount: `${sign}${1 + ((sizes >>> 1) % 100_000)}`,
    cost_basis: `${Math.floor(cents / 100)}.${twoDigits(cents % 100)}`,
    last_price: `${Math.floor(cents / 100)}.${twoDigits((cents + (prices >>> 16)) % 100)}`,
  };
}

/** For each position of each strategy (strategy × M + index) the last commit up to `through` that replaced it; 0 where none did. */
export function lastWriters(plan: LoadPlan, through: number): Float64Array {
  const writers = new Float64Array(plan.strategies * plan.positions);
  let missing = writers.length;
  // Backwards, so that the work is bounded by the size of the state and not by how long the test ran.
  for (let commit = through; commit > 0 && missing > 0; commit -= 1) {
    const first = strategyOf(plan, commit) * plan.positions;
    for (let k = 0; k < plan.changes; k += 1) {
      const place = first + replacedBy(plan, commit, k);
      if (writers[place] !== 0) continue;
      writers[place] = commit;
      missing -= 1;
    }
  }
  return writers;
}

function assetName(index: number): string {
  return `ASSET${String(index).padStart(5, '0')}`;
}

function twoDigits(number: number): string {
  return number < 10 ? `0${number}` : String(number);
}

/** Set apart from every number of a position's value. */
const choosing = -1;

/** 32 bits that look random, from three whole numbers: the finalizer of MurmurHash3 over each of them. */
function mixed(seed: number, commit: number, salt: number): number {
  const high = Math.floor(commit / 2 ** 32);
  return finalized(finalized(finalized(finalized(seed ^ 0x9e3779b9) ^ high) ^ (commit | 0)) ^ salt);
}

function finalized(value: number): number {
  let bits = value | 0;
  bits = Math.imul(bits ^ (bits >>> 16), 0x85ebca6b);
  bits = Math.imul(bits ^ (bits >>> 13), 0xc2b2ae35);
  return (bits ^ (bits >>> 16)) >>> 0;
}
