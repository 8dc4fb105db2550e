import { Decimal, decimal, zero } from '../model/money.ts';
import type { OrderSnapshot } from '../model/order.ts';

/**
 * Whether an order can add exposure in its asset while others there are unknown. It cannot when, whether the unknown orders are
 * filled or not, it and every other order that closes on its side together close no more than is held.
 *
 * @param held signed amount held
 * @param orders the open orders in the same asset
 */
export function canAddExposure(amount: string, held: string, orders: readonly OrderSnapshot[]): boolean {
  const wanted = decimal(amount);
  let unknown = zero;
  let closing = wanted.abs();
  for (const order of orders) {
    const left = decimal(order.amount).minus(order.filled_amount);
    if (order.status === 'unknown') unknown = unknown.plus(left);
    // Of several unknown orders on both sides some may be filled and others not: what closes counts in full.
    if (left.isNegative() === wanted.isNegative()) closing = closing.plus(left.abs());
  }
  const position = decimal(held);
  const least = [position, position.plus(unknown)].reduce((a, b) => (a.abs().lt(b.abs()) ? a : b));
  const opposite = !least.isZero() && least.isNegative() !== wanted.isNegative();
  const sameSideEitherWay = position.isZero() || position.isNegative() === least.isNegative();
  return !(opposite && sameSideEitherWay && closing.lte(Decimal.abs(least)));
}
