import type { Faults } from './faults.ts';
import type { PaperUpdate } from './orders.ts';

/** What listens to an exchange. Called synchronously, in order, while the exchange is in a consistent state. */
export interface PaperListener {
  update(update: PaperUpdate): void;
  /** Streams are to be cut. */
  disconnect(): void;
}

/** Tells everybody who listens what happened, once and in order, unless it was told to misbehave. */
export class Announcer {
  readonly #faults: Faults;
  readonly #listeners = new Set<PaperListener>();
  /** Waits for the update that it is to come after. */
  #held: PaperUpdate | null = null;

  constructor(faults: Faults) {
    this.#faults = faults;
  }

  /** Returns what ends the subscription. */
  subscribe(listener: PaperListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  tell(update: PaperUpdate): void {
    const held = this.#held;
    this.#held = null;
    if (held === null && this.#faults.take('reorder_stream_events') !== undefined) {
      this.#held = update;
      return;
    }
    this.#send(update);
    if (update.fill !== null && this.#faults.take('duplicate_stream_event') !== undefined) this.#send(update);
    if (held !== null) this.#send(held);
  }

  /** What was held back is lost with the streams. */
  disconnect(): void {
    this.#held = null;
    for (const listener of [...this.#listeners]) listener.disconnect();
  }

  #send(update: PaperUpdate): void {
    for (const listener of [...this.#listeners]) listener.update(update);
  }
}
