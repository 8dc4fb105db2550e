import { randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { OrderSnapshot } from '../model/order.ts';
import type { StrategySnapshot } from '../model/snapshot.ts';
import { BrokerClient } from './demo/broker-client.ts';
import { Child, type Said } from './demo/child.ts';
import { type ClosingRow, closingTable } from './demo/closing-table.ts';
import { type DemoPlan, planDemo } from './demo/plan.ts';
import { Story } from './demo/story.ts';
import { demoTapes } from './demo/tapes.ts';
import { type CommonOptions, type ExitCode, paint, table, writeJson, writeLine } from './output.ts';
import { readState } from './read-state.ts';

export interface DemoOptions extends CommonOptions {
  readonly tape?: string;
  readonly seed: number;
  readonly fast?: boolean;
}

/*
 * The whole story in processes of its own: a paper broker that plays a tape, and an engine with several strategies that is
 * killed with an order in the market, misses its fill, finds a position that somebody moved, and ends with books that equal
 * the broker's. Nothing is simulated but the exchange: the kill is a SIGKILL, the disk is the disk.
 */

/** Exits 0 where the books equal the broker's to the last decimal, 1 where they do not. */
export async function demo(options: DemoOptions): Promise<ExitCode> {
  const plan = await planDemo(demoTapes(options.tape), options.fast === true ? 10 : 24);
  const directory = mkdtempSync(join(tmpdir(), 'holdfast-demo-'));
  const story = new Story(options.json === true);
  try {
    const outcome = await play(plan, directory, options.seed, story);
    if (options.json === true) writeJson(outcome);
    else printOutcome(outcome, story);
    if (!outcome.ok) {
      process.stderr.write(`the state is kept for you to look at: ${join(directory, 'state')}\n`);
      return 1;
    }
    rmSync(directory, { recursive: true, force: true });
    return 0;
  } finally {
    story.end();
  }
}

interface Outcome {
  readonly ok: boolean;
  readonly seed: number;
  readonly market_events: number;
  readonly killed_at_sequence: number;
  readonly restored_sequence: number;
  readonly fills_missed: number;
  readonly discrepancies: number;
  readonly fills: number;
  readonly rows: readonly ClosingRow[];
  readonly checks: readonly { readonly what: string; readonly ok: boolean; readonly figures: string }[];
}

async function play(plan: DemoPlan, directory: string, seed: number, story: Story): Promise<Outcome> {
  const keys = { keyId: 'DEMO', secretKey: randomBytes(20).toString('hex') };
  const env = { ...process.env, APCA_API_KEY_ID: keys.keyId, APCA_API_SECRET_KEY: keys.secretKey };
  const stateDir = join(directory, 'state');
  const acksFile = join(directory, 'acks');
  story.tell(
    'plan',
    `${plan.strategies.map(({ name, asset }) => `${name} on ${asset}`).join(', ')}; one account with ${plan.cash} ${plan.currency}`,
  );

  await using broker = new Child('paper broker', brokerArguments(plan, seed), env);
  const { url } = (await broker.hear('its address', (line) => typeof line['url'] === 'string')) as { url: string };
  const market = new BrokerClient(url, keys);
  story.tell(
    'broker',
    `paper exchange at ${url}, process ${broker.pid}: ${plan.events} market events at ${Math.round(plan.speed)} times real time`,
  );

  const config = join(directory, 'engine.json');
  writeFileSync(config, JSON.stringify(engineConfig(plan, url, stateDir), null, 2));
  const runArguments = ['run', config, '--acks', acksFile];
  await using first = new Child('engine', runArguments, env);
  await first.hear('trading', isPhase('trading'));
  await market.play();
  story.tell('trade', `engine process ${first.pid} trades, state in ${stateDir}`);

  await ordersInTheMarket(market, story);
  await sleep((seed % 7) * 20);
  first.kill('SIGKILL');
  await first.end();
  const acknowledged = lastAck(acksFile);
  const after = inspect(stateDir);
  const pending = after.strategies.flatMap((book) => book.pending_orders);
  story.tell(
    'kill -9',
    `engine killed in mid-flight, ${pending.map(describe).join(' and ')}; last acknowledged commit ${acknowledged}`,
  );
  story.tell(
    'inspect',
    `the files give sequence ${after.sequence}: ${after.sequence >= acknowledged ? 'nothing acknowledged is lost' : 'ACKNOWLEDGED COMMITS ARE LOST'}`,
  );

  const filled = await fillWhileDown(market, pending, story);
  const [moved] = plan.strategies;
  const movedBy = '3';
  if (moved !== undefined) await market.movePosition(moved.asset, movedBy);
  story.tell(
    'meanwhile',
    `the broker ${filled ? 'filled one of them' : 'filled none of them'}, and somebody moved ${movedBy} ${moved?.asset} into the account behind the engine's back`,
  );

  await using second = new Child('engine', runArguments, env);
  const started = (await second.hear('its start', isEvent('started'))) as unknown as Started;
  const report = await second.hear('the reconciliation', isEvent('reconciliation'));
  const found = discrepanciesOf(second.said(isEvent('reconciliation')));
  story.tell(
    'restart',
    `restored sequence ${started.restored.sequence}, epoch ${started.restored.epoch}: ${started.fills} missed fills booked, ${started.unknown.before} orders were unknown and ${started.unknown.after} still are`,
  );
  for (const { message } of found) story.tell('reconcile', message);
  story.tell(
    'policy',
    `SYNC_TO_BROKER: ${found.length} discrepancies, ${actionsOf(report)} actions applied; phase ${started.phase}`,
  );

  await second.hear('the end of the tape', isEvent('stopping'), 60_000);
  const code = await second.end();
  story.tell('stop', `the tape ended and the engine stopped in order, exit code ${code}`);

  const books = inspect(stateDir);
  const rows = await closingTable(books.strategies, market);
  const fills = (await market.orders('closed')).filter(({ status }) => status === 'filled').length;
  const checks = [
    {
      what: 'nothing acknowledged was lost by kill -9',
      ok: after.sequence >= acknowledged,
      figures: `${after.sequence} ≥ ${acknowledged}`,
    },
    {
      what: 'the restart restored what the files gave',
      ok: started.restored.sequence === after.sequence,
      figures: `${started.restored.sequence} = ${after.sequence}`,
    },
    {
      what: 'the fill that was missed was booked once',
      ok: started.fills >= (filled ? 1 : 0),
      figures: `${started.fills}`,
    },
    {
      what: 'the moved position was found',
      ok: found.some(({ subject }) => subject === moved?.asset),
      figures: `${found.length}`,
    },
    { what: 'the engine ended in order', ok: code === 0, figures: `exit ${code}` },
    {
      what: 'books equal broker, to the last decimal',
      ok: rows.every(({ equal }) => equal),
      figures: `${rows.filter(({ equal }) => equal).length} of ${rows.length}`,
    },
  ];
  return {
    ok: checks.every(({ ok }) => ok),
    seed,
    market_events: (await market.status()).tape_position,
    killed_at_sequence: acknowledged,
    restored_sequence: started.restored.sequence,
    fills_missed: started.fills,
    discrepancies: found.length,
    fills,
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

function brokerArguments(plan: DemoPlan, seed: number): string[] {
  const tapes = plan.tapes.flatMap(({ path, asset }) => ['--tape', asset === undefined ? path : `${asset}=${path}`]);
  const window = ['--from', plan.from, '--to', plan.to, '--speed', plan.speed.toFixed(3)];
  return [
    'paper-broker',
    ...tapes,
    ...window,
    '--cash',
    `${plan.cash}:${plan.currency}`,
    '--seed',
    String(seed),
    '--paused',
    '--json',
  ];
}

function engineConfig(plan: DemoPlan, url: string, stateDir: string) {
  return {
    host: 'demo',
    state_dir: stateDir,
    currency: plan.currency,
    broker: { module: 'alpaca', options: { url, settleMs: 200 } },
    feed: { kind: 'stream', url },
    strategies: plan.strategies.map(({ name, module, options, cash }) => ({
      name,
      module,
      options,
      initial_cash: { [plan.currency]: cash },
    })),
    checkpoint: { interval_ms: 5000 },
    reconciliation: { policy: 'SYNC_TO_BROKER', interval_ms: 0 },
  };
}

/** Waits until some orders were filled and one rests on each side of the price: whichever way it goes, one of them will be filled. */
async function ordersInTheMarket(market: BrokerClient, story: Story): Promise<void> {
  for (;;) {
    const [open, closed, status] = await Promise.all([market.orders('open'), market.orders('closed'), market.status()]);
    const filled = closed.filter((order) => order.status === 'filled').length;
    story.progress(`${status.tape_position} market events, ${filled} orders filled, ${open.length} in the market`);
    const sides = new Set(open.filter(({ type }) => type === 'limit').map(({ side }) => side));
    if (filled >= 4 && sides.size === 2) return;
    if (status.ended) throw new Error('the tape ended before there were orders in the market to kill the engine with');
    await sleep(20);
  }
}

/** True once an order that the files have as open was filled while nobody listened; false where the tape has no more for it. */
async function fillWhileDown(market: BrokerClient, pending: readonly OrderSnapshot[], story: Story): Promise<boolean> {
  const waiting = new Set(pending.map(({ order_id }) => order_id));
  const until = performance.now() + 8000;
  for (;;) {
    const [closed, tape] = await Promise.all([market.orders('closed'), market.status()]);
    story.progress(`engine down, ${tape.tape_position} market events`);
    if (closed.some(({ client_order_id, status }) => waiting.has(client_order_id) && status === 'filled')) return true;
    if (tape.ended || performance.now() > until) return false;
    await sleep(20);
  }
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

interface Found {
  readonly subject: string;
  readonly message: string;
}

function discrepanciesOf(lines: readonly Said[]): readonly Found[] {
  return lines.flatMap((line) => (line['report'] as { readonly discrepancies: readonly Found[] }).discrepancies);
}

function actionsOf(line: Said): number {
  return (line['report'] as { readonly actions: readonly unknown[] }).actions.length;
}

function describe(order: OrderSnapshot): string {
  const side = order.amount.startsWith('-') ? 'selling' : 'buying';
  const price = order.limit_price == null ? '' : ` at ${order.limit_price}`;
  return `${side} ${order.amount.replace('-', '')} ${order.asset}${price} (${order.status})`;
}

function printOutcome(outcome: Outcome, story: Story): void {
  story.end();
  const mark = (ok: boolean) => (ok ? 'equal' : 'DIFFERENT');
  writeLine();
  writeLine(
    table(
      [
        { title: '' },
        { title: "engine's books", align: 'right' },
        { title: "broker's", align: 'right' },
        { title: '' },
        { title: 'of which' },
      ],
      outcome.rows.map((row) => [row.what, row.books, row.broker, mark(row.equal), row.parts]),
    ),
  );
  writeLine();
  for (const { what, ok, figures } of outcome.checks) {
    writeLine(`${ok ? paint('green', 'yes') : paint('red', 'NO ')}  ${what} (${figures})`);
  }
  writeLine();
  writeLine(`${outcome.market_events} market events, ${outcome.fills} orders filled, ${story.seconds()} s`);
}
