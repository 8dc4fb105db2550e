import { describe, expect, it } from 'vitest';
import { draftOrder, draftReplacement } from '../../src/engine/order-draft.ts';
import type { NewOrder } from '../../src/engine/strategy.ts';

const at = '2025-10-02T14:30:00.000000Z';
const draft = (order: NewOrder) => draftOrder('alpha', 'id-1', order, at);

describe('an order as a strategy asks for it', () => {
  it('is a market order, good till canceled, where nothing else is said', () => {
    expect(draft({ asset: 'AAPL', amount: '-10.50' })).toMatchObject({
      order_id: 'id-1',
      amount: '-10.5',
      order_type: 'market',
      time_in_force: 'gtc',
      limit_price: null,
      stop_price: null,
      status: 'pending',
      filled_amount: '0',
    });
  });

  it.each([
    [{ asset: 'A B', amount: '1' }, 'asset'],
    [{ asset: 'AAPL', amount: '0' }, 'amount'],
    [{ asset: 'AAPL', amount: '0.00' }, 'amount'],
    [{ asset: 'AAPL', amount: '1e3' }, 'amount'],
    [{ asset: 'AAPL', amount: 10 as unknown as string }, 'amount'],
    [{ asset: 'AAPL', amount: '1', type: 'iceberg' as 'limit' }, 'type'],
    [{ asset: 'AAPL', amount: '1', timeInForce: 'never' as 'gtc' }, 'timeInForce'],
    [{ asset: 'AAPL', amount: '1', type: 'limit' }, 'limitPrice'],
    [{ asset: 'AAPL', amount: '1', type: 'limit', limitPrice: 'cheap' }, 'limitPrice'],
    [{ asset: 'AAPL', amount: '1', limitPrice: '5' }, 'limitPrice'],
    [{ asset: 'AAPL', amount: '1', type: 'stop' }, 'stopPrice'],
    [{ asset: 'AAPL', amount: '1', type: 'stop', stopPrice: '5', limitPrice: '5' }, 'limitPrice'],
    [{ asset: 'AAPL', amount: '1', type: 'stop_limit', stopPrice: '5' }, 'limitPrice'],
    [undefined as unknown as NewOrder, 'asset'],
  ] as [NewOrder, string][])('%j is refused for its %s', (order, field) => {
    expect(() => draft(order)).toThrow(
      expect.objectContaining({ code: 'ORDER_INVALID', details: expect.objectContaining({ field }) }),
    );
  });

  it('may have prices below zero', () => {
    expect(draft({ asset: 'CL', amount: '1', type: 'limit', limitPrice: '-37.63' }).limit_price).toBe('-37.63');
  });
});

describe('a replacement', () => {
  const old = draft({
    asset: 'AAPL',
    amount: '10',
    type: 'stop_limit',
    limitPrice: '99',
    stopPrice: '100',
    timeInForce: 'day',
  });

  it('keeps what the change leaves out', () => {
    expect(draftReplacement('alpha', 'id-2', old, { limitPrice: '98' }, at)).toMatchObject({
      order_id: 'id-2',
      replaces: 'id-1',
      amount: '10',
      limit_price: '98',
      stop_price: '100',
      time_in_force: 'day',
    });
  });

  it('changes something, and not the side', () => {
    expect(() => draftReplacement('alpha', 'id-2', old, {}, at)).toThrow(/at least one/);
    expect(() => draftReplacement('alpha', 'id-2', old, { amount: '-1' }, at)).toThrow(/side/);
  });
});
