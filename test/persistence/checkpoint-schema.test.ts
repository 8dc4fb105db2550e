import { describe, expect, it } from 'vitest';
import { decodeCheckpoint } from '../../src/persistence/checkpoint-codec.ts';

const seed = {
  strategy_name: 'mean_reversion_v1',
  timestamp: '2025-10-02T14:30:00Z',
  strategy_state: { custom_data: { last_signal: 'buy', signal_strength: 0.75 } },
  positions: [{ asset: 'AAPL', sid: 1, amount: '100', cost_basis: '150.25', last_price: '155.50' }],
  pending_orders: [
    {
      order_id: 'order-123',
      asset: 'GOOGL',
      sid: 3,
      amount: '10',
      order_type: 'limit',
      limit_price: '2800.00',
      broker_order_id: 'broker-456',
      status: 'pending',
    },
  ],
  cash_balance: '25000.00',
};

const expected = { strategy: 'mean_reversion_v1', file: 'mean_reversion_v1_checkpoint.json' };
const decode = (value: unknown, more: object = {}) =>
  decodeCheckpoint(Buffer.from(JSON.stringify(value, null, 2)), { ...expected, ...more });

describe('a file in the seed format', () => {
  it('reads as epoch 0, sequence 0, with nothing in the fields that the format does not have', () => {
    expect(decode(seed)).toEqual({
      kind: 'ok',
      seed: true,
      checkpoint: {
        ...seed,
        pending_orders: [{ ...seed.pending_orders[0], filled_amount: '0' }],
        format: 'holdfast-checkpoint',
        format_version: 1,
        epoch: 0,
        sequence: 0,
        currency: 'USD',
        other_cash: {},
        broker_cursor: { activity_id: null, at: null, recent_execution_ids: [] },
        halt: null,
        checksum: null,
      },
    });
  });

  it('is in the currency that the host says', () => {
    expect(decode(seed, { currency: 'EUR' })).toMatchObject({ checkpoint: { currency: 'EUR' } });
  });

  it('may be a generation of its own, the oldest', () => {
    expect(decode(seed, { file: 'mean_reversion_v1_checkpoint.0-0.json' }).kind).toBe('ok');
    expect(decode(seed, { file: 'mean_reversion_v1_checkpoint.0-1.json' }).kind).toBe('damaged');
  });

  it('of another strategy is foreign', () => {
    expect(decode({ ...seed, strategy_name: 'momentum' }).kind).toBe('foreign');
  });

  it('that is not UTF-8 is damaged, and no byte of it is replaced in silence', () => {
    const bytes = Buffer.from(JSON.stringify(seed));
    bytes[bytes.indexOf('buy')] = 0xff;
    expect(decodeCheckpoint(bytes, expected)).toEqual({ kind: 'damaged', why: expect.stringContaining('UTF-8') });
  });

  it('says that decimals are strings where it finds a number', () => {
    const position = { ...seed.positions[0], amount: 100 };
    expect(decode({ ...seed, positions: [position] })).toEqual({
      kind: 'damaged',
      why: 'it does not have the form of a checkpoint at positions.0.amount: a number, where a string is expected; decimals are strings such as "150.25"',
    });
    expect(decode({ ...seed, cash_balance: 25000 })).toMatchObject({
      why: expect.stringMatching(/decimals are strings/),
    });
  });

  it.each<[string, object]>([
    ['a time without a zone', { timestamp: '2025-10-02T14:30:00' }],
    ['no positions', { positions: undefined }],
    ['a field of somebody else', { version: 3 }],
    ['an order without status', { pending_orders: [{ ...seed.pending_orders[0], status: undefined }] }],
    ['the same order twice', { pending_orders: [...seed.pending_orders, ...seed.pending_orders] }],
    ['a list as state', { strategy_state: [] }],
    ['a path as a name', { strategy_name: '../../etc/passwd' }],
    ['an epoch but no checksum', { epoch: 1 }],
    ['a format but no checksum', { format: 'holdfast-checkpoint', format_version: 1 }],
  ])('with %s is damaged', (_, change) => {
    expect(decode({ ...seed, ...change }).kind).toBe('damaged');
  });
});
