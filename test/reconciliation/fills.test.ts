import { describe, expect, it } from 'vitest';
import { withFills } from '../../src/reconciliation/fills.ts';
import { book, books, fill, held, order } from './scene.ts';

describe('booking executions in advance', () => {
  const position = (amount: string, cost: string, ...fills: ReturnType<typeof fill>[]) => {
    const positions = amount === '0' ? [] : [held('AAPL', amount, cost)];
    const after = withFills(books(book('a', { positions, orders: [order('o1', { amount: '1000' })] })), fills);
    const [found] = after.strategies[0]?.positions ?? [];
    return found === undefined ? null : [found.amount, found.cost_basis, found.total_cost];
  };

  it('averages what is added', () => {
    expect(position('10', '100', fill('e1', { amount: '30', price: '120' }))).toEqual(['40', '115', '4600']);
    expect(position('-10', '100', fill('e1', { amount: '-10', price: '120' }))).toEqual(['-20', '110', '-2200']);
    expect(position('0', '0', fill('e1', { amount: '3', price: '0.1' }))).toEqual(['3', '0.1', '0.3']);
  });

  it('keeps the average of what is left', () => {
    expect(position('10', '100', fill('e1', { amount: '-4', price: '500' }))).toEqual(['6', '100', '600']);
    expect(position('10', '100', fill('e1', { amount: '-10', price: '500' }))).toBeNull();
  });

  it('begins anew beyond zero', () => {
    expect(position('10', '100', fill('e1', { amount: '-15', price: '90' }))).toEqual(['-5', '90', '-450']);
  });

  it('never writes more digits than a decimal string may have', () => {
    const [, cost] = position('1', '100', fill('e1', { amount: '2', price: '0.1' })) ?? [];
    expect(cost).toBe('33.4');
    const third = position('1', '0', fill('e1', { amount: '2', price: '0.5' })) ?? [];
    expect(third[1]).toBe('0.333333333333333333333333');
  });

  it('moves the order on and learns its broker id, and a cancel stays asked for', () => {
    const orders = [
      order('o1', { broker_order_id: null, status: 'unknown' }),
      order('o2', { status: 'pending_cancel' }),
    ];
    const after = withFills(books(book('a', { orders })), [
      fill('e1', { amount: '4', broker_order_id: 'b-77' }),
      fill('e2', { amount: '4', order_id: null, broker_order_id: 'b-o2' }),
      fill('e3', { amount: '6', order_id: null, broker_order_id: 'b-o2' }),
    ]);
    const [first, second] = after.strategies[0]?.orders ?? [];
    expect(first).toMatchObject({ status: 'partially_filled', filled_amount: '4', broker_order_id: 'b-77' });
    expect(second).toMatchObject({ status: 'filled', filled_amount: '10' });
    const one = withFills(books(book('a', { orders })), [fill('e2', { amount: '4', order_id: 'o2' })]);
    expect(one.strategies[0]?.orders[1]).toMatchObject({ status: 'pending_cancel', filled_amount: '4' });
  });

  it('gives what nobody here ordered to UNASSIGNED, which need not have a book yet', () => {
    const foreign = fill('e1', { order_id: 'x', broker_order_id: 'b-x', asset: 'MSFT', amount: '-1', price: '50' });
    const after = withFills(books(book('a')), [foreign]);
    expect(after.strategies.map(({ strategy, positions, cash }) => [strategy, positions.length, cash])).toEqual([
      ['a', 0, {}],
      ['UNASSIGNED', 1, { USD: '50' }],
    ]);
  });

  it('leaves the books that it was given as they were', () => {
    const local = books(book('a', { orders: [order('o1')], cash: { USD: '5' } }));
    const before = structuredClone(local);
    withFills(local, [fill('e1')]);
    expect(local).toEqual(before);
    expect(withFills(local, [])).toBe(local);
  });
});
