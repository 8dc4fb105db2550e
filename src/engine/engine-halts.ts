import type { StrategyState } from '../state/host-state.ts';
import type { Alerter } from './alert.ts';
import type { EventLoop } from './event-loop.ts';
import { haltBook, liftHalt, sharesHalt } from './halt.ts';
import type { OrderDesk } from './order-desk.ts';
import type { PhaseLine } from './phase-line.ts';
import type { TradingCore } from './trading-core.ts';

export interface EngineHaltsOptions {
  readonly core: TradingCore;
  readonly loop: EventLoop;
  readonly desk: OrderDesk;
  readonly phase: PhaseLine;
  readonly alert: Alerter;
}

/** Stops new orders, of one strategy or of all, and lets them go again. A halt is state: it is durable and comes back. */
export class EngineHalts {
  readonly #options: EngineHaltsOptions;
  #halting = false;

  constructor(options: EngineHaltsOptions) {
    this.#options = options;
  }

  /** Whether the account is halted. */
  get isHalted(): boolean {
    return this.#options.core.books.unassigned.halt !== null;
  }

  /** Of everything, as an event of its own. */
  all(reason: string, source: string): void {
    const { core, loop } = this.#options;
    if (core.inside) loop.event(() => this.#all(reason, source));
    else core.transact(() => this.#all(reason, source));
  }

  /** Of one strategy; in a transaction. */
  strategy(book: StrategyState, reason: string, source: string): void {
    const { core, desk, alert } = this.#options;
    if (book.halt !== null) return;
    haltBook(book, reason, source, core.now());
    desk.withdrawAll(book.name, `the strategy is halted: ${reason}`);
    alert('error', 'HALTED', `strategy "${book.name}" is halted by ${source}: ${reason}`, {
      strategy: book.name,
      details: { source },
    });
  }

  /** Lifts the account's halt, with those of the strategies that share it; in a transaction. */
  lift(reason: string): void {
    const { core } = this.#options;
    const account = core.books.unassigned.halt;
    if (account === null) return;
    for (const book of core.books.all()) if (sharesHalt(book, account)) liftHalt(book, reason, core.now());
  }

  /** Something failed outside of handlers. The books may miss what the broker told, so nothing is traded on them. */
  fault(error: unknown): void {
    const { desk, phase, alert } = this.#options;
    desk.takenBack();
    const message = error instanceof Error ? error.message : String(error);
    alert('error', 'ENGINE_FAULT', `an event could not be handled and was taken back: ${message}`, { error });
    // Where even the halt cannot be kept, the phase alone closes the engine.
    if (this.#halting || this.isHalted || phase.is('stopped')) return;
    this.#halting = true;
    this.all(`an event could not be handled: ${message}`, 'engine');
    this.#halting = false;
  }

  #all(reason: string, source: string): void {
    const { core, desk, phase, alert } = this.#options;
    const at = core.now();
    if (phase.is('trading')) phase.enter({ kind: 'halted', reason, source, since: at });
    for (const book of core.books.all()) haltBook(book, reason, source, at);
    desk.withdrawAll(null, `halted: ${reason}`);
    alert('error', 'HALTED', `halted by ${source}: ${reason}`, { details: { source } });
  }
}
