import { performance } from 'node:perf_hooks';
import type { PositionSnapshot } from '../../model/position.ts';
import type { StrategyState } from '../../state/host-state.ts';
import type { DelayMeter } from './delays.ts';
import { LoopProbe } from './loop-probe.ts';
import type { Measures } from './measures.ts';
import { type LoadPlan, positionAt, replacedBy, strategyOf } from './plan.ts';
import { processorWaitMs } from './processor-wait.ts';

/*
 * Makes commits when they are due, in a loop on setImmediate, because timers alone are half a millisecond late.
 *
 * L1  Open loop: commit j of a run is due j / R seconds after its start, whatever became of those before it; nothing due is left out,
 *     and lateness counts. With R = 0 a commit is due as soon as there is room for one more; a turn of the event loop makes at most
 *     one for each strategy, so that none replaces what another one of its post has set.
 * L2  The clock of the load runs only while slices with persistence run, so that slices without it are no gap in the load.
 * L3  Both kinds of slice do the same on this thread, except for the posts, the acknowledgements and the checkpoints.
 */

/** Where commits go: the state with its persistence, or books without any. */
export interface LoadSide {
  readonly books: readonly StrategyState[];
  readonly delays: DelayMeter;
  /** The number of the next commit, counted from 1. */
  next(): number;
  /** Called between staging and commit. */
  beforeCommit(): void;
  commit(): void;
  /** Called after each commit. */
  committed(commit: number, atMs: number): void;
  /** Deltas that were posted so far; null where nothing is posted, and then nothing but the loop's delay is measured. */
  readonly posts: (() => number) | null;
  /** For R = 0: whether one more commit has room. */
  hasRoom(): boolean;
  /** Called in each turn, with the time on the slice's own clock. */
  turn(clockMs: number): void;
}

export interface SliceOptions {
  readonly side: LoadSide;
  /** Commits a second; 0 as L1. */
  readonly rate: number;
  /** Commits of this clock that are made already. */
  readonly made: number;
  /** What the clock shows at the beginning of the slice, and where it ends. */
  readonly fromMs: number;
  readonly toMs: number;
  /** True ends the slice with the next turn. */
  readonly stopped: () => boolean;
}

/** So many late commits share a turn of the event loop at most, so that acknowledgements and signals get theirs. */
const burstMax = 256;
const rssEveryMs = 100;
const progressEveryMs = 1000;

export class Generator {
  readonly #plan: LoadPlan;
  readonly #measures: Measures;
  readonly #onProgress: (clockMs: number) => void;
  #rssAtMs = 0;
  #progressAtMs = performance.now();

  /** @param onProgress called about once a second, in every kind of slice, with what the clock of the load shows */
  constructor(plan: LoadPlan, measures: Measures, onProgress: (clockMs: number) => void = () => {}) {
    this.#plan = plan;
    this.#measures = measures;
    this.#onProgress = onProgress;
  }

  /** One slice. Resolves with the commits made by then on its clock, and what the clock showed at the end. */
  async run(options: SliceOptions): Promise<{ readonly made: number; readonly clockMs: number }> {
    const { side, rate, fromMs, toMs, stopped } = options;
    const post = new PostTimer(side, this.#measures);
    const waitedMs = processorWaitMs();
    const startMs = performance.now();
    const probe = new LoopProbe(side.delays, startMs);
    let made = options.made;
    let clockMs = fromMs;
    await spin((nowMs) => {
      clockMs = fromMs + nowMs - startMs;
      post.settle(nowMs);
      side.delays.moveTo(clockMs);
      probe.look(nowMs);
      this.#sample(nowMs, clockMs);
      if (stopped()) return true;
      side.turn(clockMs);
      const before = made;
      if (rate === 0) {
        while (clockMs < toMs && made - before < Math.min(burstMax, this.#plan.strategies) && side.hasRoom()) {
          this.#commit(side, post, null);
          made += 1;
        }
      } else {
        for (let dueMs = (made * 1000) / rate; made - before < burstMax; dueMs = (made * 1000) / rate) {
          if (dueMs > clockMs || dueMs >= toMs) break;
          this.#commit(side, post, startMs + dueMs - fromMs);
          made += 1;
        }
      }
      return made === before && clockMs >= toMs;
    });
    side.delays.addWait(since(waitedMs, processorWaitMs()), performance.now() - startMs);
    return { made, clockMs };
  }

  #commit(side: LoadSide, post: PostTimer, dueAtMs: number | null): void {
    const plan = this.#plan;
    const commit = side.next();
    const strategy = strategyOf(plan, commit);
    const book = side.books[strategy] as StrategyState;
    const entries: PositionSnapshot[] = [];
    for (let k = 0; k < plan.changes; k += 1) {
      entries.push(positionAt(plan, strategy, commit, replacedBy(plan, commit, k)));
    }
    post.expect();
    const beforeMs = performance.now();
    for (const entry of entries) book.setPosition(entry);
    side.beforeCommit();
    side.commit();
    const afterMs = performance.now();
    post.add(afterMs - beforeMs, afterMs - (dueAtMs ?? beforeMs));
    side.committed(commit, afterMs);
  }

  #sample(nowMs: number, clockMs: number): void {
    if (nowMs - this.#rssAtMs >= rssEveryMs) {
      this.#rssAtMs = nowMs;
      this.#measures.sampleRss(clockMs);
    }
    if (nowMs - this.#progressAtMs < progressEveryMs) return;
    this.#progressAtMs = nowMs;
    this.#onProgress(clockMs);
  }
}

/**
 * Times the post of a turn's commits, which leaves in an immediate of its own: one immediate is queued before it, and the turn that
 * follows comes after it. Only what goes to a side that posts is measured.
 */
class PostTimer {
  readonly #side: LoadSide;
  readonly #measures: Measures;
  readonly #ownMs: number[] = [];
  readonly #lateMs: number[] = [];
  #beforeMs = 0;
  #postsBefore = 0;

  constructor(side: LoadSide, measures: Measures) {
    this.#side = side;
    this.#measures = measures;
  }

  /** Call before each commit. */
  expect(): void {
    if (this.#ownMs.length === 0) setImmediate(this.#begin);
  }

  add(ownMs: number, lateMs: number): void {
    this.#ownMs.push(ownMs);
    this.#lateMs.push(lateMs);
  }

  settle(nowMs: number): void {
    const count = this.#ownMs.length;
    if (count === 0) return;
    const posts = this.#side.posts?.() ?? null;
    if (posts !== null) {
      let share = 0;
      if (posts > this.#postsBefore) {
        this.#measures.flush.addMs(nowMs - this.#beforeMs);
        share = (nowMs - this.#beforeMs) / count;
      }
      for (const ownMs of this.#ownMs) this.#measures.commit.addMs(ownMs + share);
      for (const lateMs of this.#lateMs) this.#measures.dueToCommit.addMs(lateMs);
    }
    this.#ownMs.length = 0;
    this.#lateMs.length = 0;
  }

  readonly #begin = (): void => {
    this.#postsBefore = this.#side.posts?.() ?? 0;
    this.#beforeMs = performance.now();
  };
}

function since(before: number | null, now: number | null): number | null {
  return before === null || now === null ? null : now - before;
}

/** Calls `turn` in every turn of the event loop until it returns true. */
function spin(turn: (nowMs: number) => boolean): Promise<void> {
  return new Promise((resolve, reject) => {
    const next = (): void => {
      try {
        if (turn(performance.now())) resolve();
        else setImmediate(next);
      } catch (error) {
        reject(error);
      }
    };
    setImmediate(next);
  });
}
