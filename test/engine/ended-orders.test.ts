import { describe, expect, it } from 'vitest';
import { EndedOrders, endedOrdersMax } from '../../src/engine/ended-orders.ts';

describe('orders that ended', () => {
  it('are remembered up to a bound, and the oldest are let go with their broker ids', () => {
    const forgotten: string[] = [];
    const ended = new EndedOrders((brokerOrderId) => forgotten.push(brokerOrderId));
    for (let i = 0; i < endedOrdersMax + 2; i += 1) {
      ended.add({ orderId: `o-${i}`, strategy: 'alpha', brokerOrderId: i === 1 ? null : `b-${i}`, received: true });
    }
    expect(forgotten).toEqual(['b-0']);
    expect(ended.get('o-1')).toBeUndefined();
    expect(ended.get('o-2')?.brokerOrderId).toBe('b-2');
    ended.delete('o-2');
    expect(ended.get('o-2')).toBeUndefined();
  });
});
