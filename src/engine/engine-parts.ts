import { recentExecutionsMax } from '../model/snapshot.ts';
import { Emitter } from '../state/emitter.ts';
import type { Alerter } from './alert.ts';
import { CatchUp } from './catch-up.ts';
import { engineAlerts } from './engine-alerts.ts';
import { EngineHalts } from './engine-halts.ts';
import type { LiveTradingEngineEvents, LiveTradingEngineOptions } from './engine-options.ts';
import { type EngineSettings, engineSettings } from './engine-settings.ts';
import { EventLoop } from './event-loop.ts';
import { haltBook } from './halt.ts';
import { Instruments } from './instrument.ts';
import { OrderDesk } from './order-desk.ts';
import { OrderStream } from './order-stream.ts';
import { PhaseLine } from './phase-line.ts';
import { Reconciling } from './reconciling.ts';
import { Schedule } from './schedule.ts';
import { StateWatch } from './state-watch.ts';
import { StrategyDesk } from './strategy-desk.ts';
import { TradingCore } from './trading-core.ts';

/** What an engine is made of, each part knowing of the others what it needs. */
export interface EngineParts {
  readonly settings: EngineSettings;
  readonly emitter: Emitter<LiveTradingEngineEvents>;
  readonly alert: Alerter;
  readonly phase: PhaseLine;
  readonly core: TradingCore;
  readonly loop: EventLoop;
  readonly desk: OrderDesk;
  readonly strategies: StrategyDesk;
  readonly catchUp: CatchUp;
  readonly stream: OrderStream;
  readonly halts: EngineHalts;
  readonly reconciling: Reconciling;
  readonly watch: StateWatch;
  readonly schedule: Schedule;
  /** Aborts when the engine is to end. */
  readonly life: AbortController;
}

/** Starts nothing: only the parts are made. */
export function engineParts(options: LiveTradingEngineOptions): EngineParts {
  const settings = engineSettings(options);
  const { state, broker, clock, after, logger } = settings;
  const random = options.random === undefined ? {} : { random: options.random };
  const life = new AbortController();
  const emitter = new Emitter<LiveTradingEngineEvents>((event, error) =>
    logger.error({ error, event }, 'a listener of the engine threw'),
  );
  const alert = engineAlerts({
    logger,
    now: () => core.now(),
    ...(options.onAlert === undefined ? {} : { onAlert: options.onAlert }),
    emit: (raised) => emitter.emit('alert', raised),
  });
  const phase = new PhaseLine((entered) => {
    state.phase(entered.kind);
    emitter.emit('phase', entered);
  });

  const core: TradingCore = new TradingCore({
    state,
    clock,
    alert,
    host: settings.host,
    instruments: options.instruments ?? new Instruments(state.currency),
    committed: (sequence) => {
      desk.committed(sequence);
      keepCursorMoving(parts);
    },
    orderChanged: (_book, order) => desk.orderChanged(order.order_id),
    stranger: () => catchUp.request(),
    resurfaced: (book, order) => {
      const message = `order ${order.order_id} was given up as never received and lives at the broker: its strategy is halted`;
      haltBook(book, message, 'engine', core.now());
      alert('error', 'ORDER_RESURFACED', message, { strategy: book.name, details: { order_id: order.order_id } });
    },
    later: (notices) => loop.notices(notices),
    fault: (error) => halts.fault(error),
  });
  const loop: EventLoop = new EventLoop(core, {
    capacity: settings.mailboxCapacity,
    takesMarket: () => !phase.is('stopping', 'stopped'),
    onError: (error) => halts.fault(error),
  });
  const desk: OrderDesk = new OrderDesk({
    state,
    broker,
    orders: core.orders,
    gate: settings.gate,
    lagMsMax: settings.lagMsMax,
    books: core.books,
    clock,
    after,
    ...random,
    alert,
    closedBecause: () => phase.closedBecause(),
    inTurn: (work) => loop.event(work),
    catchUp: () => catchUp.request(),
    halt: (book, reason) => {
      if (book === null || book === core.books.unassigned) halts.all(reason, 'engine');
      else halts.strategy(book, reason, 'engine');
    },
  });
  const strategies = new StrategyDesk({
    core,
    desk,
    clock,
    after,
    logger,
    alert,
    timer: (host, name) => loop.timer(host, name),
    stopped: (strategy, error) => emitter.emit('strategyStopped', strategy, error),
    startAgain: (host) => {
      // Where the engine is halted, a resume begins it.
      void loop.inTurn(() => {
        if (phase.is('trading')) core.startHost(host);
      });
    },
  });
  const catchUp: CatchUp = new CatchUp({
    core,
    broker,
    after,
    ...random,
    signal: life.signal,
    inTurn: (work) => loop.inTurn(work),
    failed: (error, attempt) => {
      if (attempt === 1) alert('warn', 'CATCH_UP_FAILED', 'executions could not be read; it is tried again', { error });
    },
  });
  const stream = new OrderStream({
    broker,
    alert,
    take: (report, fill) => loop.update(report, fill),
    catchUp: () => catchUp.request(),
    back: () => {
      catchUp.afterGap();
      desk.settleAgain();
    },
  });
  const halts: EngineHalts = new EngineHalts({ core, loop, desk, phase, alert });
  const reconciling = new Reconciling({ core, loop, phase, halts, settings, alert, emitter, signal: life.signal });
  const watch = new StateWatch({
    state,
    alert,
    logger,
    durable: () => desk.outbox.flush(),
    failed: (error) => halts.all(`persistence failed: ${error.message}`, 'persistence'),
  });
  const schedule = new Schedule(
    () => {
      desk.settleAgain();
      reconciling.onInterval();
    },
    { clock, after },
  );
  const parts: EngineParts = {
    settings,
    emitter,
    alert,
    phase,
    core,
    loop,
    desk,
    strategies,
    catchUp,
    stream,
    halts,
    reconciling,
    watch,
    schedule,
    life,
  };
  return parts;
}

/** So many executions from the stream, and the broker's list is read again, so that the cursor moves. */
const unreadFillsMax = 1000;

/** After each commit. Costs two comparisons where there is nothing to do. */
function keepCursorMoving({ core, catchUp, stream, halts }: EngineParts): void {
  if (stream.isHeld) return;
  const { unreadFills, orders } = core;
  if (unreadFills === 0 && !orders.behind) return;
  if ((orders.behind || unreadFills >= unreadFillsMax) && !catchUp.isRunning) catchUp.request();
  if (unreadFills >= recentExecutionsMax - unreadFillsMax && !halts.isHalted) {
    halts.all('executions cannot be read from the broker, and their ids would be forgotten before they are', 'engine');
  }
}
