import { describe, expect, it } from 'vitest';
import { UNASSIGNED } from '../../src/model/names.ts';
import { HostBooks } from '../../src/state/host-books.ts';
import { manualClock, note, order, position } from '../support/state-fixtures.ts';

function books(): HostBooks {
  return new HostBooks({ currency: 'USD', epoch: 3, clock: manualClock() });
}

describe('a commit', () => {
  it('takes the next sequence for everything staged by anybody, and none where nothing is staged', () => {
    const host = books();
    host.begin(10);
    host.register('alpha').set('x', 1);
    host.register('beta').set('y', 1);
    expect(host.commit()).toBe(11);
    expect(host.commit()).toBe(11);
  });

  it('makes a new strategy known even when all else was rolled back', () => {
    const host = books();
    host.register('alpha').set('x', 1);
    host.rollback();
    expect(host.commit()).toBe(1);
    expect(host.takePost()?.delta.strategies).toEqual([{ strategy: 'alpha' }]);
  });

  it('refuses names that would not be file names', () => {
    expect(() => books().register('../x')).toThrow(/strategy name/);
  });

  it('lists the book of what belongs to nobody only where it holds something', () => {
    const host = books();
    const book = host.register(UNASSIGNED);
    host.register('alpha');
    expect(host.strategies()).toEqual(['alpha']);
    book.setPosition(position('AAPL'));
    expect(host.strategies()).toEqual([UNASSIGNED, 'alpha']);
  });
});

describe('a post', () => {
  it('carries entries once with their newest value, and every event in order', () => {
    const host = books();
    const book = host.register('alpha');
    for (const amount of ['1', '2', '3']) {
      book.setPosition(position('AAPL', amount));
      book.addEvent(note(amount));
      host.commit();
    }
    expect(host.waitingEvents).toBe(3);
    const post = host.takePost();
    expect(post).toMatchObject({
      events: 3,
      delta: {
        previous: 0,
        through: 3,
        strategies: [{ strategy: 'alpha', positions: [position('AAPL', '3')], events: ['1', '2', '3'].map(note) }],
      },
    });
    expect(host.waitingEvents).toBe(0);
    expect(host.takePost()).toBeNull();
  });

  it('goes on where the last one ended and names only what changed', () => {
    const host = books();
    const alpha = host.register('alpha');
    host.register('beta');
    alpha.set('x', 1);
    alpha.setPosition(position('AAPL'));
    host.commit();
    host.takePost();
    alpha.removePosition('AAPL');
    alpha.set('y', 1);
    alpha.delete('x');
    alpha.setCash('5');
    host.commit();
    expect(host.takePost()?.delta).toMatchObject({
      previous: 1,
      through: 2,
      strategies: [
        {
          strategy: 'alpha',
          positions_removed: ['AAPL'],
          state: [['y', 1]],
          state_removed: ['x'],
          cash: [['USD', '5']],
        },
      ],
    });
  });

  it('never lets a staged value out', () => {
    const host = books();
    const book = host.register('alpha');
    book.setPosition(position('AAPL', '1'));
    book.setOrder(order('o1'));
    book.setCash('1');
    book.set('x', 'committed');
    book.setHalt({ reason: 'committed', source: 'operator', at: '2025-10-02T14:30:00Z' });
    book.setCursor({ activity_id: 'committed', at: null });
    book.addEvent(note('committed'));
    host.commit();
    book.setPosition(position('AAPL', '2'));
    book.setPosition(position('AAPL', '3'));
    book.removeOrder('o1');
    book.setCash('2');
    book.set('x', 'staged');
    book.set('y', 'staged');
    book.setHalt(null);
    book.setCursor({ activity_id: 'staged', at: null });
    book.addEvent(note('staged'));
    const post = host.takePost();
    expect(post?.delta.strategies).toEqual([
      {
        strategy: 'alpha',
        positions: [position('AAPL', '1')],
        orders: [order('o1')],
        cash: [['USD', '1']],
        state: [['x', 'committed']],
        halt: { reason: 'committed', source: 'operator', at: '2025-10-02T14:30:00Z' },
        cursor: { activity_id: 'committed', at: null },
        events: [note('committed')],
      },
    ]);
    host.commit();
    expect(host.takePost()?.delta.strategies[0]).toMatchObject({
      positions: [position('AAPL', '3')],
      orders_removed: ['o1'],
      state: [
        ['x', 'staged'],
        ['y', 'staged'],
      ],
      halt: null,
      events: [note('staged')],
    });
  });

  it('carries the last price of a position that changed, and samples held assets only when asked', () => {
    const host = books();
    const book = host.register('alpha');
    book.setPosition(position('AAPL'));
    book.setPosition(position('MSFT'));
    host.commit();
    host.mark('AAPL', '155.50');
    expect(host.takePost()?.delta).not.toHaveProperty('marks');
    host.mark('AAPL', '156');
    host.mark('MSFT', '300');
    host.mark('TSLA', '1');
    expect(host.takePost()).toBeNull();
    const post = host.takePost(true);
    expect(post?.delta).toMatchObject({ previous: 1, through: 2, strategies: [] });
    expect(post?.delta.marks).toEqual([
      ['AAPL', '156'],
      ['MSFT', '300'],
    ]);
    expect(host.takePost(true)).toBeNull();
    host.mark('AAPL', '156');
    expect(host.takePost(true)).toBeNull();
    book.setPosition(position('AAPL', '2'));
    host.commit();
    expect(host.takePost()?.delta.strategies[0]?.positions?.[0]?.last_price).toBe('156');
    expect(host.snapshot().strategies[0]?.positions.map((each) => each.last_price)).toEqual(['156', '300']);
    expect(() => host.mark('AAPL', 'x')).toThrow(/mark of "AAPL"/);
    expect(() => host.mark('NEVER', undefined as never)).toThrow(/mark of "NEVER"/);
  });

  it('samples what is held at the last commit, also where that is staged to go', () => {
    const host = books();
    const book = host.register('alpha');
    book.setPosition(position('AAPL'));
    host.commit();
    host.takePost();
    host.mark('AAPL', '7');
    book.removePosition('AAPL');
    expect(host.takePost(true)?.delta.marks).toEqual([['AAPL', '7']]);
    host.rollback();
    expect(book.snapshot().positions[0]?.last_price).toBe('7');
  });

  it('forgets that an asset was held when the last position in it is gone', () => {
    const host = books();
    const book = host.register('alpha');
    book.setPosition(position('AAPL'));
    host.commit();
    book.removePosition('AAPL');
    host.commit();
    host.takePost();
    host.mark('AAPL', '1');
    expect(host.takePost(true)).toBeNull();
  });

  it('can be the whole of a book, of its last commit', () => {
    const host = books();
    const book = host.register('alpha');
    book.setPosition(position('AAPL'));
    book.set('x', 1);
    host.commit();
    book.set('x', 2);
    expect(book.whole().delta).toEqual({
      strategy: 'alpha',
      whole: true,
      positions: [position('AAPL')],
      orders: [],
      cash: [],
      state: [['x', 1]],
      halt: null,
      cursor: { activity_id: null, at: null },
      recent_execution_ids: [],
    });
  });
});

describe('a snapshot of the host', () => {
  it('is of the last commit, for every strategy alike', () => {
    const host = books();
    host.begin(4);
    host.register('beta').set('x', 1);
    host.register('alpha').set('x', 1);
    host.commit();
    host.register('alpha').set('x', 2);
    const snapshot = host.snapshot();
    expect(snapshot).toMatchObject({ sequence: 5, epoch: 3, timestamp: '2025-10-02T14:30:00.000000Z' });
    expect(snapshot.strategies.map((each) => [each.strategy_name, each.strategy_state])).toEqual([
      ['alpha', { x: 1 }],
      ['beta', { x: 1 }],
    ]);
  });
});
