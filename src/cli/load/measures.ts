import { DelayMeter, type SliceDelays } from './delays.ts';
import { Durations } from './histogram.ts';
import { Series } from './series.ts';

/** The event loop's delays in one slice with persistence and the one without that stands beside it. */
export interface SlicePair {
  readonly loop: SliceDelays;
  readonly baseline: SliceDelays;
}

/** Everything that a run measures while it runs. */
export class Measures {
  /** On the engine's thread: staging, commit, and its share of the post. */
  readonly commit: Durations = new Durations();
  /** On the engine's thread: one post, from taking what changed to the message being out. */
  readonly flush: Durations = new Durations();
  /** From when it was due until the commit was made. */
  readonly dueToCommit: Durations = new Durations();
  /** From the commit until its acknowledgement was heard. */
  readonly durable: Durations = new Durations();
  /** From asking until every strategy's file was durable. */
  readonly checkpoint: Durations = new Durations();
  readonly series: Series;
  readonly loopDelay: DelayMeter;
  readonly loopDelayBaseline: DelayMeter;
  readonly pairs: SlicePair[] = [];
  readonly rssMb: { readonly start: number; max: number };
  /** Checkpoint files. */
  checkpoints = 0;
  lagMsMax = 0;
  /** Positions replaced by commits. */
  entries = 0;

  /** @param durationMs how long the load is to last */
  constructor(durationMs: number) {
    this.series = new Series(durationMs);
    this.loopDelay = new DelayMeter((clockMs) => this.series.at(clockMs).loop);
    this.loopDelayBaseline = new DelayMeter((clockMs) => this.series.at(clockMs).baseline);
    const start = rssMbNow();
    this.rssMb = { start, max: start };
  }

  sampleRss(clockMs: number): void {
    const now = rssMbNow();
    this.rssMb.max = Math.max(this.rssMb.max, now);
    const bin = this.series.at(clockMs);
    bin.rssMb = Math.max(bin.rssMb ?? 0, now);
  }
}

export function rssMbNow(): number {
  return Math.round(process.memoryUsage.rss() / 2 ** 20);
}
