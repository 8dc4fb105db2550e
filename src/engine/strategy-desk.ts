import type { After } from '../actor/timers.ts';
import { ConfigError, StrategyError } from '../model/errors.ts';
import { isDecimalString } from '../model/money.ts';
import { assertStrategyName, assetPattern, currencyPattern, UNASSIGNED } from '../model/names.ts';
import type { Clock } from '../model/time.ts';
import type { Alerter } from './alert.ts';
import { haltBook } from './halt.ts';
import type { EngineLogger } from './logger.ts';
import type { OrderDesk } from './order-desk.ts';
import { Schedule } from './schedule.ts';
import type { Strategy } from './strategy.ts';
import type { Wish } from './strategy-context.ts';
import { type HostListener, StrategyHost } from './strategy-host.ts';
import type { TradingCore } from './trading-core.ts';

export interface StrategyDeskOptions {
  readonly core: TradingCore;
  readonly desk: OrderDesk;
  readonly clock: Clock;
  readonly after: After;
  readonly logger: EngineLogger;
  readonly alert: Alerter;
  readonly timer: (host: StrategyHost, name: string) => void;
  readonly stopped: (strategy: string, error: StrategyError) => void;
  /** Begins a strategy once more whose onStart asked for an order that was refused. */
  readonly startAgain: (host: StrategyHost) => void;
}

/** Between two attempts of an onStart. */
const startAgainMs = 1_000;

/** The strategies that run here: their coming and going, their timers, and what becomes of what their handlers wish. */
export class StrategyDesk {
  readonly #options: StrategyDeskOptions;
  readonly #core: TradingCore;
  readonly #listener: HostListener;
  readonly #schedules = new Map<StrategyHost, Schedule>();
  /** Strategies whose onStart is tried again, by name. */
  readonly #starts: Schedule;
  /** Strategies whose orders are being refused: said once, until one is taken again. */
  readonly #refused = new Set<StrategyHost>();

  constructor(options: StrategyDeskOptions) {
    this.#options = options;
    const { core, desk, clock, after } = options;
    this.#core = core;
    this.#starts = new Schedule((name) => this.#startAgain(name), { clock, after });
    this.#listener = {
      logger: options.logger,
      now: () => core.now(),
      lastPrice: (asset) => core.lastPrice(asset),
      draft: (book, order) => desk.draft(book, order),
      draftReplacement: (book, orderId, change) => desk.draftReplacement(book, orderId, change),
      halt: (book, reason) => haltBook(book, reason, 'strategy', core.now()),
      wished: (host, wishes) => this.#wished(host, wishes),
      refused: (host, error) => this.#orderRefused(host, error),
      failed: (host, error) => this.#failed(host, error),
    };
  }

  /** @throws ConfigError STRATEGY_INVALID, STRATEGY_NAME_INVALID, INITIAL_CASH_INVALID; StrategyError STRATEGY_EXISTS */
  add(strategy: Strategy): StrategyHost {
    assertStrategy(strategy);
    if (strategy.name === UNASSIGNED || this.#core.hosts.has(strategy.name)) {
      throw new StrategyError(
        'STRATEGY_EXISTS',
        `strategy "${strategy.name}": the name is taken; each strategy of a host has a name of its own`,
        { details: { strategy: strategy.name } },
      );
    }
    assertInitialCash(strategy);
    const host = new StrategyHost(strategy, this.#core.books.register(strategy.name), this.#listener);
    this.#core.addHost(host);
    return host;
  }

  /** @throws StrategyError STRATEGY_UNKNOWN */
  host(name: string): StrategyHost {
    const host = this.#core.hosts.get(name);
    if (host !== undefined) return host;
    throw new StrategyError('STRATEGY_UNKNOWN', `strategy "${name}" does not run here`, {
      details: { strategy: name },
    });
  }

  remove(host: StrategyHost): void {
    this.#core.transact(() => {
      host.stop('removed');
      this.#options.desk.withdrawAll(host.name, 'the strategy was removed');
    });
    this.#clearTimers(host);
    this.#refused.delete(host);
    this.#core.removeHost(host);
  }

  /** Ends every strategy, each in a transaction of its own. */
  stopAll(reason: string): void {
    for (const host of this.#core.hosts.values()) {
      this.#clearTimers(host);
      this.#core.transact(() => host.stop(reason));
    }
  }

  #wished(host: StrategyHost, wishes: readonly Wish[]): void {
    for (const wish of wishes) {
      if (wish.kind === 'submit') {
        this.#refused.delete(host);
        this.#options.desk.submit(host.book, wish.order);
      } else if (wish.kind === 'cancel') this.#options.desk.cancel(wish.orderId);
      else if (wish.kind === 'halt') this.#halted(host, wish.reason);
      else if (wish.kind === 'clear_timer') this.#schedules.get(host)?.clear(wish.name);
      else this.#schedule(host)[wish.kind](wish.ms, wish.name);
    }
  }

  #halted(host: StrategyHost, reason: string): void {
    this.#options.desk.withdrawAll(host.name, `the strategy halted: ${reason}`);
    this.#options.alert('error', 'HALTED', `strategy "${host.name}" halted itself: ${reason}`, { strategy: host.name });
  }

  #startAgain(name: string): void {
    const host = this.#core.hosts.get(name);
    if (host?.isWaiting) this.#options.startAgain(host);
  }

  #orderRefused(host: StrategyHost, error: StrategyError): void {
    // Nothing else would begin it: what refuses the order now may let it pass in a moment.
    if (host.isWaiting) this.#starts.after(startAgainMs, host.name);
    if (this.#refused.has(host)) return;
    this.#refused.add(host);
    this.#options.alert('warn', 'ORDER_REFUSED', error.message, { strategy: host.name, error });
  }

  #failed(host: StrategyHost, error: StrategyError): void {
    this.#clearTimers(host);
    this.#core.reroute();
    this.#options.alert('error', 'STRATEGY_STOPPED', error.message, { strategy: host.name, error });
    this.#options.stopped(host.name, error);
  }

  #schedule(host: StrategyHost): Schedule {
    const known = this.#schedules.get(host);
    if (known !== undefined) return known;
    const { clock, after, timer } = this.#options;
    const schedule = new Schedule((name) => timer(host, name), { clock, after });
    this.#schedules.set(host, schedule);
    return schedule;
  }

  #clearTimers(host: StrategyHost): void {
    this.#starts.clear(host.name);
    this.#schedules.get(host)?.clearAll();
    this.#schedules.delete(host);
  }
}

const handlers = ['onStart', 'onTrade', 'onQuote', 'onBar', 'onFill', 'onOrder', 'onTimer', 'onStop'] as const;

/** What is wrong here would show as a strategy that hears nothing, or as one that is stopped at its first event. */
function assertStrategy(strategy: Strategy): void {
  const given: unknown = strategy;
  if (typeof given !== 'object' || given === null) throw strategyInvalid('strategy', 'an object with a name', given);
  assertStrategyName(strategy.name);
  const assets: unknown = strategy.assets;
  if (assets !== undefined && !(Array.isArray(assets) && assets.every(isAsset))) {
    throw strategyInvalid(`strategy "${strategy.name}", assets`, 'a list of asset names such as ["AAPL"]', assets);
  }
  for (const handler of handlers) {
    const value: unknown = strategy[handler];
    if (value === undefined || typeof value === 'function') continue;
    throw strategyInvalid(`strategy "${strategy.name}", ${handler}`, 'a function', value);
  }
}

const isAsset = (asset: unknown): boolean => typeof asset === 'string' && assetPattern.test(asset);

function strategyInvalid(what: string, expected: string, got: unknown): ConfigError {
  const shown = JSON.stringify(got)?.slice(0, 60) ?? String(got);
  return new ConfigError('STRATEGY_INVALID', `${what}: expected ${expected}, got ${shown}`);
}

function assertInitialCash({ name, initialCash = {} }: Strategy): void {
  for (const [currency, amount] of Object.entries(initialCash)) {
    if (currencyPattern.test(currency) && isDecimalString(amount) && !amount.startsWith('-')) continue;
    throw new ConfigError(
      'INITIAL_CASH_INVALID',
      `strategy "${name}", initialCash: expected amounts such as { USD: "10000" }, got ${JSON.stringify(amount)} for ${JSON.stringify(currency)}`,
      { details: { strategy: name } },
    );
  }
}
