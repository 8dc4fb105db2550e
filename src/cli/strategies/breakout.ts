import type { Strategy } from '../../engine/strategy.ts';
import { Decimal, decimalString } from '../../model/money.ts';
import { held, sampled, sampledOptions } from './sampled.ts';

/** Goes long at a new high of the window, and out at a new low. */
export function createStrategy(given: { name: string; options: Readonly<Record<string, unknown>> }): Strategy {
  const options = sampledOptions(given.name, given.options);

  return sampled(given.name, options, (context, { price, window }) => {
    if (context.orders().length > 0) return;
    const before = window.slice(0, -1);
    const amount = held(context, options.asset);
    if (price.gt(Decimal.max(...before)) && amount.lte(0)) {
      context.state.set('last_signal', 'long');
      context.submit({ asset: options.asset, amount: options.quantity });
    } else if (price.lt(Decimal.min(...before)) && amount.gt(0)) {
      context.state.set('last_signal', 'flat');
      context.submit({ asset: options.asset, amount: decimalString(amount.neg()) });
    }
  });
}
