import type { Strategy, StrategyContext } from '../../engine/strategy.ts';
import { Decimal, decimal, decimalString } from '../../model/money.ts';
import type { OrderSnapshot } from '../../model/order.ts';
import { decimalOption, held, sampled, sampledOptions } from './sampled.ts';

/**
 * Keeps limit orders on both sides of the price: a buy at `offset` (relative) below it while it holds less than `lots` times the
 * quantity, a sell of one quantity at `offset` above it while it holds any. Prices are rounded to `tick`, outwards. An order that the
 * price has left behind by three offsets is replaced.
 */
export function createStrategy(given: { name: string; options: Readonly<Record<string, unknown>> }): Strategy {
  const options = sampledOptions(given.name, { window: 2, ...given.options }, ['offset', 'tick', 'lots']);
  const offset = decimalOption(given.name, given.options, 'offset', '0.005');
  const tick = decimalOption(given.name, given.options, 'tick', '0.01');
  const lots = decimalOption(given.name, given.options, 'lots', '3');
  const quantity = decimal(options.quantity);
  const one = new Decimal(1);

  function priceFor(price: Decimal, side: 'buy' | 'sell'): string {
    const exact = price.times(side === 'buy' ? one.minus(offset) : one.plus(offset));
    return decimalString(exact.toNearest(tick, side === 'buy' ? Decimal.ROUND_DOWN : Decimal.ROUND_UP));
  }

  return sampled(given.name, options, (context, { price }) => {
    const amount = held(context, options.asset);
    const wanted = { buy: amount.lt(quantity.times(lots)), sell: amount.gt(0) };
    for (const side of ['buy', 'sell'] as const) {
      const resting = context.orders().find((order) => (side === 'sell') === order.amount.startsWith('-'));
      if (resting !== undefined) follow(context, resting, side, price);
      else if (wanted[side]) {
        const size = side === 'buy' ? quantity : Decimal.min(quantity, amount).neg();
        const limitPrice = priceFor(price, side);
        context.submit({ asset: options.asset, amount: decimalString(size), type: 'limit', limitPrice });
      }
    }
  });

  function follow(context: StrategyContext, resting: OrderSnapshot, side: 'buy' | 'sell', price: Decimal): void {
    if (resting.status !== 'open' || resting.limit_price == null) return;
    const distance = decimal(resting.limit_price).minus(price).abs().div(price);
    if (distance.gt(offset.times(3))) context.replace(resting.order_id, { limitPrice: priceFor(price, side) });
  }
}
