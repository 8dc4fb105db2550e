import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { StrategyDelta } from '../../src/model/delta.ts';
import type { StrategySnapshot } from '../../src/model/snapshot.ts';
import { decodeCheckpoint, encodeCheckpoint } from '../../src/persistence/checkpoint-codec.ts';
import { CheckpointEncoder } from '../../src/persistence/checkpoint-encoder.ts';
import type { EncodedCheckpoint } from '../../src/persistence/checkpoint-text.ts';
import { Mirror } from '../../src/persistence/mirror.ts';
import { at, snapshotOf } from '../support/checkpoint-fixtures.ts';

// A checkpoint that is made from the last one has the bytes of one that is made of nothing, whatever happened in between.

const expected = { strategy: 'alpha', file: 'alpha_checkpoint.json' };
const amount = fc.integer({ min: -1000, max: 1000 }).map(String);
const asset = fc.integer({ min: 0, max: 199 }).map((number) => `A${number}`);
const text = fc.string({ unit: 'binary', minLength: 1, maxLength: 8 });
const id = fc.integer({ min: 0, max: 99 }).map((number) => `o-${number}`);

const change: fc.Arbitrary<Omit<StrategyDelta, 'strategy'>> = fc.record(
  {
    positions: fc.uniqueArray(fc.record({ asset, amount, cost_basis: amount, last_price: fc.option(amount) }), {
      selector: (position) => position.asset,
      maxLength: 3,
    }),
    positions_removed: fc.array(asset, { maxLength: 3 }),
    orders: fc.uniqueArray(
      fc.record({
        order_id: id,
        asset,
        amount,
        order_type: fc.constant('market' as const),
        broker_order_id: fc.option(text),
        status: fc.constant('open' as const),
        filled_amount: fc.constant('0'),
      }),
      { selector: (order) => order.order_id, maxLength: 3 },
    ),
    orders_removed: fc.array(id, { maxLength: 20 }),
    cash: fc.array(fc.tuple(fc.constantFrom('USD', 'EUR', 'BTC'), amount), { maxLength: 2 }),
    state: fc.array(fc.tuple(fc.oneof(text, fc.constant('__proto__')), fc.jsonValue() as fc.Arbitrary<never>), {
      maxLength: 2,
    }),
    state_removed: fc.array(text, { maxLength: 2 }),
    halt: fc.option(fc.record({ reason: text, source: text, at: fc.constant(at) })),
    recent_execution_ids: fc.array(text, { maxLength: 70, size: 'max' }),
    whole: fc.constant(true as const),
  },
  { requiredKeys: [] },
);

/** Most changes are small; `whole` drops everything, so it is rare. */
const program = fc.record({
  held: fc.integer({ min: 0, max: 200 }),
  orders: fc.integer({ min: 0, max: 100 }),
  changes: fc.array(
    fc
      .tuple(change, fc.nat({ max: 9 }))
      .map(
        ([{ whole, ...rest }, chance]): Omit<StrategyDelta, 'strategy'> =>
          whole === true && chance === 0 ? { ...rest, whole } : rest,
      ),
    { minLength: 1, maxLength: 8 },
  ),
});

type Encode = (snapshot: StrategySnapshot, place: { epoch: number; sequence: number; timestamp: string }) => Buffer;

/** Every checkpoint of the program is as it would be alone. */
function holds(encode: Encode) {
  return fc.property(program, ({ held, orders, changes }) => {
    const mirror = new Mirror({ currency: 'USD' });
    const [position] = snapshotOf('alpha').positions;
    const [order] = snapshotOf('alpha').pending_orders;
    const positions = Array.from({ length: held }, (_, index) => ({ ...position, asset: `A${index}` }) as never);
    const pending_orders = Array.from(
      { length: orders },
      (_, index) => ({ ...order, order_id: `o-${index}` }) as never,
    );
    mirror.load(snapshotOf('alpha', { positions, pending_orders }));
    for (const [index, step] of [{}, ...changes].entries()) {
      const sequence = index + 1;
      mirror.apply({ previous: index, through: sequence, at, strategies: [{ strategy: 'alpha', ...step }] });
      const place = { epoch: 1, sequence, timestamp: at };
      const bytes = encode(mirror.snapshot('alpha'), place);
      expect(bytes.toString()).toBe(encodeCheckpoint(mirror.snapshot('alpha'), place).bytes.toString());
      expect(decodeCheckpoint(bytes, expected).kind).toBe('ok');
    }
  });
}

describe('a checkpoint that is made from the last one', () => {
  it('has the same bytes as one that is not', () => {
    const encoder = () => {
      let of = new CheckpointEncoder();
      return (snapshot: StrategySnapshot, place: Parameters<Encode>[1]) => {
        if (place.sequence === 1) of = new CheckpointEncoder();
        return of.encode(snapshot, place).bytes;
      };
    };
    fc.assert(holds(encoder()), { numRuns: 300 });
  });

  it.each<[string, (last: EncodedCheckpoint, snapshot: StrategySnapshot) => EncodedCheckpoint]>([
    [
      'takes the line of the next entry',
      (last) => ({ ...last, starts: last.starts.map((_, line) => last.starts[line + 1] ?? 0) }),
    ],
    [
      'takes the sum of another part',
      (last) => ({ ...last, sums: last.sums.map((_, part) => last.sums[part ^ 1] ?? '') }),
    ],
    [
      'takes a replaced entry for the same',
      (last, { positions }) =>
        last.lists[0]?.entries.length === positions.length
          ? { ...last, lists: [{ ...last.lists[0], entries: positions }, ...last.lists.slice(1)] }
          : last,
    ],
  ])('is told from a broken one, which %s', (_, broken) => {
    let last: EncodedCheckpoint | null = null;
    const encode: Encode = (snapshot, place) => {
      if (place.sequence === 1) last = null;
      last = encodeCheckpoint(snapshot, place, last === null ? null : broken(last, snapshot));
      return last.bytes;
    };
    expect(fc.check(holds(encode), { numRuns: 300, endOnFailure: true }).failed).toBe(true);
  });

  it('takes over what is the same, and nothing that was summed before is summed again', () => {
    const positions = Array.from({ length: 640 }, (_, index) => ({ ...first, asset: `A${1000 + index}` }));
    const snapshot = snapshotOf('alpha', { positions });
    const one = encodeCheckpoint(snapshot, { epoch: 1, sequence: 1, timestamp: at });
    // Sums that are wrong show where they went.
    const marked = { ...one, sums: one.sums.map((_, part) => `${part}`) };
    const sums = (changed: typeof positions) =>
      encodeCheckpoint(
        { ...snapshot, positions: changed },
        { epoch: 1, sequence: 2, timestamp: at },
        marked,
      ).sums.flatMap((sum, part) => (sum === `${part}` ? [part] : []));
    expect(sums(positions)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9]);
    expect(sums(positions.with(200, { ...first, asset: 'A1200', amount: '7' }))).toEqual([1, 2, 4, 5, 6, 7, 8, 9]);
    expect(sums(positions.toSpliced(200, 1))).toEqual([1, 2]);
  });

  it('keeps the newest bytes of every strategy, whatever their sizes', () => {
    const encoder = new CheckpointEncoder();
    const newest = new Map<string, readonly [given: Buffer, alone: string]>();
    for (let sequence = 1; sequence <= 60; sequence += 1) {
      const name = `s${sequence % 7}`;
      const length = ((sequence % 7) * 60 + ((sequence * 13) % 40)) % 300;
      const positions = Array.from({ length }, (_, index) => ({ ...first, asset: `A${1000 + index}` }));
      const place = { epoch: 1, sequence, timestamp: at };
      const snapshot = snapshotOf(name, { positions });
      newest.set(name, [encoder.encode(snapshot, place).bytes, encodeCheckpoint(snapshot, place).bytes.toString()]);
      for (const [given, alone] of newest.values()) expect(given.toString()).toBe(alone);
    }
  });

  it('takes nothing over from a list that was changed since, nor from a checkpoint that was refused', () => {
    const [a, d, e] = ['A', 'D', 'E'].map((asset) => ({ ...first, asset })) as [
      typeof first,
      typeof first,
      typeof first,
    ];
    const positions = [a, d, e];
    const encoder = new CheckpointEncoder();
    const encode = (sequence: number) =>
      encoder.encode(snapshotOf('alpha', { positions }), { epoch: 1, sequence, timestamp: at }).bytes.toString();
    encode(1);
    positions.splice(0, 3, e, a, d);
    expect(encode(2)).toBe(alone(positions, 2));
    positions.push({ ...first, asset: 'E' });
    expect(() => encode(3)).toThrow(expect.objectContaining({ code: 'CHECKPOINT_INVALID' }));
    positions.pop();
    expect(encode(4)).toBe(alone(positions, 4));
  });
});

function alone(positions: StrategySnapshot['positions'], sequence: number): string {
  return encodeCheckpoint(snapshotOf('alpha', { positions }), { epoch: 1, sequence, timestamp: at }).bytes.toString();
}

const first = { asset: 'AAPL', sid: 1, amount: '100', cost_basis: '150.25', last_price: '155.50' };
