import { type Decimal, Decimal as DecimalClass, decimalString, zero } from '../../model/money.ts';
import type { StrategySnapshot } from '../../model/snapshot.ts';
import type { BrokerClient } from './broker-client.ts';

/** One figure on both sides. */
export interface ClosingRow {
  readonly what: string;
  /** Sum over all strategies, and what belongs to none. */
  readonly books: string;
  readonly broker: string;
  readonly equal: boolean;
  /** Each strategy's part. */
  readonly parts: string;
}

/** The engine's books, from its files, against the broker's own answers, figure by figure and to the last decimal. */
export async function closingTable(
  strategies: readonly StrategySnapshot[],
  broker: BrokerClient,
): Promise<readonly ClosingRow[]> {
  const [account, positions, open] = await Promise.all([broker.account(), broker.positions(), broker.orders('open')]);
  const assets = new Set([
    ...positions.map(({ symbol }) => symbol),
    ...strategies.flatMap((book) => book.positions.filter(({ amount }) => !isZero(amount)).map(({ asset }) => asset)),
  ]);
  const rows = [...assets].sort().map((asset) => {
    const amountIn = (book: StrategySnapshot) =>
      book.positions.find((position) => position.asset === asset)?.amount ?? '0';
    return row(`position ${asset}`, strategies, amountIn, positions.find(({ symbol }) => symbol === asset)?.qty ?? '0');
  });
  rows.push(row(`cash ${account.currency}`, strategies, (book) => book.cash_balance, account.cash));
  rows.push(row('open orders', strategies, (book) => String(book.pending_orders.length), String(open.length)));
  return rows;
}

function row(
  what: string,
  strategies: readonly StrategySnapshot[],
  figure: (book: StrategySnapshot) => string,
  broker: string,
): ClosingRow {
  const parts = strategies.map((book) => ({ name: book.strategy_name, amount: figure(book) }));
  const sum = parts.reduce<Decimal>((total, { amount }) => total.plus(amount), zero);
  return {
    what,
    books: decimalString(sum),
    broker,
    equal: sum.eq(broker),
    parts: parts
      .filter(({ amount }) => !isZero(amount))
      .map(({ name, amount }) => `${name} ${amount}`)
      .join(', '),
  };
}

function isZero(amount: string): boolean {
  return new DecimalClass(amount).isZero();
}
