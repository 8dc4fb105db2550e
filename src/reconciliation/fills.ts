import { type Decimal, decimal, zero } from '../model/money.ts';
import { UNASSIGNED } from '../model/names.ts';
import { isFinal, type OrderSnapshot, type OrderStatus } from '../model/order.ts';
import type { PositionSnapshot } from '../model/position.ts';
import type { FillReport } from '../model/report.ts';
import { termsIn, toDecimalString, totalCost } from './books.ts';
import type { LocalBook, LocalBooks } from './types.ts';

/**
 * The books as they will be once these executions are booked as fills: in the book whose order it was, else in UNASSIGNED.
 *
 * This is what makes a fill count once. A difference that an unbooked execution explains is no difference: the execution will
 * be booked by its id, whether it comes by the stream or from the report, and nothing is adjusted for it. What is still different
 * is adjusted from the amounts that the books have then.
 *
 * An order that the executions complete stays in the result with status `filled`, so that an order list that still has it finds
 * its match.
 */
export function withFills(local: LocalBooks, fills: readonly FillReport[]): LocalBooks {
  if (fills.length === 0) return local;
  const books = new Map(local.strategies.map((book) => [book.strategy, draft(book)]));
  const owners = orderOwners(local);
  const counted = new Set<string>();
  for (const fill of fills) {
    if (counted.has(fill.execution_id)) continue;
    counted.add(fill.execution_id);
    const owner =
      (fill.order_id === null ? undefined : owners.get(`order ${fill.order_id}`)) ??
      owners.get(`broker ${fill.broker_order_id}`);
    const strategy = owner?.strategy ?? UNASSIGNED;
    const book = books.get(strategy) ?? draft({ strategy, positions: [], orders: [], cash: {} });
    books.set(strategy, book);
    bookFill(book, fill, local, owner?.order_id ?? null);
  }
  return { ...local, strategies: [...books.values()].map(finished) };
}

interface Draft {
  readonly strategy: string;
  readonly positions: Map<string, PositionSnapshot>;
  readonly closed: Set<string>;
  readonly orders: Map<string, OrderSnapshot>;
  readonly cash: Map<string, Decimal>;
}

function draft(book: LocalBook): Draft {
  return {
    strategy: book.strategy,
    positions: new Map(book.positions.map((position) => [position.asset, position])),
    closed: new Set(book.closed),
    orders: new Map(book.orders.map((order) => [order.order_id, order])),
    cash: new Map(Object.entries(book.cash).map(([currency, amount]) => [currency, decimal(amount, currency)])),
  };
}

function finished(book: Draft): LocalBook {
  return {
    strategy: book.strategy,
    positions: [...book.positions.values()],
    closed: [...book.closed].filter((asset) => !book.positions.has(asset)),
    orders: [...book.orders.values()],
    cash: Object.fromEntries([...book.cash].map(([currency, amount]) => [currency, toDecimalString(amount)])),
  };
}

function orderOwners(local: LocalBooks): Map<string, { readonly strategy: string; readonly order_id: string }> {
  const owners = new Map<string, { readonly strategy: string; readonly order_id: string }>();
  for (const { strategy, orders } of local.strategies) {
    for (const { order_id, broker_order_id } of orders) {
      owners.set(`order ${order_id}`, { strategy, order_id });
      if (broker_order_id !== null) owners.set(`broker ${broker_order_id}`, { strategy, order_id });
    }
  }
  return owners;
}

/** As the ledger will book it: a fee in the asset itself leaves the position, any other a cash balance. */
function bookFill(book: Draft, fill: FillReport, local: LocalBooks, orderId: string | null): void {
  const { asset } = fill;
  const held = book.positions.get(asset);
  const { unit, multiplier, currency: own } = termsIn(local, asset);
  const currency = fill.currency ?? held?.currency ?? own;
  const feeCurrency = fill.fee_currency ?? currency;
  const amount = decimal(fill.amount, `${asset} amount`);
  const unitPrice = decimal(fill.price, `${asset} price`).times(multiplier);
  const fee = decimal(fill.fee, `${asset} fee`);
  const before =
    held === undefined
      ? { amount: zero, cost: zero }
      : { amount: decimal(held.amount, `${asset} amount`), cost: totalCost(held, multiplier) };

  let after = executed(before, amount, unitPrice);
  spend(book, currency, amount.times(unitPrice));
  if (feeCurrency === unit && feeCurrency !== currency) after = executed(after, fee.negated(), zero);
  else spend(book, feeCurrency, fee);

  if (after.amount.isZero()) {
    book.positions.delete(asset);
    book.closed.add(asset);
  } else {
    book.positions.set(asset, {
      last_price: fill.price,
      currency,
      ...held,
      asset,
      amount: toDecimalString(after.amount),
      cost_basis: toDecimalString(after.cost.div(after.amount.times(multiplier))),
      total_cost: toDecimalString(after.cost),
    });
  }
  const order = orderId === null ? undefined : book.orders.get(orderId);
  if (order !== undefined) book.orders.set(order.order_id, advanced(order, fill));
}

function spend(book: Draft, currency: string, amount: Decimal): void {
  if (amount.isZero()) return;
  book.cash.set(currency, (book.cash.get(currency) ?? zero).minus(amount));
}

interface Cost {
  readonly amount: Decimal;
  readonly cost: Decimal;
}

/** Average cost: adding averages, taking away leaves the average, and what goes through zero begins anew at the price. */
function executed(held: Cost, amount: Decimal, unitPrice: Decimal): Cost {
  if (amount.isZero()) return held;
  const after = held.amount.plus(amount);
  if (held.amount.isZero() || held.amount.isNegative() === amount.isNegative()) {
    return { amount: after, cost: held.cost.plus(amount.times(unitPrice)) };
  }
  const crosses = after.isZero() || after.isNegative() !== held.amount.isNegative();
  return { amount: after, cost: crosses ? after.times(unitPrice) : held.cost.times(after).div(held.amount) };
}

function advanced(order: OrderSnapshot, fill: FillReport): OrderSnapshot {
  if (isFinal(order.status)) return order;
  const filled = decimal(order.filled_amount, `${order.order_id} filled_amount`).plus(decimal(fill.amount));
  const complete = filled.abs().gte(decimal(order.amount, `${order.order_id} amount`).abs());
  const asked: OrderStatus[] = ['pending_cancel', 'pending_replace'];
  const status = complete ? 'filled' : asked.includes(order.status) ? order.status : 'partially_filled';
  return {
    ...order,
    status,
    filled_amount: toDecimalString(filled),
    broker_order_id: order.broker_order_id ?? fill.broker_order_id,
  };
}
