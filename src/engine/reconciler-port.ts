import type { ReconciliationPolicy, ReconciliationReport } from '../reconciliation/types.ts';

/** What the engine needs of reconciliation: evidence and comparison happen elsewhere, the plan is applied here. */
export interface Reconciler {
  /**
   * Compares the state as of a sequence of at least `sequence` with the broker, and says what the policy would do about it.
   * Resolves also where the evidence is bad (`inconclusive`). Rejects with ReconciliationError when no comparison could be made.
   * One run at a time.
   */
  reconcile(request: ReconcileRequest): Promise<ReconciliationReport>;
}

export interface ReconcileRequest {
  readonly trigger: ReconciliationReport['trigger'];
  /** The last commit of the engine when it asked. */
  readonly sequence: number;
  readonly policy: ReconciliationPolicy;
}
