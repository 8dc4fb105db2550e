import { systemAfter } from '../actor/timers.ts';
import type { StreamConnection } from '../brokers/adapter.ts';
import { type HoldfastError, ReconciliationError, StateError } from '../model/errors.ts';
import type { FillReport, OrderReport } from '../model/report.ts';
import { recentExecutionsMax, type Snapshot } from '../model/snapshot.ts';
import { systemClock } from '../model/time.ts';
import type { ReconciliationReport } from '../reconciliation/types.ts';
import { Emitter } from '../state/emitter.ts';
import type { HostState, HostStateEvents } from '../state/host-state.ts';
import type { Alerter } from './alert.ts';
import { pause } from './backoff.ts';
import { CatchUp } from './catch-up.ts';
import type { LiveTradingEngineEvents, LiveTradingEngineOptions, StartReport } from './engine-options.ts';
import { EventLoop } from './event-loop.ts';
import { FeedPump } from './feed-pump.ts';
import { haltBook, liftHalt, sharesHalt } from './halt.ts';
import { Instruments } from './instrument.ts';
import { silentLogger } from './logger.ts';
import { OrderDesk } from './order-desk.ts';
import { mayFollow, type Phase } from './phases.ts';
import { type RunResult, reconcile } from './reconciliation-run.ts';
import { Schedule } from './schedule.ts';
import { StartUp, stoppedWhileStarting } from './start-up.ts';
import type { Strategy } from './strategy.ts';
import { StrategyDesk } from './strategy-desk.ts';
import { TradingCore } from './trading-core.ts';

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
  readonly #options: Settled;
  readonly #state: HostState;
  readonly #core: TradingCore;
  readonly #loop: EventLoop;
  readonly #desk: OrderDesk;
  readonly #strategies: StrategyDesk;
  readonly #catchUp: CatchUp;
  readonly #schedule: Schedule;
  readonly #emitter: Emitter<LiveTradingEngineEvents>;
  /** Aborts when the engine is to end. */
  readonly #life = new AbortController();
  #phase: Phase = { kind: 'idle' };
  #stream: StreamConnection | null = null;
  /** What the stream said while the engine was not ready to book it. */
  #held: [OrderReport, FillReport | null][] | null = [];
  #pump: FeedPump | null = null;
  #starting: Promise<StartReport> | null = null;
  #stopping: Promise<void> | null = null;
  #reconciling: Promise<RunResult> | null = null;
  #persistenceFailed = false;
  #halting = false;
  readonly #stateListeners: (() => void)[] = [];

  constructor(options: LiveTradingEngineOptions) {
    this.#options = { ...defaults, ...options };
    const { state, broker, clock, after, logger } = this.#options;
    const random = options.random === undefined ? {} : { random: options.random };
    const alert = this.#alert;
    this.#state = state;
    this.#emitter = new Emitter((event, error) => logger.error({ error, event }, 'a listener of the engine threw'));
    this.#core = new TradingCore({
      state,
      clock,
      alert,
      host: this.#options.host,
      instruments: options.instruments ?? new Instruments(state.currency),
      committed: (sequence) => this.#committed(sequence),
      orderChanged: (_book, order) => this.#desk.orderChanged(order.order_id),
      stranger: () => this.#catchUp.request(),
      resurfaced: (book, order) => {
        const message = `order ${order.order_id} was given up as never received and lives at the broker: its strategy is halted`;
        haltBook(book, message, 'engine', this.#core.now());
        alert('error', 'ORDER_RESURFACED', message, { strategy: book.name, details: { order_id: order.order_id } });
      },
      later: (notices) => this.#loop.notices(notices),
      fault: (error) => this.#fault(error),
    });
    this.#loop = new EventLoop(this.#core, {
      capacity: this.#options.mailboxCapacity,
      takesMarket: () => this.#phase.kind !== 'stopping' && this.#phase.kind !== 'stopped',
      onError: (error) => this.#fault(error),
    });
    this.#desk = new OrderDesk({
      state,
      broker,
      orders: this.#core.orders,
      gate: this.#options.gate,
      lagMsMax: this.#options.lagMsMax,
      after,
      ...random,
      alert,
      closedBecause: () => this.#closedBecause(),
      inTurn: (work) => this.#loop.event(work),
      catchUp: () => this.#catchUp.request(),
      halt: (reason, source) => this.halt(reason, source),
    });
    this.#strategies = new StrategyDesk({
      core: this.#core,
      desk: this.#desk,
      clock,
      after,
      logger,
      alert,
      timer: (host, name) => this.#loop.timer(host, name),
      stopped: (strategy, error) => this.#emitter.emit('strategyStopped', strategy, error),
    });
    this.#catchUp = new CatchUp({
      core: this.#core,
      broker,
      after,
      ...random,
      signal: this.#life.signal,
      inTurn: (work) => this.#loop.inTurn(work),
      failed: (error, attempt) => {
        if (attempt === 1)
          alert('warn', 'CATCH_UP_FAILED', 'executions could not be read; it is tried again', { error });
      },
    });
    this.#schedule = new Schedule(() => this.#onInterval(), { clock, after });
  }

  get phase(): Phase {
    return this.#phase;
  }

  /** The host as of the last commit. Costs as much as there is state. */
  snapshot(): Snapshot {
    return this.#state.snapshot();
  }

  on<K extends keyof LiveTradingEngineEvents>(event: K, listener: (...args: LiveTradingEngineEvents[K]) => void): void {
    this.#emitter.on(event, listener);
  }

  off<K extends keyof LiveTradingEngineEvents>(
    event: K,
    listener: (...args: LiveTradingEngineEvents[K]) => void,
  ): void {
    this.#emitter.off(event, listener);
  }

  /**
   * Adds a strategy, at any time before stop(). While trading its onStart runs at once (after the events under way).
   * @throws ConfigError STRATEGY_NAME_INVALID; StrategyError STRATEGY_EXISTS
   */
  add(strategy: Strategy): void {
    const host = this.#strategies.add(strategy);
    if (this.#phase.kind !== 'trading' && this.#phase.kind !== 'halted') return;
    const begin = (): void => {
      if (this.#phase.kind === 'trading') this.#core.startHost(host);
      else this.#core.transact(() => this.#core.lives.grant(strategy, host.book));
    };
    if (this.#core.inside) void this.#loop.inTurn(begin);
    else begin();
  }

  /**
   * Stops a strategy (onStop is called) and takes back what has not left. Its book and its open orders stay, and go on being kept;
   * a strategy of the same name that is added later goes on with them.
   * @throws StrategyError STRATEGY_UNKNOWN
   */
  remove(name: string): void {
    const host = this.#strategies.host(name);
    if (this.#core.inside) void this.#loop.inTurn(() => this.#strategies.remove(host));
    else this.#strategies.remove(host);
  }

  /**
   * Resolves once the engine trades, or is halted: what was in flight is resolved, what was missed is booked, and the books are
   * compared with the broker's. Rejects, with nothing sent and the engine stopped, with START_DEADLINE where the broker gave no answer
   * in time, with the broker's own error where waiting does not help, and with ENGINE_STOPPED.
   */
  start(): Promise<StartReport> {
    if (this.#phase.kind !== 'idle') {
      return Promise.reject(
        new StateError('ENGINE_STARTED', `start(): the engine is ${this.#phase.kind}; make a new one`),
      );
    }
    this.#setPhase({ kind: 'restoring' });
    this.#starting = this.#start();
    return this.#starting.catch(async (error: unknown) => {
      if (this.#stopping === null) await this.#end('the start failed');
      throw error;
    });
  }

  /**
   * Orderly: no new orders, onStop of each strategy, orders under way are sent and answered, the final checkpoint is acknowledged.
   * Rejects with STOP_DEADLINE where the checkpoint was not, in time; the engine is stopped either way. Safe to call twice.
   */
  stop(reason = 'stop was asked for'): Promise<void> {
    this.#stopping ??= this.#stop(reason);
    return this.#stopping;
  }

  /** No new orders, of any strategy, until resume(), also after a restart. What has not left is taken back. */
  halt(reason: string, source = 'operator'): void {
    if (this.#core.inside) this.#loop.event(() => this.#haltAll(reason, source));
    else this.#core.transact(() => this.#haltAll(reason, source));
  }

  /**
   * Lifts a halt: that of the whole engine after a reconciliation that does not ask for one, or that of one strategy.
   * Strategies that halted themselves stay so until they are named.
   * @throws ReconciliationError RESUME_REFUSED; StateError NOT_HALTED, PERSISTENCE_FAILED
   */
  async resume(reason: string, options: { readonly strategy?: string } = {}): Promise<void> {
    if (this.#persistenceFailed) {
      throw new StateError('PERSISTENCE_FAILED', 'resume(): persistence has failed for good; start a new process');
    }
    if (options.strategy !== undefined) {
      const book = this.#core.books.get(options.strategy);
      if (book !== undefined) await this.#inTransaction(() => liftHalt(book, reason, this.#core.now()));
      return;
    }
    if (this.#phase.kind !== 'halted')
      throw new StateError('NOT_HALTED', `resume(): the engine is ${this.#phase.kind}`);
    this.#desk.settleAgain();
    this.#catchUp.request();
    const result = await this.#reconcile('on_demand');
    if (result !== null && result.halt !== null) {
      throw new ReconciliationError('RESUME_REFUSED', `resume(): still halted: ${result.halt}`);
    }
    await this.#inTransaction(() => this.#liftAll(reason));
    this.#alert('info', 'RESUMED', `resumed: ${reason}`);
    if (this.#phase.kind !== 'halted') return;
    this.#setPhase({ kind: 'trading', since: this.#core.now() });
    this.#startHosts();
  }

  /** Compares the books with the broker's now, and applies the plan. @throws ReconciliationError */
  async reconcile(): Promise<ReconciliationReport> {
    const result = await this.#reconcile('on_demand');
    if (result === null) throw new ReconciliationError('NO_RECONCILER', 'reconcile(): the engine has no reconciler');
    return result.report;
  }

  /** An operator's word, after looking at the broker, that an unknown order never got there. */
  async settleAsNeverReceived(orderId: string, reason: string): Promise<void> {
    await this.#inTransaction(() => this.#desk.neverReceived(orderId, reason));
  }

  // Start.

  async #start(): Promise<StartReport> {
    const { state, broker, after, startDeadlineMs, random } = this.#options;
    this.#listenToState();
    this.#reportRecovery();
    const deadline = new AbortController();
    const cancelDeadline = after(startDeadlineMs, () => deadline.abort());
    const startUp = new StartUp({
      core: this.#core,
      desk: this.#desk,
      state,
      broker,
      after,
      ...(random === undefined ? {} : { random }),
      alert: this.#alert,
      signal: AbortSignal.any([deadline.signal, this.#life.signal]),
      inTurn: (work) => this.#loop.inTurn(work),
    });
    try {
      this.#stream = await startUp.retry('connecting the stream of order updates', () => this.#connect());
      this.#core.transact(() => this.#desk.markUnanswered());
      const before = this.#core.orders.unknown().length;
      this.#setPhase({ kind: 'resolving', unknown: before });
      const unknown = { before, after: await startUp.resolveUnknown() };
      const opened = this.#core.books.areNew;
      if (opened) await startUp.open();
      const fills = opened ? 0 : await startUp.catchUp();
      this.#releaseStream();
      this.#core.transact(() => {
        for (const host of this.#core.hosts.values()) {
          this.#core.lives.grant(host.strategy, host.book);
        }
      });
      const reconciliation = await this.#reconcileAtStart(startUp);
      this.#life.signal.throwIfAborted();
      this.#begin();
      return { recovery: state.recovery, opened, unknown, fills, reconciliation, phase: this.#phase };
    } finally {
      cancelDeadline();
    }
  }

  #connect(): Promise<StreamConnection> {
    return this.#options.broker.connect({
      // What came before is read by whoever starts; later ones tell of a gap.
      connected: () => {
        if (this.#held !== null) return;
        this.#catchUp.request();
        this.#desk.settleAgain();
      },
      update: (report, fill) => this.#onUpdate(report, fill),
      disconnected: (reason) => {
        this.#alert('warn', 'BROKER_DISCONNECTED', `the stream of order updates is down: ${reason}`);
      },
    });
  }

  #onUpdate(report: OrderReport, fill: FillReport | null): void {
    if (this.#held !== null) this.#held.push([report, fill]);
    else if (!this.#loop.update(report, fill)) {
      this.#alert('warn', 'UPDATES_DROPPED', 'too many events wait: an order update was left out and is read again');
      this.#catchUp.request();
    }
  }

  #releaseStream(): void {
    const held = this.#held ?? [];
    this.#held = null;
    for (const [report, fill] of held) this.#onUpdate(report, fill);
  }

  async #reconcileAtStart(startUp: StartUp): Promise<ReconciliationReport | null> {
    this.#setPhase({ kind: 'reconciling', round: 1 });
    // Updates that were held are part of what is compared.
    await this.#loop.inTurn(() => {});
    const result = await startUp.retry('reconciling', () => this.#reconcile('start'));
    return result?.report ?? null;
  }

  #begin(): void {
    const { halt } = this.#core.books.unassigned;
    if (halt === null) this.#setPhase({ kind: 'trading', since: this.#core.now() });
    else this.#setPhase({ kind: 'halted', reason: halt.reason, source: halt.source, since: halt.at });
    this.#desk.resendCancels();
    if (this.#phase.kind === 'trading') this.#startHosts();
    const { reconcileIntervalMs, feed } = this.#options;
    if (reconcileIntervalMs > 0) this.#schedule.every(reconcileIntervalMs, 'reconcile');
    if (feed !== undefined) void this.#runFeed(new FeedPump(feed, this.#loop));
    if (this.#core.orders.behind) this.#catchUp.request();
  }

  #startHosts(): void {
    for (const host of [...this.#core.hosts.values()]) if (host.isWaiting) this.#core.startHost(host);
  }

  async #runFeed(pump: FeedPump): Promise<void> {
    this.#pump = pump;
    let failure: Error | null = null;
    try {
      await pump.run();
    } catch (error) {
      failure = error instanceof Error ? error : new Error(String(error));
      this.#alert('error', 'FEED_FAILED', `the feed of market data ended with an error: ${failure.message}`, {
        error: failure,
      });
    }
    if (!pump.stopped) this.#emitter.emit('ended', failure);
  }

  #reportRecovery(): void {
    const { recovery } = this.#state;
    const { logger } = this.#options;
    const { epoch, sequence, age_ms, used, lost } = recovery;
    logger.info({ epoch, sequence, age_ms, used: used.length, lost: lost.length }, 'restored');
    for (const loss of lost) logger.warn({ ...loss }, 'lost in the restore');
    if (!recovery.stale) return;
    this.#alert(
      'warn',
      'STATE_STALE',
      `the restored state is of ${recovery.timestamp}; prices and orders may have moved far since`,
      {
        details: { age_ms },
      },
    );
  }

  // While it runs.

  #committed(sequence: number): void {
    this.#desk.committed(sequence);
    if (this.#held !== null) return;
    const { unreadFills, orders } = this.#core;
    if (unreadFills === 0 && !orders.behind) return;
    if ((orders.behind || unreadFills >= unreadFillsMax) && !this.#catchUp.isRunning) this.#catchUp.request();
    if (unreadFills >= recentExecutionsMax - unreadFillsMax && this.#core.books.unassigned.halt === null) {
      this.halt(
        'executions cannot be read from the broker, and their ids would be forgotten before they are',
        'engine',
      );
    }
  }

  #onInterval(): void {
    this.#desk.settleAgain();
    this.#reconcile('interval').catch((error: unknown) => {
      if (this.#life.signal.aborted) return;
      this.#alert('warn', 'RECONCILIATION_FAILED', 'reconciliation failed; it is tried again at the next interval', {
        error,
      });
    });
  }

  /** One at a time: whoever asks while one runs gets its result. Null without a reconciler. */
  async #reconcile(trigger: ReconciliationReport['trigger']): Promise<RunResult | null> {
    const { reconciler, policy, after, logger } = this.#options;
    if (reconciler === undefined) return null;
    this.#reconciling ??= reconcile(
      {
        core: this.#core,
        state: this.#state,
        reconciler,
        policy,
        after,
        signal: this.#life.signal,
        logger,
        alert: this.#alert,
        inTurn: (work) => this.#loop.inTurn(work),
        reported: (report, round) => {
          this.#emitter.emit('report', report);
          if (this.#phase.kind === 'reconciling') this.#setPhase({ kind: 'reconciling', round: round + 1 });
        },
      },
      trigger,
    ).finally(() => {
      this.#reconciling = null;
    });
    const result = await this.#reconciling;
    if (result.halt !== null && this.#core.books.unassigned.halt === null) this.halt(result.halt, 'reconciliation');
    return result;
  }

  #haltAll(reason: string, source: string): void {
    const at = this.#core.now();
    if (this.#phase.kind === 'trading') this.#setPhase({ kind: 'halted', reason, source, since: at });
    for (const book of this.#core.books.all()) haltBook(book, reason, source, at);
    this.#desk.withdrawAll(null, `halted: ${reason}`);
    this.#alert('error', 'HALTED', `halted by ${source}: ${reason}`, { details: { source } });
  }

  #liftAll(reason: string): void {
    const { unassigned } = this.#core.books;
    const account = unassigned.halt;
    if (account === null) return;
    for (const book of this.#core.books.all()) if (sharesHalt(book, account)) liftHalt(book, reason, this.#core.now());
  }

  #closedBecause(): string | null {
    const phase = this.#phase;
    if (phase.kind === 'halted') return `the engine is halted: ${phase.reason}`;
    return phase.kind === 'trading' ? null : `the engine is ${phase.kind}`;
  }

  /** Something failed outside of handlers. The books may miss what the broker told, so nothing is traded on them. */
  #fault(error: unknown): void {
    this.#desk.takenBack();
    const message = error instanceof Error ? error.message : String(error);
    this.#alert('error', 'ENGINE_FAULT', `an event could not be handled and was taken back: ${message}`, { error });
    // Where even the halt cannot be kept, the phase alone closes the engine.
    const canHalt = !this.#halting && this.#core.books.unassigned.halt === null;
    if (!canHalt || this.#phase.kind === 'stopped') return;
    this.#halting = true;
    this.halt(`an event could not be handled: ${message}`, 'engine');
    this.#halting = false;
  }

  #listenToState(): void {
    this.#listen('durable', () => this.#desk.outbox.flush());
    this.#listen('lagging', ({ lagMs, error }) => {
      const message = `persistence lags: the oldest commit waits for ${Math.round(lagMs)} ms`;
      this.#alert('warn', 'PERSISTENCE_LAGGING', message, { details: { lag_ms: Math.round(lagMs) }, error });
    });
    this.#listen('recovered', ({ laggedMs }) => {
      this.#alert('info', 'PERSISTENCE_RECOVERED', `persistence is up to date again after ${Math.round(laggedMs)} ms`);
    });
    this.#listen('failed', (error) => {
      this.#persistenceFailed = true;
      this.#alert('error', 'PERSISTENCE_FAILED', `persistence failed for good: ${error.message}`, { error });
      this.halt(`persistence failed: ${error.message}`, 'persistence');
    });
  }

  #listen<K extends keyof HostStateEvents>(event: K, listener: (...args: HostStateEvents[K]) => void): void {
    this.#state.on(event, listener);
    this.#stateListeners.push(() => this.#state.off(event, listener));
  }

  #inTransaction(work: () => void): Promise<void> {
    return this.#loop.inTurn(() => void this.#core.transact(work));
  }

  // Stop.

  async #stop(reason: string): Promise<void> {
    const wasRunning = this.#phase.kind === 'trading' || this.#phase.kind === 'halted';
    if (this.#phase.kind === 'stopped') return;
    if (this.#phase.kind !== 'idle') this.#setPhase({ kind: 'stopping', reason });
    if (!wasRunning) {
      // Whatever the start waits for, its own end is the next thing that it does; nothing of it is committed after this.
      this.#life.abort(stoppedWhileStarting());
      await this.#end(reason);
      return;
    }
    const deadline = new AbortController();
    const cancelDeadline = this.#options.after(this.#options.stopDeadlineMs, () => deadline.abort());
    try {
      this.#schedule.clearAll();
      this.#pump?.stop();
      await this.#loop.inTurn(() => this.#strategies.stopAll(reason));
      await this.#hearOut(deadline.signal);
      // The stream may still owe what the broker has done already; the final checkpoint is to hold it.
      if (!deadline.signal.aborted) await Promise.race([this.#catchUp.last(), aborted(deadline.signal)]);
      this.#leaveBehind();
      await this.#loop.drain();
      this.#life.abort(stoppedWhileStarting());
      await this.#end(reason, deadline.signal);
    } finally {
      cancelDeadline();
    }
  }

  /** Until orders and cancels have left and are answered, and so are those that an answer asked for: a cancel waits for its order. */
  async #hearOut(deadline: AbortSignal): Promise<void> {
    do {
      await Promise.race([this.#desk.drained(), aborted(deadline)]);
      await this.#loop.drain();
    } while (this.#desk.underWay > 0 && !deadline.aborted);
  }

  /** What could not be sent or answered in time. */
  #leaveBehind(): void {
    if (this.#desk.underWay === 0) return;
    const { waiting, inFlight } = this.#desk.outbox;
    const cancels = this.#desk.underWay - waiting - inFlight;
    const message = `stop deadline: ${waiting} orders were not sent and are taken back, ${inFlight} have no answer and will be looked up at the next start, ${cancels} cancels have no answer and are asked for again then: these orders may live on`;
    this.#alert('warn', 'STOP_DEADLINE', message, { details: { waiting, in_flight: inFlight, cancels } });
    this.#core.transact(() => this.#desk.withdrawAll(null, 'the engine stopped'));
  }

  async #end(reason: string, deadline: AbortSignal | null = null): Promise<void> {
    this.#life.abort(stoppedWhileStarting());
    this.#desk.close();
    const { ownsState, stopDeadlineMs, after } = this.#options;
    const own = new AbortController();
    const cancel = deadline === null ? after(stopDeadlineMs, () => own.abort()) : null;
    const limit = deadline ?? own.signal;
    try {
      // A stream that does not close in time dies with the process; the books do not depend on it.
      await Promise.race([this.#stream?.close(), aborted(limit)]);
      await this.#loop.close();
      const kept = ownsState ? this.#state.close() : this.#state.checkpoint('shutdown').then(() => {});
      await Promise.race([kept, aborted(limit).then(() => Promise.reject(stopDeadline(stopDeadlineMs)))]);
    } finally {
      cancel?.();
      for (const stopListening of this.#stateListeners.splice(0)) stopListening();
      this.#setPhase({ kind: 'stopped', reason });
      this.#emitter.emit('stopped', reason);
    }
  }

  #setPhase(phase: Phase): void {
    if (!mayFollow(this.#phase.kind, phase.kind)) return;
    this.#phase = phase;
    this.#state.phase(phase.kind);
    this.#emitter.emit('phase', phase);
  }

  readonly #alert: Alerter = (level, code, message, more = {}) => {
    const error = more.error instanceof Error ? more.error : null;
    const strategy = more.strategy ?? null;
    const alert = { level, code, message, strategy, at: this.#core.now(), details: more.details ?? {}, error };
    const { logger, onAlert } = this.#options;
    const cause = (error as HoldfastError | null)?.code ?? error?.message;
    logger[level](
      { code, ...(strategy === null ? {} : { strategy }), ...alert.details, ...(cause === undefined ? {} : { cause }) },
      message,
    );
    try {
      onAlert?.(alert);
    } catch (thrown) {
      logger.error({ error: thrown }, 'onAlert threw');
    }
    this.#emitter.emit('alert', alert);
  };
}

/** So many executions from the stream, and the broker's list is read again, so that the cursor moves. */
const unreadFillsMax = 1000;

const defaults = {
  policy: 'HALT_AND_ALERT',
  gate: 'durable',
  reconcileIntervalMs: 300_000,
  startDeadlineMs: 60_000,
  stopDeadlineMs: 10_000,
  lagMsMax: 10_000,
  mailboxCapacity: 8192,
  host: 'holdfast',
  ownsState: false,
  clock: systemClock,
  after: systemAfter,
  logger: silentLogger,
} as const satisfies Partial<LiveTradingEngineOptions>;

type Settled = LiveTradingEngineOptions & Required<Pick<LiveTradingEngineOptions, keyof typeof defaults>>;

function aborted(signal: AbortSignal): Promise<void> {
  return pause(() => () => {}, 0, signal);
}

function stopDeadline(ms: number): StateError {
  return new StateError(
    'STOP_DEADLINE',
    `stop(): the final checkpoint was not acknowledged within ${ms} ms; what is durable is as durableSequence says, and the rest comes again from the broker`,
  );
}
