import { decimal } from '../model/money.ts';
import { leftOf, type OrderSnapshot } from '../model/order.ts';

/**
 * Whether an order can add exposure in its asset while others there are unknown. It cannot when it, and every other order on its side
 * that may still be filled, the unknown ones included, together close no more than is held. Orders on the other side may never be
 * filled, and so count for nothing.
 *
 * @param held signed amount held
 * @param orders the open orders in the same asset
 */
export function canAddExposure(amount: string, held: string, orders: readonly OrderSnapshot[]): boolean {
  const wanted = decimal(amount);
  const position = decimal(held);
  if (position.isZero() || position.isNegative() === wanted.isNegative()) return true;
  let closing = wanted.abs();
  for (const order of orders) {
    const left = leftOf(order);
    if (left.isNegative() === wanted.isNegative()) closing = closing.plus(left.abs());
  }
  return closing.gt(position.abs());
}
