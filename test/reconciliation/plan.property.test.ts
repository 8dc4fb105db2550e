import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { Decimal } from '../../src/model/money.ts';
import type { OrderSnapshot } from '../../src/model/order.ts';
import type { FillReport } from '../../src/model/report.ts';
import { applyPlan } from '../../src/reconciliation/apply.ts';
import { accountCash, accountPositions } from '../../src/reconciliation/books.ts';
import { compare } from '../../src/reconciliation/compare.ts';
import { withFills } from '../../src/reconciliation/fills.ts';
import { plan } from '../../src/reconciliation/plan.ts';
import type { BrokerEvidence, LocalBooks } from '../../src/reconciliation/types.ts';
import { at, book, books, broker, fill, held, order, position, report } from './scene.ts';

const assets = ['AAPL', 'MSFT', 'BTC/USD'];
const strategies = ['a', 'b', 'UNASSIGNED'];
const amount = fc.integer({ min: -2000, max: 2000 }).map((units) => new Decimal(units).div(100).toFixed());
const price = fc.integer({ min: 1, max: 50_000 }).map((cents) => new Decimal(cents).div(100).toFixed());
const live = fc.constantFrom('pending', 'unknown', 'open', 'partially_filled', 'pending_cancel');
const ids = ['o1', 'o2', 'o3', 'o4'];

const bookOrders: fc.Arbitrary<OrderSnapshot[]> = fc
  .subarray(ids)
  .chain((some) =>
    fc.tuple(
      ...some.map((id) => fc.record({ status: live }).map((changes) => order(id, changes as Partial<OrderSnapshot>))),
    ),
  );

const local: fc.Arbitrary<LocalBooks> = fc
  .tuple(
    fc.tuple(...strategies.map(() => fc.dictionary(fc.constantFrom(...assets), fc.tuple(amount, price)))),
    fc.tuple(...strategies.map(() => fc.dictionary(fc.constantFrom('USD', 'EUR'), amount))),
    bookOrders,
    fc.array(fc.constantFrom(...strategies), { minLength: 4, maxLength: 4 }),
  )
  .map(([positions, cash, orders, owners]) =>
    books(
      ...strategies.map((name, index) =>
        book(name, {
          positions: Object.entries(positions[index] ?? {})
            .filter(([, [held]]) => held !== '0')
            .map(([asset, [quantity, cost]]) => held(asset, quantity, cost)),
          cash: cash[index] ?? {},
          orders: orders.filter((_, at) => owners[at] === name),
        }),
      ),
    ),
  );

const fills: fc.Arbitrary<FillReport[]> = fc.array(
  fc
    .record({
      id: fc.integer({ min: 1, max: 6 }),
      to: fc.option(fc.constantFrom(...ids)),
      asset: fc.constantFrom(...assets),
      amount,
      price,
      fee: price,
    })
    .filter((each) => each.amount !== '0')
    .map(({ id, to, ...rest }) => fill(`e${id}`, { ...rest, order_id: to, broker_order_id: `b-${to ?? 'elsewhere'}` })),
  { maxLength: 4 },
);

const evidence: fc.Arbitrary<BrokerEvidence> = fc
  .record({
    positions: fc.dictionary(fc.constantFrom(...assets), fc.tuple(amount, fc.option(price))),
    cash: fc.dictionary(fc.constantFrom('USD', 'BTC'), amount),
    orders: fc.subarray([...ids, 'x1', 'x2']),
    statuses: fc.array(fc.constantFrom('open', 'canceled', 'filled', 'unknown', 'pending'), {
      minLength: 6,
      maxLength: 6,
    }),
    byBrokerId: fc.boolean(),
    absent: fc.subarray(ids),
    fills,
  })
  .map(({ positions, cash, orders, statuses, byBrokerId, absent, fills }) =>
    broker({
      positions: Object.entries(positions).map(([asset, [quantity, cost]]) => position(asset, quantity, cost)),
      cash,
      orders: orders.map((id, index) =>
        report(byBrokerId ? null : id, {
          broker_order_id: `b-${id}`,
          status: (statuses[index] ?? 'open') as 'open',
          filled_amount: statuses[index] === 'filled' ? '10' : '0',
        }),
      ),
      absent,
      fills,
    }),
  );

const options = { costBasisTolerance: '0' };
const owner = fc.dictionary(fc.constantFrom(...assets), fc.constantFrom(...strategies, 'nobody'));

// Row 26: what is reconciled twice has nothing to do the second time.
const second = { seeds: 0, actions: 0, left: 0 };
afterAll(() => {
  const { seeds, actions, left } = second;
  process.stdout.write(`row 26: ${seeds} seeds, ${actions} actions in first plans, ${left} in second ones\n`);
});

describe('a plan', () => {
  it('applied makes the sums equal the broker, and planned again is empty', () => {
    fc.assert(
      fc.property(local, evidence, owner, (before, seen, named) => {
        const planOf = (books: LocalBooks, read: BrokerEvidence) =>
          plan(books, read, compare(books, read, options), 'SYNC_TO_BROKER', {
            ...options,
            assessment: { ok: true, confirmed: true },
            trigger: 'start',
            owner: named,
          });
        const first = planOf(before, seen);
        const after = applyPlan(withFills(before, seen.fills), first);
        const settled = { ...seen, fills: [] };
        const again = planOf(after, settled);
        second.seeds += 1;
        second.actions += first.actions.length;
        second.left += again.actions.length;

        expect(again.actions).toEqual([]);
        const left = compare(after, settled, options).map(({ kind }) => kind);
        // Only what the broker was not asked for is left to look at.
        expect(left.filter((kind) => kind !== 'order_missing_at_broker')).toEqual([]);
        const held = accountPositions(after);
        for (const { asset, amount } of seen.positions) expect(held.get(asset)?.amount.toFixed() ?? '0').toBe(amount);
        const cash = accountCash(after);
        for (const [currency, sum] of Object.entries(seen.account.cash)) {
          expect(cash.get(currency)?.amount.toFixed() ?? '0').toBe(sum);
        }
      }),
      { numRuns: 1000 },
    );
  });

  it('changes nothing where any book moved, whatever the plan', () => {
    fc.assert(
      fc.property(local, evidence, (before, seen) => {
        const now = plan(before, seen, compare(before, seen, options), 'SYNC_TO_BROKER', {
          assessment: { ok: true, confirmed: true },
          trigger: 'interval',
        });
        const shift = (text: string): string => new Decimal(text).plus('0.00001').toFixed();
        const moved: LocalBooks = {
          ...withFills(before, seen.fills),
          strategies: [...strategies].map((name) => {
            const each =
              withFills(before, seen.fills).strategies.find(({ strategy }) => strategy === name) ?? book(name);
            const cash = Object.fromEntries(['USD', 'EUR', 'BTC'].map((unit) => [unit, shift(each.cash[unit] ?? '0')]));
            const positions = assets.map((asset) => {
              const position = each.positions.find((one) => one.asset === asset) ?? held(asset, '0');
              return { ...position, amount: shift(position.amount) };
            });
            return {
              ...each,
              cash,
              positions,
              orders: each.orders.map((one) => ({
                ...one,
                filled_amount: shift(one.filled_amount),
                updated_at: at(31),
              })),
            };
          }),
        };
        const adopted = now.actions.filter(({ kind }) => kind === 'adopt_order').length;
        const after = applyPlan(moved, now);
        const count = (books: LocalBooks) => books.strategies.reduce((sum, { orders }) => sum + orders.length, 0);
        expect(count(after)).toBe(count(moved) + adopted);
        expect(after.strategies.map(({ positions, cash }) => ({ positions, cash }))).toEqual(
          moved.strategies.map(({ positions, cash }) => ({ positions, cash })),
        );
      }),
      { numRuns: 200 },
    );
  });
});
