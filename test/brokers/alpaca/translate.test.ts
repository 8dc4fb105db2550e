import { describe, expect, it } from 'vitest';
import { activitiesSchema, orderSchema, positionsSchema } from '../../../src/brokers/alpaca/schemas.ts';
import { accountReport, activityFill, orderReport, positionReport } from '../../../src/brokers/alpaca/translate.ts';

const order = {
  id: 'b1',
  client_order_id: 'a',
  symbol: 'AAPL',
  qty: '10',
  filled_qty: '0',
  filled_avg_price: null,
  type: 'limit',
  side: 'buy',
  time_in_force: 'gtc',
  limit_price: '1',
  stop_price: null,
  status: 'new',
  created_at: '2025-10-02T14:30:00Z',
};
const report = (change: object) => orderReport(orderSchema.parse({ ...order, ...change }), {});

describe('an order of the broker', () => {
  it.each([
    ['new', '0', 'open'],
    ['accepted', '0', 'open'],
    ['pending_new', '0', 'open'],
    ['held', '0', 'open'],
    ['done_for_day', '4', 'partially_filled'],
    ['partially_filled', '4', 'partially_filled'],
    ['pending_cancel', '4', 'pending_cancel'],
    ['pending_replace', '0', 'pending_replace'],
    ['filled', '10', 'filled'],
    ['calculated', '10', 'filled'],
    ['calculated', '4', 'partially_filled'],
    ['canceled', '4', 'canceled'],
    ['expired', '0', 'expired'],
    ['rejected', '0', 'rejected'],
    ['replaced', '0', 'replaced'],
    ['pending_review', '0', 'unknown'],
  ])('that is "%s" with %s filled is %s', (status, filled_qty, expected) => {
    expect(report({ status, filled_qty }).status).toBe(expected);
  });

  it('in a status that nobody has heard of says which', () => {
    expect(report({ status: 'teleported' }).reason).toBe('the broker says "teleported"');
  });

  it('that was placed elsewhere for an amount of money is told with what it filled', () => {
    expect(report({ qty: null, notional: '500', filled_qty: '1.5', type: 'market', side: 'sell' })).toMatchObject({
      amount: '-1.5',
      reason: 'an order for 500 of money: its quantity is not known',
    });
  });

  it('that was placed elsewhere with terms of its own is told with the nearest of ours', () => {
    expect(report({ type: 'trailing_stop', time_in_force: 'opg', client_order_id: '' })).toMatchObject({
      order_type: 'stop',
      time_in_force: 'day',
      order_id: null,
    });
  });

  it('is rewritten in plain decimals', () => {
    expect(report({ qty: '+010.500', limit_price: '100.00' })).toMatchObject({ amount: '10.5', limit_price: '100' });
  });
});

describe('a position of the broker', () => {
  const position = { symbol: 'BTCUSD', qty: '2', side: 'short', avg_entry_price: '10.0', current_price: null };
  const told = (change: object) =>
    positionReport(positionsSchema.parse([{ ...position, ...change }])[0] as never, { BTCUSD: 'BTC/USD' });

  it('has the sign of its side, whether or not the quantity has one too', () => {
    expect(told({}).amount).toBe('-2');
    expect(told({ qty: '-2' }).amount).toBe('-2');
    expect(told({ side: 'long' }).amount).toBe('2');
  });

  it('has the name that the asset map gives its symbol', () => {
    expect(told({})).toMatchObject({ asset: 'BTC/USD', cost_basis: '10', last_price: null, currency: null });
    expect(told({ symbol: 'constructor' }).asset).toBe('constructor');
  });
});

describe('an activity of the broker', () => {
  const activity = {
    id: '20220202135509981::2d7be4ff-d1f3-43e9-856a-0f5cf5c5088e',
    order_id: 'b1',
    symbol: 'AAPL',
    side: 'sell_short',
    qty: '2',
    price: '174.78',
    transaction_time: '2022-02-02T18:55:09.981482Z',
  };
  const told = (change: object) => {
    const [entry] = activitiesSchema.parse([{ ...activity, ...change }]);
    if (entry?.kind !== 'fill') throw new Error('not a fill');
    return activityFill(entry.fill, {}, null);
  };

  it('is an execution by the part after the colons, dated by its own time', () => {
    expect(told({})).toMatchObject({
      execution_id: '2d7be4ff-d1f3-43e9-856a-0f5cf5c5088e',
      activity_id: activity.id,
      amount: '-2',
      fee: '0',
      at: '2022-02-02T18:55:09.981482Z',
    });
    expect(told({ id: 'plain' }).execution_id).toBe('plain');
  });
});

describe('an account of the broker', () => {
  const account = {
    id: 'x',
    status: 'ACTIVE',
    currency: 'USD',
    cash: '1',
    trading_blocked: false,
    account_blocked: false,
    trade_suspended_by_user: false,
  };

  it.each([
    [{}, false],
    [{ status: 'ACCOUNT_UPDATED' }, true],
    [{ trading_blocked: true }, true],
    [{ account_blocked: true }, true],
    [{ trade_suspended_by_user: true }, true],
  ])('with %j is blocked: %s', (change, blocked) => {
    expect(accountReport({ ...account, ...change })).toMatchObject({ blocked, cash: { USD: '1' }, equity: null });
  });
});
