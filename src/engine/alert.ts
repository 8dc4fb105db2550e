import type { ErrorDetails } from '../model/errors.ts';
import type { Timestamp } from '../model/time.ts';

/** Something that a person should know. Codes are stable; docs/operating.md says what to do about each. */
export interface Alert {
  readonly level: 'info' | 'warn' | 'error';
  readonly code: AlertCode;
  readonly message: string;
  readonly strategy: string | null;
  readonly at: Timestamp;
  readonly details: ErrorDetails;
  readonly error: Error | null;
}

export type AlertCode =
  | 'ACCOUNT_OPENED'
  | 'AUDIT_FAILED'
  | 'AUDIT_GAP'
  | 'AUDIT_RESTARTED'
  | 'BROKER_DISCONNECTED'
  | 'CANCEL_UNANSWERED'
  | 'CASH_OVERALLOCATED'
  | 'CATCH_UP_FAILED'
  | 'DISCREPANCY'
  | 'ENGINE_FAULT'
  | 'FEED_FAILED'
  | 'HALTED'
  | 'MARKET_EVENT_INVALID'
  | 'ORDER_EXTERNAL'
  | 'ORDER_REFUSED'
  | 'ORDER_RESURFACED'
  | 'ORDER_UNKNOWN'
  | 'ORDER_UNSETTLED'
  | 'PERSISTENCE_FAILED'
  | 'PERSISTENCE_LAGGING'
  | 'PERSISTENCE_RECOVERED'
  | 'RECONCILIATION_FAILED'
  | 'RECONCILIATION_INCONCLUSIVE'
  | 'RECONCILIATION_UNSETTLED'
  | 'RESUMED'
  | 'START_WAITING'
  | 'STATE_STALE'
  | 'STATE_VALUE_LARGE'
  | 'STOP_DEADLINE'
  | 'STRATEGY_ABSENT'
  | 'STRATEGY_STOPPED'
  | 'UPDATES_DROPPED';

export type Alerter = (
  level: Alert['level'],
  code: AlertCode,
  message: string,
  more?: { readonly strategy?: string; readonly details?: ErrorDetails; readonly error?: unknown },
) => void;
