import type { StrategySnapshot } from '../../model/snapshot.ts';
import { systemClock } from '../../model/time.ts';
import { HostBooks } from '../../state/host-books.ts';
import type { HostState } from '../../state/host-state.ts';
import { loadCurrency, strategyAt } from './base.ts';
import type { DelayMeter } from './delays.ts';
import type { LoadSide } from './generator.ts';
import type { Measures } from './measures.ts';
import type { PersistenceTap } from './persistence-tap.ts';
import { type LoadPlan, lastWriters, strategyName } from './plan.ts';
import { type LoadRecord, recordKey } from './record.ts';
import { TimeQueue } from './time-queue.ts';

/** Beyond these a state manager stops posting; with R = 0 the load stays below them. */
export const unacknowledgedDeltasMax = 256;
const unacknowledgedEntriesMax = 65_536;

export interface PersistedSideOptions {
  readonly state: HostState;
  readonly record: LoadRecord;
  /** Commits of load that the state holds. */
  readonly commits: number;
  readonly tap: PersistenceTap;
  readonly measures: Measures;
  readonly checkpointIntervalMs: number;
}

/** The state with its persistence: its commits are the ones that count. */
export class PersistedSide implements LoadSide {
  readonly books: LoadSide['books'];
  readonly delays: DelayMeter;
  readonly #options: PersistedSideOptions;
  readonly #unacknowledged = new TimeQueue();
  readonly #commitsMax: number;
  #record: LoadRecord;
  #commits: number;
  #checkpointAtMs = 0;
  #clockMs = 0;
  #seen: number;
  #acknowledgedAtMs = 0;
  #checkpointing: Promise<void> | null = null;
  #failure: Error | null = null;

  constructor(options: PersistedSideOptions) {
    const { state, record, measures } = options;
    this.#options = options;
    this.#record = record;
    this.#commits = options.commits;
    this.#seen = options.commits;
    this.books = names(record).map((name) => state.register(name));
    this.delays = measures.loopDelay;
    // A position each, for each strategy of a delta one more, and now and then the record.
    this.#commitsMax = Math.max(1, Math.floor(unacknowledgedEntriesMax / (record.changes + 3)) - 1);
    state.on('durable', (sequence) => this.#acknowledged(sequence));
    state.on('failed', (error) => {
      this.#failure = error;
    });
  }

  /** Commits of load that the state holds. */
  get commits(): number {
    return this.#commits;
  }

  /** When the last acknowledgement was heard, on the clock of performance.now(). */
  get acknowledgedAtMs(): number {
    return this.#acknowledgedAtMs;
  }

  readonly posts = (): number => this.#options.tap.posts;

  next(): number {
    return this.#commits + 1;
  }

  /** Where the state's sequence has moved without a commit of load, the record says so from this commit on. */
  beforeCommit(): void {
    const passedOver = this.#options.state.sequence - this.#commits;
    if (passedOver === this.#record.passed_over) return;
    this.#record = { ...this.#record, passed_over: passedOver };
    this.books[0]?.set(recordKey, this.#record);
  }

  commit(): void {
    this.#options.state.commit();
  }

  committed(commit: number, atMs: number): void {
    this.#commits = commit;
    this.#options.measures.entries += this.#record.changes;
    this.#unacknowledged.push(this.#options.state.sequence, atMs);
  }

  hasRoom(): boolean {
    const { state, tap } = this.#options;
    const durable = state.durableSequence;
    // The turn's own commits make one more delta.
    return state.sequence - durable < this.#commitsMax && tap.inFlight(durable) < unacknowledgedDeltasMax - 1;
  }

  turn(clockMs: number): void {
    const { state, measures, tap, checkpointIntervalMs } = this.#options;
    this.#clockMs = clockMs;
    const bin = measures.series.at(clockMs);
    this.#lagged(state.durableLagMs);
    bin.commits += this.#commits - this.#seen;
    this.#seen = this.#commits;
    bin.unposted = measures.entries - tap.entries;
    if (checkpointIntervalMs === 0 || this.#checkpointing !== null) return;
    if (clockMs - this.#checkpointAtMs < checkpointIntervalMs) return;
    this.#checkpointAtMs = clockMs;
    this.#checkpointing = this.#checkpoint();
  }

  /** Resolves once everything committed is durable and no checkpoint is being written. @throws where persistence has failed for good */
  async settled(): Promise<void> {
    await this.#checkpointing;
    const { state } = this.#options;
    while (state.durableSequence < state.sequence) {
      try {
        await state.durable();
      } catch (error) {
        // A write that failed is tried again by the state, which tells of it; only where it gives up is this the end.
        if (this.#failure !== null) throw error;
      }
    }
  }

  async #checkpoint(): Promise<void> {
    const { state, measures } = this.#options;
    const startMs = performance.now();
    try {
      const { files } = await state.checkpoint();
      const tookMs = performance.now() - startMs;
      measures.checkpoint.addMs(tookMs);
      measures.checkpoints += files.length;
      const bin = measures.series.at(this.#clockMs);
      bin.checkpoints += 1;
      bin.checkpointMs = Math.max(bin.checkpointMs ?? 0, tookMs);
    } catch {
      // The state has logged why; the journal holds everything, and the next checkpoint is due in its time.
    } finally {
      this.#checkpointing = null;
    }
  }

  #acknowledged(sequence: number): void {
    const nowMs = performance.now();
    this.#acknowledgedAtMs = nowMs;
    this.#options.tap.forget(sequence);
    const { durable } = this.#options.measures;
    this.#unacknowledged.takeThrough(sequence, (atMs) => {
      durable.addMs(nowMs - atMs);
      this.#lagged(nowMs - atMs);
    });
  }

  #lagged(ms: number): void {
    const { measures } = this.#options;
    measures.lagMsMax = Math.max(measures.lagMsMax, ms);
    const bin = measures.series.at(this.#clockMs);
    bin.lagMs = Math.max(bin.lagMs, ms);
  }
}

/** The same books with nothing behind them: what the engine's thread does when persistence is off. */
export class BareSide implements LoadSide {
  readonly books: LoadSide['books'];
  readonly posts = null;
  readonly #host: HostBooks;
  #delays: DelayMeter;
  #commits = 0;

  constructor(plan: LoadPlan, delays: DelayMeter) {
    this.#delays = delays;
    this.#host = new HostBooks({ currency: loadCurrency, epoch: 1, clock: systemClock });
    const writers = lastWriters(plan, 0);
    const record = { ...plan, passed_over: 0 };
    for (let strategy = 0; strategy < plan.strategies; strategy += 1) {
      // As a restore gives it: parsed, and shared with nobody.
      this.#host.load(JSON.parse(JSON.stringify(strategyAt(record, strategy, writers))) as StrategySnapshot);
    }
    this.#host.begin(0);
    this.books = names(plan).map((name) => this.#host.register(name));
  }

  get delays(): DelayMeter {
    return this.#delays;
  }

  /** Where the next slice's delays go. */
  measure(delays: DelayMeter): void {
    this.#delays = delays;
  }

  /** Forgets what has changed, as a post would, so that a slice begins like the one before. */
  forget(): void {
    this.#host.takePost();
  }

  next(): number {
    return this.#commits + 1;
  }

  beforeCommit(): void {}

  commit(): void {
    this.#host.commit();
  }

  committed(commit: number): void {
    this.#commits = commit;
  }

  hasRoom(): boolean {
    return true;
  }

  turn(): void {}
}

function names(plan: LoadPlan): readonly string[] {
  return Array.from({ length: plan.strategies }, (_, strategy) => strategyName(strategy));
}
