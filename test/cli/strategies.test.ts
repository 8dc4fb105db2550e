import { describe, expect, it } from 'vitest';
import * as breakout from '../../src/cli/strategies/breakout.ts';
import * as ladder from '../../src/cli/strategies/ladder.ts';
import * as meanReversion from '../../src/cli/strategies/mean-reversion.ts';
import type { NewOrder, OrderChange, Strategy, StrategyContext } from '../../src/engine/strategy.ts';
import type { OrderSnapshot } from '../../src/model/order.ts';
import { order, position } from '../support/state-fixtures.ts';
import { bar } from './exchange.ts';

/** A context of which a test sees what the strategy asked for. */
function scene(make: typeof ladder.createStrategy, options: Record<string, unknown>) {
  const strategy: Strategy = make({ name: 's', options: { asset: 'AAPL', ...options } });
  const state = new Map<string, unknown>();
  const submitted: NewOrder[] = [];
  const replaced: [string, OrderChange][] = [];
  const held = { amount: '0', orders: [] as OrderSnapshot[] };
  const context = {
    state: { get: (key: string) => state.get(key), set: (key: string, value: unknown) => state.set(key, value) },
    position: (asset: string) => position(asset, held.amount),
    orders: () => held.orders,
    submit: (wanted: NewOrder) => submitted.push(wanted),
    replace: (id: string, change: OrderChange) => replaced.push([id, change]),
  } as unknown as StrategyContext;
  let day = 0;
  const see = (...closes: readonly number[]) => {
    for (const close of closes) strategy.onBar?.(context, bar(day++, close));
  };
  return { see, state, submitted, replaced, held };
}

describe('the ladder', () => {
  const options = { quantity: '2', offset: '0.01', lots: '2' };

  it('buys below the price, and sells above it what it holds, rounded outwards', () => {
    const { see, submitted, held } = scene(ladder.createStrategy, options);
    see(100);
    expect(submitted).toEqual([]);
    held.amount = '1';
    see(100.33);
    expect(submitted).toEqual([
      { asset: 'AAPL', amount: '2', type: 'limit', limitPrice: '99.32' },
      { asset: 'AAPL', amount: '-1', type: 'limit', limitPrice: '101.34' },
    ]);
  });

  it('buys no more lots than it may', () => {
    const { see, submitted, held } = scene(ladder.createStrategy, options);
    held.amount = '4';
    see(100, 100);
    expect(submitted.map(({ amount }) => amount)).toEqual(['-2']);
  });

  it('replaces an order that the price has left, and only one that is live', () => {
    const { see, replaced, held } = scene(ladder.createStrategy, options);
    held.orders = [order('o-1', { status: 'open', limit_price: '99' })];
    see(100, 100);
    expect(replaced).toEqual([]);
    see(110);
    expect(replaced).toEqual([['o-1', { limitPrice: '108.9' }]]);
    held.orders = [order('o-2', { status: 'pending_replace', limit_price: '99' })];
    see(110);
    expect(replaced).toHaveLength(1);
  });
});

describe('mean reversion', () => {
  it('buys under the mean, sells over it, and waits while it has an order', () => {
    const { see, submitted, held, state } = scene(meanReversion.createStrategy, {
      quantity: '2',
      window: 3,
      band: '0.05',
    });
    see(100, 100, 80);
    expect(submitted).toEqual([{ asset: 'AAPL', amount: '2' }]);
    expect(state.get('last_signal')).toBe('buy');
    held.orders = [order('o-1')];
    see(80);
    expect(submitted).toHaveLength(1);
    held.orders = [];
    held.amount = '2';
    see(120);
    expect(submitted.at(-1)).toEqual({ asset: 'AAPL', amount: '-2' });
  });
});

describe('breakout', () => {
  it('goes in at a new high and out at a new low', () => {
    const { see, submitted, held } = scene(breakout.createStrategy, { quantity: '3', window: 3 });
    see(100, 101, 102);
    expect(submitted).toEqual([{ asset: 'AAPL', amount: '3' }]);
    held.amount = '3';
    see(103);
    expect(submitted).toHaveLength(1);
    see(90);
    expect(submitted.at(-1)).toEqual({ asset: 'AAPL', amount: '-3' });
  });
});

describe('a ladder', () => {
  it.each([{ offset: '0' }, { tick: '0' }, { lots: '-1' }])('with %j is refused by name', (options) => {
    const make = () => ladder.createStrategy({ name: 's', options: { asset: 'AAPL', ...options } });
    const told = `strategy s: options.${Object.keys(options)[0]}: expected a decimal string above zero`;
    expect(make).toThrow(expect.objectContaining({ code: 'CONFIG_INVALID', message: expect.stringContaining(told) }));
  });
});

describe('a strategy that samples', () => {
  it('looks at most once in its interval of market time, and keeps its window in its state', () => {
    const { see, state } = scene(breakout.createStrategy, { window: 3, sample_ms: 2 * 86_400_000 });
    see(1, 2, 3, 4, 5, 6, 7, 8);
    expect(state.get('window')).toEqual(['3', '5', '7']);
  });

  it.each([
    [{ asset: 7 }, 'options.asset'],
    [{ quantity: 5 }, 'options.quantity'],
    [{ quantity: 'many' }, 'options.quantity'],
    [{ window: 1 }, 'options.window'],
    [{ sample_ms: -1 }, 'options.sample_ms'],
    [{ band: 'wide' }, 'options.band'],
    [{ band: 0.05 }, 'options.band'],
    [{ quantity: '-1' }, 'options.quantity: expected a decimal string above zero'],
    [{ quantity: '0' }, 'options.quantity'],
    [{ quantitty: '5' }, 'options.quantitty: expected one of asset, quantity, window, sample_ms, band'],
  ])('with options %j is refused by name', (options, told) => {
    const make = () => meanReversion.createStrategy({ name: 's', options: { asset: 'AAPL', ...options } });
    expect(make).toThrow(
      expect.objectContaining({ message: expect.stringMatching(new RegExp(`strategy s: ${told}`)) }),
    );
  });
});
