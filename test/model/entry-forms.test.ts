import fc from 'fast-check';
import { expect, test } from 'vitest';
import { isOrder, isPosition } from '../../src/model/entry-forms.ts';
import { orderSchema, orderTypes, timesInForce } from '../../src/model/order.ts';
import { positionSchema } from '../../src/model/position.ts';

const position = {
  asset: 'AAPL',
  sid: 1,
  amount: '100',
  cost_basis: '150.25',
  last_price: '155.50',
  currency: 'USD',
  total_cost: '15025',
  realized_pnl: '-3.5',
  fees: '0',
};
const order = {
  order_id: 'o1',
  asset: 'BTC/USD',
  sid: null,
  amount: '-0.5',
  order_type: 'stop_limit',
  limit_price: '2800.00',
  stop_price: null,
  time_in_force: 'gtc',
  broker_order_id: 'b1',
  status: 'open',
  filled_amount: '0',
  average_fill_price: null,
  created_at: '2025-10-02T14:30:00.123456Z',
  updated_at: '2025-10-02T14:30:00Z',
  replaces: null,
  reason: 'because',
};
const values = fc.oneof(
  fc.constantFrom<unknown>('', '0', '1e5', 'NaN', '-', '1.', ' 1', null, true, 0, -1, 1.5, 2 ** 53, [], {}, ['AAPL']),
  fc.constantFrom<unknown>('US', 'usd', 'A B', 'é', 'x'.repeat(64), 'x'.repeat(65), 'x'.repeat(128), 'x'.repeat(129)),
  fc.constantFrom<unknown>('x'.repeat(2000), 'x'.repeat(2001), '1'.repeat(24), '1'.repeat(25), '0.'.padEnd(27, '3')),
  fc.constantFrom<unknown>('2025-02-30T00:00:00Z', '2025-10-02', '2025-10-02T14:30:00+02:00', 'filled', 'lost', 'day'),
  fc.constantFrom<unknown>(...orderTypes, ...timesInForce),
  fc.jsonValue(),
);

test.each([
  ['a position', position, isPosition, positionSchema],
  ['an order', order, isOrder, orderSchema],
] as const)('%s is right in plain code where its schema says so, and nowhere else', (_, whole, isRight, schema) => {
  const names = [...Object.keys(whole), 'other', 'constructor', 'toString'];
  let right = 0;
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.constantFrom(...names), fc.option(values)), { maxLength: 3 }), (changes) => {
      const entry: Record<string, unknown> = { ...whole };
      for (const [name, value] of changes) {
        if (value === null) delete entry[name];
        else entry[name] = value;
      }
      const expected = schema.safeParse(entry).success;
      if (expected) right += 1;
      expect(isRight(entry), JSON.stringify(entry)).toBe(expected);
    }),
    { numRuns: 5000 },
  );
  expect(right).toBeGreaterThan(100);
});

test.each([null, undefined, 'AAPL', 1, [], ['AAPL'], {}])('%j is neither a position nor an order', (value) => {
  expect([isPosition(value), isOrder(value)]).toEqual([false, false]);
  expect([positionSchema.safeParse(value).success, orderSchema.safeParse(value).success]).toEqual([false, false]);
});
