import { describe, expect, it } from 'vitest';
import { applyPlan } from '../../src/reconciliation/apply.ts';
import { compare } from '../../src/reconciliation/compare.ts';
import { withFills } from '../../src/reconciliation/fills.ts';
import { type PlanOptions, plan } from '../../src/reconciliation/plan.ts';
import type { BrokerEvidence, LocalBooks, ReconciliationPolicy } from '../../src/reconciliation/types.ts';
import { at, book, books, broker, fill, held, order, position, report } from './scene.ts';

const sure: PlanOptions = { assessment: { ok: true, confirmed: true }, trigger: 'interval' };

function planned(
  local: LocalBooks,
  evidence: BrokerEvidence,
  changes: Partial<PlanOptions> = {},
  policy: ReconciliationPolicy = 'SYNC_TO_BROKER',
) {
  const options = { costBasisTolerance: '0.0001' };
  return plan(local, evidence, compare(local, evidence, options), policy, { ...sure, ...options, ...changes });
}

describe('who gets a difference', () => {
  it('is the only book that holds the asset', () => {
    const local = books(book('a', { positions: [held('AAPL', '10')] }), book('b'));
    const { actions, sequence, cursor } = planned(local, broker({ positions: [position('AAPL', '7', '101')] }));
    expect(actions).toMatchObject([
      {
        kind: 'set_position',
        strategy: 'a',
        asset: 'AAPL',
        before: '10',
        after: '7',
        cost_basis: '101',
        currency: 'USD',
      },
    ]);
    expect({ sequence, cursor }).toEqual({ sequence: 42, cursor: { activity_id: 'a-1', at: at(28) } });
  });

  it('is UNASSIGNED where several hold it, or nobody does', () => {
    const local = books(book('a', { positions: [held('AAPL', '10')] }), book('b', { positions: [held('AAPL', '5')] }));
    expect(planned(local, broker({ positions: [position('AAPL', '12')] })).actions).toMatchObject([
      { strategy: 'UNASSIGNED', before: '0', after: '-3' },
    ]);
    expect(planned(books(), broker({ positions: [position('MSFT', '-2')] })).actions).toMatchObject([
      { strategy: 'UNASSIGNED', asset: 'MSFT', before: '0', after: '-2', cost_basis: '100' },
    ]);
  });

  it('is UNASSIGNED where it holds some beside a strategy', () => {
    const local = books(
      book('a', { positions: [held('AAPL', '10')] }),
      book('UNASSIGNED', { positions: [held('AAPL', '-3')] }),
    );
    expect(planned(local, broker({ positions: [position('AAPL', '9')] })).actions).toMatchObject([
      { strategy: 'UNASSIGNED', before: '-3', after: '-1' },
    ]);
  });

  it('is the owner that was named, if it has a book', () => {
    const local = books(book('a', { positions: [held('AAPL', '10')] }), book('b'));
    const evidence = broker({ positions: [position('AAPL', '12')] });
    expect(planned(local, evidence, { owner: { AAPL: 'b' } }).actions).toMatchObject([
      { strategy: 'b', before: '0', after: '2' },
    ]);
    expect(planned(local, evidence, { owner: { AAPL: 'gone' } }).actions).toMatchObject([
      { strategy: 'UNASSIGNED', before: '0', after: '2' },
    ]);
  });

  it('is its only holder also where an asset has the name of what every object has', () => {
    const local = books(book('a', { positions: [held('constructor', '10')] }));
    const evidence = broker({ positions: [position('constructor', '12')] });
    expect(planned(local, evidence, { owner: {} }).actions).toMatchObject([
      { strategy: 'a', before: '10', after: '12' },
    ]);
  });

  it('is every holder when the broker has none of it and all are on one side', () => {
    const local = books(book('a', { positions: [held('AAPL', '10')] }), book('b', { positions: [held('AAPL', '5')] }));
    expect(planned(local, broker()).actions).toMatchObject([
      { strategy: 'a', before: '10', after: '0', cost_basis: null },
      { strategy: 'b', before: '5', after: '0' },
    ]);
    const apart = books(book('a', { positions: [held('AAPL', '10')] }), book('b', { positions: [held('AAPL', '-4')] }));
    expect(planned(apart, broker()).actions).toMatchObject([{ strategy: 'UNASSIGNED', before: '0', after: '-6' }]);
  });

  it('for cash is UNASSIGNED', () => {
    const local = books(book('a', { cash: { USD: '100' } }), book('UNASSIGNED', { cash: { USD: '-1' } }));
    expect(planned(local, broker({ cash: { USD: '100.5' } })).actions).toMatchObject([
      { kind: 'set_cash', strategy: 'UNASSIGNED', currency: 'USD', before: '-1', after: '0.5' },
    ]);
  });

  it('sets the average of a book that is left alone with the asset in the same plan', () => {
    const local = books(
      book('a', { positions: [held('AAPL', '10', '100')] }),
      book('UNASSIGNED', { positions: [held('AAPL', '5', '50')] }),
    );
    const evidence = broker({ positions: [position('AAPL', '10', '80')] });
    const first = planned(local, evidence);
    expect(first.actions).toMatchObject([
      { strategy: 'UNASSIGNED', before: '5', after: '0' },
      { strategy: 'a', before: '10', after: '10', cost_basis: '80' },
    ]);
    expect(planned(applyPlan(local, first), evidence).actions).toEqual([]);
    expect(planned(local, evidence, { policies: { position_cost_basis: 'WARN_ONLY' } }).actions).toHaveLength(1);
  });
});

describe('orders in a plan', () => {
  const local = books(book('a', { orders: [order('o1')] }));

  it('take the broker’s word on a final one', () => {
    const evidence = broker({ orders: [report('o1', { status: 'canceled' })] });
    const { actions } = planned(local, evidence);
    expect(actions).toMatchObject([
      { kind: 'set_order', strategy: 'a', order_id: 'o1', before: { status: 'open' }, report: { status: 'canceled' } },
    ]);
    expect(applyPlan(local, planned(local, evidence)).strategies[0]?.orders).toEqual([]);
  });

  it('are given up only when the broker was asked and they are old enough', () => {
    expect(planned(local, broker()).actions).toEqual([]);
    expect(planned(local, broker({ absent: ['o1'] })).actions).toMatchObject([{ kind: 'set_order', report: null }]);
    const young = books(book('a', { orders: [order('o1', { created_at: at(29, 59) })] }));
    expect(planned(young, broker({ absent: ['o1'] }), { settleMs: 5000 }).actions).toEqual([]);
    expect(planned(young, broker({ absent: ['o1'] }), { settleMs: 1000 }).actions).toHaveLength(1);
  });

  it('of nobody are kept in UNASSIGNED, and found again', () => {
    const evidence = broker({ orders: [report('o1'), report(null, { broker_order_id: 'b-9' })] });
    const first = planned(local, evidence);
    expect(first.actions).toMatchObject([
      { kind: 'adopt_order', strategy: 'UNASSIGNED', report: { broker_order_id: 'b-9' } },
    ]);
    const after = applyPlan(local, first);
    expect(after.strategies.map(({ strategy, orders }) => [strategy, orders.length])).toEqual([
      ['a', 1],
      ['UNASSIGNED', 1],
    ]);
    expect(planned(after, evidence).actions).toEqual([]);
    // Known by then, it is not adopted again.
    expect(applyPlan(after, first)).toEqual(after);
  });

  it('that are unknown become live on the broker’s report', () => {
    const unknown = books(book('a', { orders: [order('o1', { status: 'unknown', broker_order_id: null })] }));
    const evidence = broker({ orders: [report('o1')] });
    const after = applyPlan(unknown, planned(unknown, evidence));
    expect(after.strategies[0]?.orders[0]).toMatchObject({ status: 'open', broker_order_id: 'b-o1' });
    expect(planned(after, evidence).actions).toEqual([]);
  });
});

describe('policies', () => {
  const local = books(book('a', { positions: [held('AAPL', '10')], cash: { USD: '5' } }));
  const evidence = broker({ positions: [position('AAPL', '7')], cash: { USD: '6' } });

  it('WARN_ONLY does nothing', () => {
    expect(planned(local, evidence, {}, 'WARN_ONLY')).toMatchObject({ actions: [], halt: null });
  });

  it('HALT_AND_ALERT changes nothing and says why it halts', () => {
    const halted = planned(local, evidence, {}, 'HALT_AND_ALERT');
    expect(halted.actions).toEqual([]);
    expect(halted.halt).toContain('(2 discrepancies): The books hold 10 AAPL');
    expect(planned(books(), broker(), {}, 'HALT_AND_ALERT').halt).toBeNull();
  });

  it('keep a halt within what a halt may hold', () => {
    const positions = Array.from({ length: 60 }, (_, index) => held(`${'X'.repeat(60)}${index}`, '1'));
    const strategies = Array.from({ length: 40 }, (_, index) => book(`${'s'.repeat(90)}${index}`, { positions }));
    const { halt } = planned(books(...strategies), broker(), {}, 'HALT_AND_ALERT');
    expect(halt?.length).toBeLessThanOrEqual(2000);
    expect(halt).toContain('60 discrepancies');
  });

  it('can be another one for a kind', () => {
    const mixed = planned(local, evidence, { policies: { cash: 'HALT_AND_ALERT' } });
    expect(mixed.actions).toMatchObject([{ kind: 'set_position' }]);
    expect(mixed.halt).toContain('USD');
    const warned = planned(local, evidence, { policies: { cash: 'SYNC_TO_BROKER' } }, 'WARN_ONLY');
    expect(warned).toMatchObject({ actions: [{ kind: 'set_cash' }], halt: null });
  });

  it('never act on evidence that is bad or read once', () => {
    const why = 'the account moved while it was read';
    for (const policy of ['WARN_ONLY', 'SYNC_TO_BROKER', 'HALT_AND_ALERT'] as const) {
      for (const assessment of [{ ok: false, why } as const, { ok: true, confirmed: false } as const]) {
        expect(planned(local, evidence, { assessment }, policy)).toMatchObject({ actions: [], halt: null });
      }
    }
    const start = { assessment: { ok: false, why }, trigger: 'start' } as const;
    expect(planned(local, evidence, start, 'HALT_AND_ALERT').halt).toContain(why);
    expect(planned(local, evidence, start).halt).toBeNull();
    expect(planned(local, evidence, { ...start, policies: { cash: 'HALT_AND_ALERT' } }).halt).toContain(why);
  });
});

it('a plan covers the activities as they stood after the read', () => {
  const cursors = { before: { activity_id: 'a-1', at: at(28) }, after: { activity_id: 'a-2', at: at(29) } };
  expect(planned(books(), broker(cursors)).cursor).toEqual(cursors.after);
});

describe('a fill around a sync is counted once', () => {
  const local = books(book('a', { orders: [order('o1')], cash: { USD: '1000' } }));
  // The broker bought 4 for us, and somebody bought 2 more by hand.
  const evidence = broker({
    positions: [position('AAPL', '6')],
    orders: [report('o1', { status: 'partially_filled', filled_amount: '4' })],
    cash: { USD: '400' },
    fills: [fill('e1', { amount: '4' })],
  });
  const poorer = { ...evidence.account, cash: { USD: '300' } };
  const sync = planned(local, evidence);
  const sum = (after: LocalBooks) => [
    after.strategies.flatMap(({ positions }) => positions.map(({ amount }) => amount)),
    after.strategies.map(({ cash }) => cash['USD']),
  ];

  it('before it: the plan starts from the books with the fill', () => {
    expect(sync.actions).toMatchObject([
      { kind: 'set_position', strategy: 'a', before: '4', after: '6' },
      { kind: 'set_cash', strategy: 'UNASSIGNED', before: '0', after: '-200' },
    ]);
    expect(sum(applyPlan(withFills(local, evidence.fills), sync))).toEqual([['6'], ['600', '-200']]);
  });

  it('not booked yet: the action is dropped, and planned anew', () => {
    const without = applyPlan(local, { ...sync, actions: sync.actions.slice(0, 1) });
    expect(sum(without)).toEqual([[], ['1000']]);
  });

  it('during it: an asset that moved since is left alone', () => {
    const moved = withFills(local, [...evidence.fills, fill('e2', { amount: '1' })]);
    const after = applyPlan(moved, sync);
    expect(sum(after)).toEqual([['5'], ['500', '-200']]);
    const next = { ...evidence, positions: [position('AAPL', '7')], account: poorer, fills: [] };
    expect(sum(applyPlan(after, planned(after, next)))).toEqual([['7'], ['500', '-200']]);
  });

  it('after it: the next run knows the fill and adjusts nothing', () => {
    const after = applyPlan(withFills(local, evidence.fills), sync);
    const next = {
      ...evidence,
      positions: [position('AAPL', '7')],
      orders: [report('o1', { status: 'partially_filled', filled_amount: '5' })],
      account: poorer,
      fills: [fill('e3', { amount: '1' })],
    };
    expect(planned(after, next).actions).toEqual([]);
  });

  it('drops every action of an asset of which one book moved', () => {
    const two = books(book('a', { positions: [held('AAPL', '10')] }), book('b', { positions: [held('AAPL', '5')] }));
    const both = planned(two, broker());
    const moved = books(book('a', { positions: [held('AAPL', '10')] }), book('b', { positions: [held('AAPL', '6')] }));
    expect(applyPlan(moved, both)).toEqual(moved);
  });
});
