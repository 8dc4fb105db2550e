import { type After, systemAfter } from '../actor/timers.ts';
import { FeedError } from '../model/errors.ts';
import type { MarketEvent } from '../model/market.ts';
import { type Clock, micros, systemClock } from '../model/time.ts';

/** Where market events come from, one after the other. Whoever stops reading early ends it, as `for await` does. */
export type Feed = AsyncIterable<MarketEvent>;

export interface ReplayOptions {
  /** Seconds of the market for each second of ours: 1 as it was, 60 a minute each second. 0 and Infinity: as fast as it is read. */
  readonly speed: number;
  readonly clock?: Pick<Clock, 'monotonicMs'>;
  readonly after?: After;
  /** Ends the replay, also while it waits for the next event. */
  readonly signal?: AbortSignal;
}

/**
 * Gives events at the pace at which they happened. Each is due at a moment counted from the first, so that waits do not add up; one
 * that is late, or older than the one before it, comes at once.
 * @throws FeedError FEED_SPEED_INVALID for a speed below 0 or no number, at the first event
 */
export async function* replay(feed: Feed, options: ReplayOptions): AsyncGenerator<MarketEvent, void, void> {
  const { speed, clock = systemClock, after = systemAfter, signal } = options;
  if (!(speed >= 0)) throw new FeedError('FEED_SPEED_INVALID', `replay speed: expected a number from 0, got ${speed}`);
  const paced = speed > 0 && speed < Number.POSITIVE_INFINITY;
  let first: { readonly micros: number; readonly ms: number } | null = null;
  for await (const event of feed) {
    if (signal?.aborted) return;
    if (paced) {
      const at = micros(event.at);
      first ??= { micros: at, ms: clock.monotonicMs() };
      const dueMs = first.ms + (at - first.micros) / 1000 / speed;
      for (let leftMs = dueMs - clock.monotonicMs(); leftMs > 0; leftMs = dueMs - clock.monotonicMs()) {
        await pause(leftMs, after, signal);
        if (signal?.aborted) return;
      }
    }
    yield event;
  }
}

/**
 * One feed of several, each in time order: always the oldest event that any of them has next, and of two that are equally old the one
 * of the earlier feed. It waits until each feed has said what comes next, and so is for recorded feeds, not for live ones.
 */
export async function* merge(feeds: readonly Feed[]): AsyncGenerator<MarketEvent, void, void> {
  const sources = feeds.map((feed) => feed[Symbol.asyncIterator]());
  try {
    const heads: (Head | null)[] = await Promise.all(sources.map(nextHead));
    for (let index = oldest(heads); index !== null; index = oldest(heads)) {
      const head = heads[index];
      const source = sources[index];
      if (!head || source === undefined) return;
      yield head.event;
      heads[index] = await nextHead(source);
    }
  } finally {
    await Promise.allSettled(sources.map((source) => source.return?.()));
  }
}

interface Head {
  readonly event: MarketEvent;
  readonly micros: number;
}

async function nextHead(source: AsyncIterator<MarketEvent>): Promise<Head | null> {
  const { done, value } = await source.next();
  return done ? null : { event: value, micros: micros(value.at) };
}

function oldest(heads: readonly (Head | null)[]): number | null {
  let best: number | null = null;
  let bestMicros = Number.POSITIVE_INFINITY;
  for (const [index, head] of heads.entries()) {
    if (head === null || head.micros >= bestMicros) continue;
    best = index;
    bestMicros = head.micros;
  }
  return best;
}

// Timers cannot wait longer than this; the caller asks again for what is left.
const pauseMsMax = 2 ** 31 - 1;

function pause(ms: number, after: After, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      cancel();
      signal?.removeEventListener('abort', done);
      resolve();
    };
    const cancel = after(Math.min(ms, pauseMsMax), done);
    signal?.addEventListener('abort', done);
  });
}
