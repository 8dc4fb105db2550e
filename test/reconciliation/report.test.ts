import { describe, expect, it } from 'vitest';
import { compare } from '../../src/reconciliation/compare.ts';
import { plan } from '../../src/reconciliation/plan.ts';
import { renderReport } from '../../src/reconciliation/render.ts';
import { buildReport, reportWithoutEvidence } from '../../src/reconciliation/report.ts';
import type { ReconciliationPolicy } from '../../src/reconciliation/types.ts';
import { at, book, books, broker, fill, held, order, position, report } from './scene.ts';

const head = {
  report_id: 'r-1',
  at: at(30),
  trigger: 'interval',
  policy: 'SYNC_TO_BROKER' as ReconciliationPolicy,
  sequence: 42,
  duration_ms: 12.4,
} as const;
const local = books(
  book('momentum', {
    positions: [held('AAPL', '10'), held('MSFT', '5')],
    cash: { USD: '1000' },
    orders: [order('o1', { status: 'unknown' }), order('o2')],
  }),
);
const seen = broker({
  positions: [position('AAPL', '7', '101'), position('MSFT', '6', null)],
  orders: [report('o1'), report(null, { broker_order_id: 'b-9', amount: '-3' })],
  cash: { USD: '900' },
  absent: ['o2', 'o3'],
  fills: [fill('e1', { asset: 'MSFT', amount: '1', order_id: null, broker_order_id: 'b-0' })],
});
const found = compare(local, seen, { costBasisTolerance: '0.0001' });

function reportOf(policy: ReconciliationPolicy, why: string | null = null) {
  const assessment = why === null ? ({ ok: true, confirmed: true } as const) : ({ ok: false, why } as const);
  const planned = plan(local, seen, found, policy, { assessment, trigger: 'interval' });
  return buildReport({ ...head, policy }, local, seen, found, planned, why);
}

describe('a report', () => {
  it('carries only the evidence that its discrepancies are about, and every fill', () => {
    const { broker: evidence, compared, outcome } = reportOf('SYNC_TO_BROKER');
    expect(outcome).toBe('discrepancies');
    expect(compared).toEqual({ positions: 2, orders: 2, currencies: 1 });
    expect(evidence?.positions.map(({ asset }) => asset)).toEqual(['AAPL']);
    expect(evidence?.orders.map(({ broker_order_id }) => broker_order_id)).toEqual(['b-o1', 'b-9']);
    expect(evidence?.absent).toEqual(['o2']);
    expect(evidence?.fills).toHaveLength(1);
  });

  it('is plain data', () => {
    const whole = reportOf('SYNC_TO_BROKER');
    expect(structuredClone(whole)).toEqual(whole);
    expect(JSON.parse(JSON.stringify(whole))).toEqual(whole);
  });

  it('is ok without discrepancies and inconclusive where the evidence is bad', () => {
    const empty = plan(local, seen, [], 'WARN_ONLY', {
      assessment: { ok: true, confirmed: false },
      trigger: 'interval',
    });
    expect(buildReport(head, local, seen, [], empty, null).outcome).toBe('ok');
    expect(reportOf('WARN_ONLY', 'it moved')).toMatchObject({ outcome: 'inconclusive', why_inconclusive: 'it moved' });
  });

  it('without evidence has no action, and halts a start that must halt', () => {
    const start = { ...head, trigger: 'start' } as const;
    expect(reportWithoutEvidence(start, 'no answer')).toMatchObject({
      outcome: 'inconclusive',
      broker: null,
      plan: { actions: [], halt: null },
    });
    const halting = { ...start, policy: 'HALT_AND_ALERT' } as const;
    expect(reportWithoutEvidence(halting, 'no answer').plan.halt).toContain('before trading: no answer');
    expect(reportWithoutEvidence({ ...halting, trigger: 'interval' }, 'no answer').plan.halt).toBeNull();
  });
});

describe('a rendered report', () => {
  it('is a table, a sentence for each line of it, and the plan', () => {
    const text = renderReport(reportOf('SYNC_TO_BROKER'));
    expect(text.split('\n').slice(0, 9)).toEqual([
      'Reconciliation r-1 at 2025-10-02T14:30:00.000000Z: 4 discrepancies',
      '  interval, SYNC_TO_BROKER, books at sequence 42, 12 ms; compared 2 positions, 2 orders, 1 currency',
      '  1 execution at the broker not booked yet; counted as if booked',
      '',
      '  kind                     subject  local                    broker                difference  owners',
      '  position_quantity        AAPL     10                       7                     -3          momentum',
      '  order_missing_at_broker  o2       open, 0 of 10 filled     -                     -           momentum',
      '  order_unknown_locally    b-9      -                        open, 0 of -3 filled  -           -',
      '  order_status             o1       unknown, 0 of 10 filled  open, 0 of 10 filled  -           momentum',
    ]);
    expect(text).toContain('  AAPL: The books hold 10 AAPL (momentum 10), the broker holds 7 (-3)');
    expect(text).toContain('Plan: ');
    expect(text).toContain('  set_position  momentum  AAPL: 10 → 7 at 101');
    expect(text).toContain('  set_order     momentum  o1: unknown → open');
    expect(text).toContain('  set_order     momentum  o2: open → unknown to the broker');
    expect(text).toContain('  adopt_order   UNASSIGNED  b-9: -3 AAPL');
    expect(text.endsWith('\n')).toBe(true);
  });

  it('says why it halts, and why it cannot say', () => {
    expect(renderReport(reportOf('HALT_AND_ALERT'))).toContain('Halt: Books and broker disagree');
    const vague = renderReport(reportOf('SYNC_TO_BROKER', 'it moved'));
    expect(vague).toContain('  Why: it moved. Nothing is changed on this evidence.');
    expect(vague).toContain('As far as was read:');
    expect(vague).not.toContain('Plan:');
    expect(renderReport(reportWithoutEvidence(head, 'no answer'))).toMatch(/: inconclusive\n.*\n {2}Why: no answer\./);
  });

  it('is short where everything agrees', () => {
    const empty = plan(local, seen, [], 'WARN_ONLY', {
      assessment: { ok: true, confirmed: false },
      trigger: 'interval',
    });
    const text = renderReport(buildReport(head, local, { ...seen, fills: [] }, [], empty, null));
    expect(text.split('\n')).toHaveLength(3);
    expect(text).toContain('books and broker agree');
  });
});
