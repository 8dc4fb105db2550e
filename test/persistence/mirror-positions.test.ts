import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Positions } from '../../src/persistence/mirror-positions.ts';

const position = (asset: string, amount: string) => ({ asset, amount, cost_basis: '1', last_price: null });
/** Capital letters sort before small ones, and in no language's order. */
const asset = fc
  .tuple(fc.constantFrom('a', 'B', 'z'), fc.integer({ min: 0, max: 999 }))
  .map(([letter, n]) => letter + n);
const step = fc.oneof(
  { weight: 40, arbitrary: fc.record({ do: fc.constant('set' as const), asset, amount: fc.nat().map(String) }) },
  { weight: 20, arbitrary: fc.record({ do: fc.constant('delete' as const), asset }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('sort' as const) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('clear' as const) }) },
);

describe('positions', () => {
  it('are sorted by code units after any changes, and a list that was given out stays as it was', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(0, 990, 1010, 2400),
        fc.array(step, { maxLength: 120, size: 'max' }),
        (held, steps) => {
          const positions = new Positions();
          const model = new Map<string, ReturnType<typeof position>>();
          for (let index = 0; index < held; index += 1) {
            const one = position(`${'aBz'[index % 3]}${(index * 7) % 1000}`, '0');
            positions.set(one);
            model.set(one.asset, one);
          }
          const given: (readonly [list: readonly unknown[], then: readonly unknown[]])[] = [];
          for (const one of [{ do: 'sort' as const }, ...steps, { do: 'sort' as const }]) {
            if (one.do === 'set') {
              const set = position(one.asset, one.amount);
              positions.set(set);
              model.set(set.asset, set);
            } else if (one.do === 'delete') {
              positions.delete(one.asset);
              model.delete(one.asset);
            } else if (one.do === 'clear') {
              positions.clear();
              model.clear();
            } else {
              const sorted = positions.sorted();
              expect(Object.isFrozen(sorted)).toBe(true);
              given.push([sorted, [...model.keys()].sort().map((key) => model.get(key))]);
            }
          }
          for (const [list, then] of given) expect(list.every((held, index) => held === then[index])).toBe(true);
          for (const [list, then] of given) expect(list.length).toBe(then.length);
        },
      ),
      { numRuns: 200 },
    );
  });
});
