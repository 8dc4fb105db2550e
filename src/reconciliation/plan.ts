import { type Decimal, decimal, decimalString, zero } from '../model/money.ts';
import { UNASSIGNED } from '../model/names.ts';
import { ownEntry } from '../model/own-entry.ts';
import type { PositionReport } from '../model/report.ts';
import { micros } from '../model/time.ts';
import { type AccountPosition, accountPositions, cashOf, heldBy, toDecimalString } from './books.ts';
import { costBasisDiffers } from './compare.ts';
import { withFills } from './fills.ts';
import { defaultCostBasisTolerance } from './options.ts';
import { matchOrders, type OrderMatch, reportedOrderId } from './order-match.ts';
import { haltForEvidence, haltForFound, type PolicyOverrides, policyFor } from './policy.ts';
import type { Assessment } from './quality.ts';
import type {
  BrokerEvidence,
  Discrepancy,
  LocalBooks,
  PlanAction,
  ReconciliationPlan,
  ReconciliationPolicy,
  ReconciliationReport,
} from './types.ts';

export interface PlanOptions {
  /** What the gate said of the evidence: without a confirmed yes there is no action. */
  readonly assessment: Assessment;
  readonly trigger: ReconciliationReport['trigger'];
  readonly owner?: Readonly<Record<string, string>>;
  readonly policies?: PolicyOverrides;
  readonly costBasisTolerance?: string;
  /** An order that the broker does not know and that is younger than this is left alone. Default 0. */
  readonly settleMs?: number;
}

/**
 * What follows from the discrepancies. WARN_ONLY: nothing. HALT_AND_ALERT: a halt. SYNC_TO_BROKER: actions after which the sums
 * over the books equal the broker, so that planning again gives none. Pure.
 *
 * How it is applied: first `broker.fills` are booked, each that is not known by its execution id; then every action whose `before`
 * is what the book has now (an order's: the same status and filled amount; an adopted one: still unknown), all of an asset or none;
 * then the cursor. From then on a fill at or before the cursor changes orders and audit, not quantity or cash. What was dropped
 * shows again in the next run.
 *
 * Who gets a difference: the owner that was named for the asset; else the only book that holds it; else UNASSIGNED. When the broker
 * holds none and all books that do are on one side, each of them is set to zero, because no strategy can hold part of nothing. Cash
 * goes to UNASSIGNED, and so do orders that nobody here placed.
 */
export function plan(
  local: LocalBooks,
  broker: BrokerEvidence,
  discrepancies: readonly Discrepancy[],
  policy: ReconciliationPolicy,
  options: PlanOptions,
): ReconciliationPlan {
  const { assessment, policies } = options;
  const bound = { sequence: local.sequence, cursor: broker.after, policy };
  if (!assessment.ok) {
    const halt = discrepancies.length === 0 ? null : haltForEvidence(assessment.why, options.trigger, policy, policies);
    return { ...bound, actions: [], halt };
  }
  if (!assessment.confirmed) return { ...bound, actions: [], halt: null };
  const scene = survey(local, broker, policy, options);
  const actions = discrepancies
    .filter(({ kind }) => policyFor(kind, policy, policies) === 'SYNC_TO_BROKER')
    .flatMap((discrepancy) => actionsFor(discrepancy, scene));
  return { ...bound, actions, halt: haltForFound(discrepancies, policy, policies) };
}

interface Scene {
  readonly books: LocalBooks;
  readonly broker: BrokerEvidence;
  readonly policy: ReconciliationPolicy;
  readonly options: PlanOptions;
  readonly held: ReadonlyMap<string, AccountPosition>;
  readonly reports: ReadonlyMap<string, PositionReport>;
  readonly orders: OrderMatch;
}

function survey(local: LocalBooks, broker: BrokerEvidence, policy: ReconciliationPolicy, options: PlanOptions): Scene {
  const books = withFills(local, broker.fills);
  return {
    books,
    broker,
    policy,
    options,
    held: accountPositions(books),
    reports: new Map(broker.positions.map((report) => [report.asset, report])),
    orders: matchOrders(books, broker.orders),
  };
}

function actionsFor(discrepancy: Discrepancy, scene: Scene): PlanAction[] {
  switch (discrepancy.kind) {
    case 'position_missing_at_broker':
    case 'position_missing_locally':
    case 'position_quantity':
    case 'position_side':
      return quantityActions(discrepancy, scene);
    case 'position_cost_basis':
      return costBasisActions(discrepancy.subject, discrepancy.message, scene);
    case 'cash':
      return cashActions(discrepancy, scene);
    case 'order_missing_at_broker':
      return missingOrderActions(discrepancy, scene);
    case 'order_status':
      return scene.orders.pairs
        .filter(({ local }) => local.order.order_id === discrepancy.subject)
        .map(({ local, report }) => ({
          kind: 'set_order',
          strategy: local.strategy,
          order_id: local.order.order_id,
          before: local.order,
          report,
          reason: discrepancy.message,
        }));
    case 'order_unknown_locally':
      return scene.orders.unknown
        .filter((report) => reportedOrderId(report) === discrepancy.subject)
        .map((report) => ({ kind: 'adopt_order', strategy: UNASSIGNED, report, reason: discrepancy.message }));
  }
}

function quantityActions({ subject: asset, message }: Discrepancy, scene: Scene): PlanAction[] {
  const ours = scene.held.get(asset) ?? { asset, amount: zero, holdings: [] };
  const report = scene.reports.get(asset);
  const theirs = report === undefined ? zero : decimal(report.amount, `${asset} amount at the broker`);
  if (theirs.isZero() && ownEntry(scene.options.owner, asset) === undefined && isOneSided(ours)) {
    return ours.holdings.map(({ strategy, amount }) => setPosition(strategy, asset, amount, zero, report, message));
  }
  const strategy = destination(ours, scene);
  const before = heldBy(scene.books, strategy, asset);
  const after = before.plus(theirs).minus(ours.amount);
  const action = setPosition(strategy, asset, before, after, report, message);
  // Taking the difference out of one book can leave another as the only holder, and its average comparable.
  const left = ours.holdings.filter((holding) => holding.strategy !== strategy);
  if (!after.isZero() || left.length !== 1) return [action];
  return [
    action,
    ...costBasisActions(
      asset,
      `With that, ${left[0]?.strategy} alone holds ${asset}: its average is set to the broker's.`,
      { ...scene, held: new Map([[asset, { ...ours, holdings: left }]]) },
    ),
  ];
}

function costBasisActions(asset: string, reason: string, scene: Scene): PlanAction[] {
  const { policies, costBasisTolerance } = scene.options;
  if (policyFor('position_cost_basis', scene.policy, policies) !== 'SYNC_TO_BROKER') return [];
  const holding = scene.held.get(asset)?.holdings[0];
  const report = scene.reports.get(asset);
  if (holding === undefined || report === undefined) return [];
  if (!costBasisDiffers(scene.books, holding, report, costBasisTolerance ?? defaultCostBasisTolerance)) return [];
  return [setPosition(holding.strategy, asset, holding.amount, holding.amount, report, reason)];
}

function cashActions({ subject: currency, difference, message }: Discrepancy, scene: Scene): PlanAction[] {
  const before = cashOf(scene.books, UNASSIGNED, currency);
  const after = before.plus(decimal(difference ?? '0', `cash difference in ${currency}`));
  return [
    {
      kind: 'set_cash',
      strategy: UNASSIGNED,
      currency,
      before: toDecimalString(before),
      after: toDecimalString(after),
      reason: message,
    },
  ];
}

function missingOrderActions({ subject, message }: Discrepancy, scene: Scene): PlanAction[] {
  const asked = scene.broker.absent?.includes(subject) === true;
  const settled = micros(scene.broker.read_at) - (scene.options.settleMs ?? 0) * 1000;
  return scene.orders.missing
    .filter(({ order }) => order.order_id === subject && asked)
    .filter(({ order: { created_at } }) => created_at === undefined || micros(created_at) <= settled)
    .map(({ strategy, order }) => ({
      kind: 'set_order',
      strategy,
      order_id: order.order_id,
      before: order,
      report: null,
      reason: message,
    }));
}

function destination(ours: AccountPosition, { options, books }: Scene): string {
  const named = ownEntry(options.owner, ours.asset);
  if (named !== undefined) return books.strategies.some(({ strategy }) => strategy === named) ? named : UNASSIGNED;
  const [holding, ...others] = ours.holdings;
  return holding !== undefined && others.length === 0 ? holding.strategy : UNASSIGNED;
}

function isOneSided({ holdings }: AccountPosition): boolean {
  return holdings.every(({ amount }) => amount.isNegative() === holdings[0]?.amount.isNegative());
}

function setPosition(
  strategy: string,
  asset: string,
  before: Decimal,
  after: Decimal,
  report: PositionReport | undefined,
  reason: string,
): PlanAction {
  return {
    kind: 'set_position',
    strategy,
    asset,
    before: decimalString(before),
    after: decimalString(after),
    cost_basis: after.isZero() ? null : (report?.cost_basis ?? null),
    currency: report?.currency ?? null,
    reason,
  };
}
