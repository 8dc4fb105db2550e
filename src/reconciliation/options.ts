import type { DecimalString } from '../model/money.ts';
import type { Timestamp } from '../model/time.ts';
import type { DiscrepancyKind, ReconciliationPolicy } from './types.ts';

/** What a host may set. Plain data: it crosses to the reconciliation worker. */
export interface ReconciliationOptions {
  /** Relative: "0.0001" lets an average price differ by one part in ten thousand. Default "0.0001". */
  readonly costBasisTolerance?: DecimalString;
  /** Absolute, for each currency: up to this much is no difference. Default "0". */
  readonly cashTolerance?: Readonly<Record<string, DecimalString>>;
  /** Currencies whose cash is not compared: those that the broker shows as positions, too. */
  readonly ignoreCurrencies?: readonly string[];
  /** The host's base currency, for a host that has no book yet. Default "USD". */
  readonly currency?: string;
  /** Which strategy gets the difference of an asset. */
  readonly owner?: Readonly<Record<string, string>>;
  /** In place of the policy, for single kinds. */
  readonly policies?: Readonly<Partial<Record<DiscrepancyKind, ReconciliationPolicy>>>;
  /** How long the broker's answers may lag behind what happened; its own word on it counts where that is longer. Default 1 second. */
  readonly settleMs?: number;
  /** Between two reads. Default: the settling time, between 250 ms and 2 s. */
  readonly confirmDelayMs?: number;
  /** After so many reads that do not agree a run is inconclusive: 2 to 20. Default 5. */
  readonly readsMax?: number;
}

/** What the comparison itself needs. */
export interface CompareOptions {
  readonly costBasisTolerance: DecimalString;
  readonly cashTolerance?: Readonly<Record<string, DecimalString>>;
  readonly ignoreCurrencies?: readonly string[];
  /**
   * An order that was made or changed at or after this moment may be on its way from one side to the other, and its absence or its
   * status is no discrepancy. Nor is that of an order without an answer, while the engine waits for it or looks it up. Null or absent:
   * nothing is on its way.
   */
  readonly inFlightSince?: Timestamp | null;
  /** The host does not trade yet: nobody waits for an answer, and only what the former life did last may be on its way. */
  readonly atStart?: boolean;
}

export const defaultCostBasisTolerance: DecimalString = '0.0001';

export function compareOptions(
  options: ReconciliationOptions,
  inFlightSince: Timestamp | null,
  atStart = false,
): CompareOptions {
  return {
    costBasisTolerance: options.costBasisTolerance ?? defaultCostBasisTolerance,
    cashTolerance: options.cashTolerance ?? {},
    ignoreCurrencies: options.ignoreCurrencies ?? [],
    inFlightSince,
    atStart,
  };
}
