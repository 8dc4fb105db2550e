import type { StateEvent } from '../../src/model/event.ts';
import type { Fill } from '../../src/model/fill.ts';
import type { OrderSnapshot } from '../../src/model/order.ts';
import type { PositionSnapshot } from '../../src/model/position.ts';
import type { Clock } from '../../src/model/time.ts';

/** Entries of a book for tests of src/state, complete and valid. */
export function position(asset: string, amount = '1', more: Partial<PositionSnapshot> = {}): PositionSnapshot {
  return { asset, amount, cost_basis: '10', last_price: null, ...more };
}

export function order(order_id: string, more: Partial<OrderSnapshot> = {}): OrderSnapshot {
  return {
    order_id,
    asset: 'AAPL',
    amount: '10',
    order_type: 'limit',
    limit_price: '150',
    broker_order_id: null,
    status: 'pending',
    filled_amount: '0',
    ...more,
  };
}

export function fill(execution_id: string, more: Partial<Fill> = {}): StateEvent {
  return {
    kind: 'fill',
    at: '2025-10-02T14:30:00.000001Z',
    fill: {
      execution_id,
      order_id: 'o1',
      broker_order_id: null,
      asset: 'AAPL',
      amount: '1',
      price: '10',
      fee: '0',
      at: '2025-10-02T14:30:00.000001Z',
      ...more,
    },
  };
}

export function note(name: string): StateEvent {
  return { kind: 'note', name, data: null, at: '2025-10-02T14:30:00.000001Z' };
}

/** A clock that stands until it is told. */
export function manualClock(): Clock & { advance(ms: number): void } {
  let ms = 0;
  return {
    nowMicros: () => 1_759_415_400_000_000 + ms * 1000,
    monotonicMs: () => ms,
    advance(by) {
      ms += by;
    },
  };
}
