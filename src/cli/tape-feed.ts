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
  /** Events after it are left out, and end the feed. */
  readonly to?: Timestamp | undefined;
}

/** Tapes as one feed in time order. */
export async function* tapeFeed(tapes: readonly TapeFile[], window: TapeWindow = {}): AsyncGenerator<MarketEvent> {
  const { from = '', to = '9999' } = window;
  const feeds = tapes.map(({ path, asset }) => openTape(path, asset === undefined ? {} : { asset }));
  const [only] = feeds;
  for await (const event of feeds.length === 1 && only !== undefined ? only : merge(feeds)) {
    if (event.at > to) return;
    if (event.at >= from) yield event;
  }
}
