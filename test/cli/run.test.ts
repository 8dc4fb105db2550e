import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { describe, expect, it, vi } from 'vitest';
import { z } from 'zod';
import { readState } from '../../src/cli/read-state.ts';
import { run } from '../../src/cli/run.ts';
import { decimal, zero } from '../../src/model/money.ts';
import { timestampSchema } from '../../src/model/time.ts';
import { bar, configFor, type Market, market, silentServer } from './exchange.ts';
import { barTape, captured, holdfast, keys, Process, Scratch } from './support.ts';

const count = z.int().nonnegative();
const runSchema = z.strictObject({
  host: z.string(),
  directory: z.string(),
  reason: z.string(),
  halted: z.boolean(),
  stopped_strategies: z.array(z.string()),
  error: z.strictObject({ code: z.string(), message: z.string() }).nullable(),
  epoch: count,
  sequence: count,
  durable_sequence: count,
  restored: z.strictObject({ epoch: count, sequence: count, timestamp: timestampSchema.nullable() }),
});

function lastAck(file: string): number {
  return Number(readFileSync(file, 'utf8').trimEnd().split('\n').at(-1)?.slice('ack '.length));
}

/** The sum over all books of cash, of a position, and of open orders, as `inspect` would show them. */
function books(directory: string) {
  const { mirror } = readState(directory).restored;
  const all = mirror.strategies().map((name) => mirror.snapshot(name));
  const sum = (amounts: readonly string[]) => amounts.reduce((total, amount) => total.plus(decimal(amount)), zero);
  return {
    cash: sum(all.map(({ cash_balance }) => cash_balance)).toFixed(),
    AAPL: sum(all.flatMap(({ positions }) => positions.map(({ amount }) => amount))).toFixed(),
    orders: all.reduce((total, { pending_orders }) => total + pending_orders.length, 0),
  };
}

function brokerSide({ exchange }: Market) {
  return {
    cash: decimal(exchange.account().cash['USD'] ?? '0').toFixed(),
    AAPL: decimal(exchange.positions().find(({ asset }) => asset === 'AAPL')?.amount ?? '0').toFixed(),
    orders: exchange.openOrders().length,
  };
}

const patience = { timeout: 15_000, interval: 5 } as const;

/** Resolves once the broker shows what the test waits for; says what that was where it never comes. */
function until(what: string, isSo: () => boolean): Promise<void> {
  return vi.waitFor(() => expect(isSo(), `waited for ${what}`).toBe(true), patience);
}

const follows = (at: Market) => until('the engine to follow the market', () => at.server.followers() === 1);

/** The price goes up and down every two days, so that every order is reached. */
const swinging = (day: number) => bar(day, day % 4 < 2 ? 100 : 102);

/**
 * Gives a bar every few milliseconds until the broker has made so many fills; resolves with the day that comes next. No bar waits for
 * the engine's answer to the one before: a fill is told on another socket than the bar that made it, and an engine that hears of it
 * second places its next order at the next bar.
 */
async function tradeUntil(count: number, at: Market, engine: Process): Promise<number> {
  let day = 0;
  await vi.waitFor(() => {
    at.give(swinging(day));
    day += 1;
    const orders = at.exchange.orders().map(({ order_id, status }) => `${order_id} ${status}`);
    const told = `waited for ${count} fills; orders at the broker: ${orders.join(', ')}; the engine said:\n${engine.said}`;
    expect(at.exchange.fills().length, told).toBeGreaterThanOrEqual(count);
  }, patience);
  return day;
}

describe('run', () => {
  it.each([0, 50])(
    'loses nothing acknowledged to a kill -9, and after a restart ends in order with books equal to the broker (updates %d ms late)',
    async (updatesLateMs) => {
      using scratch = new Scratch();
      await using at = await market({ updatesLateMs });
      const config = scratch.file('engine.json', configFor(at.url));
      const acks = scratch.at('acks');
      await using first = new Process(['run', config, '--acks', acks]);
      await first.says('"event":"started"');
      await follows(at);
      const day = await tradeUntil(4, at, first);
      first.kill('SIGKILL');
      expect((await first.ended).signal).toBe('SIGKILL');
      const acknowledged = lastAck(acks);
      expect(acknowledged).toBeGreaterThan(0);
      const kept = readState(scratch.at('state')).restored.recovery.sequence;
      expect(kept).toBeGreaterThanOrEqual(acknowledged);
      await until('the killed engine to follow no more', () => at.server.followers() === 0);

      await using second = new Process(['run', config, '--acks', acks, '--json']);
      await second.says('"event":"started"');
      await follows(at);
      for (let more = 0; more < 20; more += 1) at.give(swinging(day + more));
      at.end();
      const { code, stdout, stderr } = await second.ended;
      expect(code, stderr).toBe(0);
      const document = runSchema.parse(JSON.parse(stdout));
      expect(document).toMatchObject({
        host: 'holdfast',
        reason: 'end of the feed',
        halted: false,
        error: null,
        epoch: 2,
      });
      expect(document.durable_sequence).toBe(document.sequence);
      expect(document.restored.sequence).toBe(kept);
      expect(lastAck(acks)).toBe(document.sequence);
      expect(books(scratch.at('state'))).toEqual(brokerSide(at));
      expect(stdout + stderr + readFileSync(acks, 'utf8')).not.toContain(keys.secretKey);
    },
  );

  it('plays a finite tape to its end with every order and fill booked', async () => {
    using scratch = new Scratch();
    await using at = await market();
    for (let day = 0; day < 20; day += 1) at.give(bar(day, 100));
    const tape = scratch.file('aapl.csv', barTape(60));
    const feed = { kind: 'tape', tapes: [{ path: tape, asset: 'AAPL' }] };
    const config = scratch.file('engine.json', configFor(at.url, { feed }));
    await using engine = new Process(['run', config]);
    const { code, stdout, stderr } = await engine.ended;
    expect(code, stderr).toBe(0);
    expect(stdout).toBe('');
    expect(stderr).toContain('stopped in order: everything is durable');
    expect(books(scratch.at('state'))).toEqual(brokerSide(at));
  });

  it('goes on where acknowledgements cannot be written, and says so once', async () => {
    if (!existsSync('/dev/full')) return;
    using scratch = new Scratch();
    await using at = await market();
    const feed = { kind: 'tape', tapes: [{ path: scratch.file('aapl.csv', barTape(60)), asset: 'AAPL' }] };
    const config = scratch.file('engine.json', configFor(at.url, { feed }));
    const { code, stderr } = await holdfast(['run', config, '--acks', '/dev/full']);
    expect(code, stderr).toBe(0);
    expect(stderr.match(/--acks \/dev\/full: cannot be written: ENOSPC/g)).toHaveLength(1);
    expect(stderr).toContain('stopped in order: everything is durable');
  });

  it('names a strategy whose handler threw, and goes on with the others', async () => {
    using scratch = new Scratch();
    await using at = await market();
    const module = scratch.file(
      'bad.mjs',
      `export const createStrategy = () => ({ onBar() { throw new Error('oops'); } });`,
    );
    const good = scratch.file(
      'good.mjs',
      `export const createStrategy = () => ({ onBar(c, bar) { c.state.set('seen', bar.at); } });`,
    );
    const feed = { kind: 'tape', tapes: [{ path: scratch.file('aapl.csv', barTape(3)), asset: 'AAPL' }] };
    const strategies = [
      { name: 'bad', module },
      { name: 'good', module: good },
    ];
    const config = scratch.file('engine.json', configFor(at.url, { feed, strategies }));
    const { code, stdout, stderr } = await holdfast(['run', config, '--json']);
    expect(code, stderr).toBe(0);
    expect(runSchema.parse(JSON.parse(stdout))).toMatchObject({ stopped_strategies: ['bad'], halted: false });
    const { restored } = readState(scratch.at('state'));
    expect(restored.mirror.snapshot('good').strategy_state).toEqual({ seen: '2020-01-03T21:00:00.000000Z' });
  });

  it('stops in order on SIGTERM, and goes on when nobody reads its log any more', async () => {
    using scratch = new Scratch();
    await using at = await market();
    const config = scratch.file('engine.json', configFor(at.url));
    await using engine = new Process(['run', config, '--json']);
    await engine.says('"event":"started"');
    engine.child.stderr?.destroy();
    await follows(at);
    at.give(bar(0, 100), bar(1, 100), bar(2, 102));
    await until('an order at the broker', () => at.exchange.orders().length > 0);
    engine.kill('SIGTERM');
    const { code, stdout } = await engine.ended;
    expect(code).toBe(0);
    expect(runSchema.parse(JSON.parse(stdout))).toMatchObject({ reason: 'SIGTERM', halted: false, error: null });
  });

  it('that ended halted exits 1 and says so', async () => {
    using scratch = new Scratch();
    await using at = await market();
    const policy = { policy: 'HALT_AND_ALERT', interval_ms: 0 };
    const config = scratch.file('engine.json', configFor(at.url, { reconciliation: policy }));
    await using first = new Process(['run', config]);
    await first.says('"event":"started"');
    first.kill('SIGINT');
    expect((await first.ended).code).toBe(0);
    at.exchange.adjustPosition('AAPL', '7');
    await using second = new Process(['run', config, '--json']);
    await second.says('"phase":"halted"');
    second.kill('SIGTERM');
    const { code, stdout } = await second.ended;
    expect(code).toBe(1);
    expect(runSchema.parse(JSON.parse(stdout))).toMatchObject({ halted: true, error: null });
  });

  it('whose feed breaks off exits 1 and says why', async () => {
    using scratch = new Scratch();
    await using at = await market();
    const tape = scratch.file('aapl.csv', `${barTape(3)}2020-01-04,not a price,1,1,1,1\n`);
    const feed = { kind: 'tape', tapes: [{ path: tape, asset: 'AAPL' }] };
    const { code, stdout } = await holdfast([
      'run',
      scratch.file('engine.json', configFor(at.url, { feed })),
      '--json',
    ]);
    expect(code).toBe(1);
    expect(runSchema.parse(JSON.parse(stdout))).toMatchObject({
      reason: 'the feed broke off',
      halted: false,
      error: { code: 'FEED_INVALID', message: expect.stringContaining('line 5') },
    });
  });

  it('stops in order on SIGTERM while it starts, and sends nothing', async () => {
    using scratch = new Scratch();
    await using silent = await silentServer();
    const config = scratch.file('engine.json', configFor(silent.url));
    await using engine = new Process(['run', config, '--json']);
    await engine.says('"phase":"restoring"');
    engine.kill('SIGTERM');
    const { code, stdout, stderr } = await engine.ended;
    expect(code, stderr).toBe(0);
    expect(runSchema.parse(JSON.parse(stdout))).toMatchObject({ reason: 'SIGTERM', halted: false });
  });

  it('ends itself at a second signal', async () => {
    using scratch = new Scratch();
    await using at = await market();
    const strategy = scratch.file(
      'slow.ts',
      `export const createStrategy = ({ name }) => ({ name, onStop() { process.kill(process.pid, 'SIGTERM'); const end = Date.now() + 60_000; setTimeout(() => {}, 60_000); } });`,
    );
    const strategies = [{ name: 'slow', module: strategy }];
    const config = scratch.file('engine.json', configFor(at.url, { strategies }));
    await using engine = new Process(['run', config]);
    await engine.says('"event":"started"');
    engine.kill('SIGINT');
    const { signal, stderr } = await engine.ended;
    expect(signal).toBe('SIGKILL');
    expect(stderr).toContain('holdfast: a second signal (SIGTERM) while stopping; what was acknowledged is durable');
  });

  it('ends itself past the shutdown deadline', async () => {
    using scratch = new Scratch();
    await using at = await market();
    // A module whose close never comes stands for a thread that is stuck.
    const broker = scratch.file(
      'stuck.mjs',
      `import { loadBroker } from '${new URL('../../src/brokers/load.ts', import.meta.url).href}';
export async function createBroker(options) {
  const inner = await loadBroker({ module: 'alpaca', options });
  return new Proxy(inner, { get: (target, name) => name === 'close' && !options.worker ? () => new Promise(() => {}) : typeof target[name] === 'function' ? target[name].bind(target) : target[name] });
}`,
    );
    const config = scratch.file(
      'engine.json',
      configFor(at.url, {
        broker: { module: broker, options: { url: at.url, settleMs: 20 } },
        shutdown_deadline_ms: 300,
      }),
    );
    await using engine = new Process(['run', config]);
    await engine.says('"event":"started"');
    engine.kill('SIGTERM');
    const { signal, stderr } = await engine.ended;
    expect(signal).toBe('SIGKILL');
    expect(stderr).toContain('the shutdown deadline passed after SIGTERM');
  });

  it('with wrong keys does not start: one line, exit 2, and no key in it', async () => {
    using scratch = new Scratch();
    await using at = await market();
    const config = scratch.file('engine.json', configFor(at.url, { log_level: 'silent' }));
    const { code, stdout, stderr } = await holdfast(['run', config, '--json'], {
      APCA_API_SECRET_KEY: 'another-canary',
    });
    expect(code).toBe(2);
    expect(stdout).toBe('');
    expect(stderr).toMatch(/^holdfast: BROKER_UNAUTHORIZED: [^\n]+\n$/);
    expect(stderr).not.toContain('another-canary');
  });

  it('on a directory that another engine holds does not start: one line with its pid', async () => {
    using scratch = new Scratch();
    await using at = await market();
    const config = scratch.file('engine.json', configFor(at.url, { log_level: 'silent' }));
    const loud = scratch.file('loud.json', configFor(at.url));
    await using holder = new Process(['run', loud]);
    await holder.says('"event":"started"');
    const { code, stderr } = await holdfast(['run', config]);
    expect(code).toBe(2);
    expect(stderr).toMatch(/^holdfast: STATE_DIRECTORY_LOCKED: [^\n]+\n$/);
    expect(stderr).toContain(String(holder.child.pid));
  });
});

describe('run is refused before anything is opened', () => {
  const url = 'http://127.0.0.1:9';
  const wrong: readonly (readonly [string, Record<string, unknown>, string, string])[] = [
    [
      'a strategy module that is not there',
      { strategies: [{ name: 'a', module: './none.ts' }] },
      'MODULE_NOT_FOUND',
      'strategy a',
    ],
    [
      'a tape that is not there',
      { feed: { kind: 'tape', tapes: [{ path: 'none.csv' }] } },
      'FEED_UNREADABLE',
      'none.csv',
    ],
    ['a broker module that is not there', { broker: { module: './none.ts' } }, 'BROKER_MODULE_NOT_FOUND', 'none.ts'],
    [
      'a broker option that there is not',
      { broker: { module: 'alpaca', options: { key: 'x' } } },
      'BROKER_OPTIONS_INVALID',
      'key',
    ],
    ['a feed module that is not there', { feed: { kind: 'module', module: './none.ts' } }, 'MODULE_NOT_FOUND', 'feed'],
    [
      'a strategy option that is wrong',
      { strategies: [{ name: 'a', module: 'ladder' }] },
      'CONFIG_INVALID',
      'options.asset',
    ],
  ];

  it.each(wrong)('%s', async (_, more, code, told) => {
    using scratch = new Scratch();
    const file = scratch.file('engine.json', configFor(url, more));
    const { error, stdout } = await captured(() => run(file, { json: true }));
    expect(stdout).toBe('');
    expect(error).toMatchObject({ code, message: expect.stringContaining(told) });
  });

  it('an acks file that cannot be written', async () => {
    using scratch = new Scratch();
    const file = scratch.file('engine.json', configFor(url));
    const { error } = await captured(() => run(file, { acks: scratch.at('none/acks') }));
    expect(error).toMatchObject({ code: 'ACKS_FILE', message: expect.stringContaining('none/acks') });
    const both = await captured(() => run(file, { acks: '-', json: true }));
    expect(both.error).toMatchObject({ code: 'ACKS_FILE', message: expect.stringContaining('leave --json out') });
  });

  it('a feed module that gives no feed', async () => {
    using scratch = new Scratch();
    writeFileSync(scratch.at('feed.mjs'), 'export const createFeed = () => 7;');
    const file = scratch.file('engine.json', configFor(url, { feed: { kind: 'module', module: './feed.mjs' } }));
    const { error } = await captured(() => run(file, {}));
    expect(error).toMatchObject({ code: 'MODULE_INVALID', message: expect.stringContaining('async iterable') });
  });
});
