import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { StateError } from '../../src/model/errors.ts';
import type { StateEvent } from '../../src/model/event.ts';
import type { PositionSnapshot } from '../../src/model/position.ts';
import { recentExecutionsMax, strategySnapshotShape } from '../../src/model/snapshot.ts';
import { HostBooks } from '../../src/state/host-books.ts';
import { fill, manualClock, note, order, position } from '../support/state-fixtures.ts';

function books(): HostBooks {
  return new HostBooks({ currency: 'USD', epoch: 1, clock: manualClock() });
}

describe('a book', () => {
  it('shows staged values at once and as part of its snapshot only after the commit', () => {
    const host = books();
    const book = host.register('alpha');
    book.setPosition(position('AAPL', '100'));
    book.setOrder(order('o1'));
    book.setCash('25000.00');
    book.set('signal', { side: 'buy' });
    expect(book.position('AAPL')?.amount).toBe('100');
    expect(book.get('signal')).toEqual({ side: 'buy' });
    expect(book.snapshot().positions).toEqual([]);
    host.commit();
    const snapshot = book.snapshot();
    expect(snapshot).toMatchObject({
      positions: [position('AAPL', '100')],
      pending_orders: [order('o1')],
      cash_balance: '25000.00',
      strategy_state: { signal: { side: 'buy' } },
      halt: null,
    });
    expect(z.strictObject(strategySnapshotShape).parse(snapshot)).toEqual(snapshot);
  });

  it('freezes what it is given, and keeps no reference to it', () => {
    const book = books().register('alpha');
    const given: { -readonly [K in keyof PositionSnapshot]: PositionSnapshot[K] } = { ...position('AAPL', '100') };
    book.setPosition(given);
    given.amount = '999';
    expect(book.position('AAPL')?.amount).toBe('100');
    expect(Object.isFrozen(book.position('AAPL'))).toBe(true);
    const signal = { strength: 1 };
    book.set('signal', signal);
    signal.strength = 2;
    expect(book.get('signal')).toEqual({ strength: 1 });
  });

  it('takes back everything staged, of every kind', () => {
    const host = books();
    const book = host.register('alpha');
    book.setPosition(position('AAPL', '1'));
    book.setOrder(order('o1'));
    book.setOrder(order('o2'));
    book.setCash('10');
    book.set('kept', 1);
    book.addEvent(fill('e1'));
    book.setHalt({ reason: 'first', source: 'operator', at: '2025-10-02T14:30:00Z' });
    book.setCursor({ activity_id: 'a1', at: null });
    host.commit();
    const before = book.snapshot();

    book.setPosition(position('AAPL', '2'));
    book.setPosition(position('MSFT', '3'));
    book.removePosition('AAPL');
    book.removeOrder('o1');
    book.setOrder(order('o2', { status: 'open' }));
    book.setOrder(order('o3'));
    book.setCash('20');
    book.setCash('30', 'EUR');
    book.set('kept', 2);
    book.set('new', true);
    book.delete('kept');
    book.addEvent(fill('e1'));
    book.addEvent(fill('e2'));
    book.setHalt(null);
    book.setCursor({ activity_id: 'a2', at: null });
    host.rollback();

    expect(book.snapshot()).toEqual(before);
    expect(book.position('MSFT')).toBeUndefined();
    expect(book.orders().map((each) => each.order_id)).toEqual(['o1', 'o2']);
    expect(book.allCash()).toEqual({ USD: '10' });
    expect(book.keys()).toEqual(['kept']);
    expect(book.get('kept')).toBe(1);
    expect(book.halt?.reason).toBe('first');
    expect(book.cursor().activity_id).toBe('a1');
    expect(book.hasExecution('e1')).toBe(true);
    expect(book.hasExecution('e2')).toBe(false);
    expect(host.commit()).toBe(1);
  });

  it('rolls one strategy back to its savepoint and leaves the others alone', () => {
    const host = books();
    const alpha = host.register('alpha');
    const beta = host.register('beta');
    alpha.set('x', 1);
    const savepoint = alpha.savepoint();
    alpha.set('x', 2);
    beta.set('y', 1);
    alpha.set('z', 3);
    alpha.rollbackTo(savepoint);
    expect(alpha.get('x')).toBe(1);
    expect(alpha.get('z')).toBeUndefined();
    const later = beta.savepoint();
    beta.set('y', 2);
    beta.rollbackTo(later);
    expect(beta.get('y')).toBe(1);
    host.commit();
    expect(alpha.snapshot().strategy_state).toEqual({ x: 1 });
    expect(beta.snapshot().strategy_state).toEqual({ y: 1 });
  });

  it('takes a savepoint from before a commit as that commit', () => {
    const host = books();
    const book = host.register('alpha');
    const savepoint = book.savepoint();
    book.set('x', 1);
    host.commit();
    book.set('x', 2);
    book.rollbackTo(savepoint);
    expect(book.get('x')).toBe(1);
  });

  it('drops an order that became final, and tells its story only by events', () => {
    const host = books();
    const book = host.register('alpha');
    book.setOrder(order('o1'));
    host.commit();
    host.takePost();
    book.setOrder(order('o1', { status: 'filled', filled_amount: '10' }));
    host.commit();
    expect(book.order('o1')).toBeUndefined();
    expect(host.takePost()?.delta.strategies).toEqual([{ strategy: 'alpha', orders_removed: ['o1'] }]);
  });

  it('knows the executions of its fills, and no more than it may keep', () => {
    const host = books();
    const book = host.register('alpha');
    for (let i = 0; i <= recentExecutionsMax; i += 1) book.addEvent(fill(`e${i}`));
    host.commit();
    expect(book.hasExecution('e0')).toBe(false);
    expect(book.hasExecution(`e${recentExecutionsMax}`)).toBe(true);
    expect(book.snapshot().broker_cursor.recent_execution_ids).toHaveLength(recentExecutionsMax);
  });

  it('comes back from its own snapshot as it was', () => {
    const host = books();
    const book = host.register('alpha');
    book.setPosition(
      position('AAPL', '1', { sid: 1, currency: 'USD', total_cost: '10', realized_pnl: '0', fees: '0' }),
    );
    book.setOrder(order('o2'));
    book.setOrder(order('o1'));
    book.setCash('10');
    book.setCash('5', 'EUR');
    book.set('when', new Date(0));
    book.addEvent(fill('e1'));
    book.setCursor({ activity_id: 'a1', at: '2025-10-02T14:30:00Z' });
    host.commit();
    const again = books();
    again.load(JSON.parse(JSON.stringify(book.snapshot())));
    const restored = again.register('alpha');
    expect(restored.snapshot()).toEqual(book.snapshot());
    expect(restored.isNew).toBe(false);
    expect(restored.get('when')).toEqual(new Date(0));
    expect(restored.cash('EUR')).toBe('5');
    expect(restored.hasExecution('e1')).toBe(true);
    expect(again.takePost()).toBeNull();
  });

  it('refuses a restored book in another base currency', () => {
    const host = books();
    host.register('alpha');
    host.commit();
    const other = new HostBooks({ currency: 'EUR', epoch: 1, clock: manualClock() });
    expect(() => other.load(host.register('alpha').snapshot())).toThrow(/base currency USD.*EUR/);
  });
});

describe('a value of the wrong form', () => {
  const book = books().register('alpha');
  const wrong: [string, () => void, RegExp][] = [
    [
      'a float amount',
      () => book.setPosition(position('AAPL', 100 as never)),
      /"alpha", position "AAPL", field "amount"/,
    ],
    ['an exponent', () => book.setPosition(position('AAPL', '1e5')), /field "amount".*got "1e5"/],
    ['a missing field', () => book.setPosition({ asset: 'AAPL', amount: '1' } as never), /field "cost_basis"/],
    [
      'an unknown field',
      () => book.setPosition({ ...position('AAPL'), foo: 1 } as never),
      /field "foo".*no such field/,
    ],
    ['an asset with a space', () => book.setPosition(position('A B')), /field "asset"/],
    ['no position at all', () => book.setPosition(null as never), /position undefined: expected an object, got null/],
    [
      'a status',
      () => book.setOrder(order('o1', { status: 'maybe' as never })),
      /order "o1", field "status": expected one of pending/,
    ],
    ['a limit price', () => book.setOrder(order('o1', { limit_price: 'x' })), /field "limit_price"/],
    [
      'a time without a zone',
      () => book.setOrder(order('o1', { created_at: '2025-10-02T14:30:00' })),
      /field "created_at"/,
    ],
    ['a long order id', () => book.setOrder(order('x'.repeat(129))), /1 to 128 characters/],
    ['cash', () => book.setCash('NaN'), /cash "USD", field "amount"/],
    ['a currency', () => book.setCash('1', 'usd'), /field "currency"/],
    ['a halt', () => book.setHalt({ reason: 'x', source: 'y', at: 'now' }), /halt "halt", field "at"/],
    ['a cursor', () => book.setCursor({ activity_id: 1 as never, at: null }), /field "activity_id"/],
    [
      'an unknown event',
      () => book.addEvent({ kind: 'boo', at: 'x' } as never),
      /event "boo", field "kind": expected one of/,
    ],
    ['a fill', () => book.addEvent(fill('')), /fill "", field "execution_id"/],
    ['a deep note', () => book.addEvent({ ...note('n'), data: deep(300) } as StateEvent), /nested at most 256 deep/],
    ['a note with a Date', () => book.addEvent({ ...note('n'), data: new Date() } as never), /plain JSON data/],
    ['a note with NaN', () => book.addEvent({ ...note('n'), data: [Number.NaN] } as never), /plain JSON data/],
    [
      'a proto in a note',
      () => book.addEvent({ ...note('n'), data: JSON.parse('{"__proto__":1}') } as never),
      /another name/,
    ],
    [
      'an intent',
      () => book.addEvent({ kind: 'order_intent', order: {} as never, at: '2025-10-02T14:30:00Z' }),
      /field "order_id"/,
    ],
    ['a state key', () => book.set('__proto__', 1), /state key "__proto__"/],
    ['a function', () => book.set('f', { a: [() => 1] }), /state key "f"/],
  ];

  for (const [what, act, message] of wrong) {
    it(`is refused by name and changes nothing: ${what}`, () => {
      const savepoint = book.savepoint();
      expect(act).toThrow(message);
      expect(act).toThrow(StateError);
      expect(book.savepoint()).toBe(savepoint);
    });
  }

  it('is not an optional field that is undefined, which counts as absent', () => {
    book.setOrder(order('o1', { limit_price: undefined as never }));
    expect(book.order('o1')).not.toHaveProperty('limit_price');
  });
});

function deep(depth: number): unknown {
  let value: unknown = 1;
  for (let i = 0; i < depth; i += 1) value = [value];
  return value;
}
