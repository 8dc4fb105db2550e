import { execFile } from 'node:child_process';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { loadBroker } from '../../src/brokers/load.ts';
import { PaperExchange } from '../../src/brokers/paper/exchange.ts';
import { type PaperServer, startPaperServer } from '../../src/brokers/paper/server.ts';
import type { Alert } from '../../src/engine/alert.ts';
import { LiveTradingEngine } from '../../src/engine/live-trading-engine.ts';
import type { Strategy, StrategyContext } from '../../src/engine/strategy.ts';
import type { Trade } from '../../src/model/market.ts';
import { systemClock, timestamp } from '../../src/model/time.ts';
import type { ReconciliationPolicy } from '../../src/reconciliation/types.ts';
import { PositionReconciler } from '../../src/state/position-reconciler.ts';
import { StateManager } from '../../src/state/state-manager.ts';
import type { StateManagerOptions } from '../../src/state/state-options.ts';
import { temporaryDirectory } from '../support/checkpoint-fixtures.ts';
import { root } from '../support/documents.ts';

// One story for each thing that the user asked for, on the whole path: real worker, real files, a broker behind HTTP.

const execute = promisify(execFile);

interface Logged {
  readonly level: 'info' | 'warn' | 'error';
  readonly message: string;
}

function openState(directory: string, options: Partial<StateManagerOptions> = {}, log: Logged[] = []) {
  const at = (level: Logged['level']) => (_fields: object, message: string) => void log.push({ level, message });
  const logger = { info: at('info'), warn: at('warn'), error: at('error') };
  return StateManager.open({ directory, checkpointIntervalMs: 0, logger, force: true, ...options });
}

const order = {
  order_id: 'order-1',
  asset: 'GOOGL',
  amount: '10',
  order_type: 'limit',
  limit_price: '2800.00',
  broker_order_id: 'broker-456',
  status: 'open',
  filled_amount: '0',
} as const;

function fill(state: StateManager): number {
  const book = state.register('mean_reversion_v1');
  book.set('custom_data', { last_signal: 'buy', signal_strength: 0.75 });
  book.setPosition({ asset: 'AAPL', sid: 1, amount: '100', cost_basis: '150.25', last_price: '155.50' });
  book.setOrder(order);
  book.setCash('25000.00');
  return state.commit();
}

function checkpointIn(directory: string) {
  return JSON.parse(readFileSync(join(directory, 'mean_reversion_v1_checkpoint.json'), 'utf8'));
}

describe('what is saved', () => {
  it('strategy state, positions, open orders and cash stand in the checkpoint as they were given', async () => {
    using directory = temporaryDirectory();
    const state = await openState(directory.path);
    fill(state);
    await state.checkpoint();
    await state.close();
    expect(checkpointIn(directory.path)).toMatchObject({
      strategy_name: 'mean_reversion_v1',
      strategy_state: { custom_data: { last_signal: 'buy', signal_strength: 0.75 } },
      positions: [{ asset: 'AAPL', sid: 1, amount: '100', cost_basis: '150.25', last_price: '155.50' }],
      pending_orders: [order],
      cash_balance: '25000.00',
    });
  });
});

describe('when it is saved', () => {
  const checkpointed = (state: StateManager) =>
    new Promise<void>((resolve) => state.on('checkpointed', () => resolve()));

  it('periodically, if anything changed', async () => {
    using directory = temporaryDirectory();
    const state = await openState(directory.path, { checkpointIntervalMs: 50 });
    const done = checkpointed(state);
    const sequence = fill(state);
    await done;
    expect(checkpointIn(directory.path).sequence).toBe(sequence);
    await state.close({ checkpoint: false });
  });

  it('after a significant change', async () => {
    using directory = temporaryDirectory();
    const state = await openState(directory.path, { significantChange: { notional: '10000' } });
    const done = checkpointed(state);
    fill(state);
    await done;
    expect(checkpointIn(directory.path).positions).toHaveLength(1);
    await state.close({ checkpoint: false });
  });

  it('on shutdown', async () => {
    using directory = temporaryDirectory();
    const state = await openState(directory.path);
    const sequence = fill(state);
    await state.close();
    expect(checkpointIn(directory.path).sequence).toBe(sequence);
  });

  it('whole or not at all: no temporary file is left, and each file is as long as its last line says', async () => {
    using directory = temporaryDirectory();
    const state = await openState(directory.path);
    fill(state);
    await Promise.all([state.checkpoint(), state.checkpoint(), state.checkpoint()]);
    await state.close();
    const names = readdirSync(directory.path);
    expect(names.filter((name) => name.endsWith('.tmp'))).toEqual([]);
    for (const name of names.filter((file) => file.includes('_checkpoint'))) {
      expect(readFileSync(join(directory.path, name), 'utf8')).toMatch(/"checksum": "sha256:[0-9a-f]{64}"}\n$/);
    }
  });
});

describe('restored at start', () => {
  it('everything is there after kill -9, with nothing written at the end', async () => {
    using directory = temporaryDirectory();
    const program = `
      import { StateManager } from ${JSON.stringify(join(root, 'src/state/state-manager.ts'))};
      const state = await StateManager.open({ directory: ${JSON.stringify(directory.path)}, force: true });
      const book = state.register('mean_reversion_v1');
      book.set('custom_data', { last_signal: 'buy', signal_strength: 0.75 });
      book.setPosition({ asset: 'AAPL', sid: 1, amount: '100', cost_basis: '150.25', last_price: '155.50' });
      book.setOrder(${JSON.stringify(order)});
      book.setCash('25000.00');
      await state.durable(state.commit());
      process.kill(process.pid, 'SIGKILL');`;
    using scratch = temporaryDirectory();
    const victim = join(scratch.path, 'victim.ts');
    writeFileSync(victim, program);
    await expect(execute(process.execPath, [victim])).rejects.toMatchObject({
      signal: 'SIGKILL',
    });

    const log: Logged[] = [];
    const state = await openState(directory.path, {}, log);
    const book = state.register('mean_reversion_v1');
    expect(book.isNew).toBe(false);
    expect(book.get('custom_data')).toEqual({ last_signal: 'buy', signal_strength: 0.75 });
    expect(book.position('AAPL')?.amount).toBe('100');
    expect(book.order('order-1')).toMatchObject(order);
    expect(book.cash()).toBe('25000.00');
    expect(log.filter(({ level }) => level !== 'info')).toEqual([]);
    await state.close();
  });

  it.each([
    ['a program that was given as text', []],
    [
      'options of V8, which a thread refuses to be given',
      ['--max-semi-space-size=32', '--expose-gc', '--stack-size=900'],
    ],
  ])('starts its threads also under %s', async (what, options) => {
    using directory = temporaryDirectory();
    const module = (path: string): string => JSON.stringify(pathToFileURL(join(root, path)).href);
    const program = `
      import { PositionReconciler } from ${module('src/state/position-reconciler.ts')};
      import { StateManager } from ${module('src/state/state-manager.ts')};
      const state = await StateManager.open({ directory: ${JSON.stringify(directory.path)}, force: true });
      state.register('typed').set('lines', 1);
      await state.durable(state.commit());
      const reconciler = new PositionReconciler({
        broker: { module: ${module('test/bench/flat-broker.ts')}, options: {} },
        policy: 'WARN_ONLY',
        requestSnapshot: (sequence, port) => state.sendSnapshot(sequence, port),
      });
      const { sequence } = await reconciler.reconcile({ trigger: 'on_demand', sequence: state.sequence });
      console.log('reconciled at', sequence);
      await reconciler.close();
      await state.close();`;
    const file = join(directory.path, 'program.mjs');
    writeFileSync(file, program);
    const start = options.length === 0 ? ['--input-type=module', '-e', program] : [...options, file];
    const { stdout } = await execute(process.execPath, start);
    expect(stdout, what).toBe('reconciled at 1\n');
    expect(readdirSync(directory.path)).toContain('typed_checkpoint.json');
  });

  it('a strategy without a checkpoint is new, and no error', async () => {
    using directory = temporaryDirectory();
    const log: Logged[] = [];
    const state = await openState(directory.path, {}, log);
    expect(state.register('never_seen').isNew).toBe(true);
    expect(await state.loadCheckpoint('never_seen_either')).toBeNull();
    expect(log.filter(({ level }) => level !== 'info')).toEqual([]);
    await state.close();
  });
});

describe('stale state', () => {
  const seedFile = (at: string) => ({
    strategy_name: 'mean_reversion_v1',
    timestamp: at,
    strategy_state: {},
    positions: [],
    pending_orders: [],
    cash_balance: '1',
  });
  const hours = (count: number) => systemClock.nowMicros() - count * 3_600_000_000;
  // The same instant as a clock in another zone writes it.
  const inZone = (micros: number, zone: string, offsetHours: number) =>
    timestamp(micros + offsetHours * 3_600_000_000).replace('Z', zone);

  it.each([
    ['two hours old, in UTC', () => timestamp(hours(2)), true],
    ['two hours old, written in Tokyo', () => inZone(hours(2), '+09:00', 9), true],
    ['two hours old, written in New York', () => inZone(hours(2), '-05:00', -5), true],
    ['half an hour old, in UTC', () => timestamp(hours(0.5)), false],
    ['half an hour old, written in Kathmandu', () => inZone(hours(0.5), '+05:45', 5.75), false],
    ['from an hour ahead', () => timestamp(hours(-1)), true],
  ])('%s', async (_name, at, stale) => {
    using directory = temporaryDirectory();
    writeFileSync(join(directory.path, 'mean_reversion_v1_checkpoint.json'), JSON.stringify(seedFile(at())), {
      mode: 0o600,
    });
    const log: Logged[] = [];
    const state = await openState(directory.path, {}, log);
    expect(state.recovery.stale).toBe(stale);
    expect(log.some(({ level, message }) => level === 'warn' && /stale|old/.test(message))).toBe(stale);
    await state.close();
  });

  it.each(['UTC', 'Asia/Tokyo', 'America/New_York', 'Pacific/Chatham'])(
    'is told alike in the time zone %s',
    async (zone) => {
      using directory = temporaryDirectory();
      writeFileSync(
        join(directory.path, 'mean_reversion_v1_checkpoint.json'),
        JSON.stringify(seedFile(timestamp(hours(2)))),
        {
          mode: 0o600,
        },
      );
      const { stdout } = await execute(
        process.execPath,
        [join(root, 'src/cli/main.ts'), 'status', directory.path, '--json'],
        {
          env: { ...process.env, TZ: zone },
        },
      );
      const status = JSON.parse(stdout);
      expect(status.stale).toBe(true);
      expect(Math.round(status.age_ms / 60_000)).toBe(120);
    },
  );
});

describe('reconciled after a restore', () => {
  /** Two strategies that share the account, each of which buys once. */
  const buyer = (name: string, amount: string): Strategy => ({
    name,
    initialCash: { USD: '10000' },
    onTrade(context: StrategyContext) {
      if (context.state.get('bought') === true) return;
      context.state.set('bought', true);
      context.submit({ asset: 'AAPL', amount });
    },
  });

  const trade = (price: string): Trade => {
    const at = timestamp(systemClock.nowMicros());
    return { kind: 'trade', asset: 'AAPL', price, amount: '1000', aggressor: null, at };
  };

  interface Run {
    readonly engine: LiveTradingEngine;
    readonly state: StateManager;
    readonly alerts: readonly Alert[];
    market(price: string): void;
    stop(): Promise<void>;
  }

  async function run(
    directory: string,
    server: PaperServer,
    exchange: PaperExchange,
    policy: ReconciliationPolicy,
  ): Promise<Run> {
    const state = await openState(directory);
    const broker = {
      module: 'alpaca',
      options: { url: server.url, settleMs: 50, keyIdEnv: 'HOLDFAST_TEST_ID', secretKeyEnv: 'HOLDFAST_TEST_SECRET' },
    };
    const adapter = await loadBroker(broker);
    const reconciler = new PositionReconciler({
      broker,
      policy,
      requestSnapshot: (sequence, port) => state.sendSnapshot(sequence, port),
    });
    const events: Trade[] = [];
    let wake = () => {};
    let over = false;
    async function* feed() {
      while (!over) {
        yield* events.splice(0);
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
    }
    const alerts: Alert[] = [];
    const engine = new LiveTradingEngine({
      state,
      broker: adapter,
      reconciler,
      feed: feed(),
      policy,
      reconcileIntervalMs: 0,
      onAlert: (alert) => alerts.push(alert),
    });
    for (const [name, amount] of [
      ['alpha', '3'],
      ['beta', '2'],
    ] as const)
      engine.add(buyer(name, amount));
    await engine.start();
    return {
      engine,
      state,
      alerts,
      market(price) {
        const event = trade(price);
        exchange.onMarket(event);
        events.push(event);
        wake();
      },
      async stop() {
        over = true;
        wake();
        await engine.stop();
        await reconciler.close();
        await adapter.close();
        await state.close();
      },
    };
  }

  const until = async (what: string, test: () => boolean): Promise<void> => {
    const deadline = performance.now() + 10_000;
    while (!test()) {
      if (performance.now() > deadline) throw new Error(`waited for ${what}`);
      await new Promise((resolve) => setImmediate(resolve));
    }
  };

  const held = (state: StateManager, strategy: string) => state.register(strategy).position('AAPL')?.amount ?? '0';

  /** Trades, stops, has somebody move two shares into the account, and starts again under a policy. */
  async function restartUnder(policy: ReconciliationPolicy, check: (run: Run) => void | Promise<void>): Promise<void> {
    using directory = temporaryDirectory();
    process.env['HOLDFAST_TEST_ID'] = 'story';
    process.env['HOLDFAST_TEST_SECRET'] = 'story-secret';
    const exchange = new PaperExchange({ assets: { AAPL: 'USD' }, cash: { USD: '20000' } });
    const server = await startPaperServer({ exchange, keys: { keyId: 'story', secretKey: 'story-secret' } });
    try {
      const first = await run(directory.path, server, exchange, policy);
      first.market('100.00');
      await until('both orders at the exchange', () => exchange.openOrders().length === 2);
      first.market('101.00');
      await until('both fills', () => held(first.state, 'alpha') === '3' && held(first.state, 'beta') === '2');
      await first.stop();

      exchange.adjustPosition('AAPL', '2');
      const second = await run(directory.path, server, exchange, policy);
      await check(second);
      await second.stop();
    } finally {
      await server.close();
    }
  }

  it('WARN_ONLY reports the difference of an account that two strategies share, and changes nothing', async () => {
    await restartUnder('WARN_ONLY', ({ engine, state, alerts }) => {
      expect(engine.phase.kind).toBe('trading');
      expect([held(state, 'alpha'), held(state, 'beta'), held(state, 'UNASSIGNED')]).toEqual(['3', '2', '0']);
      expect(alerts.filter(({ code }) => code === 'DISCREPANCY').map(({ message }) => message)).toEqual([
        expect.stringMatching(/5 AAPL.*broker.*7/),
      ]);
    });
  });

  it('SYNC_TO_BROKER gives what nobody owns to UNASSIGNED, and the next reconciliation finds nothing', async () => {
    await restartUnder('SYNC_TO_BROKER', async ({ engine, state }) => {
      expect(engine.phase.kind).toBe('trading');
      expect([held(state, 'alpha'), held(state, 'beta'), held(state, 'UNASSIGNED')]).toEqual(['3', '2', '2']);
      expect(await engine.reconcile()).toMatchObject({ outcome: 'ok', plan: { actions: [] } });
    });
  });

  it('HALT_AND_ALERT stops new orders until an operator resumes, and is in the files', async () => {
    await restartUnder('HALT_AND_ALERT', ({ engine, state, alerts }) => {
      expect(engine.phase.kind).toBe('halted');
      expect(alerts.map(({ code }) => code)).toContain('HALTED');
      expect(state.register('alpha').halt).not.toBeNull();
      expect([held(state, 'alpha'), held(state, 'beta')]).toEqual(['3', '2']);
    });
  });
});
