import { setImmediate as turn } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { type Answer, Outbox } from '../../src/engine/outbox.ts';
import type { OrderSnapshot, OrderStatus } from '../../src/model/order.ts';
import { FakeBroker, rejected } from '../support/fake-broker.ts';

function outbox(gate: 'durable' | 'async' = 'durable') {
  const broker = new FakeBroker();
  const orders = new Map<string, OrderSnapshot>();
  const answers: Answer[] = [];
  const obsolete: string[] = [];
  const durable = { sequence: 0 };
  const box = new Outbox({
    broker,
    gate,
    durableSequence: () => durable.sequence,
    order: (orderId) => orders.get(orderId),
    answered: (answer) => answers.push(answer),
    canFollow: () => true,
    obsolete: (orderId) => obsolete.push(orderId),
  });
  return {
    box,
    broker,
    answers,
    obsolete,
    durable,
    sent: () => broker.calls.map(({ name, id }) => `${name} ${id}`),
    order(orderId: string, more: { readonly status?: OrderStatus; readonly replaces?: string } = {}): OrderSnapshot {
      const order: OrderSnapshot = {
        order_id: orderId,
        asset: 'AAPL',
        amount: '1',
        order_type: 'market',
        broker_order_id: null,
        status: 'pending',
        filled_amount: '0',
        ...more,
      };
      orders.set(orderId, order);
      return order;
    },
    end: (orderId: string) => orders.delete(orderId),
  };
}

describe('the outbox', () => {
  it('lets an intent leave when its sequence is durable, in the order of the commits', () => {
    const { box, order, durable, sent } = outbox();
    for (const [orderId, sequence] of [
      ['a', 1],
      ['b', 3],
      ['c', 3],
      ['d', 4],
    ] as const) {
      order(orderId);
      box.add({ orderId, strategy: 'alpha', sequence, after: null });
    }
    durable.sequence = 2;
    box.flush();
    expect(sent()).toEqual(['submitOrder a']);
    durable.sequence = 3;
    box.flush();
    box.flush();
    expect(sent()).toEqual(['submitOrder a', 'submitOrder b', 'submitOrder c']);
    expect(box.waiting).toBe(1);
  });

  it('waits for nothing where the gate is async', () => {
    const { box, order, sent } = outbox('async');
    order('a');
    box.add({ orderId: 'a', strategy: 'alpha', sequence: 99, after: null });
    box.flush();
    expect(sent()).toEqual(['submitOrder a']);
  });

  it('gives back what has not left, and only that', () => {
    const { box, order, durable, sent } = outbox();
    order('a');
    order('b');
    box.add({ orderId: 'a', strategy: 'alpha', sequence: 1, after: null });
    box.add({ orderId: 'b', strategy: 'beta', sequence: 2, after: null });
    durable.sequence = 1;
    box.flush();
    expect(box.withdraw('a')).toBe(false);
    expect(box.withdrawAll('alpha')).toEqual([]);
    expect(box.withdrawAll('beta')).toEqual(['b']);
    durable.sequence = 2;
    box.flush();
    expect(sent()).toEqual(['submitOrder a']);
  });

  it('keeps a replacement back until its target lives, and forgets it when that has ended', () => {
    const { box, order, durable, sent, obsolete, end } = outbox();
    durable.sequence = 1;
    order('old');
    order('new', { replaces: 'old' });
    box.add({ orderId: 'new', strategy: 'alpha', sequence: 1, after: null });
    box.flush();
    expect(sent()).toEqual([]);
    expect(box.waiting).toBe(1);
    order('old', { status: 'open' });
    box.targetChanged('old');
    expect(sent()).toEqual(['replaceOrder new']);
    order('other');
    order('late', { replaces: 'other' });
    box.add({ orderId: 'late', strategy: 'alpha', sequence: 1, after: null });
    box.flush();
    end('other');
    box.targetChanged('other');
    expect(obsolete).toEqual(['late']);
    expect(box.waiting).toBe(0);
    order('x');
    order('y', { replaces: 'x' });
    box.add({ orderId: 'y', strategy: 'alpha', sequence: 1, after: null });
    box.flush();
    expect(box.withdraw('y')).toBe(true);
  });

  it('is drained when nothing waits and everything is answered', async () => {
    const { box, order, durable, broker, answers } = outbox();
    await box.drained();
    order('a');
    broker.next('submitOrder', { kind: 'hold' });
    box.add({ orderId: 'a', strategy: 'alpha', sequence: 1, after: null });
    let drained = false;
    const done = box.drained().then(() => {
      drained = true;
    });
    durable.sequence = 1;
    box.flush();
    await turn();
    expect(drained).toBe(false);
    expect(box.inFlight).toBe(1);
    broker.release();
    await done;
    expect(answers).toMatchObject([{ request: 'submit', orderId: 'a', report: { order_id: 'a' } }]);
  });

  it('asks for one cancel of an order at a time, and tells only of failures', async () => {
    const { box, order, broker, answers, sent } = outbox();
    const live = order('a', { status: 'open' });
    broker.placeElsewhere('AAPL', '1', 'a');
    broker.next('cancelOrder', { kind: 'hold', error: rejected() });
    box.cancel(live);
    box.cancel(live);
    broker.release();
    await turn();
    expect(answers).toMatchObject([{ request: 'cancel', orderId: 'a', error: { code: 'BROKER_REJECTED' } }]);
    box.cancel(live);
    await turn();
    expect(answers).toHaveLength(1);
    expect(sent()).toEqual(['cancelOrder a', 'cancelOrder a']);
  });

  it('takes what an adapter throws for an answer', async () => {
    const { box, order, durable, broker, answers } = outbox();
    broker.submitOrder = () => {
      throw rejected('thrown, not rejected');
    };
    order('a');
    box.add({ orderId: 'a', strategy: 'alpha', sequence: 1, after: null });
    durable.sequence = 1;
    box.flush();
    await turn();
    expect(answers).toMatchObject([{ orderId: 'a', error: { code: 'BROKER_REJECTED' } }]);
  });
});
