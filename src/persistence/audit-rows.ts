import type { SnapshotDelta, StrategyDelta } from '../model/delta.ts';
import { reconciliationReportNote, type StateEvent } from '../model/event.ts';
import type { JsonObject, JsonValue } from '../model/json.ts';

/** One line of order_audit_log; null where the kind of event has no such thing. Decimals and times as text. */
export interface AuditRow {
  readonly epoch: number;
  readonly sequence: number;
  /** Of the events of one sequence, from 0; what the audit says itself counts from −1 down. */
  readonly ordinal: number;
  readonly at: string;
  readonly strategy: string | null;
  /** That of the event; or `beginning`, `gap`, `abandoned`, `order_found`, which are the audit's own words. */
  readonly kind: string;
  readonly order_id: string | null;
  readonly broker_order_id: string | null;
  readonly asset: string | null;
  readonly amount: string | null;
  readonly price: string | null;
  readonly status: string | null;
  readonly execution_id: string | null;
  readonly reason: string | null;
  /** The whole event as JSON. */
  readonly event: string;
}

/** One line of reconciliation_report. */
export interface ReportRow {
  readonly report_id: string;
  readonly epoch: number;
  readonly sequence: number;
  readonly ordinal: number;
  readonly at: string;
  readonly trigger: string | null;
  readonly policy: string | null;
  readonly outcome: string | null;
  readonly discrepancies: number;
  readonly actions: number;
  readonly halt: string | null;
  /** The whole report as JSON. */
  readonly report: string;
}

export interface AuditRows {
  readonly log: AuditRow[];
  readonly reports: ReportRow[];
}

/** What the events of one delta are as rows: each event is one, in their order. */
export function rowsOf(epoch: number, delta: SnapshotDelta): AuditRows {
  const rows: AuditRows = { log: [], reports: [] };
  let ordinal = 0;
  for (const change of delta.strategies) {
    for (const event of change.events ?? []) {
      const place = { epoch, sequence: delta.through, ordinal: ordinal++ };
      const report = reportOf(event);
      if (report !== null) rows.reports.push(reportRow(place, event.at, report));
      else rows.log.push({ ...place, at: event.at, strategy: change.strategy, ...columns(event) });
    }
  }
  return rows;
}

/** Orders that were open when the audit began, so that the life of each begins somewhere. */
export function foundOrders(
  epoch: number,
  sequence: number,
  changes: readonly StrategyDelta[],
  at: string,
): AuditRow[] {
  const rows: AuditRow[] = [];
  for (const { strategy, orders } of changes) {
    for (const order of orders ?? []) {
      rows.push({
        epoch,
        sequence,
        // −1 is the beginning itself.
        ordinal: -2 - rows.length,
        at,
        strategy,
        ...columns({ kind: 'order_intent', order, at }),
        kind: 'order_found',
      });
    }
  }
  return rows;
}

type Columns = Omit<AuditRow, 'epoch' | 'sequence' | 'ordinal' | 'at' | 'strategy'>;

/** The columns that a row fills in as far as it has them. */
export const noColumns: Omit<Columns, 'kind' | 'event'> = {
  order_id: null,
  broker_order_id: null,
  asset: null,
  amount: null,
  price: null,
  status: null,
  execution_id: null,
  reason: null,
};

function columns(event: StateEvent): Columns {
  const common = { ...noColumns, kind: event.kind, event: JSON.stringify(event) };
  switch (event.kind) {
    case 'order_intent': {
      const { order_id, broker_order_id, asset, amount, status, reason } = event.order;
      const price = event.order.limit_price ?? event.order.stop_price ?? null;
      return { ...common, order_id, broker_order_id, asset, amount, price, status, reason: reason ?? null };
    }
    case 'order_outcome': {
      const { order_id, broker_order_id, status, reason } = event;
      return { ...common, order_id, broker_order_id, status, reason };
    }
    case 'fill': {
      const { order_id, broker_order_id, asset, amount, price, execution_id } = event.fill;
      return { ...common, order_id, broker_order_id, asset, amount, price, execution_id };
    }
    case 'halt':
    case 'resume':
      return { ...common, reason: event.reason };
    case 'plan_action':
      return { ...common, ...actionColumns(event.action), reason: event.report_id };
    case 'note':
      return { ...common, reason: event.name };
    default:
      // Of a later release: what it is stands in the event, and must not be left out.
      return common;
  }
}

function actionColumns(
  action: JsonValue,
): Pick<Columns, 'order_id' | 'broker_order_id' | 'asset' | 'amount' | 'status'> {
  const fields = objectOf(action);
  const report = objectOf(fields['report']);
  return {
    order_id: textOf(fields['order_id']) ?? textOf(report['order_id']),
    broker_order_id: textOf(report['broker_order_id']),
    asset: textOf(fields['asset']) ?? textOf(report['asset']),
    amount: textOf(fields['after']) ?? textOf(report['amount']),
    status: textOf(report['status']),
  };
}

function reportOf(event: StateEvent): JsonObject | null {
  if (event.kind !== 'note' || event.name !== reconciliationReportNote) return null;
  const report = objectOf(event.data);
  return typeof report['report_id'] === 'string' ? report : null;
}

function reportRow(
  place: Pick<ReportRow, 'epoch' | 'sequence' | 'ordinal'>,
  at: string,
  report: JsonObject,
): ReportRow {
  const plan = objectOf(report['plan']);
  return {
    report_id: String(report['report_id']),
    ...place,
    at: textOf(report['at']) ?? at,
    trigger: textOf(report['trigger']),
    policy: textOf(report['policy']),
    outcome: textOf(report['outcome']),
    discrepancies: lengthOf(report['discrepancies']),
    actions: lengthOf(plan['actions']),
    halt: textOf(plan['halt']),
    report: JSON.stringify(report),
  };
}

function objectOf(value: JsonValue | undefined): JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as JsonObject) : {};
}

function textOf(value: JsonValue | undefined): string | null {
  return typeof value === 'string' ? value : null;
}

function lengthOf(value: JsonValue | undefined): number {
  return Array.isArray(value) ? value.length : 0;
}
