import type { Timestamp } from '../model/time.ts';
import { accountCash, accountPositions } from './books.ts';
import { haltForEvidence, type PolicyOverrides } from './policy.ts';
import type {
  BrokerEvidence,
  Discrepancy,
  LocalBooks,
  ReconciliationPlan,
  ReconciliationPolicy,
  ReconciliationReport,
} from './types.ts';

/** What every report of a run has in common. */
export interface ReportHead {
  readonly report_id: string;
  readonly at: Timestamp;
  readonly trigger: ReconciliationReport['trigger'];
  readonly policy: ReconciliationPolicy;
  readonly sequence: number;
  readonly duration_ms: number;
}

/** The report of a run that compared books and broker; `why` is null where the evidence was good enough to say. */
export function buildReport(
  head: ReportHead,
  local: LocalBooks,
  broker: BrokerEvidence,
  discrepancies: readonly Discrepancy[],
  plan: ReconciliationPlan,
  why: string | null,
): ReconciliationReport {
  const agreed = discrepancies.length === 0 ? 'ok' : 'discrepancies';
  return {
    ...head,
    outcome: why === null ? agreed : 'inconclusive',
    why_inconclusive: why,
    discrepancies,
    plan,
    compared: compared(local, broker),
    broker: relevant(broker, discrepancies),
  };
}

/** The report of a run that got no evidence at all. */
export function reportWithoutEvidence(
  head: ReportHead,
  why: string,
  policies: PolicyOverrides = {},
): ReconciliationReport {
  return {
    ...head,
    outcome: 'inconclusive',
    why_inconclusive: why,
    discrepancies: [],
    plan: {
      sequence: head.sequence,
      cursor: { activity_id: null, at: null },
      policy: head.policy,
      actions: [],
      halt: haltForEvidence(why, head.trigger, head.policy, policies),
    },
    compared: { positions: 0, orders: 0, currencies: 0 },
    broker: null,
  };
}

function compared(local: LocalBooks, broker: BrokerEvidence): ReconciliationReport['compared'] {
  const positions = new Set([...accountPositions(local).keys(), ...broker.positions.map(({ asset }) => asset)]);
  const currencies = new Set([...accountCash(local).keys(), ...Object.keys(broker.account.cash)]);
  const orders = local.strategies.reduce((sum, book) => sum + book.orders.length, 0);
  return { positions: positions.size, orders: Math.max(orders, broker.orders.length), currencies: currencies.size };
}

/** What the discrepancies are about, and the fills: a report crosses to the engine's thread, where nothing grows with the state. */
function relevant(broker: BrokerEvidence, discrepancies: readonly Discrepancy[]): BrokerEvidence {
  const subjects = new Set(discrepancies.map(({ subject }) => subject));
  return {
    ...broker,
    positions: broker.positions.filter(({ asset }) => subjects.has(asset)),
    orders: broker.orders.filter(
      ({ order_id, broker_order_id }) => subjects.has(order_id ?? '') || subjects.has(broker_order_id),
    ),
    absent: (broker.absent ?? []).filter((orderId) => subjects.has(orderId)),
  };
}
