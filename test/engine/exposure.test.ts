import { describe, expect, it } from 'vitest';
import { canAddExposure } from '../../src/engine/exposure.ts';
import type { OrderSnapshot } from '../../src/model/order.ts';

function order(amount: string, status: OrderSnapshot['status'], filled = '0'): OrderSnapshot {
  return {
    order_id: `${amount}-${status}`,
    asset: 'AAPL',
    amount,
    order_type: 'market',
    broker_order_id: null,
    status,
    filled_amount: filled,
  };
}

describe('an order beside an unknown one', () => {
  it.each([
    ['opens where nothing is held', '5', '0', [order('10', 'unknown')], true],
    ['adds to what is held', '5', '10', [order('10', 'unknown')], true],
    ['closes a part of what is surely held', '-5', '10', [order('10', 'unknown')], false],
    ['closes what an unknown sale may have closed already', '-5', '10', [order('-10', 'unknown')], true],
    ['closes what an unknown sale leaves in any case', '-4', '10', [order('-3', 'unknown')], false],
    ['closes more than an unknown sale leaves', '-8', '10', [order('-3', 'unknown')], true],
    [
      'closes together with another order more than is held',
      '-6',
      '10',
      [order('-5', 'open'), order('1', 'unknown')],
      true,
    ],
    ['closes a short position', '3', '-10', [order('2', 'unknown')], false],
    ['turns a position around', '-11', '10', [order('1', 'unknown')], true],
    ['counts only what is left of the others', '-6', '10', [order('-5', 'open', '-4'), order('1', 'unknown')], false],
  ] as const)('%s', (_what, amount, held, orders, adds) => {
    expect(canAddExposure(amount, held, orders)).toBe(adds);
  });
});
