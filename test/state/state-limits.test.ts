import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { StateEvent } from '../../src/model/event.ts';
import { encodeRecord, groupBytesMax } from '../../src/persistence/journal-format.ts';
import { Mirror } from '../../src/persistence/mirror.ts';
import type { Book } from '../../src/state/book.ts';
import { strategyBytes } from '../../src/state/entry-bytes.ts';
import { HostBooks, type Post } from '../../src/state/host-books.ts';
import { defaultStateLimits, type StateLimits } from '../../src/state/state-limits.ts';
import { fill, manualClock, note, order, position } from '../support/state-fixtures.ts';

interface Rig {
  readonly host: HostBooks;
  readonly posts: Post[];
  readonly large: string[];
  book(name: string): Book;
  /** Takes everything that waits, after what was cut. */
  post(): readonly Post[];
}

function rig(limits: Partial<StateLimits> = {}): Rig {
  const posts: Post[] = [];
  const large: string[] = [];
  const host = new HostBooks({
    currency: 'USD',
    epoch: 1,
    clock: manualClock(),
    limits: { ...defaultStateLimits, ...limits },
    onCut: (post) => posts.push(post),
    onLargeValue: (strategy, key, bytes) => large.push(`${strategy}.${key} ${bytes}`),
  });
  return {
    host,
    posts,
    large,
    book: (name) => host.register(name),
    post() {
      const last = host.takePost();
      if (last !== null) posts.push(last);
      return posts;
    },
  };
}

const code = (name: string, details: object = {}) =>
  expect.objectContaining({ code: name, details: expect.objectContaining(details) });
const text = (bytes: number): string => 'x'.repeat(bytes - 2);
const longNote = (bytes: number): StateEvent => ({ ...note('long'), data: text(bytes) }) as StateEvent;

/** Bytes of the record that a post becomes. */
function recordBytes({ delta }: Post): number {
  return Buffer.byteLength(encodeRecord({ kind: 'delta', ...delta }));
}

it('the bounds leave room in the largest record that a journal takes', () => {
  const { postBytesMax, wholeBytesMax, hostStateMaxBytes } = defaultStateLimits;
  expect(wholeBytesMax).toBeLessThan(groupBytesMax);
  // What is committed, and the last prices of 300,000 assets.
  expect(postBytesMax + 300_000 * 200).toBeLessThan(groupBytesMax);
  expect(hostStateMaxBytes).toBeLessThan(postBytesMax);
});

describe('a state value', () => {
  it('above its bound is refused by strategy, key and path, and what stood there stands', () => {
    const { host, book } = rig({ stateValueMaxBytes: 1_000 });
    const alpha = book('alpha');
    alpha.set('book', { a: [1] });
    host.commit();
    expect(() => alpha.set('book', { a: [1, text(1_001)] })).toThrow(
      code('STATE_VALUE_TOO_LARGE', { strategy: 'alpha', key: 'book', path: '$.a[1]', bytes_max: 1_000 }),
    );
    expect(host.commit()).toBe(1);
    expect(alpha.get('book')).toEqual({ a: [1] });
    alpha.set('book', text(1_000));
    expect(host.commit()).toBe(2);
  });

  it('that would bring a strategy above its bound is refused; smaller, deleted or rolled back there is room again', () => {
    const { host, book } = rig({ strategyStateMaxBytes: 1_000 });
    const alpha = book('alpha');
    const refused = code('STATE_TOO_LARGE', { strategy: 'alpha', key: 'b', scope: 'strategy', bytes_max: 1_000 });
    alpha.set('a', text(600));
    expect(() => alpha.set('b', text(400))).toThrow(refused);
    host.rollback();
    alpha.set('b', text(400));
    host.commit();
    alpha.set('a', text(500));
    host.commit();
    expect(() => alpha.set('b', text(500))).toThrow(refused);
    expect(alpha.get('b')).toBe('x'.repeat(398));
    alpha.set('a', text(300));
    alpha.set('b', text(500));
    alpha.delete('a');
    alpha.set('b', text(900));
    expect(() => alpha.set('a', text(100))).toThrow(code('STATE_TOO_LARGE', { key: 'a' }));
    host.rollback();
    expect([alpha.get('a'), alpha.get('b')]).toEqual(['x'.repeat(498), 'x'.repeat(398)]);
    book('beta').set('a', text(900));
  });

  it('counts together with those of all strategies', () => {
    const { host, book } = rig({ hostStateMaxBytes: 1_000 });
    book('alpha').set('a', text(600));
    host.commit();
    expect(() => book('beta').set('b', text(400))).toThrow(
      code('STATE_TOO_LARGE', { strategy: 'beta', scope: 'host' }),
    );
    book('alpha').set('a', text(500));
    book('beta').set('b', text(400));
    host.commit();
  });

  it('that a restore brought counts, and one above a lower bound can only shrink', () => {
    const first = rig();
    first.book('alpha').set('a', text(2_000));
    first.host.commit();
    const { host, book } = rig({ strategyStateMaxBytes: 1_500, stateValueMaxBytes: 5_000 });
    for (const strategy of first.host.snapshot().strategies) host.load(strategy);
    const alpha = book('alpha');
    expect(alpha.get('a')).toHaveLength(1_998);
    expect(() => alpha.set('a', text(2_001))).toThrow(code('STATE_TOO_LARGE'));
    expect(() => alpha.set('b', 1)).toThrow(code('STATE_TOO_LARGE'));
    alpha.set('a', text(1_900));
    alpha.set('a', text(100));
    alpha.set('b', text(1_300));
    host.commit();
  });

  it('that is large is told of once a key, when it is committed', () => {
    const { host, book, large } = rig({ stateValueWarnBytes: 100 });
    const alpha = book('alpha');
    alpha.set('a', text(101));
    host.rollback();
    expect(large).toEqual([]);
    for (let i = 0; i < 3; i += 1) {
      alpha.set('a', text(101 + i));
      alpha.set('b', text(100));
      host.commit();
    }
    book('beta').set('a', text(200));
    host.commit();
    expect(large).toEqual(['alpha.a 101', 'beta.a 200']);
    alpha.delete('a');
    host.commit();
    alpha.set('a', text(300));
    host.commit();
    expect(large.at(-1)).toBe('alpha.a 300');
  });
});

describe('an event', () => {
  it.each<[string, StateEvent]>([
    ['a note', longNote(1_001)],
    ['a plan action', { kind: 'plan_action', report_id: 'r', action: { a: [text(1_001)] }, at: note('x').at }],
    ['the name of a note', note(text(1_001))],
    ['a halt', { kind: 'halt', reason: text(1_001), source: 's', at: note('x').at }],
    ['a resume', { kind: 'resume', reason: text(1_001), at: note('x').at }],
    [
      'an outcome',
      {
        kind: 'order_outcome',
        order_id: 'o1',
        status: 'rejected',
        broker_order_id: null,
        reason: text(1_001),
        at: note('x').at,
      },
    ],
  ])('above its bound is refused, and nothing is added: %s', (_, event) => {
    const { host, book, post } = rig({ eventMaxBytes: 1_000 });
    const alpha = book('alpha');
    alpha.addEvent(note('before'));
    expect(() => alpha.addEvent(event)).toThrow(code('EVENT_TOO_LARGE', { strategy: 'alpha', kind: event.kind }));
    host.commit();
    expect(post()[0]?.delta.strategies[0]?.events).toEqual([note('before')]);
  });
});

describe('a commit', () => {
  it('with more than a post can hold is refused where it is staged; with a commit in between it all is kept', () => {
    const { host, book, post } = rig({ postBytesMax: 10_000 });
    const alpha = book('alpha');
    alpha.set('a', text(6_000));
    expect(() => alpha.set('b', text(6_000))).toThrow(code('STATE_TOO_LARGE', { strategy: 'alpha', scope: 'commit' }));
    expect(() => book('beta').addEvent(longNote(5_000))).toThrow(code('STATE_TOO_LARGE', { strategy: 'beta' }));
    expect(alpha.get('b')).toBeUndefined();
    host.commit();
    alpha.set('b', text(6_000));
    host.commit();
    expect(post().map(({ delta }) => [delta.previous, delta.through])).toEqual([
      [0, 1],
      [1, 2],
    ]);
  });

  it('cuts the post before itself where both are too much, and what is staged is in neither before its time', () => {
    const { host, book, posts, post } = rig({ postBytesMax: 10_000 });
    const alpha = book('alpha');
    alpha.set('a', 'committed');
    alpha.addEvent(longNote(5_000));
    host.commit();
    alpha.set('a', 'staged');
    alpha.addEvent(longNote(5_000));
    host.commit();
    expect(posts).toHaveLength(1);
    expect(posts[0]).toMatchObject({
      events: 1,
      delta: { through: 1, strategies: [{ state: [['a', 'committed']] }] },
    });
    expect(post()[1]).toMatchObject({
      events: 1,
      delta: { previous: 1, through: 2, strategies: [{ state: [['a', 'staged']] }] },
    });
  });

  it('counts neither what a post has taken nor what was rolled back', () => {
    const { host, book, posts } = rig({ postBytesMax: 10_000 });
    for (let i = 0; i < 5; i += 1) {
      book('alpha').set(`k${i}`, text(6_000));
      book('alpha').addEvent(longNote(1_000));
      host.rollback();
      book('alpha').set(`k${i}`, text(6_000));
      host.commit();
      expect(host.takePost()).not.toBeNull();
    }
    for (const key of ['small', 'smaller']) {
      book('alpha').set(key, 1);
      host.commit();
    }
    expect(posts).toEqual([]);
  });

  it('does not cut what conflates: the same key again and again is one value', () => {
    const { host, book, posts } = rig({ postBytesMax: 10_000 });
    for (let i = 0; i < 50; i += 1) {
      book('alpha').set('a', text(6_000));
      book('alpha').setPosition(position('AAPL', String(i)));
      book('alpha').setOrder(order('o1', { amount: String(i) }));
      host.commit();
    }
    expect(posts).toEqual([]);
  });

  it('of whatever changes makes records within the bound, of which a mirror gets the very state', () => {
    const postBytesMax = 40_000;
    const long = fc.integer({ min: 2, max: 12_000 });
    const hostile = fc.constantFrom('"', '\\', '\u0001', 'é', '\ud800', '€', 'a');
    const change = fc.oneof(
      fc.record({ do: fc.constant('state' as const), key: fc.nat(5), bytes: long, of: hostile }),
      fc.record({ do: fc.constant('delete' as const), key: fc.nat(5) }),
      fc.record({ do: fc.constant('note' as const), bytes: long, of: hostile }),
      fc.record({ do: fc.constant('numbers' as const), key: fc.nat(5), count: fc.nat(500), by: fc.double() }),
      fc.record({ do: fc.constant('order' as const), key: fc.nat(5), bytes: fc.nat(2_000), of: hostile }),
      fc.record({ do: fc.constant('position' as const), key: fc.nat(50) }),
      fc.record({
        do: fc.constant('fill' as const),
        key: fc.nat(50),
        bytes: fc.integer({ min: 1, max: 200 }),
        of: hostile,
      }),
      fc.record({ do: fc.constant('latch' as const), bytes: fc.nat(1_000), of: hostile }),
      fc.constant({ do: 'commit' as const }),
      fc.constant({ do: 'rollback' as const }),
      fc.constant({ do: 'post' as const }),
    );
    const decimals = `-${'9'.repeat(24)}.${'9'.repeat(24)}`;
    const worst = { sid: Number.MAX_SAFE_INTEGER, currency: 'ABCDEFGHIJKL' };
    let cuts = 0;
    let largest = 0;
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.constantFrom('alpha', 'beta'), change), { size: '+1' }), (program) => {
        const { host, book, posts, post } = rig({ postBytesMax, stateValueMaxBytes: 100_000, eventMaxBytes: 100_000 });
        for (const [name, each] of program) {
          const target = book(name);
          try {
            switch (each.do) {
              case 'state':
                target.set(`k${each.key}`, each.of.repeat(each.bytes));
                break;
              case 'numbers':
                target.set(`k${each.key}`, new Float64Array(each.count).fill(each.by));
                break;
              case 'delete':
                target.delete(`k${each.key}`);
                break;
              case 'note':
                target.addEvent({ ...note('n'), data: { text: each.of.repeat(each.bytes) } } as StateEvent);
                break;
              case 'order': {
                const texts = { replaces: each.of.repeat(128), broker_order_id: each.of.repeat(128) };
                const numbers = {
                  amount: decimals,
                  limit_price: decimals,
                  stop_price: decimals,
                  filled_amount: decimals,
                };
                const reason = each.of.repeat(each.bytes);
                target.setOrder(order(`o${each.key}`, { ...texts, ...numbers, reason, sid: worst.sid }));
                break;
              }
              case 'position': {
                const numbers = { last_price: decimals, total_cost: decimals, realized_pnl: decimals, fees: decimals };
                const asset = `${'"\\'.repeat(31)}${each.key}`;
                target.setPosition(position(asset, decimals, { ...worst, ...numbers, cost_basis: decimals }));
                break;
              }
              case 'fill': {
                const execution_id = each.of.repeat(each.bytes);
                target.addEvent(
                  fill(execution_id, {
                    amount: decimals,
                    price: decimals,
                    fee: decimals,
                    order_id: execution_id.slice(0, 128),
                  }),
                );
                break;
              }
              case 'latch': {
                const at = '2025-10-02T14:30:00.123456789+00:00';
                target.setHalt({ reason: each.of.repeat(2 * each.bytes), source: each.of.repeat(each.bytes / 10), at });
                target.setCursor({ activity_id: each.of.repeat(each.bytes), at });
                break;
              }
              case 'commit':
                host.commit();
                break;
              case 'rollback':
                host.rollback();
                break;
              case 'post':
                cuts += posts.length;
                post();
                break;
            }
          } catch (error) {
            expect(error).toMatchObject({ code: 'STATE_TOO_LARGE', details: { scope: 'commit' } });
            host.commit();
          }
        }
        host.commit();
        const mirror = new Mirror({ currency: 'USD' });
        for (const each of post()) {
          const bytes = recordBytes(each);
          largest = Math.max(largest, bytes);
          // The frame of a record without changes is about 100 bytes. What one commit stages does not count its strategies' names.
          expect(bytes).toBeLessThanOrEqual(postBytesMax + 100 + each.delta.strategies.length * strategyBytes);
          mirror.apply(each.delta);
        }
        expect(mirror.sequence).toBe(host.sequence);
        for (const name of host.strategies()) {
          expect(JSON.stringify(sorted(mirror.snapshot(name)))).toBe(JSON.stringify(sorted(book(name).snapshot())));
        }
      }),
      { numRuns: 300 },
    );
    // A test of bounds that are never come near to tests nothing.
    expect(cuts).toBeGreaterThan(20);
    expect(largest).toBeGreaterThan(postBytesMax / 2);
  });
});

function sorted(value: object): unknown {
  return JSON.parse(JSON.stringify(value), (_, item) =>
    typeof item === 'object' && item !== null && !Array.isArray(item)
      ? Object.fromEntries(Object.entries(item).sort(([a], [b]) => (a < b ? -1 : 1)))
      : item,
  );
}

describe('the whole of all strategies, for a worker that has lost what it had', () => {
  it('is one post with the events that wait where they fit, else events follow in posts of their own', () => {
    const roomy = rig();
    roomy.book('alpha').addEvent(longNote(3_000));
    roomy.host.commit();
    expect(roomy.host.takeWhole(0, () => []).map(({ events }) => events)).toEqual([1]);

    const { host, book, posts } = rig({ postBytesMax: 8_000, wholeBytesMax: 9_000 });
    for (const name of ['alpha', 'beta']) book(name).set('a', text(2_000));
    for (let i = 0; i < 10; i += 1) {
      book(i % 2 === 0 ? 'alpha' : 'beta').addEvent(longNote(1_000 + i));
      host.commit();
    }
    const wholes = host.takeWhole(4, () => posts);
    expect(wholes.map(({ events }) => events)).toEqual([0, 6, 4]);
    expect(wholes.map(({ delta }) => delta.previous)).toEqual([4, 11, 12]);
    expect(wholes[0]?.delta.strategies).toMatchObject([{ whole: true }, { whole: true }]);
    for (const each of wholes) expect(recordBytes(each)).toBeLessThanOrEqual(9_000);
    const kept = wholes.flatMap(({ delta }) => delta.strategies.flatMap(({ events = [] }) => events));
    expect(kept.map((event) => event.kind === 'note' && String(event.data).length).sort()).toEqual(
      Array.from({ length: 10 }, (_, i) => 998 + i).sort(),
    );
    expect(host.takePost()).toBeNull();
  });

  it('that no record can hold is refused before anything is taken back', () => {
    const { host, book } = rig({ wholeBytesMax: 9_000 });
    for (const name of ['alpha', 'beta', 'gamma']) book(name).set('a', text(3_000));
    book('alpha').addEvent(note('kept'));
    host.commit();
    let taken = false;
    expect(() =>
      host.takeWhole(0, () => {
        taken = true;
        return [];
      }),
    ).toThrow(code('STATE_TOO_LARGE', { scope: 'whole', bytes_max: 9_000 }));
    expect(taken).toBe(false);
    expect(host.takePost()).toMatchObject({ events: 1, delta: { through: 1 } });
  });
});
