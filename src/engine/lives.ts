import { decimal, decimalString } from '../model/money.ts';
import type { StrategyState } from '../state/host-state.ts';
import type { Alerter } from './alert.ts';
import { isEmpty } from './books.ts';
import type { Strategy } from './strategy.ts';

/**
 * What a strategy is given once in its life, whatever crashes come between: its first cash, and an onStart that is told that it is the
 * first. Both are marked in the book of the account, in the commit that does them.
 */
export class Lives {
  readonly #unassigned: StrategyState;
  readonly #alert: Alerter;

  constructor(unassigned: StrategyState, alert: Alerter) {
    this.#unassigned = unassigned;
    this.#alert = alert;
  }

  /** Whether its onStart never succeeded before. */
  isFirst(book: StrategyState): boolean {
    if (this.#unassigned.get(startedKey(book)) === true) return false;
    // A book that came from elsewhere has no mark, and a past.
    return this.#unassigned.get(grantedKey(book)) === true || isEmpty(book);
  }

  /** In a transaction: the onStart has succeeded. */
  started(book: StrategyState): void {
    if (this.#unassigned.get(startedKey(book)) !== true) this.#unassigned.set(startedKey(book), true);
  }

  /**
   * In a transaction: moves a new strategy's first cash out of what belongs to nobody, so that the sum over the books stays what the
   * broker has.
   */
  grant(strategy: Strategy, book: StrategyState): void {
    const cash = Object.entries(strategy.initialCash ?? {});
    if (cash.length === 0 || this.#unassigned.get(grantedKey(book)) === true || !isEmpty(book)) return;
    this.#unassigned.set(grantedKey(book), true);
    for (const [currency, amount] of cash) {
      const left = decimal(this.#unassigned.cash(currency)).minus(amount);
      book.setCash(amount, currency);
      this.#unassigned.setCash(decimalString(left), currency);
      if (!left.isNegative()) continue;
      const message = `strategy "${book.name}" was given ${amount} ${currency}, and the account now lacks ${decimalString(left.abs())}: give the strategies less, or the account more`;
      this.#alert('warn', 'CASH_OVERALLOCATED', message, { strategy: book.name, details: { currency } });
    }
  }
}

const startedKey = (book: StrategyState): string => `started/${book.name}`;
const grantedKey = (book: StrategyState): string => `granted/${book.name}`;
