import { Durations } from './histogram.ts';

/** Everything that a run measures while it runs; nothing in it allocates once it is made. */
export class Measures {
  /** On the engine's thread: staging, commit, and its share of the post. */
  readonly commit = new Durations();
  /** On the engine's thread: one post, from taking what changed to the message being out. */
  readonly flush = new Durations();
  /** From when it was due until the commit was made. */
  readonly dueToCommit = new Durations();
  /** From the commit until its acknowledgement was heard. */
  readonly durable = new Durations();
  /** From asking until every strategy's file was durable. */
  readonly checkpoint = new Durations();
  readonly loopDelay = new Durations();
  /** Of the slices without persistence, every other one apart, so that they can be compared with each other. */
  readonly loopDelayBaselines: readonly [Durations, Durations] = [new Durations(), new Durations()];
  readonly rssMb: { readonly start: number; max: number };
  /** Checkpoint files. */
  checkpoints = 0;
  lagMsMax = 0;
  /** Positions replaced by commits. */
  entries = 0;

  constructor() {
    const start = rssMbNow();
    this.rssMb = { start, max: start };
  }

  sampleRss(): void {
    this.rssMb.max = Math.max(this.rssMb.max, rssMbNow());
  }
}

export function rssMbNow(): number {
  return Math.round(process.memoryUsage.rss() / 2 ** 20);
}
