import { describe, expect, it } from 'vitest';
import { decimal } from '../../../src/model/money.ts';
import { limit, market, trade } from '../../contract/broker-requests.ts';
import { exchange } from '../support/exchange.ts';

describe('the account', () => {
  it('charges fees in the currency of the asset', () => {
    const assets = { AAPL: 'USD', BTCUSDT: { currency: 'USDT', fractions: 'any' } } as const;
    const paper = exchange({ assets, feeBps: { USD: '0', USDT: '7.5' } });
    paper.submit(market('a', 'BTCUSDT', '0.01'));
    paper.submit(market('b', 'AAPL', '1'));
    paper.onMarket(trade('BTCUSDT', '60000.10', '1'));
    paper.onMarket(trade('AAPL', '100', '1'));
    expect(paper.fills()).toMatchObject([
      { fee: '0.45000075', fee_currency: 'USDT', currency: 'USDT' },
      { fee: '0', fee_currency: 'USD' },
    ]);
    // 5000 − 0.01 × 60000.10 − 0.45000075
    expect(paper.account().cash).toEqual({ USD: '9900', USDT: '4399.54899925' });
  });

  it('keeps an average cost, which a part closed does not change', () => {
    const paper = exchange();
    paper.submit(limit('a', 'AAPL', '3', '200'));
    paper.onMarket(trade('AAPL', '100', '1'));
    paper.submit(market('b', 'AAPL', '2'));
    paper.onMarket(trade('AAPL', '110', '2'));
    expect(paper.positions()).toMatchObject([{ amount: '3', cost_basis: '106.666666666667' }]);
    paper.cancel({ order_id: 'a', broker_order_id: null });
    paper.submit(market('c', 'AAPL', '-1'));
    paper.onMarket(trade('AAPL', '500', '9'));
    expect(paper.positions()[0]?.amount).toBe('2');
    expect(
      decimal(paper.positions()[0]?.cost_basis ?? '0')
        .minus('106.666666666667')
        .abs()
        .lte('0.000000000001'),
    ).toBe(true);
  });

  it('holds what open orders would spend, and gives it back with them', () => {
    const paper = exchange();
    paper.submit(limit('a', 'AAPL', '60', '100'));
    expect(paper.account().buying_power).toBe('4000');
    expect(() => paper.submit(limit('b', 'AAPL', '41', '100'))).toThrow('insufficient buying power');
    paper.cancel({ order_id: 'a', broker_order_id: null });
    expect(paper.account().buying_power).toBe('10000');
  });

  it('counts fees among what an order would spend', () => {
    const paper = exchange({ feeBps: '100' });
    expect(() => paper.submit(limit('a', 'AAPL', '100', '100'))).toThrow('insufficient buying power');
    paper.submit(limit('a', 'AAPL', '99', '100'));
    expect(paper.account().buying_power).toBe('1');
  });

  it('counts the order that is replaced as free for the one that replaces it', () => {
    const paper = exchange();
    const old = paper.submit(limit('a', 'AAPL', '60', '100'));
    expect(() => paper.replace(old as never, { order_id: 'b', amount: '101' })).toThrow('insufficient buying power');
    expect(paper.order('a')?.status).toBe('open');
    paper.replace({ order_id: 'a', broker_order_id: null }, { order_id: 'b', amount: '100' });
    expect(paper.account().buying_power).toBe('0');
    expect(paper.order('a')).toMatchObject({ status: 'replaced', replaced_by: paper.order('b')?.broker_order_id });
  });

  it('lets a short position use as much buying power as it is worth', () => {
    const paper = exchange();
    paper.onMarket(trade('AAPL', '100', '1'));
    expect(() => paper.submit(market('a', 'AAPL', '-101'))).toThrow('insufficient buying power');
    paper.submit(market('a', 'AAPL', '-60'));
    paper.onMarket(trade('AAPL', '100', '60'));
    expect(paper.account()).toMatchObject({ cash: { USD: '16000' }, equity: '10000', buying_power: '4000' });
    paper.submit(market('cover', 'AAPL', '60'));
    expect(paper.account().buying_power).toBe('4000');
    paper.onMarket(trade('AAPL', '110', '60'));
    expect(paper.account()).toMatchObject({ cash: { USD: '9400' }, equity: '9400', buying_power: '9400' });
  });

  it('refuses shorts where they are not allowed, and turning a short long where they are', () => {
    const longOnly = exchange({ shorts: false });
    expect(() => longOnly.submit(market('a', 'AAPL', '-1'))).toThrow('not allowed to short');
    const paper = exchange();
    paper.submit(market('a', 'AAPL', '-5'));
    paper.onMarket(trade('AAPL', '100', '5'));
    expect(() => paper.submit(market('b', 'AAPL', '6'))).toThrow(
      'insufficient qty available for order (requested: 6, available: 5)',
    );
    expect(paper.availableAmount('AAPL')).toBe('-5');
  });

  it('ends a market order that cash does not suffice for when its price is known', () => {
    const paper = exchange();
    paper.submit(market('a', 'AAPL', '101'));
    paper.onMarket(trade('AAPL', '100', '500'));
    expect(paper.order('a')).toMatchObject({ status: 'canceled', filled_amount: '0' });
    expect(paper.account().cash['USD']).toBe('10000');
  });

  it('moves a position behind everybody’s back without cash and without an execution', () => {
    const paper = exchange();
    paper.submit(market('a', 'AAPL', '5'));
    paper.onMarket(trade('AAPL', '100', '5'));
    paper.adjustPosition('AAPL', '-2');
    paper.adjustPosition('MSFT', '4');
    expect(paper.positions()).toMatchObject([
      { asset: 'AAPL', amount: '3', cost_basis: '100' },
      { asset: 'MSFT', amount: '4', cost_basis: '0' },
    ]);
    expect(paper.account().cash['USD']).toBe('9500');
    expect(paper.fills()).toHaveLength(1);
    expect(() => paper.adjustPosition('NOPE', '1')).toThrow('not found');
    expect(() => paper.adjustPosition('AAPL', '1e3')).toThrow('decimal string');
  });

  it('changes nothing on a malformed event', () => {
    const paper = exchange();
    paper.submit({ ...market('a', 'AAPL', '1'), time_in_force: 'ioc' });
    expect(() => paper.onMarket(trade('AAPL', 'NaN', '1'))).toThrow('decimal string');
    expect(() => paper.onMarket(trade('AAPL', '100', '1e3'))).toThrow('decimal string');
    expect(() => paper.onMarket(trade('AAPL', '1.0000000000001', '1'))).toThrow('12 decimal places');
    expect(paper.order('a')).toMatchObject({ status: 'open', filled_amount: '0' });
    expect(paper.positions()).toEqual([]);
  });

  it('lists assets from the tape only when it is told to', () => {
    const closed = exchange();
    closed.onMarket(trade('TSLA', '1', '1'));
    expect(closed.asset('TSLA')).toBeUndefined();
    const open = exchange({ listFromTape: true });
    open.onMarket(trade('TSLA', '1', '1'));
    expect(open.asset('TSLA')).toMatchObject({ currency: 'USD', assetClass: 'us_equity' });
  });
});
