import { deepStrictEqual } from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { Decimal } from '../../src/model/money.ts';
import { decodeCheckpoint, encodeCheckpoint } from '../../src/persistence/checkpoint-codec.ts';
import { encodeRecord } from '../../src/persistence/journal-format.ts';
import { decodeRecords } from '../../src/persistence/journal-records.ts';
import { Mirror } from '../../src/persistence/mirror.ts';
import { HostBooks } from '../../src/state/host-books.ts';
import { type PersistenceThread, startPersistenceThread } from '../../src/state/persistence-thread.ts';
import { defaultStateLimits } from '../../src/state/state-limits.ts';
import { StateManager } from '../../src/state/state-manager.ts';
import { manualClock, position } from '../support/state-fixtures.ts';

// Row 17 of the fault matrix: whatever a strategy keeps comes back as what it was, through the journal and through a checkpoint, or it
// is refused by strategy and path while the earlier state stands.

class Signal {
  strength = 1;
}
const nested = (depth: number): unknown => {
  let value: unknown = 1;
  for (let level = 0; level < depth; level += 1) value = { a: [value] };
  return value;
};
const cycle = (): unknown => {
  const value: { list: unknown[] } = { list: [] };
  value.list.push({ back: value });
  return value;
};
const throwing = (traps: ProxyHandler<object>): unknown => ({ p: new Proxy({ a: 1 }, traps) });
const trap = (): never => {
  throw new Error('a trap');
};

const kept: [string, () => unknown][] = [
  ['a text with every kind of character', () => 'é€😀"\\\u0000\u007f\u2028\ufeff'],
  ['lone surrogates', () => ['\ud800', '\udc00', 'a\ud83d', { '\ud800': 1 }]],
  ['numbers at their ends', () => [Number.MAX_VALUE, Number.MIN_VALUE, Number.MAX_SAFE_INTEGER, 1e21, 0.1 + 0.2]],
  ['-0', () => [-0, { a: -0 }]],
  ['undefined', () => ({ a: undefined, b: [undefined] })],
  ['undefined alone', () => undefined],
  ['null', () => null],
  ['BigInt', () => [2n ** 200n, -1n, 0n]],
  [
    'a Map with any keys',
    () =>
      new Map<unknown, unknown>([
        [{ a: 1 }, new Map([[1n, 2]])],
        [new Date(5), undefined],
      ]),
  ],
  ['a Set', () => new Set<unknown>(['a', [1], -0])],
  ['Dates', () => [new Date(0), new Date(-1e15), new Date(8.64e15)]],
  ['Decimals', () => [new Decimal('0.10'), new Decimal('-0'), new Decimal(1).div(3), new Decimal('1e30')]],
  ['lists of floats', () => [Float64Array.of(0.1, -0, Number.NaN, Number.NEGATIVE_INFINITY), Float32Array.of(0.1)]],
  ['lists of integers', () => [Int8Array.of(-128), Uint16Array.of(65_535), Int32Array.of(-1), Uint8ClampedArray.of(9)]],
  ['lists of BigInts', () => [BigInt64Array.of(-(2n ** 63n)), BigUint64Array.of(2n ** 64n - 1n)]],
  ['bytes', () => [Uint8Array.of(0, 255), Buffer.from('holdfast'), Uint8Array.of(1, 2).buffer]],
  ['a key named __proto__', () => JSON.parse('{"__proto__": {"polluted": 1}, "a": {"__proto__": null}}')],
  ['keys named like methods', () => ({ constructor: 1, toString: { hasOwnProperty: 1 }, '': 2 })],
  ['what looks like a tag', () => ({ $holdfast: 'Map', entries: [['a', 1]] })],
  ['keys that are numbers', () => ({ b: 1, 10: 2, 2: 3 })],
  ['nesting of 256', () => nested(128)],
  ['a list of 100,000', () => Array.from({ length: 100_000 }, (_, index) => index)],
  ['a text of 8 MiB', () => 'x'.repeat(8 * 2 ** 20)],
];

const refused: [string, () => unknown, string, string][] = [
  ['a function', () => ({ on: { fill: () => 1 } }), 'STATE_VALUE_INVALID', '$.on.fill'],
  ['a symbol', () => [Symbol('s')], 'STATE_VALUE_INVALID', '$[0]'],
  ['a symbol as key', () => ({ a: { [Symbol('s')]: 1 } }), 'STATE_VALUE_INVALID', '$.a'],
  ['NaN', () => ({ a: [1, Number.NaN] }), 'STATE_VALUE_INVALID', '$.a[1]'],
  ['Infinity', () => Number.POSITIVE_INFINITY, 'STATE_VALUE_INVALID', '$'],
  ['a cycle', cycle, 'STATE_VALUE_INVALID', '$.list[0].back'],
  ['a class without a codec', () => new Map([['s', new Signal()]]), 'STATE_VALUE_INVALID', '$.entries[0][1]'],
  ['a subclass of Map', () => [new (class Book extends Map {})()], 'STATE_VALUE_INVALID', '$[0]'],
  ['a Promise', () => ({ p: Promise.resolve() }), 'STATE_VALUE_INVALID', '$.p'],
  ['a WeakMap', () => new WeakMap(), 'STATE_VALUE_INVALID', '$'],
  ['an Error', () => [new Error('x')], 'STATE_VALUE_INVALID', '$[0]'],
  ['an invalid Date', () => ({ at: new Date(Number.NaN) }), 'STATE_VALUE_INVALID', '$.at'],
  ['a Decimal that is no number', () => [new Decimal('NaN')], 'STATE_VALUE_INVALID', '$[0]'],
  ['a Decimal with a property', () => [Object.assign(new Decimal(1), { x: 1 })], 'STATE_VALUE_INVALID', '$[0]'],
  ['an array with holes', () => ({ a: new Array(3) }), 'STATE_VALUE_INVALID', '$.a'],
  ['an array with a property', () => ({ a: Object.assign([1], { x: 1 }) }), 'STATE_VALUE_INVALID', '$.a'],
  [
    'a getter',
    () => ({
      get now() {
        return 1;
      },
    }),
    'STATE_VALUE_INVALID',
    '$.now',
  ],
  [
    'a getter that throws',
    () => ({
      get now() {
        return trap();
      },
    }),
    'STATE_VALUE_INVALID',
    '$.now',
  ],
  ['a proxy that throws for its prototype', () => throwing({ getPrototypeOf: trap }), 'STATE_VALUE_INVALID', '$.p'],
  ['a proxy that throws for its keys', () => throwing({ ownKeys: trap }), 'STATE_VALUE_INVALID', '$.p'],
  [
    'a proxy that throws for a value',
    () => throwing({ getOwnPropertyDescriptor: trap }),
    'STATE_VALUE_INVALID',
    '$.p.a',
  ],
  ['a proxy of a Map', () => ({ m: new Proxy(new Map(), {}) }), 'STATE_VALUE_INVALID', '$.m.entries'],
  [
    'a revoked proxy',
    () => {
      const { proxy, revoke } = Proxy.revocable({}, {});
      revoke();
      return [proxy];
    },
    'STATE_VALUE_INVALID',
    '$[0]',
  ],
  [
    'an object that throws what has no text',
    () =>
      throwing({
        ownKeys: () => {
          throw Object.create(null);
        },
      }),
    'STATE_VALUE_INVALID',
    '$.p',
  ],
  ['a buffer that can be resized', () => [new ArrayBuffer(1, { maxByteLength: 2 })], 'STATE_VALUE_INVALID', '$[0]'],
  [
    'a detached buffer',
    () => {
      const buffer = new ArrayBuffer(8);
      structuredClone(buffer, { transfer: [buffer] });
      return [buffer];
    },
    'STATE_VALUE_INVALID',
    '$[0]',
  ],
  ['nesting of 5,000', () => nested(2_500), 'STATE_VALUE_INVALID', ''],
  ['a text of 64 MiB', () => ({ text: 'x'.repeat(64 * 2 ** 20) }), 'STATE_VALUE_TOO_LARGE', '$.text'],
  ['bytes of 64 MiB', () => [Buffer.alloc(64 * 2 ** 20)], 'STATE_VALUE_TOO_LARGE', '$[0]'],
  [
    'a list that refers to itself many times',
    () => {
      let value: unknown = ['leaf'];
      for (let i = 0; i < 60; i += 1) value = [value, value];
      return value;
    },
    'STATE_VALUE_TOO_LARGE',
    '',
  ],
];

const counts = { kept: 0, refused: 0, restarted: 0 };

function books(stateValueMaxBytes = defaultStateLimits.stateValueMaxBytes): HostBooks {
  const limits = { ...defaultStateLimits, stateValueMaxBytes };
  return new HostBooks({ currency: 'USD', epoch: 1, clock: manualClock(), limits });
}

describe('a value that is kept', () => {
  it.each(kept)('comes back from the journal and from a checkpoint as what it was: %s', (_, make) => {
    const host = books();
    host.register('alpha').set('value', make());
    host.commit();
    const post = host.takePost();
    const bytes = Buffer.from(
      encodeRecord({ kind: 'delta', ...(post?.delta ?? { previous: 0, through: 0, at: '', strategies: [] }) }),
    );
    const [record] = decodeRecords(bytes, 0, bytes.length);
    if (record?.kind !== 'delta') throw new Error('expected a delta');
    const mirror = new Mirror({ currency: 'USD' });
    mirror.apply(record);
    const at = { epoch: 1, sequence: 1, timestamp: '2025-10-02T14:30:00.000000Z' };
    const file = encodeCheckpoint(mirror.snapshot('alpha'), at).bytes;
    const decoded = decodeCheckpoint(file, { strategy: 'alpha', file: 'alpha_checkpoint.json' });
    if (decoded.kind !== 'ok') throw new Error(decoded.why);
    for (const restored of [mirror.snapshot('alpha'), decoded.checkpoint]) {
      const again = books();
      again.load(restored);
      deepStrictEqual(again.register('alpha').get('value'), make());
    }
    deepStrictEqual(host.register('alpha').get('value'), make());
    counts.kept += 1;
  });
});

describe('a value that cannot be kept', () => {
  it.each(refused)('is refused by strategy and path, and what stood there stands: %s', (_, make, code, path) => {
    const host = books(2 ** 20);
    const alpha = host.register('alpha');
    alpha.set('value', 'before');
    host.commit();
    alpha.set('other', 'staged');
    let error: unknown;
    try {
      alpha.set('value', make());
    } catch (thrown) {
      error = thrown;
    }
    expect(error).toMatchObject({ name: 'StateError', code, details: { strategy: 'alpha', key: 'value' } });
    const { message, details } = error as { message: string; details: { path: string } };
    expect(details.path.startsWith('$')).toBe(true);
    if (path !== '') expect(details.path).toBe(path);
    for (const part of ['alpha', '"value"', details.path]) expect(message).toContain(part);
    host.register('beta').set('value', 1);
    host.commit();
    expect(host.snapshot().strategies.map(({ strategy_state }) => strategy_state)).toEqual([
      { other: 'staged', value: 'before' },
      { value: 1 },
    ]);
    counts.refused += 1;
  });
});

describe('with the real worker', () => {
  it('all come back from the journal of a worker that was shot, and from checkpoints; in one order of keys', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'holdfast-values-'));
    const quiet = { info: () => {}, warn: () => {}, error: () => {} };
    const threads: PersistenceThread[] = [];
    const open = (): Promise<StateManager> =>
      StateManager.openWith(
        { directory, force: true, logger: quiet, checkpointIntervalMs: 0, stateValueMaxBytes: 2 ** 20 },
        (start) => {
          const thread = startPersistenceThread(start);
          threads.push(thread);
          return thread;
        },
      );
    const small = kept.filter(([name]) => !/MiB|100,000/.test(name)).reverse();
    const keys = [...small.map(([name]) => name), '10', '2'].sort();
    const expectAll = (state: StateManager): void => {
      const alpha = state.register('alpha');
      for (const [name, make] of small) deepStrictEqual(alpha.get(name), make(), name);
      expect(alpha.keys()).toEqual(keys);
      // An object has its whole numbers first, whatever anybody does.
      expect(Object.keys(alpha.snapshot().strategy_state)).toEqual([
        '2',
        '10',
        ...keys.filter((key) => !/^\d+$/.test(key)),
      ]);
    };
    try {
      const first = await open();
      const alpha = first.register('alpha');
      alpha.setPosition(position('AAPL', '100'));
      for (const [name, make] of small) alpha.set(name, make());
      for (const key of ['10', '2']) alpha.set(key, 1);
      first.commit();
      for (const [name, make] of refused) expect(() => alpha.set(name, make()), name).toThrow(/strategy alpha/);
      await first.durable();
      expectAll(first);
      await threads.at(-1)?.terminate();
      alpha.setCash('1');
      await first.durable(first.commit());
      await first.close({ checkpoint: false });
      const second = await open();
      expectAll(second);
      await second.checkpoint();
      await second.close();
      const third = await open();
      expectAll(third);
      expect(third.register('alpha').position('AAPL')?.amount).toBe('100');
      await third.close();
      counts.restarted = small.length;
    } finally {
      rmSync(directory, { recursive: true, force: true });
    }
  });
});

afterAll(() => {
  const { kept: back, refused: not, restarted } = counts;
  process.stdout.write(
    `row 17: ${kept.length + refused.length} values: ${back} of ${kept.length} kept exactly through journal and checkpoint (${restarted} also through restarts), ${not} of ${refused.length} refused by strategy and path, ${kept.length + refused.length - back - not} lost\n`,
  );
});
