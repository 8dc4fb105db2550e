import { StrategyError } from '../model/errors.ts';
import type { Fill } from '../model/fill.ts';
import type { MarketEvent } from '../model/market.ts';
import type { OrderSnapshot } from '../model/order.ts';
import type { StrategyState } from '../state/host-state.ts';
import type { Strategy } from './strategy.ts';
import { type ContextHost, HandlerContext, type Wish } from './strategy-context.ts';

/** What a host tells the engine after each handler. */
export interface HostListener extends ContextHost {
  wished(host: StrategyHost, wishes: readonly Wish[]): void;
  /** An order was refused and the handler did not catch it: its changes are gone, and the strategy goes on. */
  refused(host: StrategyHost, error: StrategyError): void;
  /** The strategy is stopped. */
  failed(host: StrategyHost, error: StrategyError): void;
}

/**
 * Runs one strategy's handlers.
 *
 * 1. A handler's changes and wishes count all or not at all: when it throws or returns a promise, its book is as it was before it,
 *    and what it wished for never happens. What the broker told in the same event stays.
 * 2. A handler that fails stops its strategy, and no other. Only ORDER_REFUSED does not: that the host takes no orders for the moment
 *    is no mistake of the strategy's.
 * 3. No handler runs before onStart has succeeded, nor after the strategy was stopped.
 */
export class StrategyHost {
  readonly strategy: Strategy;
  readonly book: StrategyState;
  readonly #context: HandlerContext;
  readonly #listener: HostListener;
  #status: 'waiting' | 'running' | 'stopped' = 'waiting';

  constructor(strategy: Strategy, book: StrategyState, listener: HostListener) {
    this.strategy = strategy;
    this.book = book;
    this.#listener = listener;
    this.#context = new HandlerContext(book, listener);
  }

  get name(): string {
    return this.book.name;
  }

  get isRunning(): boolean {
    return this.#status === 'running';
  }

  /** True until onStart has succeeded, or failed for good. */
  get isWaiting(): boolean {
    return this.#status === 'waiting';
  }

  /** @param restored whether it was started before, in this process or another */
  start(restored: boolean): void {
    if (this.#status !== 'waiting') return;
    const succeeded = this.#run(null, () => this.strategy.onStart?.(this.#context, restored));
    if (succeeded && this.isWaiting) this.#status = 'running';
  }

  /** The hot path: no closure, nothing allocated. */
  onMarket(event: MarketEvent): void {
    if (this.#status !== 'running') return;
    const { strategy } = this;
    const context = this.#context;
    const savepoint = this.book.savepoint();
    context.open(event);
    let result: unknown;
    try {
      if (event.kind === 'trade') result = strategy.onTrade?.(context, event);
      else if (event.kind === 'quote') result = strategy.onQuote?.(context, event);
      else result = strategy.onBar?.(context, event);
    } catch (error) {
      this.#fail(savepoint, error);
      return;
    }
    this.#succeed(savepoint, result);
  }

  onFill(fill: Fill): void {
    if (this.isRunning) this.#run(null, () => this.strategy.onFill?.(this.#context, fill));
  }

  onOrder(order: OrderSnapshot): void {
    if (this.isRunning) this.#run(null, () => this.strategy.onOrder?.(this.#context, order));
  }

  onTimer(name: string): void {
    if (this.isRunning) this.#run(null, () => this.strategy.onTimer?.(this.#context, name));
  }

  /** Ends the strategy in order: its onStop runs where its onStart had. */
  stop(reason: string): void {
    if (this.isRunning) this.#run(null, () => this.strategy.onStop?.(this.#context, reason));
    this.#status = 'stopped';
  }

  #run(event: MarketEvent | null, handler: () => unknown): boolean {
    const savepoint = this.book.savepoint();
    this.#context.open(event);
    let result: unknown;
    try {
      result = handler();
    } catch (error) {
      this.#fail(savepoint, error);
      return false;
    }
    return this.#succeed(savepoint, result);
  }

  #succeed(savepoint: number, result: unknown): boolean {
    if (isThenable(result)) {
      this.#fail(savepoint, asyncHandler(this.name));
      // Nobody will wait for it; a rejection of it must not end the process.
      result.then(undefined, () => {});
      return false;
    }
    const wishes = this.#context.close();
    if (wishes.length > 0) this.#listener.wished(this, wishes);
    return true;
  }

  #fail(savepoint: number, thrown: unknown): void {
    this.#context.close();
    this.book.rollbackTo(savepoint);
    if (thrown instanceof StrategyError && thrown.code === 'ORDER_REFUSED') {
      this.#listener.refused(this, thrown);
      return;
    }
    this.#status = 'stopped';
    this.#listener.failed(this, thrown instanceof StrategyError ? thrown : handlerFailed(this.name, thrown));
  }
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof value === 'object' && value !== null && 'then' in value && typeof value.then === 'function';
}

function asyncHandler(strategy: string): StrategyError {
  return new StrategyError(
    'HANDLER_ASYNC',
    `strategy "${strategy}": a handler returned a promise; handlers are synchronous, one event and one commit. Do the waiting outside and come back with a timer. Its changes were rolled back and it is stopped`,
    { details: { strategy } },
  );
}

function handlerFailed(strategy: string, cause: unknown): StrategyError {
  const message = wordsOf(cause);
  return new StrategyError(
    'HANDLER_FAILED',
    `strategy "${strategy}": a handler threw: ${message}. Its changes were rolled back and it is stopped; what the broker told stays booked`,
    { cause, details: { strategy } },
  );
}

/** Anything can be thrown, also what cannot be made a string; that must not look like a fault of the engine. */
function wordsOf(thrown: unknown): string {
  try {
    return thrown instanceof Error ? String(thrown.message) : String(thrown);
  } catch {
    return 'something that cannot be shown';
  }
}
