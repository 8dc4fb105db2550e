import type { MessagePort } from 'node:worker_threads';
import type { BrokerSpec } from '../brokers/adapter.ts';
import type { WireError } from '../model/errors.ts';
import type { Timestamp } from '../model/time.ts';
import type { ReconciliationOptions } from './options.ts';
import type { ReconciliationPolicy, ReconciliationReport } from './types.ts';

/** What a reconciliation worker is given for one run: plain data, and a port that is transferred. */
export interface ReconciliationTask {
  readonly broker: BrokerSpec;
  /** The file: URL that a relative broker module is resolved against. */
  readonly baseUrl?: string;
  /** The books arrive here in slices from the persistence worker. The worker closes it. */
  readonly port: MessagePort;
  readonly policy: ReconciliationPolicy;
  readonly options: ReconciliationOptions;
  readonly trigger: ReconciliationReport['trigger'];
  readonly reportId: string;
  /** What the books must hold at least; their own sequence comes with them. */
  readonly sequence: number;
  /** When the engine asked, before the sequence was taken: what is younger may be on its way. */
  readonly requestedAt: Timestamp;
  /** The worker answers within this time, whatever the broker does. */
  readonly deadlineMs: number;
}

/** A broker that fails is a report that says `inconclusive`; an error is one of ours, or of the configuration. */
export type ReconciliationAnswer =
  | { readonly ok: true; readonly report: ReconciliationReport }
  | { readonly ok: false; readonly error: WireError };
