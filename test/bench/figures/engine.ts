import { performance } from 'node:perf_hooks';
import { PaperBroker } from '../../../src/brokers/paper/adapter.ts';
import { PaperExchange } from '../../../src/brokers/paper/exchange.ts';
import { LiveTradingEngine } from '../../../src/engine/live-trading-engine.ts';
import type { Strategy } from '../../../src/engine/strategy.ts';
import type { Trade } from '../../../src/model/market.ts';
import { decimal } from '../../../src/model/money.ts';
import { memoryHostState } from '../../support/memory-host-state.ts';
import { type FigureGroup, figure } from '../figure.ts';
import { logger } from '../scratch.ts';

/** Market events through strategy, order manager and ledger, on one thread, with nothing of persistence. */
export const engineEvents: FigureGroup = {
  key: 'engine',
  what: 'market events through strategy, order manager and ledger',
  async measure({ quick }) {
    const events = quick ? 50_000 : 400_000;
    const values: number[] = [];
    let orders = 0;
    // Unmeasured: the code warms up.
    await once(events / 4);
    for (let round = 0; round < (quick ? 2 : 5); round += 1) {
      const run = await once(events);
      values.push(run.perSecond);
      orders = run.fills;
    }
    const how = `${events} trades, exact decimals, a price compared and a position read in each, ${orders} orders sent, filled and booked`;
    return [figure({ name: 'market events', unit: '/s', values, atLeast: 200_000, how })];
  },
};

const asset = 'BENCH';
const at = '2025-10-02T14:30:00Z';
/** An order in so many events. */
const orderEvery = 100;

async function once(count: number): Promise<{ readonly perSecond: number; readonly fills: number }> {
  const exchange = new PaperExchange({ assets: { [asset]: 'USD' }, cash: { USD: '1000000000' }, seed: 1 });
  const trades = Array.from(
    { length: 1000 },
    (_, index): Trade => ({
      kind: 'trade',
      asset,
      price: `${100 + (index % 7)}.${10 + (index % 90)}`,
      amount: '0.015',
      aggressor: null,
      at,
    }),
  );
  let startMs = 0;
  async function* feed(): AsyncGenerator<Trade> {
    startMs = performance.now();
    for (let index = 0; index < count; index += 1) {
      const trade = trades[index % trades.length] as Trade;
      // Its matching is the broker's work; it only has to know a price.
      if (index % orderEvery === 0) exchange.onMarket(trade);
      yield trade;
    }
  }
  const strategy = comparing();
  const engine = new LiveTradingEngine({
    state: memoryHostState(),
    broker: new PaperBroker(exchange),
    feed: feed(),
    reconcileIntervalMs: 0,
    logger,
  });
  engine.add(strategy);
  const ended = new Promise<Error | null>((resolve) => engine.on('ended', resolve));
  await engine.start();
  const failure = await ended;
  const tookMs = performance.now() - startMs;
  await engine.stop('measured');
  if (failure !== null) throw failure;
  if (strategy.seen !== count) throw new Error(`the strategy saw ${strategy.seen} of ${count} events`);
  return { perSecond: (count * 1000) / tookMs, fills: strategy.fills };
}

/** Compares each price with the one before it and with its position's cost, and trades in every hundredth event. */
function comparing(): Strategy & { seen: number; fills: number } {
  let before = decimal('0');
  let signals = 0;
  return {
    name: 'comparing',
    assets: [asset],
    initialCash: { USD: '100000000' },
    seen: 0,
    fills: 0,
    onTrade(context, trade) {
      this.seen += 1;
      const price = decimal(trade.price);
      if (price.gt(before)) signals += 1;
      before = price;
      const position = context.position(asset);
      if (this.seen % orderEvery !== 0) return;
      const isLong = position !== undefined && !position.amount.startsWith('-') && position.amount !== '0';
      context.state.set('signals', signals);
      context.submit({ asset, amount: isLong ? '-1' : '1' });
    },
    onFill() {
      this.fills += 1;
    },
  };
}
