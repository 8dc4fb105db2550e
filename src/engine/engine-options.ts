import type { After } from '../actor/timers.ts';
import type { BrokerAdapter } from '../brokers/adapter.ts';
import type { StrategyError } from '../model/errors.ts';
import type { MarketEvent } from '../model/market.ts';
import type { Recovery } from '../model/recovery.ts';
import type { Clock } from '../model/time.ts';
import type { ReconciliationPolicy, ReconciliationReport } from '../reconciliation/types.ts';
import type { HostState } from '../state/host-state.ts';
import type { Alert } from './alert.ts';
import type { Instruments } from './instrument.ts';
import type { EngineLogger } from './logger.ts';
import type { Phase } from './phases.ts';
import type { Reconciler } from './reconciler-port.ts';

export interface LiveTradingEngineOptions {
  /** Opened, and not yet used by another engine that runs. It stays its owner's, unless `ownsState`. */
  readonly state: HostState;
  /** It stays its owner's: stop() closes the stream, and not the adapter. */
  readonly broker: BrokerAdapter;
  /** Without one the books are never compared with the broker's. */
  readonly reconciler?: Reconciler;
  readonly feed?: AsyncIterable<MarketEvent>;
  /** What a difference between books and broker does. Default HALT_AND_ALERT: nothing is changed and nothing is traded over it. */
  readonly policy?: ReconciliationPolicy;
  /** durable (default): an order leaves once its intent is durable. async: at once; a crash can then forget that it was sent. */
  readonly gate?: 'durable' | 'async';
  /** Default 5 minutes; 0: only at the start and on demand. */
  readonly reconcileIntervalMs?: number;
  /** How long start() tries while the broker does not answer. Default 60 seconds. */
  readonly startDeadlineMs?: number;
  /** How long stop() waits for answers and for the final checkpoint. Default 10 seconds. */
  readonly stopDeadlineMs?: number;
  /** New orders stop while a commit waits longer than this to become durable. Default 10 seconds. */
  readonly lagMsMax?: number;
  /** How many events may wait. The feed uses at most half of it. Default 8,192. */
  readonly mailboxCapacity?: number;
  /** Names this engine in client order ids. Default "holdfast". */
  readonly host?: string;
  readonly instruments?: Instruments;
  /** stop() also closes the state, in place of a checkpoint. Default false. */
  readonly ownsState?: boolean;
  readonly clock?: Clock;
  readonly after?: After;
  /** Between 0 and 1, for the jitter of retries. */
  readonly random?: () => number;
  readonly logger?: EngineLogger;
  readonly onAlert?: (alert: Alert) => void;
}

export interface LiveTradingEngineEvents {
  phase: [phase: Phase];
  report: [report: ReconciliationReport];
  alert: [alert: Alert];
  /** A handler failed, and its strategy was stopped. */
  strategyStopped: [strategy: string, error: StrategyError];
  /** A finite feed is at its end and everything that it gave was handled; or it failed. */
  ended: [error: Error | null];
  stopped: [reason: string];
}

/** What a start found and did. */
export interface StartReport {
  readonly recovery: Recovery;
  /** True where the account was opened: no book held anything before. */
  readonly opened: boolean;
  /** Orders without an outcome: how many there were, and how many still are. */
  readonly unknown: { readonly before: number; readonly after: number };
  /** Executions missed while down. */
  readonly fills: number;
  readonly reconciliation: ReconciliationReport | null;
  readonly phase: Phase;
}
