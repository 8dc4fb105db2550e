import { Decimal, decimalString, zero } from '../../model/money.ts';
import { averageCost, type Holding, type PaperAccount } from './accounts.ts';
import type { CheckedRequest } from './checks.ts';
import type { ListedAsset } from './options.ts';
import { type LiveOrder, remaining } from './orders.ts';
import { refuse } from './refusals.ts';

/** What the checks look at. */
export interface Book {
  readonly account: PaperAccount;
  readonly shorts: boolean;
  asset(name: string): ListedAsset | undefined;
  liveOrders(asset?: string): Iterable<LiveOrder>;
  price(asset: string): Decimal | null;
}

/**
 * What may still be spent in a currency, without margin: cash, less what open orders would spend, less twice what short positions
 * are worth, since a short sale brought its worth as cash and needs as much again behind it. So exposure never exceeds equity.
 */
export function buyingPower(book: Book, currency: string, without?: LiveOrder): Decimal {
  let power = book.account.cash(currency);
  for (const [name, holding] of book.account.holdings()) {
    if (book.asset(name)?.currency !== currency || !holding.amount.isNegative()) continue;
    power = power.plus(holding.amount.times(book.price(name) ?? averageCost(holding)).times(2));
  }
  for (const order of book.liveOrders()) {
    if (order !== without && book.asset(order.asset)?.currency === currency) power = power.minus(reserved(book, order));
  }
  return power;
}

/**
 * @param without an order that the new one replaces: what it holds is free again
 * @throws BrokerError BROKER_REJECTED where amount, buying power or the account's rights do not suffice
 */
export function checkFunds(book: Book, asset: ListedAsset, request: CheckedRequest, without?: LiveOrder): void {
  const held = book.account.holding(asset.name);
  if (closes(held, request.side)) {
    // An order may close a position but not turn it: long to short takes two orders, as at the real one.
    const available = held.amount.abs().minus(heldForOrders(book, asset.name, request.side, without));
    if (request.amount.lte(available)) return;
    throw refuse(
      'insufficient_amount',
      `insufficient qty available for order (requested: ${decimalString(request.amount)}, available: ${decimalString(available)})`,
      {
        available: decimalString(available),
        existing_qty: decimalString(held.amount.abs()),
        held_for_orders: decimalString(held.amount.abs().minus(available)),
        symbol: asset.name,
      },
    );
  }
  if (request.side === 'sell' && !book.shorts) {
    throw refuse('shorts_not_allowed', 'account is not allowed to short', { symbol: asset.name });
  }
  const cost = exposure(book, asset, request.amount, request.limit ?? request.stop);
  const power = buyingPower(book, asset.currency, without);
  if (cost.lte(power)) return;
  throw refuse('insufficient_buying_power', 'insufficient buying power', {
    buying_power: decimalString(power),
    cost_basis: decimalString(cost),
  });
}

/** Whether an order on this side brings the holding nearer to zero. */
export function closes(held: Holding, side: 'buy' | 'sell'): boolean {
  return !held.amount.isZero() && held.amount.isNegative() === (side === 'buy');
}

export function heldForOrders(book: Book, asset: string, side: 'buy' | 'sell', without?: LiveOrder): Decimal {
  let held = zero;
  for (const order of book.liveOrders(asset)) {
    if (order !== without && order.side === side) held = held.plus(remaining(order));
  }
  return held;
}

/** What an execution costs beside its price, rounded to 12 places. */
export function feeOf(asset: ListedAsset, notional: Decimal): Decimal {
  return notional.abs().times(asset.feeBps).dividedBy(10_000).toDecimalPlaces(12, Decimal.ROUND_HALF_EVEN);
}

function reserved(book: Book, order: LiveOrder): Decimal {
  const asset = book.asset(order.asset);
  if (asset === undefined || closes(book.account.holding(order.asset), order.side)) return zero;
  return exposure(book, asset, remaining(order), order.limit ?? order.stop);
}

/** At the order's own price, or else the market's; an asset without any price yet is settled when it fills. */
function exposure(book: Book, asset: ListedAsset, amount: Decimal, own: Decimal | null): Decimal {
  const price = own ?? book.price(asset.name) ?? zero;
  const notional = amount.times(price);
  return notional.plus(feeOf(asset, notional));
}
