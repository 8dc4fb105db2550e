import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Books } from '../../src/engine/books.ts';
import { ClientOrderIds } from '../../src/engine/client-order-id.ts';
import { DecimalLedger } from '../../src/engine/decimal-ledger.ts';
import { Instruments } from '../../src/engine/instrument.ts';
import { OrderManager } from '../../src/engine/order-manager.ts';
import type { OrderSnapshot, OrderStatus } from '../../src/model/order.ts';
import type { FillReport, OrderReport } from '../../src/model/report.ts';
import type { StrategyState } from '../../src/state/host-state.ts';
import { memoryHostState } from '../support/memory-host-state.ts';

const at = '2025-10-02T14:30:00.000000Z';

function manager() {
  const state = memoryHostState();
  const ids = new ClientOrderIds('test', 1, state);
  const books = new Books(state, ids);
  const alpha = books.register('alpha');
  const ledger = new DecimalLedger(new Instruments('USD'));
  const heard: string[] = [];
  const orders = new OrderManager({
    books,
    ids,
    ledger: { apply: (book, fill) => ledger.applyFill(book, fill), isInOrder: () => false, orderEnded: () => {} },
    sid: () => 1,
    now: () => at,
    listener: {
      filled: (_book, fill) => heard.push(`fill ${fill.amount}`),
      changed: (_book, order) => heard.push(order.status),
      stranger: () => heard.push('stranger'),
      external: () => heard.push('external'),
      resurfaced: () => heard.push('resurfaced'),
    },
  });
  const order = orders.draft(alpha, { asset: 'AAPL', amount: '10' });
  orders.track(alpha, order);
  return { orders, alpha, order, heard, books };
}

function report(order: OrderSnapshot, status: OrderStatus, filled = '0', more: Partial<OrderReport> = {}): OrderReport {
  return {
    order_id: order.order_id,
    broker_order_id: 'b-1',
    asset: order.asset,
    amount: order.amount,
    order_type: order.order_type,
    limit_price: null,
    stop_price: null,
    time_in_force: 'gtc',
    status,
    filled_amount: filled,
    average_fill_price: null,
    reason: null,
    created_at: at,
    updated_at: at,
    ...more,
  };
}

function fill(order: OrderSnapshot, execution: string, amount: string, price = '100'): FillReport {
  return {
    execution_id: execution,
    activity_id: null,
    order_id: order.order_id,
    broker_order_id: 'b-1',
    asset: order.asset,
    amount,
    price,
    currency: null,
    fee: '0',
    fee_currency: null,
    at,
  };
}

describe('evidence about an order', () => {
  it('in any order and any number of times gives the same end, quantity and cash', () => {
    const { order: model } = manager();
    const facts: ((order: OrderSnapshot) => FillReport | OrderReport)[] = [
      (order) => report(order, 'open'),
      (order) => fill(order, 'x1', '3', '99.5'),
      (order) => report(order, 'partially_filled', '3'),
      (order) => fill(order, 'x2', '4', '101.25'),
      (order) => report(order, 'partially_filled', '7'),
      (order) => report(order, 'canceled', '7'),
    ];
    expect(model.status).toBe('pending');
    const order = fc.shuffledSubarray(facts, { minLength: facts.length });
    fc.assert(
      fc.property(order, fc.array(fc.nat(facts.length - 1), { maxLength: 6 }), (first, again) => {
        const { orders, alpha, order: ours } = manager();
        for (const make of [...first, ...again.map((index) => facts[index] ?? first[0])]) {
          const fact = make?.(ours);
          if (fact === undefined) continue;
          if ('execution_id' in fact) orders.fill(fact);
          else orders.report(fact);
        }
        expect(alpha.orders()).toEqual([]);
        expect(alpha.position('AAPL')?.amount).toBe('7');
        expect(alpha.cash()).toBe('-703.5');
        expect(orders.behind).toBe(false);
      }),
    );
  });

  it('never lowers what is filled, and keeps the average of the executions', () => {
    const { orders, alpha, order } = manager();
    orders.fill(fill(order, 'x1', '2', '100'));
    orders.fill(fill(order, 'x2', '1', '103'));
    orders.report(report(order, 'open', '0'));
    expect(open(alpha, order)).toMatchObject({
      status: 'partially_filled',
      filled_amount: '3',
      average_fill_price: '101',
      broker_order_id: 'b-1',
    });
  });

  it('that is final waits for its executions, whatever older report comes in between', () => {
    const { orders, alpha, order } = manager();
    orders.report(report(order, 'canceled', '5'));
    orders.report(report(order, 'partially_filled', '5'));
    expect(orders.behind).toBe(true);
    expect(open(alpha, order)).toMatchObject({ status: 'partially_filled', filled_amount: '0' });
    orders.fill(fill(order, 'x1', '5'));
    expect(orders.behind).toBe(false);
    expect(alpha.orders()).toEqual([]);
  });

  it('of an order that ended is booked where it belongs', () => {
    const { orders, alpha, order, heard } = manager();
    orders.report(report(order, 'canceled'));
    orders.report(report(order, 'open'), true);
    expect(heard).toEqual(['canceled']);
    orders.fill({ ...fill(order, 'x1', '5'), order_id: null });
    expect(alpha.position('AAPL')?.amount).toBe('5');
  });

  it('takes a replacement’s amount from the broker', () => {
    const { orders, alpha, order } = manager();
    orders.report(report(order, 'open'));
    const live = open(alpha, order);
    if (live === undefined) throw new Error('the order is gone');
    const next = orders.draftReplacement(alpha, live, { amount: '12' });
    orders.track(alpha, next);
    expect(open(alpha, order)?.status).toBe('pending_replace');
    orders.report(report(next, 'open', '0', { broker_order_id: 'b-2', amount: '9' }));
    expect(open(alpha, next)).toMatchObject({ amount: '9', status: 'open', replaces: order.order_id });
  });

  it('of a live order that nobody here has is asked for, and then believed', () => {
    const { orders, books, heard } = manager();
    const foreign = report({ asset: 'TSLA', amount: '1', order_type: 'market' } as OrderSnapshot, 'open', '0', {
      order_id: null,
      broker_order_id: 'b-9',
    });
    orders.report(foreign);
    expect(heard).toEqual(['stranger']);
    orders.report(foreign, true);
    expect(books.unassigned.orders()).toMatchObject([{ order_id: 'b-9', status: 'open' }]);
    orders.report({ ...foreign, status: 'canceled' });
    expect(books.unassigned.orders()).toEqual([]);
  });

  it('that it never came is remembered, so that it is news when it shows itself', () => {
    const { orders, order, heard } = manager();
    orders.learn(order.order_id, 'unanswered', 'no answer');
    expect(orders.unknown()).toEqual([order.order_id]);
    orders.learn(order.order_id, 'never_received', 'not received');
    expect(orders.unknown()).toEqual([]);
    orders.report(report(order, 'open'), true);
    expect(heard).toEqual(['unknown', 'rejected', 'open', 'resurfaced']);
  });

  it('of a reconciliation overrules what is here', () => {
    const { orders, alpha, order } = manager();
    orders.report(report(order, 'open'));
    const live = open(alpha, order);
    if (live === undefined) throw new Error('the order is gone');
    orders.overrule(alpha, live, report(order, 'partially_filled', '4'), 'the broker says so');
    expect(open(alpha, order)).toMatchObject({ filled_amount: '4', reason: 'the broker says so' });
    orders.overrule(alpha, live, null, 'gone');
    expect(alpha.orders()).toEqual([]);
  });
});

function open(book: StrategyState, { order_id }: OrderSnapshot): OrderSnapshot | undefined {
  return book.order(order_id);
}
