import type { Halt, StateEvent } from './event.ts';
import type { JsonValue } from './json.ts';
import type { DecimalString } from './money.ts';
import type { OrderSnapshot } from './order.ts';
import type { PositionSnapshot } from './position.ts';
import type { Timestamp } from './time.ts';

/**
 * What crosses from engine to persistence worker, and what one journal record holds: everything dirty of all strategies since
 * the previous post, as one atomic step (previous, through]. Only `through` points are restore points.
 *
 * Entries conflate: a key appears once with its newest value. Events do not: each is there, in order.
 */
export interface SnapshotDelta {
  readonly previous: number;
  readonly through: number;
  /** When `through` was committed. */
  readonly at: Timestamp;
  readonly strategies: readonly StrategyDelta[];
  /** Last prices sampled for a checkpoint: they apply to every strategy's position in the asset. */
  readonly marks?: readonly (readonly [asset: string, price: DecimalString])[];
}

/**
 * A delta as it leaves the engine's thread: the journal's record of it, which is one line of JSON, without the line feed. Written once, it
 * crosses as a string at a fraction of what a clone of the same objects costs both threads, and goes to disk as it is.
 */
export function deltaLine(delta: SnapshotDelta): string {
  const { previous, through, at, strategies, marks } = delta;
  const changes = strategies.map(strategyText).join(',');
  const sampled = marks === undefined ? '' : `,"marks":${JSON.stringify(marks)}`;
  return `{"kind":"delta","previous":${previous},"through":${through},"at":"${at}","strategies":[${changes}]${sampled}}`;
}

/** What stands around the entries is put there by hand: JSON.stringify takes a flat object in a third of the time of one with others within. */
function strategyText(change: StrategyDelta): string {
  let text = '';
  let field: keyof StrategyDelta;
  for (field in change) {
    const value = change[field];
    if (value === undefined) continue;
    const json = field === 'positions' ? `[${change.positions?.map(flatText).join(',')}]` : JSON.stringify(value);
    text += `${text === '' ? '{' : ','}"${field}":${json}`;
  }
  return `${text}}`;
}

function flatText(entry: object): string {
  return JSON.stringify(entry);
}

/** What changed for one strategy. An absent field is unchanged. Naming a strategy for the first time registers it. */
export interface StrategyDelta {
  readonly strategy: string;
  /** True: what follows is everything the strategy has; whatever else a mirror holds for it is dropped first. */
  readonly whole?: true;
  readonly positions?: readonly PositionSnapshot[];
  readonly positions_removed?: readonly string[];
  /** Orders that are not final. A final order is removed; its story stays in the events. */
  readonly orders?: readonly OrderSnapshot[];
  readonly orders_removed?: readonly string[];
  readonly cash?: readonly (readonly [currency: string, amount: DecimalString])[];
  readonly cash_removed?: readonly string[];
  readonly state?: readonly (readonly [key: string, value: JsonValue])[];
  readonly state_removed?: readonly string[];
  readonly halt?: Halt | null;
  /** The broker's activities are booked through here. Execution ids are not repeated: fill events carry them. */
  readonly cursor?: { readonly activity_id: string | null; readonly at: Timestamp | null };
  /** Only beside `whole`: the execution ids that a new mirror must know. */
  readonly recent_execution_ids?: readonly string[];
  readonly events?: readonly StateEvent[];
}
