import { resolve } from 'node:path';
import { performance } from 'node:perf_hooks';
import { whyUnsafeFileSystem } from '../../persistence/file-system-kind.ts';
import { nodeFileSystem } from '../../persistence/node-file-system.ts';
import type { PersistenceStatus } from '../../persistence/protocol.ts';
import type { Logger } from '../../state/logger.ts';
import { StateManager } from '../../state/state-manager.ts';
import { AckWriter } from '../acks.ts';
import { beginDirectory, loadCurrency } from './base.ts';
import { DelayMeter } from './delays.ts';
import { type DiskProbe, diskSizes, probeDisk } from './disk.ts';
import { Generator } from './generator.ts';
import { Measures, rssMbNow } from './measures.ts';
import { PersistenceTap } from './persistence-tap.ts';
import { assertPlan, type LoadPlan } from './plan.ts';
import { BareSide, PersistedSide, unacknowledgedDeltasMax } from './sides.ts';

export interface LoadRunOptions extends LoadPlan {
  readonly directory: string;
  /** Commits a second over all strategies; 0: as fast as acknowledgements allow. */
  readonly rate: number;
  readonly durationMs: number;
  /** 0 turns checkpoints off. */
  readonly checkpointIntervalMs: number;
  /** As AckWriter takes it; null: nobody is told. */
  readonly acks: string | null;
  /** False leaves out what needs time beside the load: the slices without persistence and the disk's own figures. */
  readonly compares: boolean;
  /** Aborted: the run ends now, in order. */
  readonly signal: AbortSignal;
  readonly logger: Logger;
  /**
   * Something that goes on beside the load in every slice with persistence, and in none without. It is told by the signal when the
   * slice is over, and the next one waits until it has ended.
   */
  readonly beside?: (state: StateManager, signal: AbortSignal) => Promise<void>;
  /** Told what is under way, before it begins and about once a second while the load runs. */
  readonly onProgress?: (what: string) => void;
}

/** What a run was and did. */
export interface LoadRun {
  readonly measures: Measures;
  /** Commits of this run, all of them durable. */
  readonly commits: number;
  /** The last, durable sequence. */
  readonly sequence: number;
  /** On the clock of the load: from the first commit that was due to the last acknowledgement. */
  readonly loadMs: number;
  readonly conflated: number;
  /** What the persistence worker did for it; null where it was replaced meanwhile. */
  readonly written: { readonly bytes: number; readonly fsyncs: number } | null;
  /** When the load ended, with everything still open. */
  readonly rssEndMb: number;
  readonly disk: { readonly before: DiskProbe; readonly after: DiskProbe } | null;
}

/**
 * One run of the load test, from the base or from where the directory stands, to a last checkpoint and an orderly close.
 * @throws ConfigError LOAD_OPTIONS_INVALID, LOAD_OTHER_VALUES, ACKS_FILE, and what opening, writing and closing a state throw
 */
export async function runLoad(options: LoadRunOptions): Promise<LoadRun> {
  const { strategies, positions, changes, seed } = options;
  const plan: LoadPlan = { strategies, positions, changes, seed };
  assertPlan(plan);
  // Before the directory is begun: where nobody can be told of acknowledgements nothing is done.
  const acks = options.acks === null ? null : new AckWriter(options.acks);
  try {
    return await runOn(plan, acks, options);
  } finally {
    acks?.close();
  }
}

async function runOn(plan: LoadPlan, acks: AckWriter | null, options: LoadRunOptions): Promise<LoadRun> {
  const directory = resolve(options.directory);
  const progress = options.onProgress ?? (() => {});
  progress('preparing the state');
  const { record, commits } = beginDirectory(directory, plan);
  const unsafe = whyUnsafeFileSystem(nodeFileSystem.statfsType(directory));
  if (unsafe !== null) {
    options.logger.warn({ path: directory }, `${directory} is on ${unsafe}: these are not the figures of a disk`);
  }
  const tap = new PersistenceTap();
  const state = await StateManager.openWith(
    {
      directory,
      host: 'load',
      currency: loadCurrency,
      // Checkpoints are asked for by the clock of the load, so that none falls into a slice without persistence.
      checkpointIntervalMs: 0,
      significantChange: { journalBytes: 0 },
      staleAfterMs: Number.MAX_SAFE_INTEGER,
      lag: { unacknowledgedDeltasMax },
      force: true,
      logger: options.logger,
    },
    tap.start,
  );
  try {
    if (acks !== null) state.on('durable', (sequence) => acks.write(sequence));
    state.phase('load');
    const measures = new Measures(options.durationMs);
    const { checkpointIntervalMs } = options;
    const side = new PersistedSide({ state, record, commits, tap, measures, checkpointIntervalMs });
    const stopped = (): boolean => options.signal.aborted || acks?.error != null;
    const sizes = diskSizes(record);
    const probe = (): DiskProbe => {
      progress('measuring the disk itself');
      return probeDisk(directory, sizes, Math.min(diskMsMax, options.durationMs / 10));
    };

    const before = options.compares && !stopped() ? probe() : null;
    const statusBefore = await tap.status();
    const entriesBefore = tap.entries;
    const loadMs = await new LoadSlices(options, plan, measures, side, stopped, state).run();
    const rssEndMb = rssMbNow();
    const written = difference(statusBefore, await tap.status(), tap.starts);
    const conflated = measures.entries - (tap.entries - entriesBefore);
    const after = before === null ? null : probe();
    const { sequence } = state;
    progress('closing');
    await state.close({ deadlineMs: closeMsMax });
    if (acks?.error != null) throw acks.error;
    return {
      measures,
      commits: side.commits - commits,
      sequence,
      loadMs,
      conflated,
      written,
      rssEndMb,
      disk: before === null || after === null ? null : { before, after },
    };
  } catch (error) {
    // What went wrong first is what to tell; that the state cannot be closed either follows from it.
    await state.close({ deadlineMs: closeMsMax }).catch(() => {});
    throw error;
  }
}

/** For each of the disk's figures, before and after the run; less where the run is short. */
const diskMsMax = 1000;

/** The last checkpoint is of everything: thousands of files on a slow disk are no reason to throw a run away. */
const closeMsMax = 300_000;

/**
 * The slices of a run: with persistence, and as many without, in the order with, without, without, with, so that a drift of the
 * machine counts for both. One slice without comes first, unmeasured, while the code warms up. What stands in one pair is of the
 * same stretch of the load's clock.
 */
class LoadSlices {
  readonly #options: LoadRunOptions;
  readonly #generator: Generator;
  readonly #measures: Measures;
  readonly #side: PersistedSide;
  readonly #bare: BareSide | null;
  readonly #stopped: () => boolean;
  readonly #state: StateManager;
  readonly #sliceMs: number;
  #made = 0;
  #clockMs = 0;
  #lastAckClockMs = 0;

  constructor(
    options: LoadRunOptions,
    plan: LoadPlan,
    measures: Measures,
    side: PersistedSide,
    stopped: () => boolean,
    state: StateManager,
  ) {
    const { durationMs, compares } = options;
    this.#options = options;
    const { onProgress } = options;
    this.#generator = new Generator(plan, measures, (clockMs) =>
      onProgress?.(`under load: ${seconds(clockMs)} of ${seconds(durationMs)} s`),
    );
    this.#measures = measures;
    this.#side = side;
    this.#bare = compares ? new BareSide(plan, measures.loopDelayBaseline) : null;
    this.#stopped = stopped;
    this.#state = state;
    this.#sliceMs = compares ? durationMs / pairsOf(durationMs) : durationMs;
  }

  /** Resolves with the time of the load's clock from the first due commit to the last acknowledgement. */
  async run(): Promise<number> {
    const { durationMs, rate } = this.#options;
    const isDue = (): boolean => rate > 0 && (this.#made * 1000) / rate < durationMs;
    const unmeasured = new DelayMeter(() => ({ p99Ms: null, maxMs: null }));
    await this.#without(unmeasured, 0, Math.min(this.#sliceMs, warmUpMs));
    // A slice ends late where the machine does not keep up, and what is due by then is made by those that follow.
    for (let pair = 0; (this.#clockMs < durationMs || isDue()) && !this.#stopped(); pair += 1) {
      const { loopDelay, loopDelayBaseline, pairs } = this.#measures;
      const fromMs = this.#clockMs;
      if (pair % 2 === 0) await this.#with();
      await this.#without(loopDelayBaseline, fromMs, this.#sliceMs);
      if (pair % 2 === 1) await this.#with();
      const [loop, baseline] = [loopDelay.endSlice(), loopDelayBaseline.endSlice()];
      if (loop !== null && baseline !== null) pairs.push({ loop, baseline });
    }
    return this.#lastAckClockMs;
  }

  async #with(): Promise<void> {
    const { rate, durationMs } = this.#options;
    if (this.#stopped()) return;
    const toMs = Math.min(durationMs, this.#clockMs + this.#sliceMs);
    const slice = { side: this.#side, rate, made: this.#made, fromMs: this.#clockMs, toMs, stopped: this.#stopped };
    const over = new AbortController();
    const beside = this.#options.beside?.(this.#state, over.signal);
    const { made, clockMs } = await this.#generator.run(slice);
    const endMs = performance.now();
    over.abort();
    await beside;
    this.#made = made;
    this.#clockMs = Math.max(clockMs, toMs);
    await this.#side.settled();
    // A slice without a commit has no acknowledgement, and moves nothing.
    this.#lastAckClockMs = Math.max(this.#lastAckClockMs, clockMs + this.#side.acknowledgedAtMs - endMs);
  }

  async #without(delays: DelayMeter, fromMs: number, sliceMs: number): Promise<void> {
    const bare = this.#bare;
    if (bare === null || this.#stopped()) return;
    // As many commits as the slices with persistence had, where no rate was given.
    const rate = this.#options.rate || (this.#made * 1000) / this.#clockMs || warmUpRate;
    bare.measure(delays);
    // In order of the same clock as its neighbour: what is due before the slice is no part of it.
    const made = Math.ceil((fromMs * rate) / 1000);
    const toMs = fromMs + sliceMs;
    await this.#generator.run({ side: bare, rate, made, fromMs, toMs, stopped: this.#stopped });
    bare.forget();
  }
}

/** At least five pairs of slices where there is time for them, and none longer than ten seconds. */
function pairsOf(durationMs: number): number {
  return durationMs < 2_500 ? 2 : Math.max(5, Math.ceil(durationMs / 10_000));
}

function seconds(ms: number): string {
  return (ms / 1000).toFixed(ms < 10_000 ? 1 : 0);
}

const warmUpMs = 250;
const warmUpRate = 10_000;

function difference(
  before: PersistenceStatus | null,
  after: PersistenceStatus | null,
  starts: number,
): LoadRun['written'] {
  if (before === null || after === null || starts > 1) return null;
  return { bytes: after.bytesWritten - before.bytesWritten, fsyncs: after.fsyncs - before.fsyncs };
}
