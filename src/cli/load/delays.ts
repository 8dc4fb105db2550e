import { Durations } from './histogram.ts';
import type { LoopSeries } from './series.ts';

/** Percentiles of one slice's delays, in milliseconds. */
export interface SliceDelays {
  readonly p99: number;
  readonly p999: number;
}

/** The delays of the event loop in one kind of slice: over all of them, in each, and along the time of the load. */
export class DelayMeter {
  readonly all: Durations = new Durations();
  readonly #slice = new Durations();
  readonly #bin = new Durations();
  readonly #place: (clockMs: number) => LoopSeries;
  #at: LoopSeries | null = null;
  #waitedMs: number | null = 0;
  #lastedMs = 0;

  /** @param place where the series keeps the delays of a moment */
  constructor(place: (clockMs: number) => LoopSeries) {
    this.#place = place;
  }

  /** To be called as the load's clock goes on; what is added belongs to this moment. */
  moveTo(clockMs: number): void {
    const place = this.#place(clockMs);
    if (place === this.#at) return;
    this.#closeBin();
    this.#at = place;
  }

  addMs(ms: number): void {
    this.all.addMs(ms);
    this.#slice.addMs(ms);
    this.#bin.addMs(ms);
  }

  /** The share of the time for which the thread waited for a processor; null where that is not known. */
  get waitedShare(): number | null {
    return this.#waitedMs === null || this.#lastedMs === 0 ? null : this.#waitedMs / this.#lastedMs;
  }

  /** A slice lasted so long, and for so much of it the thread waited for a processor. */
  addWait(waitedMs: number | null, lastedMs: number): void {
    this.#waitedMs = this.#waitedMs === null || waitedMs === null ? null : this.#waitedMs + waitedMs;
    this.#lastedMs += lastedMs;
  }

  /** Ends a slice; null where nothing was measured in it. */
  endSlice(): SliceDelays | null {
    this.#closeBin();
    this.#at = null;
    const p99 = this.#slice.percentileMs(99);
    const p999 = this.#slice.percentileMs(99.9);
    this.#slice.reset();
    return p99 === null || p999 === null ? null : { p99, p999 };
  }

  #closeBin(): void {
    const p99Ms = this.#bin.percentileMs(99);
    const maxMs = this.#bin.percentileMs(100);
    if (this.#at !== null && p99Ms !== null && maxMs !== null) {
      this.#at.p99Ms = Math.max(this.#at.p99Ms ?? 0, p99Ms);
      this.#at.maxMs = Math.max(this.#at.maxMs ?? 0, maxMs);
    }
    this.#bin.reset();
  }
}
