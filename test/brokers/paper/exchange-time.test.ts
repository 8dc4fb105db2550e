import { describe, expect, it } from 'vitest';
import { PaperExchange } from '../../../src/brokers/paper/exchange.ts';
import type { PaperUpdate } from '../../../src/brokers/paper/orders.ts';
import { limit, market, trade } from '../../contract/broker-requests.ts';
import { exchange, prices } from '../support/exchange.ts';

describe('time and ids', () => {
  it('gives the same ids from the same seed and others from another', () => {
    const run = (seed: number) => {
      const paper = exchange({ seed, time: 'event' });
      paper.submit(market('a', 'AAPL', '3'));
      paper.onMarket(trade('AAPL', '100', '1'));
      paper.onMarket(trade('AAPL', '100', '1'));
      return [
        ...paper.orders().map((order) => order.broker_order_id),
        ...paper.fills().map((fill) => fill.activity_id),
      ];
    };
    expect(run(1)).toEqual(run(1));
    expect(run(1)[0]).not.toBe(run(2)[0]);
    expect(run(1)[2]).toMatch(/^20251002143000000::00000002-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  });

  it('does not repeat ids when it is started again without a seed', () => {
    const first = (paper: PaperExchange) => paper.submit(market('a', 'AAPL', '1')).broker_order_id;
    const options = { assets: { AAPL: 'USD' }, cash: { USD: '1000' } };
    expect(first(new PaperExchange(options))).not.toBe(first(new PaperExchange(options)));
  });

  it('dates fills by its clock, with ids that sort although the clock goes back', () => {
    let now = Date.parse('2025-01-01T00:00:01Z') * 1000;
    const paper = exchange({ clock: { nowMicros: () => now, monotonicMs: () => 0 } });
    paper.submit(market('a', 'AAPL', '2'));
    paper.onMarket(trade('AAPL', '100', '1'));
    now -= 900_000;
    paper.onMarket(trade('AAPL', '100', '1'));
    const [first, second] = paper.fills();
    expect(first?.at).toBe('2025-01-01T00:00:01.000000Z');
    expect(second?.at).toBe('2025-01-01T00:00:00.100000Z');
    expect((first?.activity_id ?? '') < (second?.activity_id ?? '')).toBe(true);
  });

  it('tells updates in order, each with the position after it', () => {
    const paper = exchange();
    const updates: PaperUpdate[] = [];
    const unsubscribe = paper.subscribe({ update: (update) => updates.push(update), disconnect: () => undefined });
    paper.submit(limit('a', 'AAPL', '2', '100'));
    paper.onMarket(trade('AAPL', '100', '1'));
    paper.replace({ order_id: 'a', broker_order_id: null }, { order_id: 'b', amount: '5' });
    paper.onMarket(trade('AAPL', '100', '5'));
    unsubscribe();
    paper.submit(market('c', 'AAPL', '1'));
    expect(updates.map(({ event, order, position_amount }) => [event, order.order_id, position_amount])).toEqual([
      ['new', 'a', '0'],
      ['partial_fill', 'a', '1'],
      ['replaced', 'a', '1'],
      ['new', 'b', '1'],
      ['fill', 'b', '6'],
    ]);
  });

  it('fills nothing more of an order that a listener cancels in between', () => {
    const paper = exchange();
    paper.subscribe({
      update: ({ event }) => {
        if (event === 'fill') paper.cancel({ order_id: 'second', broker_order_id: null });
      },
      disconnect: () => undefined,
    });
    paper.submit(market('first', 'AAPL', '1'));
    paper.submit(market('second', 'AAPL', '1'));
    paper.onMarket(trade('AAPL', '100', '5'));
    expect(prices(paper)).toEqual([['first', '1', '100']]);
    expect(paper.order('second')).toMatchObject({ status: 'canceled' });
  });
});
