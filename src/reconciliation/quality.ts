import type { ActivityCursor } from '../brokers/adapter.ts';
import { type Decimal, decimal, decimalString, zero } from '../model/money.ts';
import { isFinal, type OrderStatus } from '../model/order.ts';
import type { OrderReport } from '../model/report.ts';
import { micros } from '../model/time.ts';
import { type AccountPosition, accountCash, accountPositions } from './books.ts';
import { compare, compareCash } from './compare.ts';
import { withFills } from './fills.ts';
import type { CompareOptions } from './options.ts';
import { matchOrders } from './order-match.ts';
import type { BrokerEvidence, Discrepancy, LocalBooks } from './types.ts';

/** `confirmed`: a second read found the same. Without it nothing may be changed and nobody halted. */
export type Assessment =
  | { readonly ok: true; readonly confirmed: boolean }
  | { readonly ok: false; readonly why: string };

export interface AssessOptions extends CompareOptions {
  /** How long the broker's parts may lag behind each other. */
  readonly settleMs: number;
}

/**
 * The gate: whether what was read is good enough to act on the differences that it shows. Books that equal the broker need no gate,
 * since bad evidence does not agree with exact figures by accident; differences do.
 *
 * A single read must
 * 1. have the same activities before and after it, else it moved while it was read;
 * 2. not name a position or an order twice, as overlapping pages do;
 * 3. not lack every position or all cash that the books have, unless its own equity says so;
 * 4. not lack a position that its own open orders or its own equity count on, or that nothing confirms: without a usable equity the
 *    cash must have changed, since whoever closed it was paid;
 * 5. not contradict its own equity by what it shows less or more than the books;
 * 6. not have an order filled further than the executions that it lists, or less far than what is booked, while that is recent.
 * And a second read must be the newer one, of the same account, and show the same differences: not the same figures, because
 * executions in between are known and counted, and an account that trades would never be read twice alike.
 */
export function assess(
  first: BrokerEvidence,
  second: BrokerEvidence | null,
  local: LocalBooks,
  options: AssessOptions,
): Assessment {
  const bad = flaw(first, local, options) ?? (second === null ? null : flaw(second, local, options));
  if (bad !== null) return { ok: false, why: bad };
  if (second === null) return { ok: true, confirmed: false };
  const apart = disagreement(first, second, local, options);
  return apart === null ? { ok: true, confirmed: true } : { ok: false, why: apart };
}

/** Whether the second read is in truth the older one: a late answer, or a cache. */
export function isOlder(first: BrokerEvidence, second: BrokerEvidence): boolean {
  return micros(second.read_at) < micros(first.read_at) || goesBack(first.after, second.after);
}

export function sameCursor(a: ActivityCursor, b: ActivityCursor): boolean {
  return a.activity_id === b.activity_id && a.at === b.at;
}

function flaw(read: BrokerEvidence, local: LocalBooks, options: AssessOptions): string | null {
  const books = withFills(local, read.fills);
  return (
    movement(read) ??
    repetition(read) ??
    emptiness(books, read, options) ??
    omission(books, read, options) ??
    contradiction(books, read, options) ??
    executionLag(books, read, options)
  );
}

function movement({ before, after }: BrokerEvidence): string | null {
  if (goesBack(before, after)) return "the broker's activities went back while they were read: an answer came late";
  return sameCursor(before, after) ? null : 'the account moved while it was read';
}

function repetition({ positions, orders }: BrokerEvidence): string | null {
  const again =
    repeated(positions.map(({ asset }) => `position ${asset}`)) ??
    repeated(orders.map(({ broker_order_id }) => `order ${broker_order_id}`)) ??
    repeated(orders.flatMap(({ order_id }) => (order_id === null ? [] : [`order ${order_id}`])));
  return again === undefined ? null : `the broker's answer names ${again} twice: its pages overlap`;
}

function emptiness(books: LocalBooks, read: BrokerEvidence, options: AssessOptions): string | null {
  const ignored = new Set(options.ignoreCurrencies ?? []);
  const moneyHere = [...accountCash(books).values()].some(
    ({ currency, amount }) => !ignored.has(currency) && !amount.isZero(),
  );
  if (moneyHere && Object.keys(read.account.cash).length === 0) return 'the account answer has no cash figure at all';

  const held = [...accountPositions(books).values()].filter(({ amount }) => !amount.isZero());
  if (held.length === 0 || read.positions.some(({ amount }) => !decimal(amount).isZero())) return null;
  const what = `the broker lists no position, the books hold ${held.length}`;
  const { equity } = read.account;
  if (equity === null) return `${what}, and the account tells no equity that could confirm it`;
  const cash = cashInBase(read);
  if (cash === null) return `${what}, and its cash is in several currencies, so that its equity cannot confirm it`;
  const tolerance = decimal(options.cashTolerance?.[read.account.currency] ?? '0');
  if (decimal(equity).minus(cash).abs().lte(tolerance)) return null;
  return `${what}, and the account has an equity of ${equity} beside cash of ${decimalString(cash)}: the list is incomplete`;
}

function omission(books: LocalBooks, read: BrokerEvidence, options: AssessOptions): string | null {
  const listed = new Set(read.positions.map(({ asset }) => asset));
  const omitted = [...accountPositions(books).values()].filter(
    ({ asset, amount }) => !amount.isZero() && !listed.has(asset),
  );
  if (omitted.length === 0) return null;
  const names = omitted.map(({ asset }) => asset);
  const worth = omitted.map(({ amount, holdings }) => value(amount, holdings[0]?.position.last_price));
  const missing = worth.reduce((sum, each) => sum.plus(each), zero);
  const gap = unexplainedEquity(read);
  if (gap !== null && !missing.isZero() && gap.div(missing).gt('0.5')) {
    return `the broker lists no position in ${names.slice(0, 5).join(', ')}, but its equity is ${decimalString(gap)} more than cash and listed positions: the list is incomplete`;
  }
  // Equity that counts every omitted position as gone is the stronger word: a stop can outlive what it protects.
  if (gap !== null && worth.every((each) => !each.isZero())) return null;
  const closing = read.orders.find(
    (order) => isOpen(order.status) && omitted.some((position) => closes(order, position)),
  );
  if (closing !== undefined) {
    return `the broker lists no position in ${closing.asset}, but has an open order (${closing.broker_order_id}) that would close one: the list is incomplete, or the order is left over and must be canceled at the broker`;
  }
  if (gap !== null || compareCash(books, read, options).length > 0) return null;
  return `the broker lists no position in ${names.slice(0, 5).join(', ')}, its cash shows no trade that closed it, and its equity cannot confirm it`;
}

/**
 * A list of positions or a cash figure that is older than the rest, as a cache gives it: the broker's own equity then counts what they
 * lack. At least half of the difference, of one position or of all, must be missing there, since prices move between an answer and the
 * next.
 */
function contradiction(books: LocalBooks, read: BrokerEvidence, options: AssessOptions): string | null {
  const gap = unexplainedEquity(read);
  if (gap === null || gap.isZero()) return null;
  const equity = decimalString(gap.abs());
  const ours = accountPositions(books);
  for (const { asset, amount, last_price } of read.positions) {
    const lacking = value((ours.get(asset)?.amount ?? zero).minus(amount), last_price);
    if (lacking.isZero() || !gap.div(lacking).gt('0.5')) continue;
    return `the broker lists ${amount} ${asset}, but its own equity counts ${equity} that cash and positions do not show: the list is older than the account`;
  }
  // Of several that are too old at once, some lack what others have too much of: equity counts the sum.
  const sum = worthLacking(ours, read);
  if (!sum.isZero() && gap.div(sum).gt('0.5')) {
    return `the broker lists positions that are worth ${decimalString(sum.abs())} ${sum.isNegative() ? 'more' : 'less'} than the books have, and its own equity counts ${equity} that cash and positions do not show: the list is older than the account`;
  }
  const base = read.account.currency;
  const cash = compareCash(books, read, options).find(({ subject }) => subject === base);
  if (cash?.difference == null || !gap.div(decimal(cash.difference).negated()).gt('0.5')) return null;
  return `the broker's cash is off by ${cash.difference}, and its own equity by ${equity}: the cash figure is older than the account`;
}

/** What all listed positions together are worth less than those of the books. */
function worthLacking(ours: ReadonlyMap<string, AccountPosition>, { positions }: BrokerEvidence): Decimal {
  const listed = new Map(positions.map((position) => [position.asset, position]));
  return [...new Set([...ours.keys(), ...listed.keys()])].reduce((sum, asset) => {
    const { amount = zero, holdings = [] } = ours.get(asset) ?? {};
    const report = listed.get(asset);
    const price = report?.last_price ?? holdings[0]?.position.last_price;
    return sum.plus(value(amount.minus(report?.amount ?? 0), price));
  }, zero);
}

function executionLag(books: LocalBooks, read: BrokerEvidence, options: AssessOptions): string | null {
  for (const { local, report } of matchOrders(books, read.orders).pairs) {
    const booked = decimal(local.order.filled_amount);
    const told = decimal(report.filled_amount);
    if (booked.eq(told)) continue;
    const times = [report.updated_at, local.order.updated_at].flatMap((at) => (at === undefined ? [] : [micros(at)]));
    if (Math.max(...times) < micros(read.read_at) - options.settleMs * 1000) continue;
    return told.abs().gt(booked.abs())
      ? `order ${local.order.order_id} is filled ${report.filled_amount} at the broker, its executions add up to ${local.order.filled_amount}: they are not all listed yet`
      : `order ${local.order.order_id} is booked as filled ${local.order.filled_amount}, the broker's answer has ${report.filled_amount}: it is older than what is booked`;
  }
  return null;
}

function disagreement(
  first: BrokerEvidence,
  second: BrokerEvidence,
  local: LocalBooks,
  options: AssessOptions,
): string | null {
  if (first.account.account_id !== second.account.account_id) {
    return `two reads are of two accounts (${first.account.account_id}, ${second.account.account_id})`;
  }
  if (isOlder(first, second)) return 'the second read is older than the first: an answer came late';
  const one = new Set(compare(local, first, options).map(finding));
  const two = new Set(compare(local, second, options).map(finding));
  const apart = [...one, ...two].find((each) => one.has(each) !== two.has(each));
  return apart === undefined ? null : `two reads do not agree on ${apart}`;
}

function finding({ kind, subject, difference, broker }: Discrepancy): string {
  return `${kind} ${subject} (${difference ?? broker ?? 'missing'})`;
}

function goesBack(from: ActivityCursor, to: ActivityCursor): boolean {
  if (from.at !== null && to.at !== null) return micros(to.at) < micros(from.at);
  const begun = from.activity_id !== null || from.at !== null;
  return begun && to.activity_id === null && to.at === null;
}

/** Cash, where all of it is in the currency that equity is in. */
function cashInBase({ account }: BrokerEvidence): Decimal | null {
  const others = Object.entries(account.cash).filter(([currency]) => currency !== account.currency);
  if (others.some(([, amount]) => !decimal(amount).isZero())) return null;
  return decimal(account.cash[account.currency] ?? '0');
}

/** Equity beyond cash and listed positions; null where the figures do not allow to say. */
function unexplainedEquity(read: BrokerEvidence): Decimal | null {
  const cash = cashInBase(read);
  const { equity, currency } = read.account;
  const comparable = read.positions.every(
    (position) => position.last_price !== null && (position.currency ?? currency) === currency,
  );
  if (cash === null || equity === null || !comparable) return null;
  const listed = read.positions.reduce(
    (sum, position) => sum.plus(value(decimal(position.amount), position.last_price)),
    zero,
  );
  return decimal(equity).minus(cash).minus(listed);
}

function value(amount: Decimal, price: string | null | undefined): Decimal {
  return price === null || price === undefined ? zero : amount.times(decimal(price));
}

function isOpen(status: OrderStatus): boolean {
  return !isFinal(status) && status !== 'unknown';
}

function closes(order: OrderReport, { asset, amount }: AccountPosition): boolean {
  return order.asset === asset && decimal(order.amount).isNegative() !== amount.isNegative();
}

function repeated(names: readonly string[]): string | undefined {
  const seen = new Set<string>();
  return names.find((name) => seen.size === seen.add(name).size);
}
