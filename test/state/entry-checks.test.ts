import fc from 'fast-check';
import { expect, it } from 'vitest';
import { type PositionSnapshot, positionSchema } from '../../src/model/position.ts';
import { checkedPosition } from '../../src/state/entry-checks.ts';

const right = {
  asset: 'AAPL',
  amount: '100',
  cost_basis: '-0.5',
  last_price: '155.50',
  sid: 7,
  currency: 'USD',
  total_cost: '15025.00',
  realized_pnl: '0',
  fees: '0.01',
};
const wrong = [null, undefined, '', 'x', '1e3', '01', '1.', '.5', '+1', 1, -1, 0.5, {}, 'A B', '9'.repeat(25)];

it('takes a position in any of its forms exactly where the schema of files takes it', () => {
  const field = fc.constantFrom(...(Object.keys(right) as (keyof typeof right)[]));
  const position = fc.record({
    without: fc.uniqueArray(field),
    spoilt: fc.option(fc.tuple(fc.oneof(field, fc.constant('note')), fc.constantFrom(...wrong))),
  });
  fc.assert(
    fc.property(position, ({ without, spoilt }) => {
      const entry: Record<string, unknown> = { ...right };
      for (const name of without) delete entry[name];
      if (spoilt !== null) entry[spoilt[0]] = spoilt[1];
      // As JSON has it: an optional field that is undefined counts as absent.
      const isRight = positionSchema.safeParse(JSON.parse(JSON.stringify(entry))).success && !('note' in entry);
      const take = () => checkedPosition('alpha', entry as unknown as PositionSnapshot);
      if (!isRight) {
        expect(take).toThrow(/^strategy "alpha", position /);
        return;
      }
      const taken = take();
      expect(Object.isFrozen(taken)).toBe(true);
      expect(JSON.parse(JSON.stringify(taken))).toEqual(JSON.parse(JSON.stringify(entry)));
    }),
    { numRuns: 2_000 },
  );
});
