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
    const perCpuSecond: number[] = [];
    let orders = 0;
    // Unmeasured: the code warms up.
    await once(4 * roundOf);
    for (let round = 0; round < (quick ? 2 : 5); round += 1) {
      const run = await once(events);
      values.push(run.perSecond);
      perCpuSecond.push(run.perCpuSecond);
      orders = run.fills;
    }
    const how = `${events} trades, exact decimals, a price compared and a position read in each, ${orders} orders sent, filled and booked`;
    return [
      figure({ name: 'market events', unit: '/s', values, atLeast: 200_000, how }),
      figure({
        name: 'market events, for each second that the thread had the core',
        unit: '/s',
        values: perCpuSecond,
        atLeast: 200_000,
        how: 'the same runs by the CPU time of the thread, system calls included: what it is where nothing else wants the core',
      }),
    ];
  },
};

const asset = 'BENCH';
const at = '2025-10-02T14:30:00Z';
/** The market fills what is open once in so many events. */
const fillEvery = 100;
/**
 * An order in so many events, so long, and then none until the round is over, so that all are filled: a round of purchases, then one of
 * sales. Over all it is one order in a hundred events.
 */
const orderEvery = 80;
const orderingFor = 20_000;
const roundOf = 25_000;

interface Run {
  readonly perSecond: number;
  readonly perCpuSecond: number;
  readonly fills: number;
}

async function once(count: number): Promise<Run> {
  const exchange = new PaperExchange({ assets: { [asset]: 'USD' }, cash: { USD: '1000000000' }, seed: 1 });
  const trades = Array.from(
    { length: 1000 },
    (_, index): Trade => ({
      kind: 'trade',
      asset,
      price: `${100 + (index % 7)}.${10 + (index % 90)}`,
      amount: '1000',
      aggressor: null,
      at,
    }),
  );
  let startMs = 0;
  let startCpu = process.threadCpuUsage();
  async function* feed(): AsyncGenerator<Trade> {
    startMs = performance.now();
    startCpu = process.threadCpuUsage();
    for (let index = 0; index < count; index += 1) {
      const trade = trades[index % trades.length] as Trade;
      // Its matching is the broker's work; it only has to know a price.
      if (index % fillEvery === 0) exchange.onMarket(trade);
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
  const { user, system } = process.threadCpuUsage(startCpu);
  await engine.stop('measured');
  if (failure !== null) throw failure;
  if (strategy.seen !== count) throw new Error(`the strategy saw ${strategy.seen} of ${count} events`);
  if (strategy.fills !== strategy.sent) throw new Error(`${strategy.fills} of ${strategy.sent} orders were filled`);
  return { perSecond: (count * 1000) / tookMs, perCpuSecond: (count * 1e6) / (user + system), fills: strategy.fills };
}

/** Compares each price with the one before it, reads its position, and trades in one of a hundred events. */
function comparing(): Strategy & { seen: number; sent: number; fills: number } {
  let before = decimal('0');
  let signals = 0;
  return {
    name: 'comparing',
    assets: [asset],
    initialCash: { USD: '100000000' },
    seen: 0,
    sent: 0,
    fills: 0,
    onTrade(context, trade) {
      const inRound = this.seen % roundOf;
      const isBuying = Math.floor(this.seen / roundOf) % 2 === 0;
      this.seen += 1;
      const price = decimal(trade.price);
      if (price.gt(before)) signals += 1;
      before = price;
      const held = context.position(asset)?.amount ?? '0';
      if (inRound >= orderingFor || inRound % orderEvery !== 0) return;
      if (!isBuying && held === '0') throw new Error('nothing is held that could be sold');
      context.state.set('signals', signals);
      context.submit({ asset, amount: isBuying ? '1' : '-1' });
      this.sent += 1;
    },
    onFill() {
      this.fills += 1;
    },
  };
}
