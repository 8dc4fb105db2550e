import { randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { OrderSnapshot } from '../../model/order.ts';
import type { StrategySnapshot } from '../../model/snapshot.ts';
import { counted, grouped } from '../output.ts';
import { readState } from '../read-state.ts';
import { BrokerClient } from './broker-client.ts';
import { Child, type Said } from './child.ts';
import { type ClosingRow, closingRows } from './closing-table.ts';
import { fillWhileDown, keepTapeFor, type MarketWatch, ordersInTheMarket, watchTape } from './market-watch.ts';
import type { DemoPlan } from './plan.ts';
import { brokerArguments, engineConfig } from './processes.ts';
import type { Story } from './story.ts';

/** What `demo --json` prints. */
export interface DemoOutcome {
  readonly ok: boolean;
  readonly seed: number;
  readonly seconds: number;
  readonly market_events: number;
  /** All that the broker got, and how many of them it filled. */
  readonly orders: number;
  readonly orders_filled: number;
  /** The last sequence that is durable: each is one commit. */
  readonly commits: number;
  /** The last acknowledged sequence when the engine was killed. */
  readonly killed_at_sequence: number;
  readonly restored_sequence: number;
  readonly fills_missed: number;
  readonly discrepancies: number;
  readonly rows: readonly ClosingRow[];
  readonly checks: readonly DemoCheck[];
}

export interface DemoCheck {
  readonly what: string;
  readonly ok: boolean;
  readonly figures: string;
}

/** How many of the traded asset somebody else moves into the account. */
const movedBy = '3';

/**
 * Plays the story in processes of its own, below `directory`. Nothing is simulated but the exchange: the kill is a SIGKILL, the disk
 * is the disk.
 */
export async function play(plan: DemoPlan, directory: string, seed: number, story: Story): Promise<DemoOutcome> {
  const keys = { keyId: 'DEMO', secretKey: randomBytes(20).toString('hex') };
  const env = { ...process.env, APCA_API_KEY_ID: keys.keyId, APCA_API_SECRET_KEY: keys.secretKey };
  const stateDir = join(directory, 'state');
  const acksFile = join(directory, 'acks');
  tellPlan(plan, story);

  story.progress('a paper broker starts');
  await using broker = new Child('paper broker', brokerArguments(plan, seed), env);
  const { url } = (await broker.hear('its address', (line) => typeof line['url'] === 'string')) as { url: string };
  const market = new BrokerClient(url, keys);
  const watch: MarketWatch = { market, plan, story };
  story.tell('broker', `a paper exchange at ${url}, process ${broker.pid}; it plays the tape in ${plan.playSeconds} s`);

  const config = join(directory, 'engine.json');
  writeFileSync(config, JSON.stringify(engineConfig(plan, url, stateDir), null, 2));
  const runArguments = ['run', config, '--acks', acksFile];
  story.progress('an engine starts');
  await using first = new Child('engine', runArguments, env);
  await first.hear('trading', isPhase('trading'));
  await market.play();
  story.tell('trade', `the engine, process ${first.pid}, trades; its state is in ${stateDir}`);

  const seen = await ordersInTheMarket(watch);
  await sleep((seed * 37) % 300);
  first.kill('SIGKILL');
  await first.end();
  const acknowledged = lastAck(acksFile);
  const after = inspect(stateDir);
  const pending = after.strategies.flatMap((book) => book.pending_orders);
  story.tell(
    'kill -9',
    `after ${grouped(seen.marketEvents)} market events and ${counted(seen.ordersFilled, 'filled order')}, in mid-flight: ${pending.map(describe).join('; ') || 'no open order'}`,
  );
  story.tell(
    'inspect',
    `the last commit acknowledged was ${acknowledged}, the files hold ${after.sequence}: ${after.sequence >= acknowledged ? 'nothing acknowledged is lost' : 'ACKNOWLEDGED COMMITS ARE LOST'}`,
  );

  const filled = await fillWhileDown(watch, pending);
  const [moved] = plan.strategies;
  if (moved !== undefined) await market.movePosition(moved.asset, movedBy);
  story.tell(
    'meanwhile',
    `the market goes on: the broker filled ${filled ? 'one of these orders' : 'none of these orders'}; and somebody moved ${movedBy} ${moved?.asset} into the account behind the engine's back`,
  );

  await using second = new Child('engine', runArguments, env);
  const starting = second.hear('its start', isEvent('started'));
  const waited = await keepTapeFor(watch, starting);
  const started = (await starting) as unknown as Started;
  if (waited) await market.play();
  const reports = second.said(isEvent('reconciliation')).map((line) => line['report'] as Reported);
  const found = reports.flatMap(({ discrepancies }) => discrepancies);
  const applied = reports.reduce((sum, { actions }) => sum + actions.length, 0);
  const { restored, unknown, fills } = started;
  story.tell(
    'restart',
    `a new engine, process ${second.pid}, restored commit ${restored.sequence}, looked up ${counted(unknown.before, 'order')} of unknown outcome (${unknown.after} left), and booked ${counted(fills, 'execution')} that it had missed`,
  );
  for (const { message } of found) story.tell('reconcile', message);
  story.tell(
    'sync',
    `policy SYNC_TO_BROKER: ${counted(found.length, 'discrepancy', 'discrepancies')}, ${counted(applied, 'action')} applied; phase ${started.phase}${waited ? '; the tape had waited for it at three quarters' : ''}`,
  );

  await watchTape(watch, second.hear('the end of the tape', isEvent('stopping'), 60_000));
  const code = await second.end();
  story.tell('stop', `the tape is at its end, and the engine stopped in order: exit code ${code}`);

  const books = inspect(stateDir);
  const rows = await closingRows(books.strategies, market);
  const orders = await market.allOrders();
  const equal = rows.filter((row) => row.equal).length;
  const checks: readonly DemoCheck[] = [
    {
      what: 'kill -9 lost nothing that was acknowledged',
      ok: after.sequence >= acknowledged,
      figures: `commit ${acknowledged} acknowledged, ${after.sequence} in the files`,
    },
    {
      what: 'the restart restored what the files held',
      ok: restored.sequence === after.sequence,
      figures: `commit ${restored.sequence}`,
    },
    {
      what: 'what was filled while it was down is booked',
      ok: fills >= (filled ? 1 : 0),
      figures: counted(fills, 'execution'),
    },
    {
      what: 'the moved position was found',
      ok: found.some(({ subject }) => subject === moved?.asset),
      figures: counted(found.length, 'discrepancy', 'discrepancies'),
    },
    { what: 'the engine stopped in order', ok: code === 0, figures: `exit code ${code}` },
    {
      what: "the books equal the broker's to the last decimal",
      ok: equal === rows.length,
      figures: `${equal} of ${rows.length} figures`,
    },
  ];
  return {
    ok: checks.every(({ ok }) => ok),
    seed,
    seconds: Number(story.seconds()),
    market_events: (await market.status()).tape_position,
    orders: orders.length,
    orders_filled: orders.filter(({ status }) => status === 'filled').length,
    commits: books.sequence,
    killed_at_sequence: acknowledged,
    restored_sequence: restored.sequence,
    fills_missed: fills,
    discrepancies: found.length,
    rows,
    checks,
  };
}

interface Started {
  readonly restored: { readonly epoch: number; readonly sequence: number };
  readonly unknown: { readonly before: number; readonly after: number };
  readonly fills: number;
  readonly phase: string;
}

interface Reported {
  readonly discrepancies: readonly { readonly subject: string; readonly message: string }[];
  readonly actions: readonly unknown[];
}

function tellPlan(plan: DemoPlan, story: Story): void {
  const strategies = plan.strategies.map(({ name, asset }) => `${name} on ${asset}`).join(', ');
  story.tell(
    'plan',
    `${counted(plan.strategies.length, 'strategy', 'strategies')} on one account of ${grouped(Number(plan.cash))} ${plan.currency}: ${strategies}`,
  );
  story.tell(
    'market',
    `real market data, ${plan.from.slice(0, 10)} to ${plan.to.slice(0, 10)}, at ${grouped(plan.speed)} times its own speed: ${plan.tapes.map(({ path }) => path).join(', ')}`,
  );
}

/** What the files say, read as `holdfast inspect` reads them. */
function inspect(stateDir: string): { readonly sequence: number; readonly strategies: readonly StrategySnapshot[] } {
  const { recovery, mirror } = readState(stateDir).restored;
  return { sequence: recovery.sequence, strategies: mirror.strategies().map((name) => mirror.snapshot(name)) };
}

function lastAck(file: string): number {
  const lines = readFileSync(file, 'utf8')
    .split('\n')
    .filter((line) => /^ack \d+$/.test(line));
  return Number(lines.at(-1)?.slice(4) ?? 0);
}

function isEvent(event: string): (line: Said) => boolean {
  return (line) => line['event'] === event;
}

function isPhase(phase: string): (line: Said) => boolean {
  return (line) => line['event'] === 'phase' && line['phase'] === phase;
}

function describe(order: OrderSnapshot): string {
  const side = order.amount.startsWith('-') ? 'selling' : 'buying';
  const price = order.limit_price == null ? '' : ` at ${order.limit_price}`;
  return `${side} ${order.amount.replace('-', '')} ${order.asset}${price} (${order.status})`;
}
