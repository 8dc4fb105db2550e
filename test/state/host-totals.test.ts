import fc from 'fast-check';
import { expect, it } from 'vitest';
import { decimalString, zero } from '../../src/model/money.ts';
import { UNASSIGNED } from '../../src/model/names.ts';
import { leftOf } from '../../src/model/order.ts';
import { recentExecutionsMax } from '../../src/model/snapshot.ts';
import type { Book } from '../../src/state/book.ts';
import { HostBooks } from '../../src/state/host-books.ts';
import { stageWhole } from '../../src/state/whole-state.ts';
import { fill, manualClock, order, position } from '../support/state-fixtures.ts';

const names = ['alpha', 'beta', UNASSIGNED] as const;
const assets = ['AAPL', 'BTC/USD', 'EURUSD'] as const;
const executions = ['e1', 'e2', 'e3'] as const;
const amounts = ['-3', '-1.5', '-0.000000000000000000000001', '0', '0.25', '2', '999999999999999999999999'] as const;
const orderIds = ['o1', 'o2', 'o3'] as const;

function books(): HostBooks {
  return new HostBooks({ currency: 'USD', epoch: 1, clock: manualClock() });
}

const who = fc.constantFrom(...names);
const asset = fc.constantFrom(...assets);
const amount = fc.constantFrom(...amounts);
const orderId = fc.constantFrom(...orderIds);

/** A part of a program: what it does with the books, and the books that are there afterwards. */
type Step = (host: HostBooks, savepoints: Map<string, number>) => HostBooks;
const changing = (change: (book: Book) => void, name: string): Step => {
  return (host) => {
    change(host.register(name));
    return host;
  };
};

const step: fc.Arbitrary<Step> = fc.oneof(
  fc.tuple(who, asset, fc.option(amount)).map(([name, key, to]) =>
    changing((book) => {
      if (to === null) book.removePosition(key);
      else book.setPosition(position(key, to));
    }, name),
  ),
  fc
    .tuple(who, orderId, asset, amount, amount, fc.constantFrom('open', 'unknown', 'canceled'))
    .map(([name, id, key, of, filled, status]) =>
      changing((book) => book.setOrder(order(id, { asset: key, amount: of, filled_amount: filled, status })), name),
    ),
  fc.tuple(who, orderId).map(([name, id]) => changing((book) => book.removeOrder(id), name)),
  fc.tuple(who, fc.constantFrom(...executions)).map(([name, id]) => changing((book) => book.addEvent(fill(id)), name)),
  who.map((name): Step => {
    return (host, savepoints) => {
      savepoints.set(name, host.register(name).savepoint());
      return host;
    };
  }),
  who.map((name): Step => {
    return (host, savepoints) => {
      host.register(name).rollbackTo(savepoints.get(name) ?? 0);
      return host;
    };
  }),
  fc.constantFrom<Step>(
    (host) => {
      host.commit();
      return host;
    },
    (host) => {
      host.rollback();
      return host;
    },
    // A restart: what was committed is loaded into books that nobody has asked anything yet.
    (host, savepoints) => {
      savepoints.clear();
      const next = books();
      for (const { ...restored } of host.snapshot().strategies) next.load(structuredClone(restored));
      return next;
    },
  ),
  fc.tuple(fc.constantFrom('alpha', 'saved'), asset, amount, fc.boolean()).map(([name, key, to, valid]): Step => {
    return (host) => {
      const state = {
        strategy_state: {},
        positions: [position(key, to)],
        pending_orders: [order('o1', { asset: key, amount: to })],
        cash_balance: valid ? '1' : 'none',
      };
      if (valid) stageWhole(host, name, state);
      else expect(() => stageWhole(host, name, state)).toThrow('cash');
      return host;
    };
  }),
);

/** The same as the totals say, by walking through every book. */
function walked(host: HostBooks, key: string): object {
  const all = [...names, 'saved'].flatMap((name) => host.book(name) ?? []);
  const open = all.flatMap((book) => book.orders()).filter((each) => each.asset === key);
  const left = (isSale: boolean): string =>
    decimalString(
      open.filter((each) => each.amount.startsWith('-') === isSale).reduce((sum, each) => sum.plus(leftOf(each)), zero),
    );
  const held = all.reduce((sum, book) => sum.plus(book.position(key)?.amount ?? '0'), zero);
  return { held: decimalString(held), toBuy: left(false), toSell: left(true) };
}

function told(host: HostBooks, key: string): object {
  const { held, toBuy, toSell } = host.inAsset(key);
  return { held: decimalString(held), toBuy: decimalString(toBuy), toSell: decimalString(toSell) };
}

it('what all books come to is what a walk through them finds, whatever was rolled back, restored, saved whole or refused', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(step, fc.option(asset)), { maxLength: 60, size: 'max' }), (steps) => {
      let host = books();
      const savepoints = new Map<string, number>();
      for (const [run, asked] of steps) {
        host = run(host, savepoints);
        // Seldom enough that much comes and goes between two questions.
        if (asked !== null) expect(told(host, asked)).toEqual(walked(host, asked));
        for (const id of executions) {
          const isKnown = [...names, 'saved'].some((name) => host.book(name)?.hasExecution(id) === true);
          expect(host.hasExecution(id)).toBe(isKnown);
        }
      }
      for (const key of assets) expect(told(host, key)).toEqual(walked(host, key));
    }),
    { numRuns: 400 },
  );
});

it('an execution is known until the last book that had it has forgotten it', () => {
  const host = books();
  const [alpha, beta] = [host.register('alpha'), host.register('beta')];
  const flood = (book: Book, prefix: string, count: number): void => {
    for (let i = 0; i < count; i += 1) {
      book.addEvent(fill(`${prefix}${i}`));
      host.commit();
    }
  };
  alpha.addEvent(fill('shared'));
  beta.addEvent(fill('shared'));
  host.commit();
  flood(alpha, 'a', recentExecutionsMax - 1);
  const savepoint = alpha.savepoint();
  alpha.addEvent(fill('taken back'));
  alpha.rollbackTo(savepoint);
  expect(alpha.hasExecution('shared')).toBe(true);
  flood(alpha, 'b', 1);
  expect([alpha.hasExecution('shared'), host.hasExecution('shared')]).toEqual([false, true]);
  flood(beta, 'c', recentExecutionsMax);
  expect([beta.hasExecution('shared'), host.hasExecution('shared')]).toEqual([false, false]);
  expect(host.hasExecution('taken back')).toBe(false);
  // Each in its turn, also a second time round.
  flood(alpha, 'd', 2 * recentExecutionsMax);
  expect(alpha.snapshot().broker_cursor.recent_execution_ids).toEqual(
    Array.from({ length: recentExecutionsMax }, (_, i) => `d${recentExecutionsMax + i}`),
  );
});
