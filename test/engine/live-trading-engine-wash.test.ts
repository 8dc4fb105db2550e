import { setImmediate as turn } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { PaperBroker } from '../../src/brokers/paper/adapter.ts';
import { PaperExchange } from '../../src/brokers/paper/exchange.ts';
import { LiveTradingEngine } from '../../src/engine/live-trading-engine.ts';
import type { Strategy } from '../../src/engine/strategy.ts';
import type { OrderSnapshot } from '../../src/model/order.ts';
import { memoryHostState } from '../support/memory-host-state.ts';

/** Places one order at its start, and keeps what it hears of it. */
function placing(
  name: string,
  order: { readonly amount: string; readonly limitPrice?: string },
): Strategy & {
  readonly heard: OrderSnapshot[];
} {
  const heard: OrderSnapshot[] = [];
  return {
    name,
    heard,
    onStart: (context) => {
      const type = order.limitPrice === undefined ? 'market' : 'limit';
      context.submit({ asset: 'AAPL', type, ...order });
    },
    onOrder: (_context, told) => void heard.push(told),
  };
}

it('an order that would trade with that of another strategy of the account ends as rejected, in the broker’s words', async () => {
  const exchange = new PaperExchange({ assets: { AAPL: 'USD' }, cash: { USD: '10000' } });
  exchange.onMarket({
    kind: 'trade',
    asset: 'AAPL',
    price: '100',
    amount: '1',
    aggressor: null,
    at: '2025-10-02T14:30:00Z',
  });
  const state = memoryHostState();
  const engine = new LiveTradingEngine({ state, broker: new PaperBroker(exchange), reconcileIntervalMs: 0 });
  const [buyer, seller] = [placing('buyer', { amount: '10', limitPrice: '90' }), placing('seller', { amount: '-10' })];
  engine.add(buyer);
  await engine.start();
  while (buyer.heard.length === 0) await turn();
  engine.add(seller);
  while (seller.heard.length === 0) await turn();
  expect(seller.heard).toMatchObject([{ status: 'rejected', reason: expect.stringContaining('wash trade') }]);
  expect(state.register('seller').orders()).toEqual([]);
  expect(state.register('buyer').orders()).toMatchObject([{ status: 'open', amount: '10' }]);
  expect(engine.phase.kind).toBe('trading');
  await engine.stop();
});
