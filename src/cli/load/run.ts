import { resolve } from 'node:path';
import { performance } from 'node:perf_hooks';
import { whyUnsafeFileSystem } from '../../persistence/file-system-kind.ts';
import { nodeFileSystem } from '../../persistence/node-file-system.ts';
import type { PersistenceStatus } from '../../persistence/protocol.ts';
import type { Logger } from '../../state/logger.ts';
import { StateManager } from '../../state/state-manager.ts';
import { AckWriter } from './acks.ts';
import { beginDirectory, loadCurrency } from './base.ts';
import { type DiskProbe, probeDisk } from './disk.ts';
import { Generator } from './generator.ts';
import { Durations } from './histogram.ts';
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
  readonly rssEndMb: number;
  readonly disk: { readonly before: DiskProbe; readonly after: DiskProbe } | null;
}

/**
 * One run of the load test, from the base or from where the directory stands, to a last checkpoint and an orderly close.
 * @throws ConfigError LOAD_OPTIONS_INVALID, LOAD_OTHER_VALUES, and what opening, writing and closing a state throw
 */
export async function runLoad(options: LoadRunOptions): Promise<LoadRun> {
  const { strategies, positions, changes, seed } = options;
  const plan: LoadPlan = { strategies, positions, changes, seed };
  assertPlan(plan);
  const directory = resolve(options.directory);
  const { record, commits } = beginDirectory(directory, plan);
  const unsafe = whyUnsafeFileSystem(nodeFileSystem.statfsType(directory));
  if (unsafe !== null) {
    options.logger.warn({ path: directory }, `${directory} is on ${unsafe}: these are not the figures of a disk`);
  }
  const acks = options.acks === null ? null : new AckWriter(options.acks);
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
    const measures = new Measures();
    const { checkpointIntervalMs } = options;
    const side = new PersistedSide({ state, record, commits, tap, measures, checkpointIntervalMs });
    const stopped = (): boolean => options.signal.aborted || acks?.error != null;
    const sizes = { append: appendBytes, replace: replaceBytes(plan) };
    const probe = (): DiskProbe => probeDisk(directory, sizes, Math.min(diskMsMax, options.durationMs / 10));

    const before = options.compares && !stopped() ? probe() : null;
    const statusBefore = await tap.status();
    const entriesBefore = tap.entries;
    const loadMs = await new LoadSlices(options, plan, measures, side, stopped).run();
    const written = difference(statusBefore, await tap.status(), tap.starts);
    const conflated = measures.entries - (tap.entries - entriesBefore);
    const after = before === null ? null : probe();
    const { sequence } = state;
    await state.close();
    if (acks?.error != null) throw acks.error;
    return {
      measures,
      commits: side.commits - commits,
      sequence,
      loadMs,
      conflated,
      written,
      rssEndMb: rssMbNow(),
      disk: before === null || after === null ? null : { before, after },
    };
  } catch (error) {
    // What went wrong first is what to tell; that the state cannot be closed either follows from it.
    await state.close().catch(() => {});
    throw error;
  } finally {
    acks?.close();
  }
}

/** For each of the disk's figures, before and after the run; less where the run is short. */
const diskMsMax = 1000;

/** Of one group with one small commit in it. */
const appendBytes = 512;

/** Of one strategy's checkpoint. */
function replaceBytes(plan: LoadPlan): number {
  return 500 + plan.positions * 110;
}

/**
 * The slices of a run: with persistence, and as many without, in the order with, without, without, with, so that a drift of the
 * machine counts for both. One slice without comes first, unmeasured, while the code warms up.
 */
class LoadSlices {
  readonly #options: LoadRunOptions;
  readonly #generator: Generator;
  readonly #measures: Measures;
  readonly #side: PersistedSide;
  readonly #bare: BareSide | null;
  readonly #stopped: () => boolean;
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
  ) {
    const { durationMs, compares } = options;
    this.#options = options;
    this.#generator = new Generator(plan, measures);
    this.#measures = measures;
    this.#side = side;
    this.#bare = compares ? new BareSide(plan, new Durations()) : null;
    this.#stopped = stopped;
    const pairs = Math.max(2, Math.ceil(durationMs / sliceMsMax));
    this.#sliceMs = compares ? durationMs / pairs : durationMs;
  }

  /** Resolves with the time of the load's clock from the first due commit to the last acknowledgement. */
  async run(): Promise<number> {
    const { durationMs, rate } = this.#options;
    const isDue = (): boolean => rate > 0 && (this.#made * 1000) / rate < durationMs;
    await this.#without(new Durations(), Math.min(this.#sliceMs, warmUpMs));
    // A slice ends late where the machine does not keep up, and what is due by then is made by those that follow.
    for (let pair = 0; (this.#clockMs < durationMs || isDue()) && !this.#stopped(); pair += 1) {
      const baseline = this.#measures.loopDelayBaselines[pair % 2] as Durations;
      if (pair % 2 === 0) await this.#with();
      await this.#without(baseline, this.#sliceMs);
      if (pair % 2 === 1) await this.#with();
    }
    return this.#lastAckClockMs;
  }

  async #with(): Promise<void> {
    const { rate, durationMs } = this.#options;
    if (this.#stopped()) return;
    const toMs = Math.min(durationMs, this.#clockMs + this.#sliceMs);
    const slice = { side: this.#side, rate, made: this.#made, fromMs: this.#clockMs, toMs, stopped: this.#stopped };
    const { made, clockMs } = await this.#generator.run(slice);
    const endMs = performance.now();
    this.#made = made;
    this.#clockMs = Math.max(clockMs, toMs);
    await this.#side.settled();
    // A slice without a commit has no acknowledgement, and moves nothing.
    this.#lastAckClockMs = Math.max(this.#lastAckClockMs, clockMs + this.#side.acknowledgedAtMs - endMs);
  }

  async #without(delays: Durations, sliceMs: number): Promise<void> {
    const bare = this.#bare;
    if (bare === null || this.#stopped()) return;
    // As many commits as the slices with persistence had, where no rate was given.
    const rate = this.#options.rate || (this.#made * 1000) / this.#clockMs || warmUpRate;
    bare.measure(delays);
    await this.#generator.run({ side: bare, rate, made: 0, fromMs: 0, toMs: sliceMs, stopped: this.#stopped });
    bare.forget();
  }
}

const sliceMsMax = 500;
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
