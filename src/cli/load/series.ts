/** The event loop's delays in one interval; null where none was measured. */
export interface LoopSeries {
  p99Ms: number | null;
  maxMs: number | null;
}

/** What happened in one interval of the load's clock. */
export interface SeriesBin {
  /** Where it begins. */
  readonly fromMs: number;
  /** Commits made. */
  commits: number;
  /** Age of the oldest commit that was not durable, at most. */
  lagMs: number;
  /** Entries committed since the start of the load and not posted, at the end of the interval: conflated, or waiting. */
  unposted: number;
  /** Checkpoints that ended, and how long the longest took. */
  checkpoints: number;
  checkpointMs: number | null;
  rssMb: number | null;
  readonly loop: LoopSeries;
  readonly baseline: LoopSeries;
}

/** A run as a bounded number of intervals of equal length, however long it is. */
export class Series {
  readonly binMs: number;
  readonly #bins: SeriesBin[] = [];

  /** @param durationMs how long the load is to last; a load that lasts longer gets more intervals */
  constructor(durationMs: number) {
    this.binMs = Math.max(binMsMin, durationMs / binsWanted);
  }

  /** The interval of a moment on the load's clock. */
  at(clockMs: number): SeriesBin {
    const index = Math.max(0, Math.floor(clockMs / this.binMs));
    for (let next = this.#bins.length; next <= index; next += 1) this.#bins.push(emptyBin(next * this.binMs));
    return this.#bins[index] as SeriesBin;
  }

  bins(): readonly SeriesBin[] {
    return this.#bins;
  }
}

const binsWanted = 120;
const binMsMin = 20;

function emptyBin(fromMs: number): SeriesBin {
  return {
    fromMs,
    commits: 0,
    lagMs: 0,
    unposted: 0,
    checkpoints: 0,
    checkpointMs: null,
    rssMb: null,
    loop: { p99Ms: null, maxMs: null },
    baseline: { p99Ms: null, maxMs: null },
  };
}
