import { describe, expect, it } from 'vitest';
import type { OrderRequest } from '../../../src/brokers/adapter.ts';
import type { PaperExchangeOptions } from '../../../src/brokers/paper/options.ts';
import { limit, trade } from '../../contract/broker-requests.ts';
import { exchange } from '../support/exchange.ts';

describe('what is refused', () => {
  it.each<[Partial<PaperExchangeOptions>, string]>([
    [{ cash: { usd: '1' } }, 'cash.usd'],
    [{ cash: { USD: '1e5' } }, 'cash.USD'],
    [{ assets: { 'A B': 'USD' } }, 'assets.A B'],
    [{ assets: { A: 'dollars' } }, 'assets.A'],
    [{ feeBps: '10000' }, 'assets.AAPL.feeBps'],
    [{ feeBps: { USD: 'x' } }, 'assets.AAPL.feeBps'],
  ])('names the option that is wrong: %j', (options, path) => {
    expect(() => exchange(options)).toThrow(
      expect.objectContaining({ code: 'PAPER_OPTIONS_INVALID', details: { path } }),
    );
  });

  it.each<[Partial<OrderRequest>, string]>([
    [{ order_id: '' }, 'client_order_id'],
    [{ order_id: 'x'.repeat(129) }, 'client_order_id'],
    [{ order_type: 'trailing_stop' as never }, 'order type'],
    [{ time_in_force: 'opg' as never }, 'time_in_force'],
    [{ amount: '0.0000000001' }, '9 decimal places'],
    [{ amount: '1000000000000' }, 'below'],
    [{ amount: '1.' }, 'decimal string'],
    [{ limit_price: '0' }, 'greater than 0'],
    [{ limit_price: '-1' }, 'greater than 0'],
    [{ stop_price: '5' }, 'must not have stop_price'],
  ])('refuses a request with %j', (change, message) => {
    const paper = exchange();
    expect(() => paper.submit({ ...limit('a', 'AAPL', '1', '1'), ...change })).toThrow(message);
    expect(paper.orders()).toEqual([]);
  });

  it('refuses a replacement that changes nothing, changes the side, takes a known id, or comes too late', () => {
    const paper = exchange();
    paper.submit(limit('a', 'AAPL', '5', '100'));
    const a = { order_id: 'a', broker_order_id: null };
    expect(() => paper.replace(a, { order_id: 'b' })).toThrow('not changed');
    expect(() => paper.replace(a, { order_id: 'b', amount: '-5' })).toThrow('side');
    expect(() => paper.replace(a, { order_id: 'a', amount: '6' })).toThrow('unique');
    paper.onMarket(trade('AAPL', '100', '2'));
    expect(paper.replace(a, { order_id: 'b', limit_price: '99' })).toMatchObject({ amount: '3', limit_price: '99' });
    expect(() => paper.replace(a, { order_id: 'c', amount: '6' })).toThrow('already in "replaced" state');
  });

  it.each([
    [{ kind: 'http_503' }, 'http_503'],
    [{ kind: 'delay', on: 'fetchOrders' }, 'fetchOrders'],
  ])('refuses to misbehave in a way that it does not know: %j', (fault, got) => {
    const paper = exchange();
    expect(() => paper.misbehave(fault as never)).toThrow(got);
    expect(paper.faults.armed()).toEqual([]);
  });
});
