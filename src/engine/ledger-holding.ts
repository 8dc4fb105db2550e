import { type Decimal, zero } from '../model/money.ts';

/**
 * What is held of one asset, as exact numbers. `amount` and `totalCost` have the same sign: a short position has received what it
 * will cost to buy back.
 */
export interface Holding {
  readonly amount: Decimal;
  readonly totalCost: Decimal;
  /** Before fees. */
  readonly realized: Decimal;
  readonly fees: Decimal;
}

export const emptyHolding: Holding = Object.freeze({ amount: zero, totalCost: zero, realized: zero, fees: zero });

/** A trade's effect: `paid` leaves the cash (negative: comes in). */
export interface Traded {
  readonly holding: Holding;
  readonly paid: Decimal;
}

/** How many decimals an amount of money keeps: what a decimal string can hold. */
const moneyDecimals = 24;

/**
 * Buys (amount > 0) or sells at a price per unit, at average cost.
 *
 * Opening or adding puts what was paid into the total cost. A reduction releases total cost × closed / held, and a full close all
 * of it; what was received less what was released is realized. A trade through zero is a close and then an opening. Rounding (half
 * even, to 24 decimals) happens in the share that is released and, where quantity and price together have more decimals than that, in
 * what is paid; the rest follows by subtraction, so that paid, total cost and realized always balance to the last digit.
 */
export function trade(holding: Holding, amount: Decimal, unitPrice: Decimal): Traded {
  const paid = money(amount.times(unitPrice));
  const held = holding.amount;
  if (held.isZero() || held.isNegative() === amount.isNegative()) {
    return { holding: { ...holding, amount: held.plus(amount), totalCost: holding.totalCost.plus(paid) }, paid };
  }
  const left = held.plus(amount);
  if (left.isZero() || left.isNegative() !== held.isNegative()) {
    const paidToClose = left.isZero() ? paid : money(held.negated().times(unitPrice));
    const realized = holding.realized.minus(paidToClose).minus(holding.totalCost);
    return { holding: { ...holding, amount: left, totalCost: paid.minus(paidToClose), realized }, paid };
  }
  const released = money(holding.totalCost.times(amount.negated()).div(held));
  const totalCost = holding.totalCost.minus(released);
  const realized = holding.realized.minus(paid).minus(released);
  return { holding: { ...holding, amount: left, totalCost, realized }, paid };
}

/**
 * Takes units away as a fee (negative: a rebate in units). They leave at their average cost, which is booked as a fee, so that the
 * average of what stays is what it was, as brokers report it.
 */
export function takeUnits(holding: Holding, units: Decimal): Holding {
  if (units.isZero()) return holding;
  const after = trade(holding, units.negated(), zero).holding;
  const cost = holding.realized.minus(after.realized);
  return { ...after, realized: holding.realized, fees: holding.fees.plus(cost) };
}

/** Rounds to what a decimal string can hold. */
export function money(value: Decimal): Decimal {
  return value.decimalPlaces() > moneyDecimals ? value.toDecimalPlaces(moneyDecimals) : value;
}
