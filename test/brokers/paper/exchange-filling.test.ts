import { describe, expect, it } from 'vitest';
import { limit, market, trade } from '../../contract/broker-requests.ts';
import { at, bar, exchange, prices, stop } from '../support/exchange.ts';

describe('filling against trades', () => {
  it('shares one trade between orders: market first, then the better limit, then the earlier', () => {
    const paper = exchange();
    paper.submit(limit('late-but-better', 'AAPL', '3', '102'));
    paper.submit(limit('early', 'AAPL', '3', '101'));
    paper.submit(limit('later', 'AAPL', '3', '101'));
    paper.submit(market('market', 'AAPL', '3'));
    paper.onMarket(trade('AAPL', '100', '8'));
    expect(prices(paper)).toEqual([
      ['market', '3', '100'],
      ['late-but-better', '3', '100'],
      ['early', '2', '100'],
    ]);
    paper.onMarket(trade('AAPL', '100', '2'));
    expect(prices(paper).slice(3)).toEqual([
      ['early', '1', '101'],
      ['later', '1', '101'],
    ]);
  });

  it('does not fill a limit that the tape has not reached', () => {
    const paper = exchange();
    paper.submit(limit('buy', 'AAPL', '1', '99'));
    paper.submit(limit('sell', 'MSFT', '-1', '101'));
    paper.onMarket(trade('AAPL', '99.000001', '5'));
    paper.onMarket(trade('MSFT', '100.999999', '5'));
    expect(paper.fills()).toEqual([]);
  });

  it('fills a resting limit at its own price and a marketable one at the tape’s', () => {
    const paper = exchange();
    paper.submit(limit('resting', 'AAPL', '1', '99'));
    paper.onMarket(trade('AAPL', '100', '5'));
    paper.submit(limit('marketable', 'AAPL', '1', '120'));
    paper.onMarket(trade('AAPL', '98', '5'));
    expect(prices(paper)).toEqual([
      ['marketable', '1', '98'],
      ['resting', '1', '99'],
    ]);
  });

  it('cuts a trade’s amount to what an order can have, and ignores one of nothing', () => {
    const paper = exchange();
    paper.submit(limit('a', 'AAPL', '1', '100'));
    paper.onMarket(trade('AAPL', '100', '0'));
    paper.onMarket(trade('AAPL', '100', '0.1234567899'));
    expect(prices(paper)).toEqual([['a', '0.123456789', '100']]);
  });

  it('triggers a stop on a trade at its price and fills it at the next one', () => {
    const paper = exchange();
    paper.submit(stop('buy', '1', '105'));
    paper.onMarket(trade('AAPL', '104', '5'));
    paper.onMarket(trade('AAPL', '105', '5'));
    expect(paper.fills()).toEqual([]);
    paper.onMarket(trade('AAPL', '103', '5'));
    expect(prices(paper)).toEqual([['buy', '1', '103']]);
  });

  it('makes a triggered stop-limit a limit order', () => {
    const paper = exchange();
    paper.submit({ ...stop('a', '-1', '95'), order_type: 'stop_limit', limit_price: '94' });
    paper.onMarket(trade('AAPL', '94.5', '5'));
    paper.onMarket(trade('AAPL', '93', '5'));
    expect(paper.fills()).toEqual([]);
    paper.onMarket(trade('AAPL', '94', '5'));
    expect(prices(paper)).toEqual([['a', '-1', '94']]);
  });

  it('gives a triggered stop-limit the market’s price where that is better, as any order that comes new', () => {
    const paper = exchange();
    paper.submit({ ...stop('a', '-1', '95'), order_type: 'stop_limit', limit_price: '94' });
    paper.onMarket(trade('AAPL', '96', '5'));
    paper.onMarket(trade('AAPL', '94.5', '5'));
    paper.onMarket(trade('AAPL', '94.8', '5'));
    expect(prices(paper)).toEqual([['a', '-1', '94.8']]);
  });

  it('ends an ioc order after the first event, with what it got', () => {
    const paper = exchange();
    paper.submit({ ...limit('a', 'AAPL', '5', '100'), time_in_force: 'ioc' });
    paper.onMarket(trade('MSFT', '100', '2'));
    expect(paper.order('a')?.status).toBe('open');
    paper.onMarket(trade('AAPL', '100', '2'));
    expect(paper.order('a')).toMatchObject({ status: 'canceled', filled_amount: '2' });
  });

  it('fills a fok order whole or not at all', () => {
    const paper = exchange();
    const fok = (id: string) => ({ ...limit(id, 'AAPL', '5', '100'), time_in_force: 'fok' as const });
    paper.submit(fok('a'));
    paper.onMarket(trade('AAPL', '100', '4'));
    expect(paper.order('a')).toMatchObject({ status: 'canceled', filled_amount: '0' });
    paper.submit(fok('b'));
    paper.onMarket(trade('AAPL', '100', '5'));
    expect(paper.order('b')).toMatchObject({ status: 'filled' });
  });

  it('lets a day order live through the day of the first event that it sees', () => {
    const paper = exchange();
    paper.submit({ ...limit('a', 'AAPL', '1', '90'), time_in_force: 'day' });
    paper.submit(limit('b', 'AAPL', '1', '90'));
    paper.onMarket(trade('AAPL', '100', '1', '2025-10-02T14:30:00Z'));
    paper.onMarket(trade('AAPL', '100', '1', '2025-10-02T23:59:59Z'));
    expect(paper.order('a')?.status).toBe('open');
    paper.onMarket(trade('AAPL', '80', '5', '2025-10-03T00:00:00Z'));
    expect(paper.order('a')).toMatchObject({ status: 'expired', filled_amount: '0' });
    expect(paper.order('b')).toMatchObject({ status: 'filled' });
  });
});

describe('filling against bars and quotes', () => {
  it('fills market orders at the open of the next bar', () => {
    const paper = exchange();
    paper.submit(market('a', 'AAPL', '2'));
    paper.onMarket(bar('100', '110', '95', '105'));
    expect(prices(paper)).toEqual([['a', '2', '100']]);
    expect(paper.positions()).toMatchObject([{ last_price: '105' }]);
  });

  it('fills a limit that the bar reaches, at the open where that is better', () => {
    const paper = exchange();
    paper.submit(limit('reached', 'AAPL', '1', '96'));
    paper.submit(limit('gapped', 'AAPL', '1', '101'));
    paper.submit(limit('missed', 'AAPL', '1', '94'));
    paper.onMarket(bar('100', '110', '95', '105'));
    expect(prices(paper)).toEqual([
      ['reached', '1', '96'],
      ['gapped', '1', '100'],
    ]);
  });

  it('fills a selling limit that the bar reaches', () => {
    const paper = exchange();
    paper.submit(limit('reached', 'AAPL', '-1', '109'));
    paper.submit(limit('missed', 'AAPL', '-1', '111'));
    paper.onMarket(bar('100', '110', '95', '105'));
    expect(prices(paper)).toEqual([['reached', '-1', '109']]);
  });

  it('triggers stops inside a bar and fills them at the next open', () => {
    const paper = exchange();
    paper.submit(market('long', 'AAPL', '1'));
    paper.onMarket(bar('100', '100', '100', '100'));
    paper.submit(stop('protect', '-1', '95'));
    paper.onMarket(bar('100', '110', '95', '105', '2025-10-03T20:00:00Z'));
    paper.onMarket(bar('94', '96', '93', '95', '2025-10-04T20:00:00Z'));
    expect(prices(paper).at(-1)).toEqual(['protect', '-1', '94']);
    expect(paper.positions()).toEqual([]);
  });

  it('fills at the far side of a quote, up to its amount', () => {
    const paper = exchange({ opposingOrders: 'accept' });
    paper.submit(market('buy', 'AAPL', '3'));
    paper.submit(limit('sell', 'AAPL', '-3', '99'));
    paper.submit(limit('missed', 'AAPL', '1', '100'));
    paper.onMarket({ kind: 'quote', asset: 'AAPL', bid: '99.5', bid_amount: '2', ask: '100.5', ask_amount: '1', at });
    expect(prices(paper)).toEqual([
      ['buy', '1', '100.5'],
      ['sell', '-2', '99.5'],
    ]);
  });
});
