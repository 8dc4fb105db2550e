import { StrategyError } from '../model/errors.ts';
import { type DecimalString, decimal, decimalString, isDecimalString } from '../model/money.ts';
import { assetPattern } from '../model/names.ts';
import { leftOf, type OrderSnapshot, type OrderType, orderTypes, timesInForce } from '../model/order.ts';
import type { Timestamp } from '../model/time.ts';
import type { NewOrder, OrderChange } from './strategy.ts';

/**
 * The order that a strategy asked for, as an intent: pending, unnamed by the broker, nothing filled.
 * @throws StrategyError ORDER_INVALID naming strategy, asset and field
 */
export function draftOrder(strategy: string, orderId: string, order: NewOrder, at: Timestamp): OrderSnapshot {
  const fail = invalid(strategy, String(order?.asset));
  if (typeof order?.asset !== 'string' || !assetPattern.test(order.asset)) {
    throw fail('asset', 'expected 1 to 64 printable ASCII characters without spaces', order?.asset);
  }
  const type = order.type ?? 'market';
  const timeInForce = order.timeInForce ?? 'gtc';
  if (!orderTypes.includes(type)) throw fail('type', `expected one of ${orderTypes.join(', ')}`, type);
  if (!timesInForce.includes(timeInForce)) {
    throw fail('timeInForce', `expected one of ${timesInForce.join(', ')}`, timeInForce);
  }
  return {
    order_id: orderId,
    asset: order.asset,
    amount: checkedAmount(order.amount, fail),
    order_type: type,
    limit_price: checkedPrice('limitPrice', order.limitPrice, hasLimit(type), type, fail),
    stop_price: checkedPrice('stopPrice', order.stopPrice, hasStop(type), type, fail),
    time_in_force: timeInForce,
    broker_order_id: null,
    status: 'pending',
    filled_amount: '0',
    average_fill_price: null,
    created_at: at,
    updated_at: at,
    replaces: null,
    reason: null,
  };
}

/**
 * The order that takes another's place: what the change leaves out stays as it was, and an amount that it leaves out is what the other
 * has still to do. A venue takes the amount as that of a new order, and would otherwise trade again what is filled already.
 * @throws StrategyError ORDER_INVALID, also where nothing changes or the side would
 */
export function draftReplacement(
  strategy: string,
  orderId: string,
  old: OrderSnapshot,
  change: OrderChange,
  at: Timestamp,
): OrderSnapshot {
  const fail = invalid(strategy, old.asset);
  if (change?.amount === undefined && change?.limitPrice === undefined && change?.stopPrice === undefined) {
    throw fail('change', 'expected at least one of amount, limitPrice, stopPrice', change);
  }
  const limitPrice = change.limitPrice ?? old.limit_price ?? undefined;
  const stopPrice = change.stopPrice ?? old.stop_price ?? undefined;
  const draft = draftOrder(
    strategy,
    orderId,
    {
      asset: old.asset,
      amount: change.amount ?? decimalString(leftOf(old)),
      type: old.order_type,
      timeInForce: old.time_in_force ?? 'gtc',
      ...(limitPrice === undefined ? {} : { limitPrice }),
      ...(stopPrice === undefined ? {} : { stopPrice }),
    },
    at,
  );
  if (decimal(draft.amount).isNegative() !== decimal(old.amount).isNegative()) {
    throw fail('amount', 'expected the side of the order that it replaces', change.amount);
  }
  return { ...draft, replaces: old.order_id };
}

type Fail = (field: string, expected: string, got: unknown) => StrategyError;

function invalid(strategy: string, asset: string): Fail {
  return (field, expected, got) =>
    new StrategyError(
      'ORDER_INVALID',
      `strategy "${strategy}", order in ${asset.slice(0, 64)}, ${field}: ${expected}, got ${JSON.stringify(got)?.slice(0, 60)}; nothing was sent`,
      { details: { strategy, asset: asset.slice(0, 64), field } },
    );
}

function checkedAmount(amount: unknown, fail: Fail): DecimalString {
  if (!isDecimalString(amount) || decimal(amount).isZero()) {
    throw fail('amount', 'expected a decimal string that is not zero, negative to sell', amount);
  }
  return decimalString(decimal(amount));
}

function checkedPrice(
  field: string,
  price: unknown,
  needed: boolean,
  type: OrderType,
  fail: Fail,
): DecimalString | null {
  if (!needed) {
    if (price === undefined || price === null) return null;
    throw fail(field, `expected none for a ${type} order`, price);
  }
  // Prices below zero exist (oil in 2020, power, spreads), so only the form is checked.
  if (!isDecimalString(price)) throw fail(field, `expected a decimal string for a ${type} order`, price);
  return decimalString(decimal(price));
}

const hasLimit = (type: OrderType): boolean => type === 'limit' || type === 'stop_limit';
const hasStop = (type: OrderType): boolean => type === 'stop' || type === 'stop_limit';
