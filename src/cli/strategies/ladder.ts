import type { Strategy } from '../../engine/strategy.ts';
import { Decimal, decimal, decimalString } from '../../model/money.ts';
import { held, sampled, sampledOptions } from './sampled.ts';

/**
 * Keeps one limit order in the market: a buy at `offset` (relative) under the price while it holds nothing, then a sell at
 * `offset` over it. Prices are rounded to `tick`. An order that the price has left behind by three offsets is replaced.
 */
export function createStrategy(given: { name: string; options: Readonly<Record<string, unknown>> }): Strategy {
  const options = sampledOptions(given.name, { window: 2, ...given.options });
  const offset = decimal(String(given.options['offset'] ?? '0.005'), `strategy ${given.name}: options.offset`);
  const tick = decimal(String(given.options['tick'] ?? '0.01'), `strategy ${given.name}: options.tick`);
  const one = new Decimal(1);

  function priceFor(price: Decimal, side: 'buy' | 'sell'): string {
    const exact = price.times(side === 'buy' ? one.minus(offset) : one.plus(offset));
    return decimalString(exact.toNearest(tick, side === 'buy' ? Decimal.ROUND_DOWN : Decimal.ROUND_UP));
  }

  return sampled(given.name, options, (context, { price }) => {
    const resting = context.orders()[0];
    const amount = held(context, options.asset);
    const side = amount.gt(0) ? 'sell' : 'buy';
    if (resting === undefined) {
      context.submit({
        asset: options.asset,
        amount: side === 'buy' ? options.quantity : decimalString(amount.neg()),
        type: 'limit',
        limitPrice: priceFor(price, side),
      });
      return;
    }
    if (resting.status !== 'open' || resting.limit_price == null) return;
    const distance = decimal(resting.limit_price).minus(price).abs().div(price);
    if (distance.gt(offset.times(3))) context.replace(resting.order_id, { limitPrice: priceFor(price, side) });
  });
}
