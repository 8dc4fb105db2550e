/** What an exchange tells of its account: cash, equity, buying power, positions. Pure readings of its books. */
import { type Decimal, type DecimalString, decimalString } from '../../model/money.ts';
import type { AccountReport, PositionReport } from '../../model/report.ts';
import { averageCost } from './accounts.ts';
import { type Book, buyingPower, heldForOrders } from './buying-power.ts';
import { signed } from './orders.ts';

export function reportAccount(book: Book, accountId: string, currency: string): AccountReport {
  const cash = [...book.account.allCash()].map(([name, amount]) => [name, decimalString(amount)]);
  return Object.freeze({
    account_id: accountId,
    currency,
    cash: Object.freeze(Object.fromEntries(cash)),
    equity: decimalString(equity(book, currency)),
    buying_power: decimalString(buyingPower(book, currency)),
    blocked: false,
  });
}

/** Sorted by asset. */
export function reportPositions(book: Book, currency: string): readonly PositionReport[] {
  return [...book.account.holdings()]
    .map(([asset, holding]) => {
      const price = book.price(asset);
      return Object.freeze({
        asset,
        amount: decimalString(holding.amount),
        cost_basis: decimalString(averageCost(holding)),
        last_price: price === null ? null : decimalString(price),
        currency: book.asset(asset)?.currency ?? currency,
      });
    })
    .toSorted((a, b) => (a.asset < b.asset ? -1 : 1));
}

/** What of a position open orders do not hold; signed like the position. */
export function availableAmount(book: Book, asset: string): DecimalString {
  const held = book.account.holding(asset);
  const side = held.amount.isNegative() ? 'buy' : 'sell';
  const free = held.amount.abs().minus(heldForOrders(book, asset, side));
  return decimalString(signed(side === 'sell' ? 'buy' : 'sell', free));
}

/** Cash and positions of the account's own currency; the exchange knows no rates between currencies. */
function equity(book: Book, currency: string): Decimal {
  let sum = book.account.cash(currency);
  for (const [name, holding] of book.account.holdings()) {
    if (book.asset(name)?.currency !== currency) continue;
    sum = sum.plus(holding.amount.times(book.price(name) ?? averageCost(holding)));
  }
  return sum;
}
