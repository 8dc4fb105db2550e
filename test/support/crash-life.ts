import { setImmediate as turn } from 'node:timers/promises';
import type { BrokerAdapter } from '../../src/brokers/adapter.ts';
import { LiveTradingEngine } from '../../src/engine/live-trading-engine.ts';
import type { Reconciler } from '../../src/engine/reconciler-port.ts';
import type { Strategy, StrategyContext } from '../../src/engine/strategy.ts';
import type { OrderSnapshot } from '../../src/model/order.ts';
import { timestamp } from '../../src/model/time.ts';
import { Mirror } from '../../src/persistence/mirror.ts';
import { Deadline } from '../../src/reconciliation/deadline.ts';
import type { ReconciliationOptions } from '../../src/reconciliation/options.ts';
import { runReconciliation } from '../../src/reconciliation/run.ts';
import type { ReconciliationPolicy, ReconciliationReport } from '../../src/reconciliation/types.ts';
import type { HostState } from '../../src/state/host-state.ts';
import type { ManualClock } from '../../src/testing/manual-clock.ts';
import { type CrashVenue, VenueSession } from './crash-venue.ts';
import { trade } from './engine-rig.ts';
import { type MemoryHostState, memoryHostState } from './memory-host-state.ts';

/** What survives a process: the real mirror, of every delta that became durable. */
export class CrashDisk {
  readonly mirror: Mirror = new Mirror({ currency: 'USD' });
  epoch = 0;
}

/** How our code between engine and state, or engine and venue, is broken for a mutant. */
export type WrapState = (state: MemoryHostState) => MemoryHostState;

export type MakeReconciler = (
  state: HostState,
  broker: BrokerAdapter,
  clock: ManualClock,
  options?: ReconciliationOptions,
) => Reconciler;

/** One process: an engine over what was durable. */
export class Life {
  readonly state: MemoryHostState;
  readonly session: VenueSession;
  readonly engine: LiveTradingEngine;
  readonly faults: string[] = [];
  readonly #clock: ManualClock;
  #dead = false;
  #wake: (() => void) | null = null;
  #prices: string[] = [];

  constructor(options: {
    readonly disk: CrashDisk;
    readonly venue: CrashVenue;
    readonly clock: ManualClock;
    readonly strategies: readonly Strategy[];
    readonly gate?: 'durable' | 'async';
    readonly wrapState?: WrapState;
    readonly policy?: ReconciliationPolicy;
    readonly reconciliation?: ReconciliationOptions;
    /** What stands between the reconciliation and the venue. */
    readonly wrapReads?: (broker: BrokerAdapter) => BrokerAdapter;
    /** In place of the real one. */
    readonly reconciler?: MakeReconciler;
  }) {
    const { disk, venue, clock, strategies, wrapState = (state) => state, wrapReads = (broker) => broker } = options;
    disk.epoch += 1;
    this.#clock = clock;
    this.state = memoryHostState({
      restored: disk.mirror.strategies().map((name) => disk.mirror.snapshot(name)),
      epoch: disk.epoch,
      clock,
      recovery: { epoch: disk.epoch - 1, sequence: disk.mirror.sequence },
      journal: (delta) => {
        if (!this.#dead) disk.mirror.apply(delta);
      },
    });
    this.session = new VenueSession(venue);
    this.engine = new LiveTradingEngine({
      host: 'test',
      clock,
      after: (ms, run) => clock.after(ms, () => void (this.#dead || run())),
      random: () => 0,
      feed: this.#market(),
      reconcileIntervalMs: 0,
      policy: options.policy ?? 'HALT_AND_ALERT',
      reconciler: (options.reconciler ?? inProcessReconciler)(
        this.state,
        wrapReads(new VenueSession(venue, true)),
        clock,
        options.reconciliation,
      ),
      gate: options.gate ?? 'durable',
      state: wrapState(this.state),
      broker: this.session,
      onAlert: ({ code, message }) => {
        if (code === 'ENGINE_FAULT' || code === 'ORDER_RESURFACED') this.faults.push(`${code}: ${message}`);
      },
    });
    for (const strategy of strategies) this.engine.add(strategy);
  }

  get isDead(): boolean {
    return this.#dead;
  }

  /** Nothing of this process happens any more: what is not durable is gone, and nobody hears its questions. */
  kill(): void {
    this.#dead = true;
    this.session.die();
  }

  /** Starts; resolves also where it was killed on the way. */
  async start(): Promise<void> {
    let done = false;
    this.engine.start().then(
      () => {
        done = true;
      },
      (error: unknown) => {
        done = true;
        if (!this.#dead) this.faults.push(`start: ${String(error)}`);
      },
    );
    for (let i = 0; i < 400 && !done && !this.#dead; i += 1) await this.pass(stepMs);
    if (!done && !this.#dead) this.faults.push('the start did not end');
  }

  /** Compares with the venue now, as an interval would. */
  async reconcile(): Promise<ReconciliationReport | null> {
    let report: ReconciliationReport | null = null;
    let done = false;
    this.engine.reconcile().then(
      (made) => {
        report = made;
        done = true;
      },
      (error: unknown) => {
        this.faults.push(`reconcile: ${String(error)}`);
        done = true;
      },
    );
    for (let i = 0; i < 200 && !done && !this.#dead; i += 1) await this.pass(stepMs);
    return report;
  }

  async pass(ms: number): Promise<void> {
    await turns();
    for (let left = ms; left > 0; left -= stepMs) {
      await this.#clock.advanceInTurns(Math.min(left, stepMs));
      await turns();
    }
  }

  async price(asset: string): Promise<void> {
    this.#prices.push(asset);
    this.#wake?.();
    await turns();
  }

  /** Account or any strategy. */
  get isHalted(): boolean {
    return this.haltReason !== null;
  }

  get haltReason(): string | null {
    const halts = this.state.strategies().map((name) => this.state.register(name).halt);
    return halts.find((halt) => halt !== null)?.reason ?? null;
  }

  async *#market(): AsyncGenerator<ReturnType<typeof trade>> {
    for (;;) {
      for (let asset = this.#prices.shift(); asset !== undefined; asset = this.#prices.shift())
        yield trade(asset, '10');
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }
}

/**
 * Wants one order in each of its assets, and asks again where it is told that one came to nothing: so an engine that forgets an order, or
 * gives up one that lives, makes it ask for the same thing twice.
 */
export class Wisher implements Strategy {
  readonly name: string;
  readonly initialCash = { USD: '1000' };
  readonly #wishes: ReadonlyMap<string, string>;

  /** @param wishes asset → signed amount */
  constructor(name: string, wishes: ReadonlyMap<string, string>) {
    this.name = name;
    this.#wishes = wishes;
  }

  onTrade(context: StrategyContext): void {
    for (const [asset, amount] of this.#wishes) {
      if (context.state.get(asset) !== undefined) continue;
      context.state.set(asset, context.submit({ asset, amount }));
    }
  }

  onOrder(context: StrategyContext, order: OrderSnapshot): void {
    const came = order.status === 'rejected' || order.status === 'canceled' || order.status === 'expired';
    if (came && order.filled_amount === '0' && context.state.get(order.asset) === order.order_id) {
      context.state.delete(order.asset);
    }
  }
}

/** The real run, without threads: the books straight from the state, the evidence straight from the broker. */
export function inProcessReconciler(
  state: HostState,
  broker: BrokerAdapter,
  clock: ManualClock,
  options: ReconciliationOptions = {},
): Reconciler {
  let runs = 0;
  return {
    reconcile({ trigger, policy }) {
      runs += 1;
      const { strategies, sequence, timestamp: at } = state.snapshot();
      const sleep = (ms: number): Promise<void> => new Promise((resolve) => clock.after(ms, resolve));
      return runReconciliation(
        broker,
        { strategies, sequence, timestamp: at },
        {
          policy,
          options: { settleMs: 0, confirmDelayMs: 250, ...options },
          trigger,
          reportId: `r-${runs}`,
          requestedAt: timestamp(clock.nowMicros()),
          deadline: new Deadline(600_000, clock),
          clock,
          sleep,
        },
      );
    },
  };
}

/** What needs no time happens in a few turns of the event loop; what takes more goes on in the next step. */
async function turns(): Promise<void> {
  for (let i = 0; i < 5; i += 1) await turn();
}

/** Time passes in steps of so many milliseconds; within one, timers run each at its own moment. */
const stepMs = 1000;
