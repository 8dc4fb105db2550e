import { setImmediate as turn } from 'node:timers/promises';
import type { Alert, AlertCode } from '../../src/engine/alert.ts';
import type { LiveTradingEngineOptions } from '../../src/engine/engine-options.ts';
import { LiveTradingEngine } from '../../src/engine/live-trading-engine.ts';
import type { Strategy, StrategyContext } from '../../src/engine/strategy.ts';
import type { Trade } from '../../src/model/market.ts';
import type { OrderSnapshot } from '../../src/model/order.ts';
import type { Snapshot } from '../../src/model/snapshot.ts';
import { ManualClock } from '../../src/testing/manual-clock.ts';
import { FakeBroker } from './fake-broker.ts';
import { type MemoryHostState, memoryHostState } from './memory-host-state.ts';

/** An engine in memory with everything that a test turns: state, broker, clock, market. */
export interface Rig {
  readonly state: MemoryHostState;
  readonly broker: FakeBroker;
  readonly clock: ManualClock;
  readonly engine: LiveTradingEngine;
  readonly alerts: Alert[];
  readonly market: Market;
  alerted(code: AlertCode): Alert[];
  /** Lets everything happen that needs no time to pass. */
  idle(): Promise<void>;
  /** Lets time pass, with everything that follows. */
  pass(ms: number): Promise<void>;
  trade(asset: string, price: string): Promise<void>;
  /** Starts, with time passing as long as that needs it. */
  start(): ReturnType<LiveTradingEngine['start']>;
  order(strategy: string, orderId: string): OrderSnapshot | undefined;
  position(strategy: string, asset: string): string;
}

export interface RigOptions extends Partial<LiveTradingEngineOptions> {
  readonly broker?: FakeBroker;
  readonly state?: MemoryHostState;
  readonly strategies?: readonly Strategy[];
}

export function rig(options: RigOptions = {}): Rig {
  const clock = options.clock instanceof ManualClock ? options.clock : new ManualClock('2025-10-02T14:30:00Z');
  const state = options.state ?? memoryHostState({ clock });
  const broker = options.broker ?? new FakeBroker();
  const market = new Market();
  const alerts: Alert[] = [];
  const { strategies = [], ...engineOptions } = options;
  const engine = new LiveTradingEngine({
    host: 'test',
    clock,
    after: clock.after,
    random: () => 0,
    feed: market,
    reconcileIntervalMs: 0,
    ...engineOptions,
    state,
    broker,
    onAlert: (alert) => alerts.push(alert),
  });
  for (const strategy of strategies) engine.add(strategy);
  const made: Rig = {
    state,
    broker,
    clock,
    engine,
    alerts,
    market,
    alerted: (code) => alerts.filter((alert) => alert.code === code),
    idle,
    async pass(ms) {
      await idle();
      for (let left = ms; left > 0; left -= stepMs) {
        await clock.advanceInTurns(Math.min(left, stepMs));
        await idle();
      }
    },
    async trade(asset, price) {
      market.push(trade(asset, price));
      await idle();
    },
    async start() {
      const started = engine.start();
      let done = false;
      const finished = started.then(
        () => {
          done = true;
        },
        () => {
          done = true;
        },
      );
      for (let i = 0; i < 200 && !done; i += 1) await made.pass(500);
      if (done) await finished;
      await idle();
      return await started;
    },
    order: (strategy, orderId) => state.register(strategy).order(orderId),
    position: (strategy, asset) => state.register(strategy).position(asset)?.amount ?? '0',
  };
  return made;
}

/** What a timer sets off may set the next timer, so that time passes in steps. */
const stepMs = 100;

export async function idle(): Promise<void> {
  for (let i = 0; i < 12; i += 1) await turn();
}

/** What a restore of this snapshot gives to the next life, whose epoch is higher. */
export function reborn(
  snapshot: Snapshot,
  options: { readonly epoch?: number; readonly autoDurable?: boolean } = {},
): MemoryHostState {
  return memoryHostState({
    restored: snapshot.strategies,
    epoch: options.epoch ?? snapshot.epoch + 1,
    autoDurable: options.autoDurable ?? true,
    clock: new ManualClock('2025-10-02T15:30:00Z'),
    recovery: { epoch: snapshot.epoch, sequence: snapshot.sequence, timestamp: snapshot.timestamp },
  });
}

export function trade(asset: string, price: string): Trade {
  return { kind: 'trade', asset, price, amount: '1', aggressor: null, at: '2025-10-02T14:30:00Z' };
}

/** A strategy that does what a test says at its next trade, and remembers what it heard. */
export class Puppet implements Strategy {
  readonly name: string;
  readonly assets?: readonly string[];
  readonly initialCash?: Readonly<Record<string, string>>;
  readonly heard: string[] = [];
  #next: ((context: StrategyContext) => unknown) | null = null;

  constructor(
    name: string,
    options: { readonly assets?: readonly string[]; readonly initialCash?: Readonly<Record<string, string>> } = {},
  ) {
    this.name = name;
    if (options.assets !== undefined) this.assets = options.assets;
    if (options.initialCash !== undefined) this.initialCash = options.initialCash;
  }

  next(action: (context: StrategyContext) => unknown): void {
    this.#next = action;
  }

  onStart(_context: StrategyContext, restored: boolean): void {
    this.heard.push(`start ${restored ? 'restored' : 'new'}`);
  }

  onTrade(context: StrategyContext): void {
    const action = this.#next;
    this.#next = null;
    // What the action returns is given back, so that a test can return a promise.
    // biome-ignore lint/correctness/noVoidTypeReturn: a strategy written in JavaScript can do the same
    if (action !== null) return action(context) as undefined;
  }

  onFill(_context: StrategyContext, fill: { amount: string; price: string }): void {
    this.heard.push(`fill ${fill.amount} at ${fill.price}`);
  }

  onOrder(_context: StrategyContext, order: OrderSnapshot): void {
    this.heard.push(`order ${order.status}`);
  }

  onTimer(_context: StrategyContext, timer: string): void {
    this.heard.push(`timer ${timer}`);
  }

  onStop(_context: StrategyContext, reason: string): void {
    this.heard.push(`stop ${reason}`);
  }
}

/** A feed that a test pushes into. */
class Market implements AsyncIterable<Trade> {
  readonly #events: Trade[] = [];
  #wake: (() => void) | null = null;
  #ended = false;
  #failure: Error | null = null;

  push(event: Trade): void {
    this.#events.push(event);
    this.#wake?.();
  }

  end(failure: Error | null = null): void {
    this.#ended = true;
    this.#failure = failure;
    this.#wake?.();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Trade> {
    for (;;) {
      for (let event = this.#events.shift(); event !== undefined; event = this.#events.shift()) yield event;
      if (this.#failure !== null) throw this.#failure;
      if (this.#ended) return;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }
}
