import fc from 'fast-check';
import { expect, it } from 'vitest';
import type { StrategySnapshot } from '../../src/model/snapshot.ts';
import { Mirror } from '../../src/persistence/mirror.ts';
import { HostBooks, type Post } from '../../src/state/host-books.ts';
import { fill, manualClock, order, position } from '../support/state-fixtures.ts';

// Random programs against a model that copies everything at every step, and a mirror that is fed with the posts alone.

const names = ['alpha', 'beta'] as const;
type Name = (typeof names)[number];
const key = fc.constantFrom('a', 'b', 'c');
const who = fc.constantFrom(...names);
const amount = fc.integer({ min: 1, max: 9 }).map(String);

type Step =
  | {
      readonly do: 'position' | 'order' | 'cash' | 'state';
      readonly who: Name;
      readonly key: string;
      readonly to: string | null;
    }
  | { readonly do: 'fill' | 'halt' | 'cursor'; readonly who: Name; readonly to: string }
  | { readonly do: 'savepoint' | 'rollbackTo'; readonly who: Name }
  | { readonly do: 'mark'; readonly key: string; readonly to: string }
  | { readonly do: 'commit' | 'rollback' | 'post' | 'sample' | 'whole' };

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constantFrom('position', 'order', 'cash', 'state'),
      who,
      key,
      to: fc.option(amount),
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constantFrom('fill', 'halt', 'cursor'), who, to: amount }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constantFrom('savepoint', 'rollbackTo'), who }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('mark'), key, to: amount }) },
  { weight: 5, arbitrary: fc.record({ do: fc.constantFrom('commit', 'rollback', 'post', 'sample', 'whole') }) },
) as fc.Arbitrary<Step>;

/** One strategy as plain nested maps, cheap to copy whole. */
interface Plain {
  readonly positions: Map<string, string>;
  readonly orders: Map<string, string>;
  readonly cash: Map<string, string>;
  readonly state: Map<string, string>;
  readonly executions: Set<string>;
  /** Execution ids of the fill events, each that was added. */
  readonly events: string[];
  halt: string | null;
  cursor: string | null;
}

function plain(from?: Plain): Plain {
  return {
    positions: new Map(from?.positions),
    orders: new Map(from?.orders),
    cash: new Map(from?.cash),
    state: new Map(from?.state),
    executions: new Set(from?.executions),
    events: [...(from?.events ?? [])],
    halt: from?.halt ?? null,
    cursor: from?.cursor ?? null,
  };
}

function summary(snapshot: StrategySnapshot): object {
  return {
    positions: snapshot.positions.map((each) => [each.asset, each.amount]),
    orders: snapshot.pending_orders.map((each) => [each.order_id, each.amount]),
    cash: [['USD', snapshot.cash_balance], ...Object.entries(snapshot.other_cash)].filter(([, value]) => value !== '0'),
    state: Object.entries(snapshot.strategy_state).sort(),
    executions: snapshot.broker_cursor.recent_execution_ids,
    halt: snapshot.halt?.reason ?? null,
    cursor: snapshot.broker_cursor.activity_id,
  };
}

function summaryOf(model: Plain): object {
  const cash = [...model.cash].sort(([a], [b]) => Number(b === 'USD') - Number(a === 'USD') || (a < b ? -1 : 1));
  return {
    positions: [...model.positions].sort(),
    orders: [...model.orders],
    cash,
    state: [...model.state].sort(),
    executions: [...model.executions],
    halt: model.halt,
    cursor: model.cursor,
  };
}

const currencies: Readonly<Record<string, string>> = { a: 'USD', b: 'EUR', c: 'CHF' };

it('whatever is staged, rolled back, committed and posted, books and mirror hold exactly what was committed', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 120, size: 'max' }), (steps) => {
      const host = new HostBooks({ currency: 'USD', epoch: 1, clock: manualClock() });
      const mirror = new Mirror({ currency: 'USD' });
      const kept: Post[] = [];
      for (const name of names) host.register(name);
      host.commit();
      let committed = new Map(names.map((name) => [name, plain()]));
      const live = new Map(names.map((name) => [name, plain()]));
      const of = (name: Name): Plain => live.get(name) as Plain;
      const savepoints = new Map<Name, { readonly at: number; readonly model: Plain }>();
      const take = (post: Post | null): void => {
        if (post === null) return;
        kept.push(post);
        mirror.apply(structuredClone(post.delta));
      };
      take(host.takePost());

      for (const each of steps) {
        switch (each.do) {
          case 'position': {
            const book = host.register(each.who);
            if (each.to === null) book.removePosition(each.key);
            else book.setPosition(position(each.key, each.to));
            put(of(each.who).positions, each.key, each.to);
            break;
          }
          case 'order': {
            const book = host.register(each.who);
            if (each.to === null) book.removeOrder(each.key);
            else book.setOrder(order(each.key, { amount: each.to }));
            put(of(each.who).orders, each.key, each.to);
            break;
          }
          case 'cash': {
            const currency = currencies[each.key] as string;
            host.register(each.who).setCash(each.to ?? '9', currency);
            of(each.who).cash.set(currency, each.to ?? '9');
            break;
          }
          case 'state': {
            const book = host.register(each.who);
            if (each.to === null) book.delete(each.key);
            else book.set(each.key, each.to);
            put(of(each.who).state, each.key, each.to);
            break;
          }
          case 'fill':
            host.register(each.who).addEvent(fill(`e${each.to}`));
            of(each.who).executions.add(`e${each.to}`);
            of(each.who).events.push(`e${each.to}`);
            break;
          case 'halt':
            host.register(each.who).setHalt({ reason: each.to, source: 'operator', at: '2025-10-02T14:30:00Z' });
            of(each.who).halt = each.to;
            break;
          case 'cursor':
            host.register(each.who).setCursor({ activity_id: each.to, at: null });
            of(each.who).cursor = each.to;
            break;
          case 'mark':
            host.mark(each.key, each.to);
            break;
          case 'savepoint': {
            const at = host.register(each.who).savepoint();
            savepoints.set(each.who, { at, model: plain(of(each.who)) });
            break;
          }
          case 'rollbackTo': {
            const savepoint = savepoints.get(each.who);
            if (savepoint === undefined) break;
            host.register(each.who).rollbackTo(savepoint.at);
            live.set(each.who, plain(savepoint.model));
            break;
          }
          case 'commit':
            host.commit();
            committed = new Map(names.map((name) => [name, plain(of(name))]));
            savepoints.clear();
            break;
          case 'rollback':
            host.rollback();
            for (const name of names) live.set(name, plain(committed.get(name)));
            savepoints.clear();
            break;
          case 'post':
            take(host.takePost());
            break;
          case 'sample':
            take(host.takePost(true));
            break;
          case 'whole':
            for (const post of host.takeWhole(mirror.sequence, () => [])) take(post);
            break;
        }
        for (const name of names) {
          const book = host.register(name);
          expect(summary(book.snapshot())).toEqual(summaryOf(committed.get(name) as Plain));
          expect(
            book
              .positions()
              .map((entry) => [entry.asset, entry.amount])
              .sort(),
          ).toEqual([...of(name).positions].sort());
          expect(book.orders().map((entry) => [entry.order_id, entry.amount])).toEqual([...of(name).orders]);
          expect(book.keys().toSorted()).toEqual([...of(name).state.keys()].sort());
        }
      }
      take(host.takePost(true));
      expect(mirror.sequence).toBe(host.sequence);
      for (const name of names) {
        expect(summary(mirror.snapshot(name))).toEqual(summaryOf(committed.get(name) as Plain));
        // Prices too: what was marked of what is held reached the mirror by the last sample.
        expect(mirror.snapshot(name).positions).toEqual(host.register(name).snapshot().positions);
      }
      const events = new Map(names.map((name): [string, string[]] => [name, []]));
      let reached = 0;
      for (const { delta } of kept) {
        expect(delta.previous).toBe(reached);
        expect(delta.through).toBeGreaterThan(delta.previous);
        reached = delta.through;
        for (const { strategy, events: some = [] } of delta.strategies) {
          for (const event of some) if (event.kind === 'fill') events.get(strategy)?.push(event.fill.execution_id);
        }
      }
      for (const name of names) expect(events.get(name)).toEqual((committed.get(name) as Plain).events);
    }),
    { numRuns: 150 },
  );
});

function put(map: Map<string, string>, name: string, value: string | null): void {
  if (value === null) map.delete(name);
  else map.set(name, value);
}
