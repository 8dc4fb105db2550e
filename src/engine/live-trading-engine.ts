import { ReconciliationError, StateError, StrategyError } from '../model/errors.ts';
import type { Snapshot } from '../model/snapshot.ts';
import type { ReconciliationPolicy, ReconciliationReport } from '../reconciliation/types.ts';
import type { LiveTradingEngineEvents, LiveTradingEngineOptions, StartReport } from './engine-options.ts';
import { type EngineParts, engineParts } from './engine-parts.ts';
import { runFeed, startEngine, startHosts } from './engine-start.ts';
import { endEngine, stopEngine } from './engine-stop.ts';
import { FeedPump } from './feed-pump.ts';
import { liftHalt } from './halt.ts';
import type { Phase } from './phases.ts';
import type { Strategy } from './strategy.ts';

/**
 * Trades strategies on one account, and comes back after any crash with their books as they were.
 *
 * E1. No order leaves before `trading`, and none while halted, stopping, or while persistence takes no intents.
 * E2. One event, one commit: what the broker told and what the handlers made of it become state together.
 * E3. An order leaves once its intent is durable (gate `durable`), and never twice; one without an answer is looked up.
 * E4. Every execution counts once, by its id, whether it comes by the stream, by catching up, or with a reconciliation.
 * E5. A halt is durable and comes back after a restart; market data and executions are still handled.
 *
 * A strategy's handlers run from its onStart on, which is when the engine first trades; what the broker told before that is told to it
 * right after onStart. The engine uses the state and the broker and closes neither, unless it was told to own the state.
 */
export class LiveTradingEngine {
  readonly #parts: EngineParts;
  #pump: FeedPump | null = null;
  #stopping: Promise<void> | null = null;

  constructor(options: LiveTradingEngineOptions) {
    this.#parts = engineParts(options);
  }

  get phase(): Phase {
    return this.#parts.phase.current;
  }

  /** The host as of the last commit. Costs as much as there is state. */
  snapshot(): Snapshot {
    return this.#parts.settings.state.snapshot();
  }

  on<K extends keyof LiveTradingEngineEvents>(event: K, listener: (...args: LiveTradingEngineEvents[K]) => void): void {
    this.#parts.emitter.on(event, listener);
  }

  off<K extends keyof LiveTradingEngineEvents>(
    event: K,
    listener: (...args: LiveTradingEngineEvents[K]) => void,
  ): void {
    this.#parts.emitter.off(event, listener);
  }

  /**
   * Adds a strategy, at any time before stop(). While trading its onStart runs at once (after the events under way).
   * @throws ConfigError STRATEGY_NAME_INVALID, STRATEGY_INVALID, INITIAL_CASH_INVALID; StrategyError STRATEGY_EXISTS;
   *   StateError ENGINE_STOPPED
   */
  add(strategy: Strategy): void {
    const { core, loop, phase, strategies } = this.#parts;
    if (phase.is('stopping', 'stopped')) {
      throw new StateError('ENGINE_STOPPED', `add(): the engine is ${phase.current.kind}; make a new one`);
    }
    const host = strategies.add(strategy);
    if (!phase.is('trading', 'halted')) return;
    const begin = (): void => {
      if (phase.is('trading')) core.startHost(host);
      else core.transact(() => core.lives.grant(strategy, host.book));
    };
    if (core.inside) void loop.inTurn(begin);
    else begin();
  }

  /**
   * Stops a strategy (onStop is called) and takes back what has not left. Its book and its open orders stay, and go on being kept;
   * a strategy of the same name that is added later goes on with them.
   * @throws StrategyError STRATEGY_UNKNOWN
   */
  remove(name: string): void {
    const { core, loop, strategies } = this.#parts;
    const host = strategies.host(name);
    if (core.inside) void loop.inTurn(() => strategies.remove(host));
    else strategies.remove(host);
  }

  /**
   * Resolves once the engine trades, or is halted: what was in flight is resolved, what was missed is booked, and the books are
   * compared with the broker's. Rejects, with nothing sent and the engine stopped, with START_DEADLINE where the broker gave no answer
   * in time, with the broker's own error where waiting does not help, and with ENGINE_STOPPED.
   */
  start(): Promise<StartReport> {
    const { phase } = this.#parts;
    if (!phase.is('idle')) {
      return Promise.reject(
        new StateError('ENGINE_STARTED', `start(): the engine is ${phase.current.kind}; make a new one`),
      );
    }
    phase.enter({ kind: 'restoring' });
    return this.#start();
  }

  /**
   * Orderly: no new orders, onStop of each strategy, orders under way are sent and answered, the final checkpoint is acknowledged.
   * Rejects with STOP_DEADLINE where the checkpoint was not, in time; the engine is stopped either way. Safe to call twice.
   */
  stop(reason = 'stop was asked for'): Promise<void> {
    this.#stopping ??= stopEngine(this.#parts, reason, () => this.#pump);
    return this.#stopping;
  }

  /** No new orders, of any strategy, until resume(), also after a restart. What has not left is taken back. */
  halt(reason: string, source = 'operator'): void {
    this.#parts.halts.all(reason, source);
  }

  /**
   * Lifts a halt: that of the whole engine after a reconciliation that does not ask for one, or that of one strategy.
   * Strategies that halted themselves stay so until they are named.
   * @throws ReconciliationError RESUME_REFUSED; StateError NOT_HALTED, PERSISTENCE_FAILED; StrategyError STRATEGY_UNKNOWN
   */
  async resume(reason: string, options: { readonly strategy?: string } = {}): Promise<void> {
    const { core, desk, catchUp, phase, watch, halts, reconciling, alert } = this.#parts;
    if (watch.hasFailed) {
      throw new StateError('PERSISTENCE_FAILED', 'resume(): persistence has failed for good; start a new process');
    }
    if (options.strategy !== undefined) {
      const book = core.books.get(options.strategy);
      if (book === undefined) throw strategyUnknown('resume()', options.strategy, [...core.books.all()]);
      if (book.halt === null) {
        throw new StateError('NOT_HALTED', `resume(): strategy "${options.strategy}" is not halted`);
      }
      await this.#inTransaction(() => liftHalt(book, reason, core.now()));
      return;
    }
    if (!phase.is('halted')) throw new StateError('NOT_HALTED', `resume(): the engine is ${phase.current.kind}`);
    desk.settleAgain();
    catchUp.request();
    const result = await reconciling.run('on_demand');
    if (result !== null && result.halt !== null) {
      throw new ReconciliationError('RESUME_REFUSED', `resume(): still halted: ${result.halt}`);
    }
    await this.#inTransaction(() => halts.lift(reason));
    alert('info', 'RESUMED', `resumed: ${reason}`);
    if (!phase.is('halted')) return;
    phase.enter({ kind: 'trading', since: core.now() });
    startHosts(this.#parts);
  }

  /**
   * Compares the books with the broker's now, and applies the plan; with `dryRun` the plan is only made, by that policy, and neither
   * books nor trading are touched.
   * @throws ReconciliationError
   */
  async reconcile(options: { readonly dryRun?: ReconciliationPolicy } = {}): Promise<ReconciliationReport> {
    const { reconciling } = this.#parts;
    const report =
      options.dryRun === undefined
        ? (await reconciling.run('on_demand'))?.report
        : await reconciling.dryRun(options.dryRun);
    if (report == null) throw new ReconciliationError('NO_RECONCILER', 'reconcile(): the engine has no reconciler');
    return report;
  }

  /**
   * An operator's word, after looking at the broker, that an unknown order never got there.
   * @throws StateError ORDER_NOT_UNKNOWN where there is no such order, or its fate is known: then nothing is changed
   */
  async settleAsNeverReceived(orderId: string, reason: string): Promise<void> {
    const { orders } = this.#parts.core;
    if (!orders.isUnknown(orderId)) {
      const status = orders.find(orderId)?.order.status;
      throw new StateError(
        'ORDER_NOT_UNKNOWN',
        `settleAsNeverReceived(): order ${orderId} is ${status ?? 'not open here'}; unknown are: ${orders.unknown().join(', ') || 'none'}`,
        { details: { order_id: orderId } },
      );
    }
    await this.#inTransaction(() => this.#parts.desk.neverReceived(orderId, reason));
  }

  async #start(): Promise<StartReport> {
    const parts = this.#parts;
    try {
      const report = await startEngine(parts);
      const { feed } = parts.settings;
      if (feed !== undefined && parts.phase.is('trading', 'halted')) {
        this.#pump = new FeedPump(feed, parts.loop);
        void runFeed(parts, this.#pump);
      }
      return report;
    } catch (error) {
      if (this.#stopping === null) await endEngine(parts, 'the start failed');
      throw error;
    }
  }

  #inTransaction(work: () => void): Promise<void> {
    const { loop, core } = this.#parts;
    return loop.inTurn(() => void core.transact(work));
  }
}

function strategyUnknown(call: string, name: string, books: readonly { readonly name: string }[]): StrategyError {
  const known = books.map((book) => book.name).join(', ');
  return new StrategyError('STRATEGY_UNKNOWN', `${call}: no strategy "${name}" has a book here; there are: ${known}`, {
    details: { strategy: name },
  });
}
