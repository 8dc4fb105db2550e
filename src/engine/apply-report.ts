import type { JsonValue } from '../model/json.ts';
import { decimal } from '../model/money.ts';
import { micros, type Timestamp, timestamp } from '../model/time.ts';
import type { PlanAction, ReconciliationReport } from '../reconciliation/types.ts';
import type { StrategyState } from '../state/host-state.ts';
import type { TradingCore } from './trading-core.ts';

export interface Applied {
  /** Executions that the report brought and that were not booked. */
  readonly booked: number;
  readonly applied: number;
  /** Actions whose subject has moved since they were computed. */
  readonly dropped: number;
}

/**
 * Applies what a reconciliation found, inside a transaction: first the executions that it read and that are not booked, then each
 * action whose `before` is what the book has now (all of an asset or none), then the cursor. What is dropped shows again in the next
 * run.
 * @param settleMs how late the broker may list an execution
 */
export function applyReport(core: TradingCore, report: ReconciliationReport, settleMs: number): Applied {
  const { plan } = report;
  let booked = 0;
  for (const fill of report.broker?.fills ?? []) if (core.orders.fill(fill)) booked += 1;

  const fitting = new Set(plan.actions.filter((action) => fits(core, action)));
  const movedAssets = new Set(
    plan.actions.flatMap((action) => (action.kind === 'set_position' && !fitting.has(action) ? [action.asset] : [])),
  );
  const covered = coveredThrough(report, settleMs);
  let applied = 0;
  for (const action of plan.actions) {
    if (!fitting.has(action) || (action.kind === 'set_position' && movedAssets.has(action.asset))) continue;
    const book = core.books.register(action.strategy);
    const evidence = evidenceFor(book, action, report);
    apply(core, book, action, covered, report.broker?.read_at ?? null);
    book.addEvent({
      kind: 'plan_action',
      report_id: report.report_id,
      action: { ...action, evidence } as unknown as JsonValue,
      at: core.now(),
    });
    applied += 1;
  }
  if (report.outcome !== 'inconclusive' && isSettled(report, settleMs)) core.moveCursor(plan.cursor);
  return { booked, applied, dropped: plan.actions.length - applied };
}

/** Whether the broker had time to list everything before the newest activity: one that it lists late must not be passed. */
function isSettled({ broker, plan: { cursor } }: ReconciliationReport, settleMs: number): boolean {
  if (broker === null) return false;
  return cursor.at === null || settleMs === 0 || micros(cursor.at) <= micros(broker.read_at) - settleMs * 1000;
}

function fits(core: TradingCore, action: PlanAction): boolean {
  const book = core.books.get(action.strategy);
  switch (action.kind) {
    case 'set_position':
      return decimal(book?.position(action.asset)?.amount ?? '0').eq(action.before);
    case 'set_cash':
      return decimal(book?.cash(action.currency) ?? '0').eq(action.before);
    case 'set_order': {
      const order = book?.order(action.order_id);
      return order?.status === action.before.status && order.filled_amount === action.before.filled_amount;
    }
    case 'adopt_order':
      return core.orders.orderIdOf(action.report.order_id, action.report.broker_order_id) === undefined;
  }
}

/**
 * Until when the broker's figures hold every execution: up to the newest that it lists, and up to its settling time before the read, since
 * one that it lists only later is in them all the same.
 */
function coveredThrough({ plan, broker }: ReconciliationReport, settleMs: number): Timestamp | null {
  if (broker === null) return plan.cursor.at;
  const settled = micros(broker.read_at) - settleMs * 1000;
  return plan.cursor.at !== null && micros(plan.cursor.at) >= settled ? plan.cursor.at : timestamp(settled);
}

function apply(
  core: TradingCore,
  book: StrategyState,
  action: PlanAction,
  covered: Timestamp | null,
  readAt: Timestamp | null,
): void {
  switch (action.kind) {
    case 'set_position':
      core.ledger.adjustPosition(book, action.asset, action.after, action.cost_basis, {
        ...(action.currency === null ? {} : { currency: action.currency }),
      });
      core.adjustments.cover({ asset: action.asset }, covered, readAt);
      return;
    case 'set_cash':
      core.ledger.adjustCash(book, action.after, action.currency);
      core.adjustments.cover({ currency: action.currency }, covered, readAt);
      return;
    case 'set_order': {
      const order = book.order(action.order_id);
      if (order === undefined) return;
      const told = action.report?.filled_amount ?? order.filled_amount;
      core.orders.overrule(book, order, action.report, action.reason);
      if (decimal(told).eq(order.filled_amount)) return;
      // The broker counts executions that nobody has listed: its position and cash, which the books now equal, hold them.
      if (book.order(action.order_id) !== undefined)
        core.adjustments.cover({ order: action.order_id }, covered, readAt);
      core.adjustments.cover({ asset: order.asset }, covered, readAt);
      core.adjustments.cover({ currency: core.ledger.instruments.get(order.asset).currency }, covered, readAt);
      return;
    }
    case 'adopt_order':
      core.orders.adopt(action.report, book);
  }
}

/** What an action rests on: what the book had, what the broker said, when, and up to which of its activities. */
function evidenceFor(book: StrategyState, action: PlanAction, { broker, plan }: ReconciliationReport): unknown {
  const rests = { read_at: broker?.read_at ?? null, cursor: plan.cursor };
  if (action.kind === 'set_position') {
    const told = broker?.positions.find(({ asset }) => asset === action.asset) ?? null;
    return { ...rests, book: book.position(action.asset) ?? null, broker: told };
  }
  if (action.kind !== 'set_cash') return rests;
  return { ...rests, book: book.cash(action.currency), broker: broker?.account.cash[action.currency] ?? null };
}
