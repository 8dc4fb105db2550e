import { Mailbox } from '../actor/mailbox.ts';
import type { MarketEvent } from '../model/market.ts';
import type { FillReport, OrderReport } from '../model/report.ts';
import type { StrategyHost } from './strategy-host.ts';
import type { Notice, TradingCore } from './trading-core.ts';

/** What the engine handles, one at a time. Market events are themselves messages, so that one costs nothing to wrap. */
export type EngineMessage =
  | MarketEvent
  | { readonly kind: 'update'; readonly report: OrderReport; readonly fill: FillReport | null }
  | { readonly kind: 'timer'; readonly host: StrategyHost; readonly name: string }
  | { readonly kind: 'notices'; readonly notices: readonly Notice[] }
  /** One event that is not the market's: `run` is its transaction. */
  | { readonly kind: 'event'; readonly run: () => void }
  | { readonly kind: 'task'; readonly run: () => void }
  | { readonly kind: 'no_market_event' };

export interface EventLoopOptions {
  readonly capacity: number;
  /** False while the engine stops: what the market says then is left out. */
  readonly takesMarket: () => boolean;
  readonly onError: (error: unknown) => void;
}

/**
 * The engine's events in one line. The feed waits while half of the places are taken; the rest is for the broker and for timers.
 * Answers and tasks are never refused: where there is no place they wait beside the line, as many as there are requests under way.
 */
export class EventLoop {
  readonly #core: TradingCore;
  readonly #options: EventLoopOptions;
  readonly #mailbox: Mailbox<EngineMessage>;
  #beside: EngineMessage[] = [];

  constructor(core: TradingCore, options: EventLoopOptions) {
    this.#core = core;
    this.#options = options;
    this.#mailbox = new Mailbox((message) => this.#handle(message), {
      capacity: options.capacity,
      onError: options.onError,
      onSliceEnd: () => this.#letIn(),
    });
  }

  /** Takes a market event; what is none is left out. True while the feed may go on; else it waits for {@link room}. */
  market(event: MarketEvent): boolean {
    this.#mailbox.post(isMarketEvent(event) ? event : noMarketEvent);
    return this.#mailbox.size < this.#mailbox.capacity / 2;
  }

  /** Resolves when the feed may go on; false when there is nobody to go on for. */
  room(): Promise<boolean> {
    return this.#mailbox.room();
  }

  /** Takes what the stream says; false where there is no place, so that it has to be read from the broker later. */
  update(report: OrderReport, fill: FillReport | null): boolean {
    return this.#mailbox.post({ kind: 'update', report, fill });
  }

  timer(host: StrategyHost, name: string): void {
    this.#post({ kind: 'timer', host, name });
  }

  notices(notices: readonly Notice[]): void {
    this.#post({ kind: 'notices', notices });
  }

  /** Runs `work` as an event of its own, after those that wait. */
  event(work: () => void): void {
    this.#post({ kind: 'event', run: work });
  }

  /** Runs `work`, which makes its own transactions, after the events that wait; resolves when it has run, rejects when it threw. */
  inTurn(work: () => void): Promise<void> {
    return new Promise((resolve, reject) => {
      const run = (): void => {
        try {
          work();
          resolve();
        } catch (error) {
          reject(error);
        }
      };
      // After the end of the line everything still runs, at once and in the caller's turn.
      if (this.#mailbox.closed) run();
      else this.#post({ kind: 'task', run });
    });
  }

  /** Resolves when nothing waits. */
  async drain(): Promise<void> {
    do await this.#mailbox.drain();
    while (this.#beside.length > 0);
  }

  async close(): Promise<void> {
    await this.drain();
    await this.#mailbox.close();
  }

  #post(message: EngineMessage): void {
    if (this.#mailbox.closed) return;
    if (this.#beside.length > 0 || !this.#mailbox.post(message)) this.#beside.push(message);
  }

  #letIn(): void {
    while (this.#beside.length > 0) {
      const [first] = this.#beside;
      if (first === undefined || !this.#mailbox.post(first)) return;
      this.#beside.shift();
    }
  }

  #handle(message: EngineMessage): void {
    switch (message.kind) {
      case 'trade':
      case 'quote':
      case 'bar':
        if (this.#options.takesMarket()) this.#core.market(message);
        return;
      case 'update':
        this.#core.update(message.report, message.fill);
        return;
      case 'timer':
        this.#core.transact(() => message.host.onTimer(message.name));
        return;
      case 'notices':
        this.#core.tell(message.notices);
        return;
      case 'event':
        this.#core.transact(message.run);
        return;
      case 'task':
        message.run();
        return;
      case 'no_market_event':
        this.#core.leaveOut('', 'expected a trade, a quote or a bar of an asset');
    }
  }
}

/** Takes a place in line too: a feed that gives nothing else would keep the thread to itself. */
const noMarketEvent: EngineMessage = { kind: 'no_market_event' };

/** A feed is written by others, and what it gives shares the line with the engine's own messages. */
function isMarketEvent(event: MarketEvent | null | undefined): boolean {
  if (typeof event !== 'object' || event === null || typeof event.asset !== 'string' || event.asset === '')
    return false;
  return event.kind === 'trade' || event.kind === 'quote' || event.kind === 'bar';
}
