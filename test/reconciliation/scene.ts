import type { OrderSnapshot } from '../../src/model/order.ts';
import type { PositionSnapshot } from '../../src/model/position.ts';
import type { FillReport, OrderReport, PositionReport } from '../../src/model/report.ts';
import type { BrokerEvidence, LocalBook, LocalBooks } from '../../src/reconciliation/types.ts';

// What the tests of this folder build their two sides from. All times are on one day, at the minute given.

export function at(minute: number, second = 0): string {
  return `2025-10-02T14:${String(minute).padStart(2, '0')}:${String(second).padStart(2, '0')}.000000Z`;
}

export function held(asset: string, amount: string, cost = '100', price: string | null = cost): PositionSnapshot {
  return { asset, amount, cost_basis: cost, last_price: price };
}

export function order(orderId: string, changes: Partial<OrderSnapshot> = {}): OrderSnapshot {
  return {
    order_id: orderId,
    asset: 'AAPL',
    amount: '10',
    order_type: 'limit',
    limit_price: '100',
    broker_order_id: `b-${orderId}`,
    status: 'open',
    filled_amount: '0',
    created_at: at(0),
    updated_at: at(0),
    ...changes,
  };
}

export function book(strategy: string, parts: Partial<LocalBook> = {}): LocalBook {
  return { strategy, positions: [], orders: [], cash: {}, ...parts };
}

export function books(...strategies: LocalBook[]): LocalBooks {
  return { sequence: 42, timestamp: at(29), currency: 'USD', strategies };
}

export function position(asset: string, amount: string, cost: string | null = '100'): PositionReport {
  return { asset, amount, cost_basis: cost, last_price: cost, currency: 'USD' };
}

export function report(orderId: string | null, changes: Partial<OrderReport> = {}): OrderReport {
  return {
    order_id: orderId,
    broker_order_id: `b-${orderId}`,
    asset: 'AAPL',
    amount: '10',
    order_type: 'limit',
    limit_price: '100',
    stop_price: null,
    time_in_force: 'gtc',
    status: 'open',
    filled_amount: '0',
    average_fill_price: null,
    reason: null,
    created_at: at(0),
    updated_at: at(0),
    ...changes,
  };
}

export function fill(executionId: string, changes: Partial<FillReport> = {}): FillReport {
  return {
    execution_id: executionId,
    activity_id: `a-${executionId}`,
    order_id: 'o1',
    broker_order_id: 'b-o1',
    asset: 'AAPL',
    amount: '10',
    price: '100',
    currency: 'USD',
    fee: '0',
    fee_currency: null,
    at: at(29),
    ...changes,
  };
}

export interface Sides {
  readonly positions?: readonly PositionReport[];
  readonly orders?: readonly OrderReport[];
  readonly cash?: Readonly<Record<string, string>>;
  readonly equity?: string | null;
  readonly fills?: readonly FillReport[];
  readonly absent?: readonly string[];
  readonly before?: BrokerEvidence['before'];
  readonly after?: BrokerEvidence['after'];
  readonly readAt?: string;
  readonly account?: string;
}

export function broker(sides: Sides = {}): BrokerEvidence {
  const cursor = { activity_id: 'a-1', at: at(28) };
  return {
    account: {
      account_id: sides.account ?? 'account-1',
      currency: 'USD',
      cash: sides.cash ?? { USD: '0' },
      equity: sides.equity ?? null,
      buying_power: null,
      blocked: false,
    },
    positions: sides.positions ?? [],
    orders: sides.orders ?? [],
    absent: sides.absent ?? [],
    fills: sides.fills ?? [],
    before: sides.before ?? cursor,
    after: sides.after ?? sides.before ?? cursor,
    read_at: sides.readAt ?? at(30),
  };
}
