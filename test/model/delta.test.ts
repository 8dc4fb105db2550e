import fc from 'fast-check';
import { expect, it } from 'vitest';
import { deltaLine, type SnapshotDelta, type StrategyDelta } from '../../src/model/delta.ts';

const text = fc.string({ unit: 'binary', maxLength: 20 });
const texts = fc.array(text, { maxLength: 3 });
const entries = fc.array(fc.dictionary(text, fc.oneof(text, fc.integer(), fc.constant(null))), { maxLength: 3 });
const pairs = fc.array(fc.tuple(text, fc.jsonValue()), { maxLength: 3 });

const fields = {
  whole: fc.constant(true as const),
  positions: entries,
  positions_removed: texts,
  orders: entries,
  orders_removed: texts,
  cash: pairs,
  state: pairs,
  state_removed: texts,
  halt: fc.option(fc.record({ reason: text, source: text, at: text })),
  cursor: fc.record({ activity_id: fc.option(text), at: fc.option(text) }),
  recent_execution_ids: texts,
  events: entries,
};
const strategy = fc.tuple(text, fc.record(fields, { requiredKeys: [] })).map(([name, rest]) => ({
  strategy: name,
  ...rest,
})) as fc.Arbitrary<unknown> as fc.Arbitrary<StrategyDelta>;

const delta = fc.record(
  {
    previous: fc.nat(),
    through: fc.nat({ max: Number.MAX_SAFE_INTEGER }),
    at: fc.constant('2025-10-02T14:30:00.123456Z'),
    strategies: fc.array(strategy, { maxLength: 4 }),
    marks: fc.array(fc.tuple(text, text), { maxLength: 3 }),
  },
  { requiredKeys: ['previous', 'through', 'at', 'strategies'] },
) as fc.Arbitrary<SnapshotDelta>;

it('writes a delta as JSON.stringify would write the record of it', () => {
  fc.assert(
    fc.property(delta, (each) => {
      const { previous, through, at, strategies, marks } = each;
      const record = { kind: 'delta', previous, through, at, strategies, marks };
      expect(deltaLine(each)).toBe(JSON.stringify(record));
    }),
  );
});
