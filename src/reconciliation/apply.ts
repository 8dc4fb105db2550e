import { decimal } from '../model/money.ts';
import { isFinal, type OrderSnapshot } from '../model/order.ts';
import type { PositionSnapshot } from '../model/position.ts';
import type { OrderReport } from '../model/report.ts';
import { cashOf, heldBy } from './books.ts';
import { reportedOrderId } from './order-match.ts';
import type { LocalBook, LocalBooks, PlanAction, ReconciliationPlan } from './types.ts';

/**
 * What a plan makes of the books: the reference for whoever applies one as commits. `local` has the report's fills booked already
 * (see withFills). An action whose `before` is not what the book has is dropped; so are all actions of an asset of which one is.
 */
export function applyPlan(local: LocalBooks, plan: ReconciliationPlan): LocalBooks {
  const moved = new Set(
    plan.actions.flatMap((action) =>
      action.kind === 'set_position' && !stillHolds(local, action) ? [action.asset] : [],
    ),
  );
  return plan.actions
    .filter((action) => (action.kind === 'set_position' ? !moved.has(action.asset) : stillHolds(local, action)))
    .reduce(applied, local);
}

/** Whether the books still are what the action was computed from. */
export function stillHolds(books: LocalBooks, action: PlanAction): boolean {
  switch (action.kind) {
    case 'set_position':
      return heldBy(books, action.strategy, action.asset).eq(decimal(action.before));
    case 'set_cash':
      return cashOf(books, action.strategy, action.currency).eq(decimal(action.before));
    case 'set_order': {
      const order = bookOf(books, action.strategy).orders.find(({ order_id }) => order_id === action.order_id);
      return order?.status === action.before.status && order.filled_amount === action.before.filled_amount;
    }
    case 'adopt_order': {
      const { report } = action;
      return !books.strategies.some(({ orders }) =>
        orders.some((order) => order.order_id === report.order_id || order.broker_order_id === report.broker_order_id),
      );
    }
  }
}

function applied(books: LocalBooks, action: PlanAction): LocalBooks {
  const book = bookOf(books, action.strategy);
  const changed = changedBook(book, action);
  const known = books.strategies.some(({ strategy }) => strategy === book.strategy);
  const strategies = known
    ? books.strategies.map((each) => (each.strategy === book.strategy ? changed : each))
    : [...books.strategies, changed];
  return { ...books, strategies };
}

function changedBook(book: LocalBook, action: PlanAction): LocalBook {
  switch (action.kind) {
    case 'set_position': {
      const others = book.positions.filter(({ asset }) => asset !== action.asset);
      const now = book.positions.find(({ asset }) => asset === action.asset);
      const positions = decimal(action.after).isZero() ? others : [...others, position(now, action)];
      return { ...book, positions };
    }
    case 'set_cash':
      return { ...book, cash: { ...book.cash, [action.currency]: action.after } };
    case 'set_order': {
      const { report, order_id } = action;
      const gone = report === null || isFinal(report.status);
      const orders = gone
        ? book.orders.filter((order) => order.order_id !== order_id)
        : book.orders.map((order) => (order.order_id === order_id ? reported(order, report) : order));
      return { ...book, orders };
    }
    case 'adopt_order': {
      const { report } = action;
      const adopted: OrderSnapshot = { ...report, order_id: reportedOrderId(report) };
      return { ...book, orders: [...book.orders, adopted] };
    }
  }
}

/** Where the broker does not tell its average, the book keeps its own. */
function position(
  now: PositionSnapshot | undefined,
  action: Extract<PlanAction, { readonly kind: 'set_position' }>,
): PositionSnapshot {
  const { total_cost: _, ...kept } = now ?? { asset: action.asset, cost_basis: '0', last_price: null };
  return {
    ...kept,
    ...(action.currency === null ? {} : { currency: action.currency }),
    amount: action.after,
    cost_basis: action.cost_basis ?? kept.cost_basis,
  };
}

function reported(order: OrderSnapshot, report: OrderReport): OrderSnapshot {
  return {
    ...order,
    asset: report.asset,
    amount: report.amount,
    limit_price: report.limit_price,
    stop_price: report.stop_price,
    time_in_force: report.time_in_force,
    broker_order_id: report.broker_order_id,
    status: report.status === 'unknown' ? order.status : report.status,
    filled_amount: report.filled_amount,
    average_fill_price: report.average_fill_price,
    updated_at: report.updated_at,
    reason: report.reason,
  };
}

function bookOf(books: LocalBooks, strategy: string): LocalBook {
  return (
    books.strategies.find((book) => book.strategy === strategy) ?? { strategy, positions: [], orders: [], cash: {} }
  );
}
