import { StrategyError } from '../model/errors.ts';
import type { MarketEvent } from '../model/market.ts';
import type { DecimalString } from '../model/money.ts';
import type { OrderSnapshot } from '../model/order.ts';
import type { PositionSnapshot } from '../model/position.ts';
import type { Timestamp } from '../model/time.ts';
import type { StrategyState } from '../state/host-state.ts';
import type { EngineLogger } from './logger.ts';
import type { NewOrder, OrderChange, StrategyContext } from './strategy.ts';

/** What a handler asked for beyond changes of its book. It happens once the handler has succeeded, and never when it fails. */
export type Wish =
  | { readonly kind: 'submit'; readonly order: OrderSnapshot }
  | { readonly kind: 'cancel'; readonly orderId: string }
  | { readonly kind: 'after' | 'every'; readonly name: string; readonly ms: number }
  | { readonly kind: 'clear_timer'; readonly name: string }
  | { readonly kind: 'halt'; readonly reason: string };

/** The engine, as a context uses it. Drafts are staged in the strategy's book and so are rolled back with it. */
export interface ContextHost {
  now(): Timestamp;
  lastPrice(asset: string): DecimalString | undefined;
  /** @throws StrategyError ORDER_INVALID, ORDER_REFUSED */
  draft(book: StrategyState, order: NewOrder): OrderSnapshot;
  /** @throws StrategyError ORDER_INVALID, ORDER_REFUSED */
  draftReplacement(book: StrategyState, orderId: string, change: OrderChange): OrderSnapshot;
  halt(book: StrategyState, reason: string): void;
  readonly logger: EngineLogger;
}

/** One strategy's context, the same object for every handler: open while one runs, and closed between them. */
export class HandlerContext implements StrategyContext {
  readonly strategy: string;
  readonly state: StrategyContext['state'];
  readonly #book: StrategyState;
  readonly #host: ContextHost;
  #open = false;
  #event: MarketEvent | null = null;
  #wishes: Wish[] = [];

  constructor(book: StrategyState, host: ContextHost) {
    this.strategy = book.name;
    this.#book = book;
    this.#host = host;
    this.state = {
      get: (key) => this.#live().get(key),
      set: (key, value) => this.#live().set(key, value),
      delete: (key) => this.#live().delete(key),
      keys: () => this.#live().keys(),
    };
  }

  /** For the engine: a handler begins. */
  open(event: MarketEvent | null): void {
    this.#open = true;
    this.#event = event;
  }

  /** For the engine: the handler has ended. Gives what it wished for. */
  close(): readonly Wish[] {
    this.#open = false;
    this.#event = null;
    if (this.#wishes.length === 0) return noWishes;
    const wishes = this.#wishes;
    this.#wishes = [];
    return wishes;
  }

  get now(): Timestamp {
    return this.#host.now();
  }

  get event(): MarketEvent | null {
    return this.#event;
  }

  position(asset: string): PositionSnapshot | undefined {
    return this.#live().position(asset);
  }

  positions(): readonly PositionSnapshot[] {
    return this.#live().positions();
  }

  cash(currency?: string): DecimalString {
    return this.#live().cash(currency);
  }

  lastPrice(asset: string): DecimalString | undefined {
    return this.#host.lastPrice(asset);
  }

  orders(): readonly OrderSnapshot[] {
    return this.#live().orders();
  }

  submit(order: NewOrder): string {
    const drafted = this.#host.draft(this.#live(), order);
    this.#wishes.push({ kind: 'submit', order: drafted });
    return drafted.order_id;
  }

  cancel(orderId: string): void {
    // An order that is final by now is no mistake of the strategy's: the news and its wish have crossed.
    if (this.#live().order(orderId) !== undefined) this.#wishes.push({ kind: 'cancel', orderId });
  }

  replace(orderId: string, change: OrderChange): string {
    const drafted = this.#host.draftReplacement(this.#live(), orderId, change);
    this.#wishes.push({ kind: 'submit', order: drafted });
    return drafted.order_id;
  }

  after(ms: number, name: string): void {
    this.#setTimer('after', ms, name);
  }

  every(ms: number, name: string): void {
    this.#setTimer('every', ms, name);
  }

  clearTimer(name: string): void {
    this.#live();
    this.#wishes.push({ kind: 'clear_timer', name });
  }

  halt(reason: string): void {
    this.#host.halt(this.#live(), reason);
    this.#wishes.push({ kind: 'halt', reason });
  }

  log(message: string, fields: Readonly<Record<string, string | number | boolean>> = {}): void {
    this.#host.logger.info({ ...fields, strategy: this.strategy }, message);
  }

  #setTimer(kind: 'after' | 'every', ms: number, name: string): void {
    this.#live();
    if (typeof name !== 'string' || !Number.isFinite(ms) || ms < (kind === 'every' ? 1 : 0)) {
      throw new StrategyError(
        'TIMER_INVALID',
        `strategy "${this.strategy}", timer ${JSON.stringify(name)}: expected a name and a finite number of milliseconds, got ${String(ms)}`,
        { details: { strategy: this.strategy } },
      );
    }
    this.#wishes.push({ kind, ms, name });
  }

  #live(): StrategyState {
    if (this.#open) return this.#book;
    throw new StrategyError(
      'CONTEXT_CLOSED',
      `strategy "${this.strategy}" used its context outside a handler; do it in onTimer, with context.after(0, name), so that it is committed`,
      { details: { strategy: this.strategy } },
    );
  }
}

const noWishes: readonly Wish[] = Object.freeze([]);
