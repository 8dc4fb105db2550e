import { decimal } from '../model/money.ts';
import type { Alerter } from './alert.ts';
import type { TradingCore } from './trading-core.ts';

/**
 * Tells of each book that holds something while its strategy was not added: nobody would sell what it holds. An engine that was given
 * no strategies at all trades nothing, and was not meant to.
 */
export function tellAbsent({ books, hosts }: Pick<TradingCore, 'books' | 'hosts'>, alert: Alerter): void {
  if (hosts.size === 0) return;
  for (const book of books.all()) {
    if (book === books.unassigned || hosts.has(book.name)) continue;
    const positions = book.positions().filter(({ amount }) => !decimal(amount).isZero()).length;
    const orders = book.orders().length;
    if (positions === 0 && orders === 0) continue;
    alert(
      'warn',
      'STRATEGY_ABSENT',
      `strategy "${book.name}" does not run here, and its book holds positions (${positions}) and open orders (${orders}): they are kept and compared with the broker's, and nobody trades them. Add it again by this name, or close them at the broker`,
      { strategy: book.name, details: { positions, orders } },
    );
  }
}
