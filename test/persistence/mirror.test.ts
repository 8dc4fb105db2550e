import { describe, expect, it } from 'vitest';
import type { SnapshotDelta, StrategyDelta } from '../../src/model/delta.ts';
import type { OrderSnapshot } from '../../src/model/order.ts';
import { recentExecutionsMax } from '../../src/model/snapshot.ts';
import { Mirror } from '../../src/persistence/mirror.ts';
import { at } from './journal-fixtures.ts';

function order(order_id: string): OrderSnapshot {
  return {
    order_id,
    asset: 'AAPL',
    amount: '1',
    order_type: 'market',
    broker_order_id: null,
    status: 'open',
    filled_amount: '0',
  };
}

function position(asset: string, amount = '1') {
  return { asset, amount, cost_basis: '1', last_price: null };
}

function delta(previous: number, through: number, ...strategies: StrategyDelta[]): SnapshotDelta {
  return { previous, through, at: at(through), strategies };
}

function fill(execution_id: string): NonNullable<StrategyDelta['events']>[number] {
  const common = { order_id: 'o', broker_order_id: null, asset: 'AAPL', amount: '1', price: '1', fee: '0' };
  return { kind: 'fill', fill: { execution_id, ...common, at: at(1) }, at: at(1) };
}

function fresh(): Mirror {
  return new Mirror({ currency: 'USD' });
}

describe('the mirror', () => {
  it('knows nothing at first', () => {
    expect(fresh().sequence).toBe(0);
    expect(fresh().strategies()).toEqual([]);
    expect(() => fresh().snapshot('alpha')).toThrow(expect.objectContaining({ code: 'STRATEGY_UNKNOWN' }));
  });

  it('sorts positions by asset, and keeps orders in the order in which they were created', () => {
    const mirror = fresh();
    const positions = [position('B'), position('a'), position('A')];
    mirror.apply(delta(0, 1, { strategy: 'alpha', positions, orders: [order('2'), order('1')] }));
    mirror.apply(delta(1, 2, { strategy: 'alpha', orders: [order('3'), { ...order('2'), amount: '5' }] }));
    const snapshot = mirror.snapshot('alpha');
    expect(snapshot.positions.map(({ asset }) => asset)).toEqual(['A', 'B', 'a']);
    expect(snapshot.pending_orders.map(({ order_id, amount }) => [order_id, amount])).toEqual([
      ['2', '5'],
      ['1', '1'],
      ['3', '1'],
    ]);
  });

  it('removes what a delta names as removed', () => {
    const mirror = fresh();
    mirror.apply(
      delta(0, 1, {
        strategy: 'alpha',
        positions: [position('A')],
        orders: [order('1')],
        cash: [['EUR', '1']],
        state: [['key', 1]],
        halt: { reason: 'r', source: 'operator', at: at(1) },
      }),
    );
    mirror.apply(
      delta(1, 2, {
        strategy: 'alpha',
        positions_removed: ['A'],
        orders_removed: ['1'],
        cash_removed: ['EUR'],
        state_removed: ['key'],
        halt: null,
      }),
    );
    expect(mirror.snapshot('alpha')).toEqual({
      strategy_name: 'alpha',
      strategy_state: {},
      positions: [],
      pending_orders: [],
      cash_balance: '0',
      currency: 'USD',
      other_cash: {},
      broker_cursor: { activity_id: null, at: null, recent_execution_ids: [] },
      halt: null,
    });
  });

  it('leaves a snapshot that was given out as it was', () => {
    const mirror = fresh();
    mirror.apply(delta(0, 1, { strategy: 'alpha', positions: [position('A')], state: [['k', 1]] }));
    const before = mirror.snapshot('alpha');
    const copy = structuredClone(before);
    mirror.apply(delta(1, 2, { strategy: 'alpha', positions: [position('A', '9')], state: [['k', 2]] }));
    expect(before).toEqual(copy);
    expect(() => (before.positions as unknown[]).push(1)).toThrow(TypeError);
    expect(mirror.snapshot('alpha')).not.toEqual(before);
  });

  it('skips what it has passed, and refuses what does not connect without taking any of it', () => {
    const mirror = fresh();
    mirror.apply(delta(0, 3, { strategy: 'alpha', state: [['k', 3]] }));
    mirror.apply(delta(0, 3, { strategy: 'alpha', state: [['k', 'again']] }));
    mirror.apply(delta(0, 2, { strategy: 'alpha', state: [['k', 'older']] }));
    for (const [previous, through] of [
      [4, 5],
      [2, 5],
    ] as const) {
      const bad = delta(previous, through, { strategy: 'beta' });
      expect(() => mirror.apply(bad)).toThrow(expect.objectContaining({ code: 'DELTA_GAP' }));
    }
    expect(mirror.snapshot('alpha').strategy_state).toEqual({ k: 3 });
    expect(mirror.strategies()).toEqual(['alpha']);
    expect(mirror.sequence).toBe(3);
  });

  it('drops all else for a strategy that comes whole', () => {
    const mirror = fresh();
    mirror.apply(
      delta(0, 1, {
        strategy: 'alpha',
        positions: [position('A')],
        state: [['k', 1]],
        cash: [['USD', '5']],
        events: [fill('e1')],
        cursor: { activity_id: 'x', at: null },
      }),
    );
    mirror.apply(delta(1, 2, { strategy: 'alpha', whole: true, recent_execution_ids: ['e2'], state: [['j', 2]] }));
    expect(mirror.snapshot('alpha')).toMatchObject({
      strategy_state: { j: 2 },
      positions: [],
      cash_balance: '0',
      broker_cursor: { activity_id: null, recent_execution_ids: ['e2'] },
    });
  });

  it('gives the same again from its whole deltas, "__proto__" and order included', () => {
    const mirror = fresh();
    mirror.apply(
      delta(0, 1, {
        strategy: 'alpha',
        positions: [position('B'), position('A')],
        orders: [order('2'), order('1')],
        cash: [
          ['EUR', '1'],
          ['USD', '2.50'],
          ['BTC', '3'],
        ],
        state: [
          ['__proto__', { polluted: true }],
          ['b', [1]],
        ],
        halt: { reason: 'r', source: 'operator', at: at(1) },
        cursor: { activity_id: 'c', at: at(1) },
        events: [fill('e2'), fill('e1')],
      }),
    );
    const other = fresh();
    other.start(7);
    other.apply(JSON.parse(JSON.stringify(mirror.wholeDelta('alpha', at(7), 7))) as SnapshotDelta);
    expect(other.snapshot('alpha')).toEqual(mirror.snapshot('alpha'));
    expect(Object.keys(other.snapshot('alpha').strategy_state)).toContain('__proto__');
    expect(other.snapshot('alpha').broker_cursor.recent_execution_ids).toEqual(['e2', 'e1']);
    expect('polluted' in {}).toBe(false);
    expect(other.sequence).toBe(7);
  });

  it('does not count deltas again for a strategy that was loaded past them', () => {
    const mirror = fresh();
    mirror.apply(delta(0, 5, { strategy: 'alpha', state: [['k', 5]] }));
    const later = fresh();
    later.load(mirror.snapshot('alpha'), 5);
    later.apply({
      ...delta(0, 4, { strategy: 'alpha', state: [['k', 4]] }, { strategy: 'beta', state: [['k', 4]] }),
      marks: [],
    });
    expect(later.snapshot('alpha').strategy_state).toEqual({ k: 5 });
    expect(later.snapshot('beta').strategy_state).toEqual({ k: 4 });
    later.apply(delta(4, 6, { strategy: 'alpha', state: [['k', 6]] }));
    expect(later.snapshot('alpha').strategy_state).toEqual({ k: 6 });
  });

  it('marks the positions of every strategy, and counts as changed only those whose price is another', () => {
    const mirror = fresh();
    mirror.apply(
      delta(
        0,
        1,
        { strategy: 'alpha', positions: [position('A')] },
        { strategy: 'beta', positions: [{ ...position('A'), last_price: '7' }] },
      ),
    );
    mirror.apply({
      ...delta(1, 2),
      marks: [
        ['A', '7'],
        ['B', '1'],
      ],
    });
    expect(mirror.snapshot('alpha').positions[0]?.last_price).toBe('7');
    expect(mirror.changedSince('alpha')).toBe(2);
    expect(mirror.changedSince('beta')).toBe(1);
  });

  it('remembers a bounded number of executions, the newest', () => {
    const mirror = fresh();
    const ids = Array.from({ length: recentExecutionsMax + 10 }, (_, index) => `e${index}`);
    mirror.apply(delta(0, 1, { strategy: 'alpha', events: ids.map(fill) }));
    expect(mirror.snapshot('alpha').broker_cursor.recent_execution_ids).toEqual(ids.slice(10));
  });

  it('keeps cash of a base currency that has been changed since as other cash', () => {
    const mirror = fresh();
    mirror.apply(
      delta(0, 1, {
        strategy: 'alpha',
        cash: [
          ['USD', '5'],
          ['EUR', '3'],
        ],
      }),
    );
    const euro = new Mirror({ currency: 'EUR' });
    euro.load(mirror.snapshot('alpha'), 1);
    expect(euro.snapshot('alpha')).toMatchObject({ currency: 'EUR', cash_balance: '3', other_cash: { USD: '5' } });
  });
});
