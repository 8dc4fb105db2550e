/**
 * What one market event does to the orders of its asset. A pure function over the orders as they are; the exchange applies what
 * comes back.
 *
 * An order takes part from the first event after it was accepted.
 * M1. Market orders fill at the event's price: a trade's price, a bar's open, a quote's far side.
 * M2. Limit orders fill where the market reaches them: a trade at or through the limit, a bar whose low or high reaches it, a quote
 *     whose far side is at or through it. A limit that has rested fills a trade at its own price, because it was there first; one
 *     that the market had reached when it came takes the market's price. It never fills worse than its limit.
 * M3. A trade's amount is shared by all orders that it reaches, and each side of a quote likewise: market orders first, then the
 *     better price, then time. Bars say nothing about depth, so they fill in full.
 * M4. A stop is triggered by a trade at or through it or a bar that reaches it, and takes part from the next event on.
 * M5. A fill-or-kill order fills whole or not at all.
 * Who crossed the spread is not looked at: a tape without that knowledge fills the same.
 */
import { FeedError } from '../../model/errors.ts';
import type { Bar, MarketEvent, Quote, Trade } from '../../model/market.ts';
import { Decimal, decimal } from '../../model/money.ts';
import { type LiveOrder, remaining } from './orders.ts';

export interface Execution {
  readonly order: LiveOrder;
  readonly amount: Decimal;
  readonly price: Decimal;
}

export interface Match {
  readonly executions: readonly Execution[];
  readonly triggered: readonly LiveOrder[];
}

/** Places of an order's amount; a tape's finer volume is cut to it. */
export const amountPlaces = 9;
/** Places of a price: with nine of an amount every product stays within the 24 of a decimal string. */
export const pricePlaces = 12;

/** @throws StateError DECIMAL_INVALID for an event whose numbers are not decimal strings */
export function match(event: MarketEvent, orders: readonly LiveOrder[]): Match {
  const active = orders.filter((order) => order.triggered);
  const waiting = orders.filter((order) => !order.triggered);
  switch (event.kind) {
    case 'trade': {
      const price = marketPrice(event.price, `${event.asset} price`);
      const pool = decimal(event.amount, `${event.asset} amount`);
      return { executions: matchTrade(price, pool, active), triggered: reached(waiting, price, price) };
    }
    case 'quote':
      return { executions: matchQuote(event, active), triggered: [] };
    case 'bar': {
      const low = marketPrice(event.low, `${event.asset} low`);
      const high = marketPrice(event.high, `${event.asset} high`);
      return { executions: matchBar(event, low, high, active), triggered: reached(waiting, low, high) };
    }
  }
}

/** The price that an event leaves behind. */
export function lastPrice(event: Trade | Bar): string {
  return event.kind === 'trade' ? event.price : event.close;
}

/** @throws StateError DECIMAL_INVALID, or FeedError FEED_PRICE_TOO_FINE: what it pays could not be written exactly */
export function marketPrice(text: string, where: string): Decimal {
  const price = decimal(text, where);
  if (price.decimalPlaces() <= pricePlaces) return price;
  throw new FeedError('FEED_PRICE_TOO_FINE', `${where}: expected at most ${pricePlaces} decimal places, got ${text}`);
}

function matchTrade(price: Decimal, pool: Decimal, active: readonly LiveOrder[]): Execution[] {
  const hit = active
    .filter((order) => reaches(order, price))
    .map((order) => ({ order, price: order.limit !== null && order.seen ? order.limit : price }));
  return share(pool, price, hit);
}

function matchQuote(quote: Quote, active: readonly LiveOrder[]): Execution[] {
  const side = (name: 'buy' | 'sell', price: Decimal, pool: Decimal) =>
    share(
      pool,
      price,
      active.filter((order) => order.side === name && reaches(order, price)).map((order) => ({ order, price })),
    );
  const ask = marketPrice(quote.ask, `${quote.asset} ask`);
  const bid = marketPrice(quote.bid, `${quote.asset} bid`);
  return [
    ...side('buy', ask, decimal(quote.ask_amount, `${quote.asset} ask_amount`)),
    ...side('sell', bid, decimal(quote.bid_amount, `${quote.asset} bid_amount`)),
  ];
}

function matchBar(bar: Bar, low: Decimal, high: Decimal, active: readonly LiveOrder[]): Execution[] {
  const open = marketPrice(bar.open, `${bar.asset} open`);
  return active
    .filter((order) => reaches(order, order.side === 'buy' ? low : high))
    .toSorted(bySequence)
    .map((order) => ({ order, amount: remaining(order), price: better(order, open) }));
}

/** The limit, or the open where the market opened beyond it. */
function better(order: LiveOrder, open: Decimal): Decimal {
  if (order.limit === null) return open;
  return order.side === 'buy' ? Decimal.min(order.limit, open) : Decimal.max(order.limit, open);
}

function reaches(order: LiveOrder, price: Decimal): boolean {
  if (order.limit === null) return true;
  return order.side === 'buy' ? price.lte(order.limit) : price.gte(order.limit);
}

function reached(waiting: readonly LiveOrder[], low: Decimal, high: Decimal): LiveOrder[] {
  return waiting.filter(
    (order) => order.stop !== null && (order.side === 'buy' ? high.gte(order.stop) : low.lte(order.stop)),
  );
}

function share(
  amount: Decimal,
  at: Decimal,
  hit: readonly { readonly order: LiveOrder; readonly price: Decimal }[],
): Execution[] {
  let pool = amount.toDecimalPlaces(amountPlaces, Decimal.ROUND_DOWN);
  const executions: Execution[] = [];
  for (const { order, price } of hit.toSorted((a, b) => byPriceThenTime(a.order, b.order, at))) {
    const wanted = remaining(order);
    if (order.timeInForce === 'fok' && wanted.gt(pool)) continue;
    const filled = Decimal.min(wanted, pool);
    if (filled.lte(0)) continue;
    pool = pool.minus(filled);
    executions.push({ order, amount: filled, price });
  }
  return executions;
}

function byPriceThenTime(a: LiveOrder, b: LiveOrder, at: Decimal): number {
  if (a.limit === null || b.limit === null) {
    if (a.limit === b.limit) return bySequence(a, b);
    return a.limit === null ? -1 : 1;
  }
  // Both are reached, so the distance to the price is how much better each one bids or offers.
  return b.limit.minus(at).abs().comparedTo(a.limit.minus(at).abs()) || bySequence(a, b);
}

function bySequence(a: LiveOrder, b: LiveOrder): number {
  return a.sequence - b.sequence;
}
