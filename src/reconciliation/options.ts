import { ConfigError } from '../model/errors.ts';
import type { InstrumentSettings } from '../model/instrument-terms.ts';
import { type DecimalString, isDecimalString } from '../model/money.ts';
import type { Timestamp } from '../model/time.ts';
import { type DiscrepancyKind, discrepancyKinds, type ReconciliationPolicy, reconciliationPolicies } from './types.ts';

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
  /** What the engine's Instruments were made with: the comparison counts executions in advance as the ledger will book them. */
  readonly instruments?: Readonly<Record<string, InstrumentSettings>>;
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

/**
 * A policy that nobody knows would neither warn, sync nor halt.
 * @throws ConfigError RECONCILIATION_OPTIONS_INVALID naming the option
 */
export function assertPolicy(option: string, policy: unknown): void {
  const policies: readonly unknown[] = reconciliationPolicies;
  if (!policies.includes(policy)) throw invalid(option, `one of ${policies.join(', ')}`, policy);
}

/** @throws ConfigError RECONCILIATION_OPTIONS_INVALID naming the option */
export function assertReconciliationOptions(options: ReconciliationOptions): void {
  const { costBasisTolerance, cashTolerance, settleMs, confirmDelayMs, readsMax } = options;
  for (const [kind, policy] of Object.entries(options.policies ?? {})) {
    if (!(discrepancyKinds as readonly string[]).includes(kind)) {
      throw invalid('policies', `kinds of discrepancies (${discrepancyKinds.join(', ')})`, kind);
    }
    if (policy !== undefined) assertPolicy(`policies.${kind}`, policy);
  }
  const tolerances = Object.entries(cashTolerance ?? {}).map(
    ([key, value]) => [`cashTolerance.${key}`, value] as const,
  );
  for (const [option, tolerance] of [['costBasisTolerance', costBasisTolerance] as const, ...tolerances]) {
    if (tolerance === undefined || (isDecimalString(tolerance) && !tolerance.startsWith('-'))) continue;
    throw invalid(option, 'a decimal string from "0"', tolerance);
  }
  assertWhole('settleMs', settleMs, 0, 3_600_000);
  assertWhole('confirmDelayMs', confirmDelayMs, 0, 3_600_000);
  assertWhole('readsMax', readsMax, 2, 20);
}

function assertWhole(option: string, value: number | undefined, min: number, max: number): void {
  if (value === undefined || (Number.isSafeInteger(value) && value >= min && value <= max)) return;
  throw invalid(option, `a whole number from ${min} to ${max}`, value);
}

function invalid(option: string, expected: string, got: unknown): ConfigError {
  return new ConfigError(
    'RECONCILIATION_OPTIONS_INVALID',
    `reconciliation ${option}: expected ${expected}, got ${JSON.stringify(got) ?? String(got)}`,
    { details: { path: option } },
  );
}
