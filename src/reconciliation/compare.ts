import { type Decimal, decimal, decimalString, zero } from '../model/money.ts';
import { isFinal, type OrderSnapshot } from '../model/order.ts';
import type { OrderReport, PositionReport } from '../model/report.ts';
import { micros, type Timestamp } from '../model/time.ts';
import { type AccountPosition, accountCash, accountPositions, averagePrice, type Holding } from './books.ts';
import { withFills } from './fills.ts';
import * as say from './messages.ts';
import type { CompareOptions } from './options.ts';
import { type LocalOrder, matchOrders, reportedOrderId } from './order-match.ts';
import { type BrokerEvidence, type Discrepancy, discrepancyKinds, type LocalBooks } from './types.ts';

/**
 * What is different between the books and the broker, at the level of the account: the sum over the strategies, UNASSIGNED
 * included, must equal what the broker says. Pure: the same arguments give the same answer, sorted by kind and subject.
 *
 * 1. The local sums are taken after `broker.fills`: executions that are not booked yet and will be, as fills and by their
 *    ids. They explain what they explain; nothing is ever adjusted for them. The plan's actions start from the same amounts, and
 *    its cursor is `broker.after`, so whoever applies it books these fills first.
 * 2. Quantities and cash are compared exactly (cash within its tolerance); average prices within a relative tolerance and only
 *    where a single book holds the asset and no other has traded it, because averages of several books do not add up to the broker's
 *    after a sale.
 * 3. Orders are compared by what they are (pending and open alike are live; unknown; final) and by how much is filled. While the host
 *    trades, what may be on its way is left out.
 */
export function compare(local: LocalBooks, broker: BrokerEvidence, options: CompareOptions): Discrepancy[] {
  const books = withFills(local, broker.fills);
  const found = [
    ...comparePositions(books, broker, options),
    ...compareCash(books, broker, options),
    ...compareOrders(books, broker, options),
  ];
  return found.sort(
    (a, b) => discrepancyKinds.indexOf(a.kind) - discrepancyKinds.indexOf(b.kind) || (a.subject < b.subject ? -1 : 1),
  );
}

/** Whether the average price of the only book that holds an asset is off by more than the tolerance. */
export function costBasisDiffers(
  books: LocalBooks,
  holding: Holding,
  report: PositionReport,
  tolerance: string,
): boolean {
  if (report.cost_basis === null) return false;
  const there = decimal(report.cost_basis, `${report.asset} cost_basis`);
  const allowed = there.abs().times(decimal(tolerance, 'costBasisTolerance'));
  return averagePrice(books, holding).minus(there).abs().gt(allowed);
}

function comparePositions(books: LocalBooks, broker: BrokerEvidence, options: CompareOptions): Discrepancy[] {
  const local = accountPositions(books);
  const reports = new Map(broker.positions.map((report) => [report.asset, report]));
  return [...new Set([...local.keys(), ...reports.keys()])].flatMap((asset) => {
    const ours = local.get(asset) ?? { asset, amount: zero, holdings: [] };
    const found = comparePosition(books, ours, reports.get(asset), options);
    return found === null ? [] : [found];
  });
}

function comparePosition(
  books: LocalBooks,
  ours: AccountPosition,
  report: PositionReport | undefined,
  options: CompareOptions,
): Discrepancy | null {
  const theirs = report === undefined ? zero : decimal(report.amount, `${ours.asset} amount at the broker`);
  const strategies = ours.holdings.map((holding) => holding.strategy);
  if (!ours.amount.eq(theirs)) {
    const kind = quantityKind(ours.amount, theirs);
    return {
      kind,
      subject: ours.asset,
      local: decimalString(ours.amount),
      broker: decimalString(theirs),
      difference: decimalString(theirs.minus(ours.amount)),
      strategies,
      message: say.position(kind, ours, theirs),
    };
  }
  const [holding, ...others] = ours.holdings;
  if (report === undefined || holding === undefined || others.length > 0) return null;
  if (sharedBefore(books, holding, ours.asset)) return null;
  if (!costBasisDiffers(books, holding, report, options.costBasisTolerance)) return null;
  const here = averagePrice(books, holding).toDecimalPlaces(8);
  const there = decimal(report.cost_basis ?? '0');
  return {
    kind: 'position_cost_basis',
    subject: ours.asset,
    local: decimalString(here),
    broker: decimalString(there),
    difference: decimalString(there.minus(here)),
    strategies,
    message: say.costBasis(holding, here, there),
  };
}

function quantityKind(ours: Decimal, theirs: Decimal): say.QuantityKind {
  if (theirs.isZero()) return 'position_missing_at_broker';
  if (ours.isZero()) return 'position_missing_locally';
  return ours.isNegative() === theirs.isNegative() ? 'position_quantity' : 'position_side';
}

/** Whether another book has traded the asset and holds none: what it sold left its own average here, and the common one there. */
function sharedBefore({ strategies }: LocalBooks, holding: Holding, asset: string): boolean {
  return strategies.some(({ strategy, closed = [] }) => strategy !== holding.strategy && closed.includes(asset));
}

/** Differences of cash, of books that have the executions already. */
export function compareCash(books: LocalBooks, broker: BrokerEvidence, options: CompareOptions): Discrepancy[] {
  const local = accountCash(books);
  const ignored = new Set(options.ignoreCurrencies ?? []);
  const currencies = new Set([...local.keys(), ...Object.keys(broker.account.cash)]);
  return [...currencies].flatMap((currency): Discrepancy[] => {
    const ours = local.get(currency)?.amount ?? zero;
    const theirs = decimal(broker.account.cash[currency] ?? '0', `cash in ${currency} at the broker`);
    const difference = theirs.minus(ours);
    const tolerance = decimal(options.cashTolerance?.[currency] ?? '0', `cash tolerance for ${currency}`);
    if (ignored.has(currency) || difference.abs().lte(tolerance)) return [];
    return [
      {
        kind: 'cash',
        subject: currency,
        local: decimalString(ours),
        broker: decimalString(theirs),
        difference: decimalString(difference),
        strategies: local.get(currency)?.strategies ?? [],
        message: say.cash(currency, ours, theirs),
      },
    ];
  });
}

function compareOrders(books: LocalBooks, broker: BrokerEvidence, options: CompareOptions): Discrepancy[] {
  const { pairs, missing, unknown } = matchOrders(books, broker.orders);
  const since = options.inFlightSince ?? null;
  return [
    ...pairs.filter(({ local, report }) => orderDiffers(local.order, report, options)).map(statusDiscrepancy),
    ...missing
      .filter(({ order }) => !isOnItsWay(order, options))
      .map((local) => missingDiscrepancy(local, (broker.absent ?? []).includes(local.order.order_id))),
    // Before it trades a host has nothing on its way that its books do not have.
    ...unknown
      .filter((report) => options.atStart === true || !isInFlight(report.created_at, since))
      .map(unknownDiscrepancy),
  ];
}

function orderDiffers(order: OrderSnapshot, report: OrderReport, options: CompareOptions): boolean {
  // Its executions complete it; a list that still has it is the older word.
  if (isFinal(order.status)) return false;
  if (!decimal(order.filled_amount).eq(decimal(report.filled_amount))) return true;
  if (isOnItsWay(order, options) || isInFlight(report.updated_at, options.inFlightSince ?? null)) return false;
  if (order.asset !== report.asset || !decimal(order.amount).eq(decimal(report.amount))) return true;
  // A broker that does not know its own order's status says nothing about it.
  return report.status !== 'unknown' && (order.status === 'unknown' || isFinal(report.status));
}

/** So long an unknown order is left to the look-up by its id, which knows how much a missing order proves. */
const lookUpMicros = 60_000_000;

/**
 * While the host trades, the engine itself finds out about an order without an answer: the request of a pending one is under way until
 * it is answered or the order is unknown, and an unknown one is being looked up.
 */
function isOnItsWay(order: OrderSnapshot, { inFlightSince: since = null, atStart }: CompareOptions): boolean {
  // A start has itself changed orders just now; what was sent before it is as old as its intent.
  const at = atStart === true ? order.created_at : (order.updated_at ?? order.created_at);
  if (since === null || at === undefined) return false;
  if (atStart === true) return order.status !== 'unknown' && isInFlight(at, since);
  if (order.status === 'pending') return true;
  return micros(at) >= micros(since) - (order.status === 'unknown' ? lookUpMicros : 0);
}

function isInFlight(at: Timestamp | undefined, since: Timestamp | null): boolean {
  return at !== undefined && since !== null && micros(at) >= micros(since);
}

function statusDiscrepancy(pair: { readonly local: LocalOrder; readonly report: OrderReport }): Discrepancy {
  const { local, report } = pair;
  return {
    kind: 'order_status',
    subject: local.order.order_id,
    local: say.orderState(local.order),
    broker: say.orderState(report),
    difference: null,
    strategies: [local.strategy],
    message: say.orderStatus(local, report),
  };
}

function missingDiscrepancy(local: LocalOrder, asked: boolean): Discrepancy {
  return {
    kind: 'order_missing_at_broker',
    subject: local.order.order_id,
    local: say.orderState(local.order),
    broker: null,
    difference: null,
    strategies: [local.strategy],
    message: say.orderMissing(local, asked),
  };
}

function unknownDiscrepancy(report: OrderReport): Discrepancy {
  return {
    kind: 'order_unknown_locally',
    subject: reportedOrderId(report),
    local: null,
    broker: say.orderState(report),
    difference: null,
    strategies: [],
    message: say.orderUnknown(report),
  };
}
