import type { MarketEvent } from '../model/market.ts';
import type { EventLoop } from './event-loop.ts';

/** Moves a feed's events into the engine's line, and waits while that has no room for more. */
export class FeedPump {
  readonly #feed: AsyncIterable<MarketEvent>;
  readonly #loop: EventLoop;
  #iterator: AsyncIterator<MarketEvent> | null = null;
  #stopped = false;

  constructor(feed: AsyncIterable<MarketEvent>, loop: EventLoop) {
    this.#feed = feed;
    this.#loop = loop;
  }

  /** Resolves at the feed's end, once what it gave is handled; or when stopped. Rejects with the feed's own error. */
  async run(): Promise<void> {
    const iterator = this.#feed[Symbol.asyncIterator]();
    this.#iterator = iterator;
    while (!this.#stopped) {
      const next = await iterator.next();
      if (next.done === true || this.#stopped) break;
      if (!this.#loop.market(next.value) && !(await this.#loop.room())) return;
    }
    if (!this.#stopped) await this.#loop.inTurn(() => {});
  }

  get stopped(): boolean {
    return this.#stopped;
  }

  /** Takes no more events. Does not wait for the feed: one without news may be silent for ever. */
  stop(): void {
    if (this.#stopped) return;
    this.#stopped = true;
    const returned = this.#iterator?.return?.();
    // What a feed says to being let go is of no interest any more.
    returned?.then(undefined, () => {});
  }
}
