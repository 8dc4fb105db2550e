import { merge } from '../engine/feed.ts';
import { openTape } from '../engine/tape.ts';
import type { MarketEvent } from '../model/market.ts';
import type { Timestamp } from '../model/time.ts';

export interface TapeFile {
  readonly path: string;
  readonly asset?: string | undefined;
}

export interface TapeWindow {
  /** Events before it are left out. */
  readonly from?: Timestamp | undefined;
  /** Events after it are left out. */
  readonly to?: Timestamp | undefined;
}

/** Tapes as one feed in time order. */
export async function* tapeFeed(tapes: readonly TapeFile[], window: TapeWindow = {}): AsyncGenerator<MarketEvent> {
  const { from = '', to = '9999' } = window;
  const feeds = tapes.map(({ path, asset }) => openTape(path, asset === undefined ? {} : { asset }));
  const [only] = feeds;
  for await (const event of feeds.length === 1 && only !== undefined ? only : merge(feeds)) {
    // It does not end the feed: on a tape of several venues an earlier event may follow a later one.
    if (event.at >= from && event.at <= to) yield event;
  }
}

/** A feed of which the first event was read already. */
export interface BegunFeed {
  /** Null where the feed is empty. */
  readonly first: MarketEvent | null;
  /** All of it, the first event included. */
  readonly feed: AsyncGenerator<MarketEvent>;
}

/**
 * Reads a feed's first event ahead, so that a tape that cannot be read is refused before anything is started on it.
 * @throws what the feed throws at its first event
 */
export async function begin(feed: AsyncGenerator<MarketEvent>): Promise<BegunFeed> {
  const head = await feed.next();
  async function* whole(): AsyncGenerator<MarketEvent> {
    try {
      if (head.done === true) return;
      yield head.value;
      yield* feed;
    } finally {
      await feed.return(undefined);
    }
  }
  return { first: head.done === true ? null : head.value, feed: whole() };
}
