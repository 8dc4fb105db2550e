import { existsSync } from 'node:fs';
import { performance } from 'node:perf_hooks';
import { fileURLToPath } from 'node:url';
import { PaperBroker } from '../../../src/brokers/paper/adapter.ts';
import { PaperExchange } from '../../../src/brokers/paper/exchange.ts';
import { createStrategy as breakout } from '../../../src/cli/strategies/breakout.ts';
import { createStrategy as meanReversion } from '../../../src/cli/strategies/mean-reversion.ts';
import { LiveTradingEngine } from '../../../src/engine/live-trading-engine.ts';
import { openTape } from '../../../src/engine/tape.ts';
import type { MarketEvent } from '../../../src/model/market.ts';
import { StateManager } from '../../../src/state/state-manager.ts';
import { type FigureGroup, figure } from '../figure.ts';
import { logger, note, type Scratch } from '../scratch.ts';

const tapePath = fileURLToPath(
  new URL('../../../../shared/data/market/binance_trades_20240808.csv.gz', import.meta.url),
);

/** A tape of real trades end to end: read, matched, traded by several strategies, every order behind its durable intent. */
export const realTape: FigureGroup = {
  key: 'tape',
  what: 'a tape of real trades end to end, journal and gate on',
  async measure({ scratch, quick }) {
    if (!existsSync(tapePath)) {
      note(`  left out: ${tapePath} is not there`);
      return [];
    }
    const runs: TapeRun[] = [];
    for (let round = 0; round < (quick ? 1 : 3); round += 1) runs.push(await once(scratch));
    const [first] = runs;
    const how = `${first?.events} trades of six instruments, ${first?.strategies} strategies; at the end ${first?.commits} commits, all durable, ${first?.fills} fills`;
    return [
      figure({
        name: 'real tape, end to end',
        unit: 's',
        values: runs.map(({ seconds }) => seconds),
        how: `${how}; it took 600 s when it happened`,
      }),
      figure({
        name: 'real tape, events',
        unit: '/s',
        values: runs.map(({ events, seconds }) => events / seconds),
        how: 'the tape had 3,096 in its busiest second',
      }),
    ];
  },
};

interface TapeRun {
  readonly events: number;
  readonly strategies: number;
  readonly commits: number;
  readonly fills: number;
  readonly seconds: number;
}

async function once(scratch: Scratch): Promise<TapeRun> {
  const directory = scratch.directory('tape');
  const exchange = new PaperExchange({
    assets: {},
    cash: { USDT: '100000000' },
    listFromTape: true,
    seed: 1,
    time: 'event',
  });
  const assets: string[] = [];
  let events = 0;
  let startMs = 0;
  async function* feed(): AsyncGenerator<MarketEvent> {
    startMs = performance.now();
    for await (const event of openTape(tapePath)) {
      events += 1;
      exchange.onMarket(event);
      yield event;
    }
  }
  for await (const { asset } of openTape(tapePath)) if (!assets.includes(asset)) assets.push(asset);
  const state = await StateManager.open({ directory, logger, force: true, currency: 'USDT' });
  const engine = new LiveTradingEngine({
    state,
    broker: new PaperBroker(exchange),
    feed: feed(),
    gate: 'durable',
    reconcileIntervalMs: 0,
    logger,
  });
  const made = [breakout, meanReversion];
  for (const [index, asset] of assets.entries()) {
    const options = { asset, quantity: '0.01', window: 20, sample_ms: 100 };
    for (const [which, create] of made.entries()) {
      engine.add(await create({ name: `strategy_${index}_${which}`, options }));
    }
  }
  const ended = new Promise<Error | null>((resolve) => engine.on('ended', resolve));
  await engine.start();
  const failure = await ended;
  await state.durable();
  const seconds = (performance.now() - startMs) / 1000;
  const commits = state.sequence;
  const fills = exchange.fills().length;
  await engine.stop('measured');
  await state.close();
  if (failure !== null) throw failure;
  return { events, strategies: assets.length * made.length, commits, fills, seconds };
}
