import type { Strategy } from '../../engine/strategy.ts';
import { Decimal, decimalString, zero } from '../../model/money.ts';
import { decimalOption, held, sampled, sampledOptions } from './sampled.ts';

/** Buys when the price is below the window's mean by `band` (relative), and sells what it holds when it is back above. */
export function createStrategy(given: { name: string; options: Readonly<Record<string, unknown>> }): Strategy {
  const options = sampledOptions(given.name, given.options, ['band']);
  const band = decimalOption(given.name, given.options, 'band', '0.01');
  const one = new Decimal(1);

  return sampled(given.name, options, (context, { price, window }) => {
    if (context.orders().length > 0) return;
    const mean = window.reduce((sum, value) => sum.plus(value), zero).div(window.length);
    const amount = held(context, options.asset);
    if (price.lt(mean.times(one.minus(band))) && amount.lte(0)) {
      context.state.set('last_signal', 'buy');
      context.submit({ asset: options.asset, amount: options.quantity });
    } else if (price.gt(mean) && amount.gt(0)) {
      context.state.set('last_signal', 'sell');
      context.submit({ asset: options.asset, amount: decimalString(amount.neg()) });
    }
  });
}
