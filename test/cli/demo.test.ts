import { afterEach, describe, expect, it, vi } from 'vitest';
import type { BrokerClient } from '../../src/cli/demo/broker-client.ts';
import { closingRows, closingTable } from '../../src/cli/demo/closing-table.ts';
import { fillWhileDown, keepTapeFor, type MarketWatch, ordersInTheMarket } from '../../src/cli/demo/market-watch.ts';
import { type DemoPlan, planDemo } from '../../src/cli/demo/plan.ts';
import { Story } from '../../src/cli/demo/story.ts';
import { demoTapes } from '../../src/cli/demo/tapes.ts';
import { emptyCursor, type StrategySnapshot } from '../../src/model/snapshot.ts';
import { order, position } from '../support/state-fixtures.ts';
import { barTape, captured, Scratch } from './support.ts';

function book(strategy_name: string, more: Partial<StrategySnapshot> = {}): StrategySnapshot {
  return {
    strategy_name,
    strategy_state: {},
    positions: [],
    pending_orders: [],
    cash_balance: '0',
    currency: 'USD',
    other_cash: {},
    broker_cursor: emptyCursor,
    halt: null,
    ...more,
  };
}

describe('the closing table', () => {
  const broker = {
    account: async () => ({ cash: '1000.10', currency: 'USD' }),
    positions: async () => [{ symbol: 'AAPL', qty: '30', avg_entry_price: '1' }],
    orders: async () => [{}],
  } as unknown as BrokerClient;

  it('adds up the strategies and compares every figure to the last decimal', async () => {
    const books = [
      book('a', { positions: [position('AAPL', '10')], cash_balance: '1000', pending_orders: [order('o')] }),
      book('b', { positions: [position('AAPL', '20'), position('MSFT', '0')], cash_balance: '0.1' }),
    ];
    const rows = await closingRows(books, broker);
    expect(rows).toEqual([
      { what: 'position AAPL', books: '30', broker: '30', equal: true, parts: { a: '10', b: '20' } },
      { what: 'cash USD', books: '1000.1', broker: '1000.10', equal: true, parts: { a: '1000', b: '0.1' } },
      { what: 'open orders', books: '1', broker: '1', equal: true, parts: { a: '1', b: '0' } },
    ]);
    expect(closingTable(rows).split('\n')).toEqual([
      '                 AAPL  cash USD  open orders',
      '--------------  -----  --------  -----------',
      'a                  10    1000.0            1',
      'b                  20       0.1            0',
      "engine's books     30    1000.1            1",
      "broker's           30    1000.1            1",
      '                equal     equal        equal',
    ]);
  });

  it('sees a difference of the last decimal, and what only one side has', async () => {
    const rows = await closingRows(
      [book('a', { positions: [position('MSFT', '1')], cash_balance: '1000.1000001' })],
      broker,
    );
    expect(rows.map(({ what, equal }) => [what, equal])).toEqual([
      ['position AAPL', false],
      ['position MSFT', false],
      ['cash USD', false],
      ['open orders', false],
    ]);
    expect(closingTable(rows)).toContain('DIFFERENT');
  });
});

describe('the plan', () => {
  it('trades what the tapes hold, and gives each strategy its share of the cash', async () => {
    const plan = await planDemo(demoTapes(undefined), 8);
    expect(plan.strategies.map(({ module }) => module)).toEqual(['ladder', 'mean-reversion', 'breakout']);
    expect(new Set(plan.strategies.map(({ asset }) => asset))).toEqual(new Set(['AAPL', 'SP500']));
    expect(plan).toMatchObject({ currency: 'USD', cash: '3000000', playSeconds: 8 });
    expect(plan.from < plan.to).toBe(true);
  });

  it('serves any tape of bars', async () => {
    using scratch = new Scratch();
    const plan = await planDemo(demoTapes(scratch.file('xyz.csv', barTape(40))), 8);
    expect(plan.strategies.map(({ asset }) => asset)).toEqual(['XYZ', 'XYZ', 'XYZ']);
  });

  it('is refused a tape that is not there, or holds nothing', async () => {
    using scratch = new Scratch();
    expect(() => demoTapes(scratch.at('none.csv'))).toThrow(expect.objectContaining({ code: 'DEMO_TAPE_MISSING' }));
    const empty = demoTapes(scratch.file('empty.csv', 'date,open,high,low,close,volume\n'));
    await expect(planDemo(empty, 8)).rejects.toMatchObject({ code: 'FEED_EMPTY' });
  });
});

describe('what the demo waits for', () => {
  const plan = { from: '2020-01-01T00:00:00.000000Z', to: '2020-01-11T00:00:00.000000Z' } as DemoPlan;
  const limit = (side: string) => ({ type: 'limit', side, status: 'new', client_order_id: side });
  const filled = (id: string) => ({ type: 'limit', side: 'buy', status: 'filled', client_order_id: id });

  /** A market that is one tenth of its tape further at each look. */
  function watch(open: readonly object[], closed: (look: number) => readonly object[]) {
    let look = 0;
    const calls: string[] = [];
    const market = {
      orders: async (status: string) => (status === 'open' ? open : closed(look)),
      status: async () => {
        look += 1;
        const tape_time = `2020-01-${String(1 + look).padStart(2, '0')}T00:00:00.000000Z`;
        return { tape_position: look, tape_time, ended: look > 10, error: null };
      },
      pause: async () => calls.push('pause'),
    } as unknown as BrokerClient;
    const story = new Story(true);
    return { watch: { market, plan, story } satisfies MarketWatch, looks: () => look, calls };
  }

  it('is an order on each side and some that were filled', async () => {
    const scene = watch([limit('buy'), limit('sell')], (look) => Array.from({ length: look * 2 }, () => filled('x')));
    expect(await ordersInTheMarket(scene.watch)).toEqual({ marketEvents: 3, ordersFilled: 4 });
  });

  it('gives way as the tape goes on: one resting order, then none', async () => {
    const one = watch([limit('buy')], () => []);
    await ordersInTheMarket(one.watch);
    expect(one.looks()).toBe(5);
    const none = watch([], () => []);
    await ordersInTheMarket(none.watch);
    expect(none.looks()).toBe(7);
  });

  it('is a fill of what the files have open, while there is tape for it', async () => {
    const comes = watch([], (look) => (look >= 3 ? [filled('o-1')] : [filled('other')]));
    expect(await fillWhileDown(comes.watch, [order('o-1')])).toBe(true);
    const never = watch([], () => [filled('other')]);
    expect(await fillWhileDown(never.watch, [order('o-1')])).toBe(false);
    expect(await fillWhileDown(watch([], () => []).watch, [])).toBe(false);
  });

  it('is a restart, for which the tape waits once where little of it is left', async () => {
    const scene = watch([], () => []);
    const restarted = vi.waitFor(() => expect(scene.looks()).toBeGreaterThan(9), { timeout: 10_000, interval: 5 });
    expect(await keepTapeFor(scene.watch, restarted)).toBe(true);
    expect(scene.calls).toEqual(['pause']);
    const fast = watch([], () => []);
    expect(await keepTapeFor(fast.watch, Promise.resolve())).toBe(false);
  });
});

describe('the story', () => {
  afterEach(() => {
    Object.defineProperty(process.stdout, 'columns', { value: undefined, configurable: true });
  });

  it('stands in lines of the terminal, indented under its step', async () => {
    const { stdout } = await captured(async () => {
      Object.defineProperty(process.stdout, 'columns', { value: 60, configurable: true });
      const story = new Story(false);
      story.tell('step', 'words that are many enough to need a second line on a narrow terminal');
      story.progress('unseen where there is no terminal');
      story.end();
      return 0;
    });
    const lines = stdout.trimEnd().split('\n');
    expect(lines.length).toBeGreaterThan(1);
    expect(lines[0]).toMatch(/^ +0\.\d s {2}step {7}words/);
    for (const line of lines) expect(line.length).toBeLessThan(60);
    for (const line of lines.slice(1)) expect(line).toMatch(/^ {21}\S/);
  });
});
