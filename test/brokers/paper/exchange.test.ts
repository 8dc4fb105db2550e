import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { OrderRequest } from '../../../src/brokers/adapter.ts';
import { PaperExchange } from '../../../src/brokers/paper/exchange.ts';
import type { PaperExchangeOptions } from '../../../src/brokers/paper/options.ts';
import type { PaperUpdate } from '../../../src/brokers/paper/orders.ts';
import { BrokerError } from '../../../src/model/errors.ts';
import type { MarketEvent } from '../../../src/model/market.ts';
import { Decimal, decimal, decimalString, zero } from '../../../src/model/money.ts';
import { limit, market, trade } from '../../contract/broker-contract.ts';

const at = '2025-10-02T14:30:00.000000Z';

function exchange(options: Partial<PaperExchangeOptions> = {}): PaperExchange {
  return new PaperExchange({
    assets: { AAPL: 'USD', MSFT: 'USD', BTCUSDT: 'USDT' },
    cash: { USD: '10000', USDT: '5000' },
    seed: 7,
    ...options,
  });
}

function bar(open: string, high: string, low: string, close: string, when = at): MarketEvent {
  return { kind: 'bar', asset: 'AAPL', open, high, low, close, volume: '1', at: when };
}

function stop(id: string, amount: string, price: string): OrderRequest {
  return { ...market(id, 'AAPL', amount), order_type: 'stop', stop_price: price };
}

function prices(paper: PaperExchange): string[][] {
  return paper.fills().map(({ order_id, amount, price }) => [order_id, amount, price]);
}

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
    const paper = exchange();
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

describe('the account', () => {
  it('charges fees in the currency of the asset', () => {
    const paper = exchange({ feeBps: { USD: '0', USDT: '7.5' } });
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
});

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

describe('over any course of orders and events', () => {
  const asset = fc.constantFrom('AAPL', 'MSFT', 'BTCUSDT');
  const cents = (max: number) => fc.integer({ min: 1, max }).map((value) => decimalString(new Decimal(value).div(100)));
  const amount = fc.integer({ min: -3_000, max: 3_000 }).filter((value) => value !== 0);
  const step = fc.oneof(
    {
      weight: 3,
      arbitrary: fc.record({
        do: fc.constant('submit' as const),
        asset,
        amount,
        type: fc.nat(3),
        tif: fc.nat(3),
        price: cents(300),
        stop: cents(300),
      }),
    },
    {
      weight: 4,
      arbitrary: fc.record({ do: fc.constant('trade' as const), asset, price: cents(300), amount: cents(4_000) }),
    },
    {
      weight: 1,
      arbitrary: fc.record({
        do: fc.constant('bar' as const),
        asset,
        prices: fc.tuple(cents(300), cents(300), cents(300), cents(300)),
      }),
    },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('cancel' as const), which: fc.nat(50) }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('replace' as const), which: fc.nat(50), price: cents(300) }) },
  );

  it('cash and positions are exactly the sum of the fills, and no trade fills more than its amount', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 80 }), fc.constantFrom('0', '7.5', '30.0001'), (steps, feeBps) => {
        const paper = exchange({ feeBps });
        let count = 0;
        let second = 0;
        for (const current of steps) {
          const when = `2025-10-02T14:${String(Math.floor(second / 60) % 60).padStart(2, '0')}:${String(second++ % 60).padStart(2, '0')}Z`;
          const before = paper.fills().length;
          try {
            if (current.do === 'submit') {
              const type = (['market', 'limit', 'stop', 'stop_limit'] as const)[current.type] ?? 'market';
              paper.submit({
                order_id: `o${count++}`,
                asset: current.asset,
                amount: decimalString(new Decimal(current.amount).div(100)),
                order_type: type,
                limit_price: type === 'limit' || type === 'stop_limit' ? current.price : null,
                stop_price: type === 'stop' || type === 'stop_limit' ? current.stop : null,
                time_in_force: (['day', 'gtc', 'ioc', 'fok'] as const)[current.tif] ?? 'gtc',
              });
            } else if (current.do === 'trade') {
              paper.onMarket(trade(current.asset, current.price, current.amount, when));
              const filled = paper
                .fills()
                .slice(before)
                .reduce((sum, fill) => sum.plus(decimal(fill.amount).abs()), zero);
              expect(filled.lte(current.amount)).toBe(true);
            } else if (current.do === 'bar') {
              const sorted = current.prices.toSorted((a, b) => decimal(a).comparedTo(decimal(b)));
              const [low = '1', open = '1', close = '1', high = '1'] = sorted;
              paper.onMarket({ kind: 'bar', asset: current.asset, open, high, low, close, volume: '1', at: when });
            } else {
              const order = paper.openOrders()[current.which];
              if (order === undefined) continue;
              if (current.do === 'cancel') paper.cancel(order);
              else
                paper.replace(order, {
                  order_id: `o${count++}`,
                  ...(order.limit_price === null ? { amount: order.amount } : { limit_price: current.price }),
                });
            }
          } catch (error) {
            // A refusal changes nothing; anything else is a bug.
            if (!(error instanceof BrokerError)) throw error;
            expect(paper.fills()).toHaveLength(before);
          }
        }
        const cash: Record<string, Decimal> = { USD: decimal('10000'), USDT: decimal('5000') };
        const positions: Record<string, Decimal> = {};
        const orders: Record<string, Decimal> = {};
        for (const fill of paper.fills()) {
          const { amount: text, price, currency, fee, asset: name, order_id } = fill;
          cash[currency] = (cash[currency] ?? zero).minus(decimal(text).times(price)).minus(fee);
          positions[name] = (positions[name] ?? zero).plus(text);
          orders[order_id] = (orders[order_id] ?? zero).plus(text);
        }
        const told = paper.account().cash;
        expect(told).toEqual(
          Object.fromEntries(Object.entries(cash).map(([name, value]) => [name, decimalString(value)])),
        );
        expect(Object.fromEntries(paper.positions().map((position) => [position.asset, position.amount]))).toEqual(
          Object.fromEntries(
            Object.entries(positions)
              .filter(([, value]) => !value.isZero())
              .map(([name, value]) => [name, decimalString(value)]),
          ),
        );
        for (const order of paper.orders()) {
          expect(order.filled_amount).toBe(decimalString(orders[order.order_id] ?? zero));
          const left = decimal(order.amount).abs().minus(decimal(order.filled_amount).abs());
          expect(left.isNegative()).toBe(false);
          expect(left.isZero()).toBe(order.status === 'filled');
        }
      }),
      { numRuns: 300 },
    );
  });
});
