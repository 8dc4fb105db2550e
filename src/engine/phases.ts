import type { Timestamp } from '../model/time.ts';

/**
 * Where an engine is: restoring → resolving → reconciling → trading → halted | stopping → stopped. Only `trading` lets orders out.
 *
 * restoring: the state is there and is looked over. resolving: orders without an outcome are looked up, and what was missed is
 * booked. reconciling: books are compared with the broker. halted: market data and executions go on, new orders do not.
 */
export type Phase =
  | { readonly kind: 'idle' }
  | { readonly kind: 'restoring' }
  | { readonly kind: 'resolving'; readonly unknown: number }
  | { readonly kind: 'reconciling'; readonly round: number }
  | { readonly kind: 'trading'; readonly since: Timestamp }
  | { readonly kind: 'halted'; readonly reason: string; readonly source: string; readonly since: Timestamp }
  | { readonly kind: 'stopping'; readonly reason: string }
  | { readonly kind: 'stopped'; readonly reason: string };

export type PhaseKind = Phase['kind'];

const follows: Readonly<Record<PhaseKind, readonly PhaseKind[]>> = {
  idle: ['restoring', 'stopped'],
  restoring: ['resolving', 'stopping', 'stopped'],
  resolving: ['resolving', 'reconciling', 'halted', 'stopping', 'stopped'],
  reconciling: ['reconciling', 'trading', 'halted', 'stopping', 'stopped'],
  trading: ['halted', 'stopping'],
  halted: ['reconciling', 'trading', 'halted', 'stopping'],
  stopping: ['stopped'],
  stopped: [],
};

/** Whether an engine may go from one phase to another. */
export function mayFollow(from: PhaseKind, to: PhaseKind): boolean {
  return follows[from].includes(to);
}
