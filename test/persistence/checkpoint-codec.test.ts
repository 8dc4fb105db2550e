import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { JsonObject, JsonValue } from '../../src/model/json.ts';
import { finalOrderStatuses, openOrderStatuses, orderTypes, timesInForce } from '../../src/model/order.ts';
import type { StrategySnapshot } from '../../src/model/snapshot.ts';
import { timestamp } from '../../src/model/time.ts';
import { decodeCheckpoint, encodeCheckpoint } from '../../src/persistence/checkpoint-codec.ts';
import { nestingMax } from '../../src/persistence/json-check.ts';
import { at, checksumLineFor, snapshotOf } from '../support/checkpoint-fixtures.ts';

const place = { epoch: 7, sequence: 48_213, timestamp: at };
const expected = { strategy: 'mean_reversion_v1', file: 'mean_reversion_v1_checkpoint.json' };
const sample = snapshotOf('mean_reversion_v1');

describe('encodeCheckpoint', () => {
  it('writes one line for each position, order and state key, and the checksum last', () => {
    const { bytes, checksum } = encodeCheckpoint(sample, place);
    expect(Buffer.from(bytes).toString()).toBe(`{"format": "holdfast-checkpoint", "format_version": 1,
 "strategy_name": "mean_reversion_v1", "timestamp": "2025-10-02T14:30:00.123456Z", "epoch": 7, "sequence": 48213,
 "strategy_state": {
  "custom_data": {"last_signal":"buy","signal_strength":0.75}
 },
 "positions": [
  {"asset": "AAPL", "sid": 1, "amount": "100", "cost_basis": "150.25", "last_price": "155.50"}
 ],
 "pending_orders": [
  {"order_id": "h1-7-1", "asset": "GOOGL", "sid": 3, "amount": "10", "order_type": "limit", "limit_price": "2800.00", "broker_order_id": "broker-456", "status": "pending", "filled_amount": "0", "created_at": "2025-10-02T14:30:00.123456Z"}
 ],
 "cash_balance": "25000.00", "currency": "USD", "other_cash": {"EUR": "-12.5"},
 "broker_cursor": {"activity_id": "a1", "at": null,
  "recent_execution_ids": [
   "x1",
   "x2"
  ]},
 "halt": null,
 "checksum": "${checksum}"}
`);
  });

  it('covers every byte before the checksum line with the checksum', () => {
    for (const keys of [0, 1, 40, 41, 42, 104, 105, 106, 500]) {
      const state = Object.fromEntries(Array.from({ length: keys }, (_, key) => [`k${key}`, `ä${key}`]));
      const text = encodeCheckpoint(snapshotOf('s', { strategy_state: state }), place).bytes.toString();
      const end = text.lastIndexOf(' "checksum"');
      expect(text.slice(end)).toBe(checksumLineFor(text.slice(0, end)));
      expect(decodeCheckpoint(Buffer.from(text), { strategy: 's', file: 'x' }).kind).toBe('ok');
    }
  });

  it('gives the same bytes for the same snapshot, in whatever order fields and keys were set', () => {
    const position = { last_price: '1', cost_basis: '2', amount: '3', asset: 'X' };
    const turned = { asset: 'X', amount: '3', cost_basis: '2', last_price: '1' };
    const one = snapshotOf('s', {
      positions: [position],
      strategy_state: { a: 1, b: 2 },
      other_cash: { A1: '1', B1: '2' },
    });
    const other = snapshotOf('s', {
      positions: [turned],
      strategy_state: { b: 2, a: 1 },
      other_cash: { B1: '2', A1: '1' },
    });
    expect(encodeCheckpoint(other, place)).toEqual(encodeCheckpoint(one, place));
  });

  it('freezes the entries that it wrote, since the next checkpoint takes over their lines', () => {
    const position = { asset: 'X', amount: '1', cost_basis: '1', last_price: null };
    const snapshot = snapshotOf('s', { positions: [position] });
    const first = encodeCheckpoint(snapshot, place);
    expect(() => Object.assign(position, { amount: '2' })).toThrow(TypeError);
    expect(encodeCheckpoint(snapshot, place)).toEqual(first);
  });

  it.each<[string, Partial<StrategySnapshot>, RegExp]>([
    ['a number as amount', { positions: [{ ...sample.positions[0], amount: 1 } as never] }, /position AAPL .*amount/],
    [
      'a field that no reader knows',
      { positions: [{ ...sample.positions[0], note: 'x' } as never] },
      /position AAPL .*note/,
    ],
    ['an order without status', { pending_orders: [{ order_id: 'o', asset: 'X' } as never] }, /order o .*/],
    ['NaN in the state', { strategy_state: { a: { b: [0, Number.NaN] } } }, /at strategy_state\.a\.b\[1\]: NaN/],
    ['undefined in the state', { strategy_state: { a: undefined as never } }, /at strategy_state\.a: undefined/],
    ['a Date in the state', { strategy_state: { a: new Date(0) as never } }, /at strategy_state\.a: an instance/],
    ['a float as cash', { cash_balance: 0.1 as never }, /cash_balance/],
    ['a float as other cash', { other_cash: { EUR: 1 as never } }, /other_cash/],
    ['a halt without a source', { halt: { reason: 'x', at } as never }, /halt/],
    ['a position twice', { positions: [...sample.positions, ...sample.positions] }, /two entries for "AAPL"/],
    ['a name that is a path', { strategy_name: '../etc' }, /strategy_name/],
  ])('refuses %s, which the file could not give back', (_, more, message) => {
    const encode = () => encodeCheckpoint(snapshotOf('s', more), place);
    expect(encode).toThrow(
      expect.objectContaining({ code: 'CHECKPOINT_INVALID', message: expect.stringMatching(message) }),
    );
  });

  it('refuses state that nests too deep with an error of its own and no RangeError', () => {
    const encode = () => encodeCheckpoint(snapshotOf('s', { strategy_state: nested(5000) }), place);
    expect(encode).toThrow(expect.objectContaining({ code: 'CHECKPOINT_INVALID' }));
  });
});

describe('decodeCheckpoint', () => {
  it('gives back what was encoded, whatever a book may hold', () => {
    fc.assert(
      fc.property(snapshots, fc.nat(), fc.nat(), (snapshot, epoch, sequence) => {
        const { bytes, checksum } = encodeCheckpoint(snapshot, { epoch, sequence, timestamp: at });
        const decoded = decodeCheckpoint(bytes, { strategy: snapshot.strategy_name, file: 'x' });
        expect(decoded).toEqual({
          kind: 'ok',
          seed: false,
          checkpoint: {
            format: 'holdfast-checkpoint',
            format_version: 1,
            ...snapshot,
            epoch,
            sequence,
            timestamp: at,
            checksum,
          },
        });
        // toEqual is blind to own "__proto__" keys.
        const state = decoded.kind === 'ok' ? decoded.checkpoint.strategy_state : {};
        expect(JSON.stringify(sorted(state))).toBe(JSON.stringify(sorted(snapshot.strategy_state)));
      }),
      { numRuns: 300 },
    );
  });

  it('detects every flip of every bit of a file', () => {
    const { bytes } = encodeCheckpoint(sample, place);
    const undetected: string[] = [];
    for (let index = 0; index < bytes.length; index++) {
      for (let bit = 0; bit < 8; bit++) {
        const flipped = Uint8Array.from(bytes);
        flipped[index] = Number(flipped[index]) ^ (1 << bit);
        if (decodeCheckpoint(flipped, expected).kind !== 'damaged') undetected.push(`${index}.${bit}`);
      }
    }
    expect(undetected).toEqual([]);
  });

  it('detects a cut at every byte', () => {
    const { bytes } = encodeCheckpoint(sample, place);
    for (let length = 0; length < bytes.length; length++) {
      expect(decodeCheckpoint(bytes.subarray(0, length), expected).kind, `${length}`).toBe('damaged');
    }
  });

  it.each<[string, Uint8Array, RegExp]>([
    ['nothing', new Uint8Array(0), /empty/],
    ['zero bytes', new Uint8Array(4096), /zero bytes/],
    ['noise', Buffer.from([0xff, 0xfe, 0x00, 0x80]), /not JSON text in UTF-8/],
    ['a list', Buffer.from('[]'), /no JSON object/],
    ['null', Buffer.from('null'), /no JSON object/],
    ['another JSON file', Buffer.from('{"name": "holdfast"}'), /form of a checkpoint/],
    ['our fields without a checksum line', Buffer.from(withoutChecksum()), /checksum line/],
    ['one more byte at the end', Buffer.concat([encodeCheckpoint(sample, place).bytes, Buffer.from('\n')]), /checksum/],
    ['two files in one', twice(encodeCheckpoint(sample, place).bytes), /./],
  ])('calls %s damaged', (_, bytes, why) => {
    expect(decodeCheckpoint(bytes, expected)).toEqual({ kind: 'damaged', why: expect.stringMatching(why) });
  });

  it('calls a true file of another strategy foreign', () => {
    const { bytes } = encodeCheckpoint(snapshotOf('momentum'), place);
    expect(decodeCheckpoint(bytes, expected)).toEqual({ kind: 'foreign', why: expect.stringContaining('momentum') });
    expect(decodeCheckpoint(bytes, { ...expected, strategy: null }).kind).toBe('ok');
  });

  it('calls an older generation damaged that is not the one its name says', () => {
    const { bytes } = encodeCheckpoint(sample, place);
    const named = (name: string) =>
      decodeCheckpoint(bytes, { ...expected, file: `mean_reversion_v1_checkpoint.${name}.json` });
    expect(named('7-48213').kind).toBe('ok');
    expect(named('7-48214').kind).toBe('damaged');
    expect(named('8-48213').kind).toBe('damaged');
  });

  it('tells a newer format from damage, with a checksum of our kind or of another', () => {
    const newer = withoutChecksum().replace('"format_version": 1', '"format_version": 2');
    expect(decodeCheckpoint(sealed(newer), expected).kind).toBe('newer_format');
    expect(decodeCheckpoint(Buffer.from(`${newer.slice(0, -2)},\n "blake": "00"}\n`), expected).kind).toBe(
      'newer_format',
    );
    expect(decodeCheckpoint(sealed(newer.replace('version": 2', 'version": 0')), expected).kind).toBe('damaged');
    expect(decodeCheckpoint(sealed(newer.replace('version": 2', 'version": "2"')), expected).kind).toBe('damaged');
  });

  it('keeps a "__proto__" key of the state as an own key and lets it pollute nothing', () => {
    const state = JSON.parse('{"__proto__": {"polluted": 1}, "deep": {"__proto__": [2]}}') as JsonObject;
    const { bytes } = encodeCheckpoint(snapshotOf('mean_reversion_v1', { strategy_state: state }), place);
    const decoded = decodeCheckpoint(bytes, expected);
    const read = decoded.kind === 'ok' ? decoded.checkpoint.strategy_state : {};
    expect(JSON.stringify(read)).toBe(JSON.stringify(state));
    expect(Object.getPrototypeOf(read)).toBe(Object.prototype);
    expect(({} as Record<string, unknown>)['polluted']).toBeUndefined();
  });

  it.each([
    ['the file', '"halt": null', '"halt": null, "__proto__": {"a": 1}'],
    ['a position', '"asset": "AAPL"', '"asset": "AAPL", "__proto__": {"a": 1}'],
    ['an order', '"order_id": "h1-7-1"', '"order_id": "h1-7-1", "__proto__": {"a": 1}'],
    ['other_cash', '"EUR": "-12.5"', '"EUR": "-12.5", "__proto__": "1"'],
    ['broker_cursor', '"activity_id": "a1"', '"activity_id": "a1", "__proto__": null'],
  ])('refuses a "__proto__" key in %s', (_, from, to) => {
    const text = withoutChecksum();
    expect(decodeCheckpoint(sealed(text), expected).kind).toBe('ok');
    expect(decodeCheckpoint(sealed(text.replace(from, to)), expected).kind).toBe('damaged');
  });

  it.each([
    ['an unknown field', '"halt": null', '"halt": null, "extra": 1'],
    ['a missing field', ', "currency": "USD"', ''],
    ['a fraction as epoch', '"epoch": 7', '"epoch": 7.5'],
    ['a negative sequence', '"sequence": 48213', '"sequence": -1'],
    ['a number as decimal', '"amount": "100"', '"amount": 100'],
    ['an exponent', '"25000.00"', '"2.5e4"'],
    [
      'a position twice',
      '"positions": [',
      '"positions": [{"asset": "AAPL", "amount": "1", "cost_basis": "1", "last_price": null},',
    ],
    ['a list as state', '"strategy_state": {', '"strategy_state": [], "x": {'],
  ])('refuses %s although the checksum is right', (_, from, to) => {
    const text = withoutChecksum();
    expect(text).toContain(from);
    expect(decodeCheckpoint(sealed(text.replace(from, to)), expected).kind).toBe('damaged');
  });

  it('refuses what nests 5,000 deep or 200,000 deep, wherever it is, without overflowing the stack', () => {
    for (const depth of [nestingMax + 1, 5000, 200_000]) {
      const list = '['.repeat(depth) + ']'.repeat(depth);
      const text = withoutChecksum();
      for (const deep of [
        text.replace('0.75', list),
        text.replace('"halt": null', `"halt": ${list}`),
        text.replace('"halt": null', `"extra": ${list}, "halt": null`),
        text.replace('"100"', list),
      ]) {
        expect(deep).not.toBe(text);
        expect(decodeCheckpoint(sealed(deep), expected).kind).toBe('damaged');
      }
    }
  });
});

/** The sample's text as if it ended before the checksum. */
function withoutChecksum(): string {
  const text = Buffer.from(encodeCheckpoint(sample, place).bytes).toString();
  return `${text.slice(0, text.lastIndexOf(',\n "checksum"'))}}\n`;
}

function sealed(text: string): Uint8Array {
  const covered = `${text.slice(0, -2)},\n`;
  return Buffer.from(`${covered}${checksumLineFor(covered)}`);
}

function twice(bytes: Uint8Array): Uint8Array {
  return Buffer.concat([bytes, bytes]);
}

function nested(depth: number): JsonObject {
  let value: JsonObject = {};
  for (let level = 0; level < depth; level++) value = { a: value };
  return value;
}

/** Keys in one order at every level, own "__proto__" keys included. */
function sorted(value: JsonValue): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== 'object' || value === null) return value;
  const object = value as JsonObject;
  return Object.keys(object)
    .sort()
    .map((key) => [key, sorted(object[key] as JsonValue)]);
}

const decimals = fc.stringMatching(/^-?(?:0|[1-9]\d{0,23})(?:\.\d{1,24})?$/);
const assets = fc.stringMatching(/^[\x21-\x7e]{1,64}$/);
const currencies = fc.stringMatching(/^[A-Z][A-Z0-9]{1,11}$/);
const instants = fc.nat({ max: 4_000_000_000 }).map((seconds) => timestamp(seconds * 1_000_000 + (seconds % 999_983)));
const text = fc.string({ unit: 'binary', minLength: 1, maxLength: 40 });
const keys = fc.oneof(text, fc.constantFrom('__proto__', 'constructor', 'toJSON', '\ud800', '\u2028', '', '7'));

const json = fc.letrec<{ value: JsonValue; object: JsonObject }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 4 },
    fc.constant(null),
    fc.boolean(),
    fc.double({ noNaN: true, noDefaultInfinity: true }).map((number) => (number === 0 ? 0 : number)),
    fc.integer(),
    fc.string({ unit: 'binary' }),
    fc.array(tie('value'), { maxLength: 4 }),
    tie('object'),
  ),
  object: fc
    .array(fc.tuple(keys, tie('value')), { maxLength: 4 })
    .map((entries) => Object.fromEntries(entries) as JsonObject),
}));

const positions = fc.record(
  {
    asset: assets,
    amount: decimals,
    cost_basis: decimals,
    last_price: fc.option(decimals),
    sid: fc.option(fc.nat()),
    currency: currencies,
    total_cost: decimals,
    realized_pnl: decimals,
    fees: decimals,
  },
  { requiredKeys: ['asset', 'amount', 'cost_basis', 'last_price'] },
);

const orders = fc.record(
  {
    order_id: text,
    asset: assets,
    amount: decimals,
    order_type: fc.constantFrom(...orderTypes),
    broker_order_id: fc.option(text),
    status: fc.constantFrom(...openOrderStatuses, ...finalOrderStatuses),
    filled_amount: decimals,
    sid: fc.option(fc.nat()),
    limit_price: fc.option(decimals),
    stop_price: fc.option(decimals),
    time_in_force: fc.constantFrom(...timesInForce),
    average_fill_price: fc.option(decimals),
    created_at: instants,
    updated_at: instants,
    replaces: fc.option(text),
    reason: fc.option(text),
  },
  { requiredKeys: ['order_id', 'asset', 'amount', 'order_type', 'broker_order_id', 'status', 'filled_amount'] },
);

const snapshots: fc.Arbitrary<StrategySnapshot> = fc.record({
  strategy_name: fc.stringMatching(/^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/).filter((name) => !name.includes('..')),
  strategy_state: json.object,
  positions: fc.uniqueArray(positions, { selector: ({ asset }) => asset, maxLength: 4 }),
  pending_orders: fc.uniqueArray(orders, { selector: ({ order_id }) => order_id, maxLength: 4 }),
  cash_balance: decimals,
  currency: currencies,
  other_cash: fc.dictionary(currencies, decimals, { maxKeys: 3, noNullPrototype: true }),
  broker_cursor: fc.record({
    activity_id: fc.option(text),
    at: fc.option(instants),
    recent_execution_ids: fc.array(text, { maxLength: 4 }),
  }),
  halt: fc.option(fc.record({ reason: text, source: text, at: instants })),
});
