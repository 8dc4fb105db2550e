import {
  type Discrepancy,
  type DiscrepancyKind,
  discrepancyKinds,
  type ReconciliationPolicy,
  type ReconciliationReport,
} from './types.ts';

export type PolicyOverrides = Readonly<Partial<Record<DiscrepancyKind, ReconciliationPolicy>>>;

/** What is done about a kind: what was said for this kind, else the policy. */
export function policyFor(
  kind: DiscrepancyKind,
  policy: ReconciliationPolicy,
  overrides: PolicyOverrides = {},
): ReconciliationPolicy {
  return overrides[kind] ?? policy;
}

/** Whether what was found would change books or stop trading, so that one read is not enough. */
export function needsConfirmation(
  found: readonly Discrepancy[],
  policy: ReconciliationPolicy,
  overrides: PolicyOverrides = {},
): boolean {
  return found.some(({ kind }) => policyFor(kind, policy, overrides) !== 'WARN_ONLY');
}

/**
 * Why trading must stop for what was found, or null.
 * At most 2,000 characters: it is kept as a halt.
 */
export function haltForFound(
  found: readonly Discrepancy[],
  policy: ReconciliationPolicy,
  overrides: PolicyOverrides = {},
): string | null {
  const halting = found.filter(({ kind }) => policyFor(kind, policy, overrides) === 'HALT_AND_ALERT');
  if (halting.length === 0) return null;
  const count = halting.length === 1 ? '1 discrepancy' : `${halting.length} discrepancies`;
  const first = halting.slice(0, 3).map(({ message }) => message);
  const more = halting.length > 3 ? ` And ${halting.length - 3} more: see the reconciliation report.` : '';
  return limited(`Books and broker disagree (${count}): ${first.join(' ')}${more}`);
}

/**
 * Why trading must not begin without knowing what the broker holds, or null.
 *
 * Only at a start: until then nothing is known of the account. While trading one failed read tells nothing about the books, and a
 * broker that does not answer for a moment must not stop everything; the caller sees `inconclusive` and counts.
 */
export function haltForEvidence(
  why: string,
  trigger: ReconciliationReport['trigger'],
  policy: ReconciliationPolicy,
  overrides: PolicyOverrides = {},
): string | null {
  const halts = discrepancyKinds.some((kind) => policyFor(kind, policy, overrides) === 'HALT_AND_ALERT');
  if (trigger !== 'start' || !halts) return null;
  return limited(`The account could not be reconciled before trading: ${why}`);
}

function limited(text: string): string {
  return text.length <= 2000 ? text : `${text.slice(0, 1999)}…`;
}
