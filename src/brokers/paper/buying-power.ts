import { Decimal, decimalString, zero } from '../../model/money.ts';
import { averageCost, type Holding, type PaperAccount } from './accounts.ts';
import type { CheckedRequest } from './checks.ts';
import { amountPlaces } from './matching.ts';
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
  if (request.side === 'sell' && asset.assetClass === 'crypto') {
    const [unit = asset.name] = asset.name.split('/');
    throw refuse(
      'insufficient_amount',
      `insufficient balance for ${unit} (requested: ${decimalString(request.amount)}, available: 0)`,
      { available: '0', balance: '0', symbol: unit },
    );
  }
  if (request.side === 'sell' && !book.shorts) {
    throw refuse('shorts_not_allowed', 'account is not allowed to short', { symbol: asset.name });
  }
  if (request.side === 'sell' && asset.fractions === 'day' && !request.amount.isInteger()) {
    throw refuse('invalid_request', 'fractional orders cannot be sold short', { symbol: asset.name });
  }
  const cost = exposure(book, asset, request.side, request.amount, request.limit ?? request.stop);
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

/**
 * @throws BrokerError BROKER_REJECTED where the order would trade with a live one of the account's own: one of the two has no limit,
 * or their limits meet. Whether a stop has been triggered is not looked at.
 */
export function refuseWash(book: Book, asset: string, request: CheckedRequest): void {
  for (const order of book.liveOrders(asset)) {
    if (order.side === request.side) continue;
    const [buy, sell] = request.side === 'buy' ? [request, order] : [order, request];
    if (buy.limit !== null && sell.limit !== null && buy.limit.lt(sell.limit)) continue;
    throw refuse('wash_trade', 'potential wash trade detected. use complex orders', {
      existing_order_id: order.id,
      reject_reason: `opposite side ${order.limit === null ? 'market/stop' : 'limit'} order exists`,
    });
  }
}

export interface Fee {
  readonly amount: Decimal;
  readonly currency: string;
  /** Whether it is taken in units of the asset. */
  readonly inUnits: boolean;
}

/** What an execution costs beside its price: money is rounded to 12 places, units to those of an amount. */
export function feeOf(asset: ListedAsset, side: 'buy' | 'sell', amount: Decimal, price: Decimal): Fee {
  const inUnits = side === 'buy' && asset.feeUnit !== null;
  const of = inUnits ? amount : amount.times(price);
  return {
    amount: of
      .times(asset.feeBps)
      .dividedBy(10_000)
      .toDecimalPlaces(inUnits ? amountPlaces : 12, Decimal.ROUND_HALF_EVEN),
    currency: inUnits && asset.feeUnit !== null ? asset.feeUnit : asset.currency,
    inUnits,
  };
}

/** What of a fee is paid in cash. */
export function cashOf(fee: Fee): Decimal {
  return fee.inUnits ? zero : fee.amount;
}

function reserved(book: Book, order: LiveOrder): Decimal {
  const asset = book.asset(order.asset);
  if (asset === undefined || closes(book.account.holding(order.asset), order.side)) return zero;
  return exposure(book, asset, order.side, remaining(order), order.limit ?? order.stop);
}

/** At the order's own price, or else the market's; an asset without any price yet is settled when it fills. */
function exposure(book: Book, asset: ListedAsset, side: 'buy' | 'sell', amount: Decimal, own: Decimal | null): Decimal {
  const price = own ?? book.price(asset.name) ?? zero;
  return amount.times(price).plus(cashOf(feeOf(asset, side, amount, price)));
}
