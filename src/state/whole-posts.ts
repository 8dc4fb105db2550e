import type { SnapshotDelta, StrategyDelta } from '../model/delta.ts';
import type { StateEvent } from '../model/event.ts';
import type { Post } from './host-books.ts';
import { type StateLimits, wholeTooLarge } from './state-limits.ts';

/** A strategy's whole state at the last commit, without events, and at least its bytes in a record. */
export interface WholeStrategy {
  readonly delta: StrategyDelta;
  readonly bytes: number;
}

/** By strategy, oldest first. */
export type EventsByStrategy = ReadonlyMap<string, readonly StateEvent[]>;

/** Adds up the events of posts, which are taken in their order. */
export function eventsOf(posts: readonly Post[]): EventsByStrategy {
  const events = new Map<string, StateEvent[]>();
  for (const { delta } of posts) {
    for (const { strategy, events: some = [] } of delta.strategies) {
      if (some.length > 0) events.set(strategy, [...(events.get(strategy) ?? []), ...some]);
    }
  }
  return events;
}

/** @throws StateError STATE_TOO_LARGE where no record can hold them together: apart, a crash between two would restore a mix */
export function assertOneRecord(wholes: readonly WholeStrategy[], limits: StateLimits): void {
  const bytes = bytesOf(wholes);
  if (bytes > limits.wholeBytesMax) throw wholeTooLarge(bytes, limits.wholeBytesMax);
}

/**
 * The steps that restate all strategies, with the events that wait. The first has every strategy whole. Events are in it where they fit,
 * else in steps of their own after it: an event says how the state came about, so that a crash between loses no state.
 * @param step makes a post of changes: called once for each, in order
 */
export function wholePosts(
  wholes: readonly WholeStrategy[],
  events: EventsByStrategy,
  limits: StateLimits,
  step: (strategies: SnapshotDelta['strategies'], events: number) => Post,
): readonly Post[] {
  const parts = split(events, limits.wholeBytesMax - bytesOf(wholes), limits.postBytesMax);
  const [first = new Map<string, StateEvent[]>(), ...more] = parts;
  const strategies = wholes.map(({ delta }) => {
    const some = first.get(delta.strategy);
    return some === undefined ? delta : { ...delta, events: some };
  });
  const posts = [step(strategies, countOf(first))];
  for (const part of more) {
    const named = Array.from(part, ([strategy, some]): StrategyDelta => ({ strategy, events: some }));
    posts.push(step(named, countOf(part)));
  }
  return posts;
}

/** All at once where they fit into the first, else an empty first part and parts of at most `bytesMax`. */
function split(events: EventsByStrategy, firstBytesMax: number, bytesMax: number): EventsByStrategy[] {
  const parts: Map<string, StateEvent[]>[] = [new Map()];
  let bytes = 0;
  let total = 0;
  for (const [strategy, some] of events) {
    for (const event of some) {
      const size = Buffer.byteLength(JSON.stringify(event)) + strategy.length + frameBytes;
      total += size;
      bytes += size;
      if (bytes > bytesMax || parts.length === 1) {
        parts.push(new Map());
        bytes = size;
      }
      const part = parts.at(-1) as Map<string, StateEvent[]>;
      const list = part.get(strategy);
      if (list === undefined) part.set(strategy, [event]);
      else list.push(event);
    }
  }
  return total <= firstBytesMax ? [events] : parts;
}

/** What stands around a strategy's changes in a record. */
const frameBytes = 100;

function bytesOf(wholes: readonly WholeStrategy[]): number {
  return wholes.reduce((sum, { bytes }) => sum + bytes + frameBytes, 0);
}

function countOf(events: EventsByStrategy): number {
  let count = 0;
  for (const some of events.values()) count += some.length;
  return count;
}
