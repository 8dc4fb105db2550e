import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { BrokerError } from '../../../src/model/errors.ts';
import { Decimal, decimal, decimalString, zero } from '../../../src/model/money.ts';
import type { OrderReport } from '../../../src/model/report.ts';
import { trade } from '../../contract/broker-requests.ts';
import { exchange } from '../support/exchange.ts';

describe('over any course of orders and events', () => {
  const asset = fc.constantFrom('AAPL', 'MSFT', 'BTCUSDT', 'BTC/USD');
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
      fc.property(
        fc.array(step, { maxLength: 80 }),
        fc.constantFrom('0', '7.5', '30.0001'),
        fc.constantFrom('refuse' as const, 'accept' as const),
        (steps, feeBps, opposingOrders) => {
          const paper = exchange({
            feeBps,
            opposingOrders,
            assets: { AAPL: 'USD', MSFT: 'USD', BTCUSDT: 'USDT', 'BTC/USD': 'USD' },
          });
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
            if (opposingOrders === 'refuse') expect(couldTrade(paper.openOrders())).toEqual([]);
          }
          const cash: Record<string, Decimal> = { USD: decimal('10000'), USDT: decimal('5000') };
          const positions: Record<string, Decimal> = {};
          const orders: Record<string, Decimal> = {};
          for (const fill of paper.fills()) {
            const { amount: text, price, currency, fee, asset: name, order_id } = fill;
            cash[currency] = (cash[currency] ?? zero).minus(decimal(text).times(price));
            positions[name] = (positions[name] ?? zero).plus(text);
            // A fee is taken in money, or, where a coin was bought, in the coin.
            if (fill.fee_currency === 'BTC') positions[name] = positions[name].minus(fee);
            else cash[fill.fee_currency] = (cash[fill.fee_currency] ?? zero).minus(fee);
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
        },
      ),
      { numRuns: 300 },
    );
  });
});

/** Pairs of an account's own orders that would trade with each other. */
function couldTrade(orders: readonly OrderReport[]): string[] {
  const buys = orders.filter(({ amount }) => !amount.startsWith('-'));
  const sells = orders.filter(({ amount }) => amount.startsWith('-'));
  return buys.flatMap((buy) =>
    sells
      .filter(({ asset }) => asset === buy.asset)
      .filter(({ limit_price }) => {
        if (buy.limit_price === null || limit_price === null) return true;
        return decimal(buy.limit_price).gte(limit_price);
      })
      .map((sell) => `${buy.order_id} ${sell.order_id}`),
  );
}
