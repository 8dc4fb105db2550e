import { Decimal, type DecimalString, decimal, decimalString, zero } from '../../model/money.ts';
import type { StrategySnapshot } from '../../model/snapshot.ts';
import { left, paint, right, table } from '../output.ts';
import type { BrokerClient } from './broker-client.ts';

/** One figure on both sides. */
export interface ClosingRow {
  /** "position AAPL", "cash USD", "open orders". */
  readonly what: string;
  /** Sum over all strategies, and what belongs to none. */
  readonly books: DecimalString;
  readonly broker: DecimalString;
  readonly equal: boolean;
  /** Each strategy's part. */
  readonly parts: Readonly<Record<string, DecimalString>>;
}

/** The engine's books, from its files, against the broker's own answers, figure by figure and to the last decimal. */
export async function closingRows(
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

/** A column for each figure and a line for each strategy, then the sum, the broker's figure, and whether they are equal. */
export function closingTable(rows: readonly ClosingRow[]): string {
  const names = Object.keys(rows[0]?.parts ?? {});
  const shown = rows.map((each) => ({ ...each, decimals: decimalsOf([...Object.values(each.parts), each.broker]) }));
  const line = (title: string, figure: (row: ClosingRow) => DecimalString) => [
    title,
    ...shown.map((each) => new Decimal(figure(each)).toFixed(each.decimals)),
  ];
  return table(
    [left(''), ...rows.map(({ what }) => right(what.replace(/^position /, '')))],
    [
      ...names
        .filter((name) => rows.some(({ parts }) => !isZero(parts[name] ?? '0')))
        .map((name) => line(name, ({ parts }) => parts[name] ?? '0')),
      line("engine's books", ({ books }) => books),
      line("broker's", ({ broker }) => broker),
      ['', ...rows.map(({ equal }) => (equal ? paint('green', 'equal') : paint('red', 'DIFFERENT')))],
    ],
  );
}

function row(
  what: string,
  strategies: readonly StrategySnapshot[],
  figure: (book: StrategySnapshot) => string,
  broker: string,
): ClosingRow {
  const parts = Object.fromEntries(strategies.map((book) => [book.strategy_name, figure(book)]));
  const sum = Object.values(parts).reduce<Decimal>((total, amount) => total.plus(decimal(amount)), zero);
  return { what, books: decimalString(sum), broker, equal: sum.eq(decimal(broker)), parts };
}

/** As many decimals as the finest figure has, so that points stand below each other. */
function decimalsOf(figures: readonly DecimalString[]): number {
  return Math.max(...figures.map((figure) => new Decimal(figure).decimalPlaces()));
}

function isZero(amount: string): boolean {
  return decimal(amount).isZero();
}
