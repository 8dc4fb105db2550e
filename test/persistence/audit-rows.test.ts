import { describe, expect, it } from 'vitest';
import { reconciliationReportNote, type StateEvent } from '../../src/model/event.ts';
import type { JsonValue } from '../../src/model/json.ts';
import { type AuditRow, rowsOf } from '../../src/persistence/audit-rows.ts';

const at = '2025-10-02T14:30:00.000000Z';
const order = {
  order_id: 'o-1',
  asset: 'AAPL',
  amount: '-10',
  order_type: 'stop',
  stop_price: '140',
  broker_order_id: null,
  status: 'pending',
  filled_amount: '0',
} as const;

function rows(...events: readonly StateEvent[]) {
  return rowsOf(3, { previous: 6, through: 7, at, strategies: [{ strategy: 'alpha', events }] });
}

function row(event: StateEvent): AuditRow | undefined {
  return rows(event).log[0];
}

const planAction = (action: JsonValue): StateEvent => ({ kind: 'plan_action', report_id: 'r-1', action, at });

describe('the rows of an event', () => {
  it('hold what its kind has, and the whole event', () => {
    const fill = {
      execution_id: 'x-1',
      order_id: 'o-1',
      broker_order_id: 'b-1',
      asset: 'AAPL',
      amount: '-4',
      price: '139',
      fee: '0',
      at,
    };
    const events: [StateEvent, Partial<AuditRow>][] = [
      [
        { kind: 'order_intent', order, at },
        { order_id: 'o-1', asset: 'AAPL', amount: '-10', price: '140', status: 'pending' },
      ],
      [
        { kind: 'order_outcome', order_id: 'o-1', status: 'rejected', broker_order_id: null, reason: 'no', at },
        { order_id: 'o-1', status: 'rejected', reason: 'no', asset: null },
      ],
      [
        { kind: 'fill', fill, at },
        { order_id: 'o-1', execution_id: 'x-1', amount: '-4', price: '139', broker_order_id: 'b-1' },
      ],
      [
        { kind: 'halt', reason: 'why', source: 'operator', at },
        { reason: 'why', order_id: null },
      ],
      [{ kind: 'resume', reason: 'because', at }, { reason: 'because' }],
      [{ kind: 'note', name: 'mine', data: [1], at }, { reason: 'mine' }],
      [
        planAction({ kind: 'set_position', strategy: 'alpha', asset: 'AAPL', before: '1', after: '2' }),
        { asset: 'AAPL', amount: '2', reason: 'r-1' },
      ],
      [
        planAction({ kind: 'set_order', order_id: 'o-1', report: { broker_order_id: 'b-1', status: 'canceled' } }),
        { order_id: 'o-1', broker_order_id: 'b-1', status: 'canceled' },
      ],
      [
        planAction({
          kind: 'adopt_order',
          report: { order_id: 'o-9', broker_order_id: 'b-9', asset: 'KO', amount: '1' },
        }),
        { order_id: 'o-9', broker_order_id: 'b-9', asset: 'KO', amount: '1' },
      ],
      [planAction('nothing that it knows'), { order_id: null, asset: null }],
    ];
    for (const [event, expected] of events) {
      const made = row(event);
      expect(made).toMatchObject({
        epoch: 3,
        sequence: 7,
        ordinal: 0,
        strategy: 'alpha',
        at,
        kind: event.kind,
        ...expected,
      });
      expect(JSON.parse(made?.event ?? '')).toEqual(event);
    }
  });

  it('count the events of a restore point, over all of its strategies', () => {
    const note = (name: string): StateEvent => ({ kind: 'note', name, data: null, at });
    const { log } = rowsOf(1, {
      previous: 0,
      through: 5,
      at,
      strategies: [
        { strategy: 'a', events: [note('1'), note('2')] },
        { strategy: 'b' },
        { strategy: 'c', events: [note('3')] },
      ],
    });
    expect(log.map(({ ordinal, strategy, reason }) => [ordinal, strategy, reason])).toEqual([
      [0, 'a', '1'],
      [1, 'a', '2'],
      [2, 'c', '3'],
    ]);
  });

  it('keep an event of a kind that only a later release knows', () => {
    const event = { kind: 'of_a_later_release', at, more: 1 } as unknown as StateEvent;
    expect(row(event)).toMatchObject({ kind: 'of_a_later_release', order_id: null });
  });

  it('tell reports from notes that only have their name', () => {
    const report = { report_id: 'r-1', at, outcome: 'ok', discrepancies: [1, 2], plan: { actions: [1], halt: 'why' } };
    const made = rows(
      { kind: 'note', name: reconciliationReportNote, data: report, at },
      { kind: 'note', name: reconciliationReportNote, data: 'no report', at },
    );
    expect(made.reports).toMatchObject([{ report_id: 'r-1', ordinal: 0, discrepancies: 2, actions: 1, halt: 'why' }]);
    expect(JSON.parse(made.reports[0]?.report ?? '')).toEqual(report);
    expect(made.log).toMatchObject([{ kind: 'note', ordinal: 1 }]);
  });
});
