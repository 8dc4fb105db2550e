import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  assertPlan,
  type LoadPlan,
  lastWriters,
  positionAt,
  replacedBy,
  strategyName,
  strategyOf,
} from '../../src/cli/load/plan.ts';
import { positionSchema } from '../../src/model/position.ts';
import { checkedPosition } from '../../src/state/entry-checks.ts';

const plans: fc.Arbitrary<LoadPlan> = fc
  .record({
    strategies: fc.integer({ min: 1, max: 7 }),
    positions: fc.integer({ min: 1, max: 30 }),
    seed: fc.integer({ min: 0, max: 999_999_999 }),
  })
  .chain((plan) => fc.integer({ min: 1, max: plan.positions }).map((changes) => ({ ...plan, changes })));
const commits = fc.oneof(fc.integer({ min: 1, max: 2_000 }), fc.integer({ min: 2 ** 32, max: 2 ** 40 }));

const plan: LoadPlan = { strategies: 3, positions: 5, changes: 2, seed: 1 };

describe('the plan of a load', () => {
  it('gives commit i to strategy (i - 1) mod N', () => {
    expect([1, 2, 3, 4, 5].map((commit) => strategyOf(plan, commit))).toEqual([0, 1, 2, 0, 1]);
  });

  it('replaces K different positions of the strategy in each commit', () => {
    fc.assert(
      fc.property(plans, commits, (some, commit) => {
        const replaced = Array.from({ length: some.changes }, (_, k) => replacedBy(some, commit, k));
        expect(new Set(replaced).size).toBe(some.changes);
        for (const index of replaced) expect(index).toBeLessThan(some.positions);
        for (const index of replaced) expect(index).toBeGreaterThanOrEqual(0);
      }),
    );
  });

  it('values positions that the state takes and files give back', () => {
    fc.assert(
      fc.property(plans, fc.oneof(fc.constant(0), commits), (some, commit) => {
        const position = positionAt(some, commit % some.strategies, commit, some.positions - 1);
        expect(checkedPosition('load', position)).toEqual(position);
        expect(positionSchema.parse(JSON.parse(JSON.stringify(position)))).toEqual(position);
      }),
    );
  });

  it('follows from the seed and the number of the commit', () => {
    const other = { ...plan, seed: 2 };
    expect(positionAt(plan, 0, 7, 3)).toEqual(positionAt(plan, 0, 7, 3));
    expect(positionAt(plan, 0, 7, 3)).not.toEqual(positionAt(other, 0, 7, 3));
    expect(positionAt(plan, 0, 7, 3)).not.toEqual(positionAt(plan, 0, 10, 3));
    expect(positionAt(plan, 0, 0, 3)).not.toEqual(positionAt(plan, 1, 0, 3));
    const choices = (seed: number) => Array.from({ length: 200 }, (_, i) => replacedBy({ ...plan, seed }, i + 1, 0));
    expect(choices(1)).not.toEqual(choices(2));
    expect(new Set(choices(1)).size).toBe(plan.positions);
  });

  it('knows the last commit that replaced each position, as going through all of them tells it', () => {
    fc.assert(
      fc.property(plans, fc.integer({ min: 0, max: 300 }), (some, through) => {
        const expected = new Float64Array(some.strategies * some.positions);
        for (let commit = 1; commit <= through; commit += 1) {
          for (let k = 0; k < some.changes; k += 1) {
            expected[strategyOf(some, commit) * some.positions + replacedBy(some, commit, k)] = commit;
          }
        }
        expect(lastWriters(some, through)).toEqual(expected);
      }),
    );
  });

  it('need not go back to the first of many commits', () => {
    const started = performance.now();
    expect(Math.min(...lastWriters(plan, 1e12))).toBeGreaterThan(1e12 - 10_000);
    expect(performance.now() - started).toBeLessThan(5_000);
  });

  it('names strategies so that they sort as their numbers do', () => {
    const names = Array.from({ length: 1_000 }, (_, strategy) => strategyName(strategy));
    expect(names.toSorted()).toEqual(names);
  });

  it.each([
    ['strategies', { ...plan, strategies: 0 }],
    ['strategies', { ...plan, strategies: 10_001 }],
    ['positions', { ...plan, positions: 0 }],
    ['positions', { ...plan, positions: 1.5 }],
    ['changes', { ...plan, changes: 6 }],
  ])('refuses --%s out of range by name', (field, wrong) => {
    expect(() => assertPlan(plan)).not.toThrow();
    expect(() => assertPlan(wrong)).toThrow(
      expect.objectContaining({ code: 'LOAD_OPTIONS_INVALID', details: { path: field } }),
    );
  });
});
