import type { ActivityCursor, ActivityReport } from '../brokers/adapter.ts';
import type { InstrumentSettings } from '../model/instrument-terms.ts';
import type { DecimalString } from '../model/money.ts';
import type { OrderSnapshot } from '../model/order.ts';
import type { PositionSnapshot } from '../model/position.ts';
import type { AccountReport, FillReport, OrderReport, PositionReport } from '../model/report.ts';
import type { Timestamp } from '../model/time.ts';

export const reconciliationPolicies = ['WARN_ONLY', 'SYNC_TO_BROKER', 'HALT_AND_ALERT'] as const;
export type ReconciliationPolicy = (typeof reconciliationPolicies)[number];

/** Our side, as of one sequence: each strategy's book, UNASSIGNED among them. */
export interface LocalBooks {
  readonly sequence: number;
  readonly timestamp: Timestamp;
  readonly currency: string;
  /** What the host says of its assets, by name. */
  readonly instruments?: Readonly<Record<string, InstrumentSettings>>;
  readonly strategies: readonly LocalBook[];
}

export interface LocalBook {
  readonly strategy: string;
  readonly positions: readonly PositionSnapshot[];
  /** Assets that it has traded and holds none of. */
  readonly closed?: readonly string[];
  readonly orders: readonly OrderSnapshot[];
  readonly cash: Readonly<Record<string, DecimalString>>;
}

/** The broker's side, read between two looks at its activities. */
export interface BrokerEvidence {
  readonly account: AccountReport;
  readonly positions: readonly PositionReport[];
  /** The open orders, and what the broker said of orders of ours that were not among them and were asked for by id. */
  readonly orders: readonly OrderReport[];
  /** Client order ids that were asked for one by one and of which the broker said that it has none. */
  readonly absent?: readonly string[];
  /** Executions that were not booked locally when the read began. */
  readonly fills: readonly FillReport[];
  /** Where the activities stood before and after the read; different means that it moved while it was read. */
  readonly before: ActivityCursor;
  readonly after: ActivityCursor;
  readonly read_at: Timestamp;
}

export const discrepancyKinds = [
  'position_missing_at_broker',
  'position_missing_locally',
  'position_quantity',
  'position_side',
  'position_cost_basis',
  'cash',
  'order_missing_at_broker',
  'order_unknown_locally',
  'order_status',
] as const;
export type DiscrepancyKind = (typeof discrepancyKinds)[number];

export interface Discrepancy {
  readonly kind: DiscrepancyKind;
  /** The asset, currency or order id that it is about. */
  readonly subject: string;
  /** Account-level sum over the strategies that share the account, UNASSIGNED included. */
  readonly local: string | null;
  readonly broker: string | null;
  /** broker − local, where both are decimals. */
  readonly difference: DecimalString | null;
  /** Whose books hold it. */
  readonly strategies: readonly string[];
  /** A sentence for the operator: what it is and what to do. */
  readonly message: string;
  /** What the broker booked without a trade, where that is the whole difference. */
  readonly explained_by?: readonly ActivityReport[];
}

/** What SYNC_TO_BROKER would change, each bound to what it was computed from. */
export type PlanAction =
  | {
      readonly kind: 'set_position';
      readonly strategy: string;
      readonly asset: string;
      /** Amount in the strategy's book that the action was computed from: dropped if it moved since. */
      readonly before: DecimalString;
      readonly after: DecimalString;
      readonly cost_basis: DecimalString | null;
      readonly currency: string | null;
      readonly reason: string;
    }
  | {
      readonly kind: 'set_cash';
      readonly strategy: string;
      readonly currency: string;
      readonly before: DecimalString;
      readonly after: DecimalString;
      readonly reason: string;
    }
  /** The broker's word on an order of ours: final, or live with another status. */
  | {
      readonly kind: 'set_order';
      readonly strategy: string;
      readonly order_id: string;
      readonly before: OrderSnapshot;
      readonly report: OrderReport | null;
      readonly reason: string;
    }
  /** An order at the broker that no strategy here placed: kept in UNASSIGNED. */
  | { readonly kind: 'adopt_order'; readonly strategy: string; readonly report: OrderReport; readonly reason: string };

export interface ReconciliationPlan {
  /** Local sequence that it was computed from. */
  readonly sequence: number;
  /** The broker's activities that it covers: a fill at or before it is in the broker's figures already. */
  readonly cursor: ActivityCursor;
  readonly policy: ReconciliationPolicy;
  readonly actions: readonly PlanAction[];
  /** Set when the policy, or bad evidence, asks for a halt. */
  readonly halt: string | null;
}

export interface ReconciliationReport {
  readonly report_id: string;
  readonly at: Timestamp;
  readonly trigger: 'start' | 'interval' | 'on_demand';
  readonly policy: ReconciliationPolicy;
  readonly sequence: number;
  /** ok: books equal the broker's. discrepancies: they do not. inconclusive: the evidence is not good enough to say. */
  readonly outcome: 'ok' | 'discrepancies' | 'inconclusive';
  readonly why_inconclusive: string | null;
  readonly discrepancies: readonly Discrepancy[];
  readonly plan: ReconciliationPlan;
  readonly compared: { readonly positions: number; readonly orders: number; readonly currencies: number };
  /** What a worker hands back is cut to the fills and to what the discrepancies are about. Null where nothing was read. */
  readonly broker: BrokerEvidence | null;
  readonly duration_ms: number;
}
