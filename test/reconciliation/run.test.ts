import { describe, expect, it } from 'vitest';
import { BrokerError } from '../../src/model/errors.ts';
import type { OrderSnapshot } from '../../src/model/order.ts';
import type { FillReport } from '../../src/model/report.ts';
import type { BrokerCursor } from '../../src/model/snapshot.ts';
import { type Clock, micros } from '../../src/model/time.ts';
import { Deadline } from '../../src/reconciliation/deadline.ts';
import type { ReconciliationOptions } from '../../src/reconciliation/options.ts';
import { type ReceivedBooks, type RunOptions, runReconciliation } from '../../src/reconciliation/run.ts';
import type { LocalBook } from '../../src/reconciliation/types.ts';
import { at, book, fill, held, order, position, report } from './scene.ts';
import { type Scripted, ScriptedBroker } from './scripted-broker.ts';

const cursor: BrokerCursor = { activity_id: 'a-e0', at: at(10), recent_execution_ids: ['e0'] };

function received(...strategies: (LocalBook & { cursor?: BrokerCursor })[]): ReceivedBooks {
  return {
    sequence: 42,
    timestamp: at(29),
    strategies: strategies.map(({ strategy, positions, orders, cash, cursor: own }) => ({
      strategy_name: strategy,
      positions,
      pending_orders: orders,
      cash_balance: cash['USD'] ?? '0',
      currency: 'USD',
      other_cash: {},
      broker_cursor: own ?? cursor,
    })),
  };
}

/** A clock that goes one second at each look, so that reads can be told apart. */
function ticking(): Clock {
  let seconds = 0;
  return { nowMicros: () => micros(at(30)) + 1_000_000 * seconds++, monotonicMs: () => seconds };
}

function run(
  broker: ScriptedBroker,
  books: ReceivedBooks,
  changes: Partial<RunOptions> = {},
  options: ReconciliationOptions = {},
) {
  return runReconciliation(broker, books, {
    policy: 'SYNC_TO_BROKER',
    options: { settleMs: 0, ...options },
    trigger: 'start',
    reportId: 'r-1',
    requestedAt: at(30),
    deadline: new Deadline(5000),
    clock: ticking(),
    sleep: async () => {},
    ...changes,
  });
}

const e0 = fill('e0', { at: at(10) });
const quiet = (changes: Partial<Scripted> = {}) => new ScriptedBroker({ activities: [e0], ...changes });
const reads = (broker: ScriptedBroker) => broker.calls.filter((call) => call === 'positions').length;

describe('a run', () => {
  it('reads once where books and broker agree', async () => {
    const broker = quiet({ positions: [position('AAPL', '10')] });
    const answer = await run(broker, received(book('a', { positions: [held('AAPL', '10')] })));
    expect(answer).toMatchObject({ report_id: 'r-1', outcome: 'ok', sequence: 42, plan: { actions: [], halt: null } });
    expect(broker.calls).toEqual(['fills', 'account', 'positions', 'orders', 'fills']);
  });

  it('reads once to warn, and twice before it plans a change or a halt', async () => {
    const books = received(book('a', { positions: [held('AAPL', '10')] }));
    const broker = () => quiet({ positions: [position('AAPL', '7')] });
    const [warned, synced, halted] = [broker(), broker(), broker()];
    expect(await run(warned, books, { policy: 'WARN_ONLY' })).toMatchObject({
      outcome: 'discrepancies',
      plan: { actions: [], halt: null },
    });
    expect(reads(warned)).toBe(1);
    const sync = await run(synced, books);
    expect(sync).toMatchObject({ outcome: 'discrepancies', plan: { actions: [{ kind: 'set_position', after: '7' }] } });
    expect(reads(synced)).toBe(2);
    const halt = await run(halted, books, { policy: 'HALT_AND_ALERT' });
    expect(halt.plan.halt).toContain('AAPL');
    expect(reads(halted)).toBe(2);
  });

  it('takes a difference that is gone in the second read for none', async () => {
    const broker = quiet({ positions: [position('AAPL', '7')] });
    broker.before = (what, call) => {
      if (what === 'positions' && call === 2) broker.now.positions = [position('AAPL', '10')];
    };
    const answer = await run(broker, received(book('a', { positions: [held('AAPL', '10')] })), {
      policy: 'HALT_AND_ALERT',
    });
    expect(answer).toMatchObject({ outcome: 'ok', plan: { halt: null } });
  });

  it('reads again while the account moves, and counts what executed', async () => {
    const broker = quiet({ positions: [position('AAPL', '10')], orders: [report('o1')] });
    broker.before = (what, call) => {
      // Bought by our order after the positions were read, before the activities are looked at again.
      if (what !== 'fills' || call !== 2) return;
      broker.now.activities = [e0, fill('e1', { amount: '2', at: at(30) })];
      broker.now.positions = [position('AAPL', '12')];
      broker.now.orders = [report('o1', { status: 'partially_filled', filled_amount: '2' })];
      broker.now.account = { ...broker.now.account, cash: { USD: '-200' } };
    };
    const answer = await run(broker, received(book('a', { positions: [held('AAPL', '10')], orders: [order('o1')] })));
    expect(answer).toMatchObject({ outcome: 'ok' });
    expect(answer.broker?.fills.map(({ execution_id }) => execution_id)).toEqual(['e1']);
    expect(answer.plan.cursor).toEqual({ activity_id: 'a-e1', at: at(30) });
    expect(reads(broker)).toBe(2);
  });

  it('is inconclusive when the account never stands still', async () => {
    const broker = quiet({ positions: [position('AAPL', '9')] });
    let count = 0;
    broker.before = (what) => {
      if (what !== 'orders') return;
      count += 1;
      broker.now.activities = [
        ...broker.now.activities,
        fill(`m${count}`, { asset: 'MSFT', order_id: null, broker_order_id: 'x', at: at(30, count) }),
      ];
    };
    const answer = await run(broker, received(book('a', { positions: [held('AAPL', '10')] })), {}, { readsMax: 3 });
    expect(answer).toMatchObject({ outcome: 'inconclusive', plan: { actions: [], halt: null } });
    expect(answer.why_inconclusive).toContain('the account moved while it was read');
    expect(answer.discrepancies.map(({ subject }) => subject)).toContain('AAPL');
    expect(reads(broker)).toBe(3);
  });

  it('never syncs on an empty answer, however often it comes', async () => {
    const account = {
      account_id: 'account-1',
      currency: 'USD',
      cash: { USD: '0' },
      equity: '1000',
      buying_power: null,
      blocked: false,
    };
    for (const policy of ['WARN_ONLY', 'SYNC_TO_BROKER', 'HALT_AND_ALERT'] as const) {
      const broker = quiet({ account });
      const answer = await run(broker, received(book('a', { positions: [held('AAPL', '10')] })), { policy });
      expect(answer).toMatchObject({ outcome: 'inconclusive', plan: { actions: [] } });
      expect(answer.plan.halt === null).toBe(policy !== 'HALT_AND_ALERT');
    }
  });

  it('does not let an older answer confirm, or be confirmed', async () => {
    const broker = quiet({
      positions: [position('AAPL', '7')],
      activities: [e0, fill('e1', { asset: 'MSFT', at: at(12) })],
    });
    const booked = { ...cursor, recent_execution_ids: ['e0', 'e1'] };
    const books = received({ ...book('a', { positions: [held('AAPL', '10')] }), cursor: booked });
    broker.before = (what, call) => {
      // The third and fourth look at the activities, the second read, come from a cache.
      if (what === 'fills')
        broker.now.activities = call === 3 || call === 4 ? [e0] : [e0, fill('e1', { asset: 'MSFT', at: at(12) })];
      if (what === 'positions') broker.now.positions = [position('AAPL', call === 2 ? '6' : '7')];
    };
    const answer = await run(broker, books);
    expect(answer).toMatchObject({ outcome: 'discrepancies', plan: { actions: [{ after: '7' }] } });
    expect(reads(broker)).toBe(3);
  });
});

describe('what is asked of the broker', () => {
  it('begins at the newest cursor of any book and leaves out what any book has', async () => {
    const older = { activity_id: null, at: at(1), recent_execution_ids: ['e2'] };
    const activities: FillReport[] = [
      fill('long ago', { at: at(5) }),
      e0,
      fill('e1', { at: at(11) }),
      fill('e2', { at: at(12) }),
    ];
    const broker = quiet({
      activities,
      positions: [position('AAPL', '10')],
      account: { ...quiet().now.account, cash: { USD: '-1000' } },
    });
    const none = { activity_id: null, at: null, recent_execution_ids: [] };
    const answer = await run(
      broker,
      received({ ...book('a'), cursor }, { ...book('b'), cursor: older }, { ...book('c'), cursor: none }),
    );
    expect(answer).toMatchObject({ outcome: 'ok' });
    expect(answer.broker?.fills.map(({ execution_id }) => execution_id)).toEqual(['e1']);
  });

  it('begins at the oldest open order, else at the request, where no book has a cursor', async () => {
    const none = { activity_id: null, at: null, recent_execution_ids: [] };
    const activities = [fill('old', { at: at(4) }), fill('mine', { at: at(6) })];
    const from = async (strategy: LocalBook) => {
      const answer = await run(new ScriptedBroker({ activities }), received({ ...strategy, cursor: none }), {
        policy: 'WARN_ONLY',
      });
      return answer.broker?.fills.map(({ execution_id }) => execution_id);
    };
    expect(
      await from(book('a', { orders: [order('o1', { created_at: at(5) }), order('o2', { created_at: at(7) })] })),
    ).toEqual(['mine']);
    expect(await from(book('a'))).toEqual([]);
  });

  it('are our orders that it does not list, by id', async () => {
    const broker = quiet({ orders: [report('o1')], closed: [report('o2', { status: 'canceled' })] });
    const books = received(book('a', { orders: [order('o1'), order('o2'), order('o3')] }));
    const answer = await run(broker, books);
    expect(broker.calls.filter((call) => call.startsWith('order '))).toEqual([
      'order o2',
      'order o3',
      'order o2',
      'order o3',
    ]);
    expect(answer.plan.actions).toMatchObject([
      { kind: 'set_order', order_id: 'o3', report: null },
      { kind: 'set_order', order_id: 'o2', report: { status: 'canceled' } },
    ]);
  });

  it('are none, where the broker keeps no ids of ours, and then no order is given up', async () => {
    const broker = new ScriptedBroker({ activities: [e0] }, { clientOrderIds: 'none' });
    const answer = await run(broker, received(book('a', { orders: [order('o1')] })));
    expect(broker.calls).not.toContain('order o1');
    expect(answer).toMatchObject({ outcome: 'discrepancies', plan: { actions: [] } });
  });

  it('leaves alone what changed within the settling time of the broker; at a start what a former life sent in it', async () => {
    const young = { created_at: at(29, 58), updated_at: at(29, 58) };
    const books = received(book('a'));
    const broker = () => new ScriptedBroker({ activities: [e0], orders: [report('o9', young)] }, { settleMs: 5000 });
    expect(await run(broker(), books, { trigger: 'interval' })).toMatchObject({ outcome: 'ok' });
    expect(await run(broker(), books, { trigger: 'start' })).toMatchObject({ outcome: 'discrepancies' });
    expect(await run(broker(), books, { trigger: 'interval', requestedAt: at(40) })).toMatchObject({
      outcome: 'discrepancies',
    });
    const sent = { created_at: at(29, 58), updated_at: at(30) };
    const old = { created_at: at(20), updated_at: at(30) };
    const lagging = () => new ScriptedBroker({ activities: [e0] }, { settleMs: 5000 });
    const start = (changes: Partial<OrderSnapshot>) =>
      run(lagging(), received(book('a', { orders: [order('o1', changes)] })), { trigger: 'start' });
    expect(await start(sent)).toMatchObject({ outcome: 'ok' });
    expect(await start(old)).toMatchObject({ outcome: 'discrepancies' });
    expect(await start({ ...sent, status: 'unknown' })).toMatchObject({ outcome: 'discrepancies' });
  });
});

describe('what the broker booked without a trade', () => {
  const dividend = {
    activity_id: 'd-1',
    type: 'DIV',
    sub_type: null,
    asset: 'AAPL',
    cash: '12.34',
    currency: null,
    amount: null,
    canceled: false,
    at: at(20),
  };
  const books = received(book('a', { cash: { USD: '1000' } }));
  const account = { ...quiet().now.account, cash: { USD: '1012.34' } };

  it('explains a difference, is no fill, and is asked for only where there is one', async () => {
    const asked: string[] = [];
    const tell = (broker: ScriptedBroker) =>
      Object.assign(broker, {
        fetchActivities: async () => {
          asked.push('activities');
          return { activities: [dividend], cursor: { activity_id: 'd-1', at: at(20) } };
        },
      });
    const answer = await run(tell(quiet({ account })), books);
    expect(answer.discrepancies).toMatchObject([{ kind: 'cash', difference: '12.34', explained_by: [dividend] }]);
    expect(answer.broker?.fills).toEqual([]);
    expect(answer.plan.actions).toMatchObject([
      { kind: 'set_cash', after: '12.34', reason: expect.stringContaining('DIV AAPL') },
    ]);
    expect(asked).toHaveLength(1);
    await run(tell(quiet({ account: { ...account, cash: { USD: '1000' } } })), books);
    expect(asked).toHaveLength(1);
  });

  it('explains nothing where it cannot be read, which is said', async () => {
    const broker = Object.assign(quiet({ account }), {
      fetchActivities: async () => {
        throw new BrokerError('BROKER_UNAVAILABLE', 'no activities today');
      },
    });
    const answer = await run(broker, books);
    expect(answer.discrepancies).toMatchObject([
      { kind: 'cash', message: expect.stringContaining('no activities today') },
    ]);
    expect(answer.discrepancies[0]).not.toHaveProperty('explained_by');
  });
});

describe('a broker that fails', () => {
  const books = received(book('a', { positions: [held('AAPL', '10')] }));

  it.each(['fills', 'account', 'positions', 'orders'])(
    'while reading %s gives an inconclusive report',
    async (failing) => {
      for (const policy of ['WARN_ONLY', 'SYNC_TO_BROKER', 'HALT_AND_ALERT'] as const) {
        const broker = quiet();
        broker.before = (what) => {
          if (what === failing) throw new BrokerError('BROKER_UNREACHABLE', 'connection refused');
        };
        const answer = await run(broker, books, { policy });
        expect(answer).toMatchObject({
          outcome: 'inconclusive',
          broker: null,
          discrepancies: [],
          plan: { actions: [] },
        });
        expect(answer.why_inconclusive).toContain('connection refused');
        expect(answer.plan.halt === null).toBe(policy !== 'HALT_AND_ALERT');
      }
    },
  );

  it('in the second read leaves what the first found, and nothing to do', async () => {
    const broker = quiet({ positions: [position('AAPL', '7')] });
    broker.before = (what, call) => {
      if (what === 'account' && call === 2) throw new BrokerError('BROKER_TIMEOUT', 'no answer');
    };
    const answer = await run(broker, books);
    expect(answer).toMatchObject({
      outcome: 'inconclusive',
      discrepancies: [{ subject: 'AAPL' }],
      plan: { actions: [] },
    });
    expect(answer.why_inconclusive).toContain('no answer');
  });

  it('by throwing what is no error, or throwing at once, is no better', async () => {
    const broker = quiet();
    broker.fetchPositions = () => {
      throw 'plain text';
    };
    expect(await run(broker, books)).toMatchObject({ outcome: 'inconclusive' });
  });

  it('by an answer of another form names the place', async () => {
    const broker = quiet({ positions: [{ ...position('AAPL', '10'), amount: '1e3' }] });
    const answer = await run(broker, books);
    expect(answer.why_inconclusive).toMatch(/reading positions .* at 0\.amount: expected a decimal string/);
  });

  it('by never answering meets the deadline', async () => {
    const broker = quiet();
    broker.before = (what) => (what === 'positions' ? new Promise<void>(() => {}) : undefined);
    const answer = await run(broker, books, { deadline: new Deadline(30) });
    expect(answer).toMatchObject({ outcome: 'inconclusive', broker: null });
    expect(answer.why_inconclusive).toContain(
      "the deadline of 30 ms passed while waiting for the broker's answer on positions",
    );
  });

  it('is told from a mistake of ours', async () => {
    const broken = received(book('a', { positions: [held('AAPL', 'many')] }));
    await expect(run(quiet(), broken)).rejects.toThrow('expected a decimal string');
  });
});
