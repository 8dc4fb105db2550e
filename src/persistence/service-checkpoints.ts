import { StateError } from '../model/errors.ts';
import { type Clock, type Timestamp, timestamp } from '../model/time.ts';
import { CheckpointEncoder } from './checkpoint-encoder.ts';
import type { CheckpointItem, CheckpointStore } from './checkpoint-store.ts';
import type { Mirror } from './mirror.ts';
import type { CheckpointDone, CheckpointReason } from './protocol.ts';

/*
 * Writes the mirror's strategies as checkpoint files.
 *
 * K1  A batch begins once the journal is durable through the sequence that was asked for.
 * K2  Files are encoded one at a time while deltas go on, so each has a sequence of its own, at least the one asked for.
 * K3  Nothing is renamed before the journal is durable through the newest sequence in the batch.
 * K4  One batch runs; everything asked meanwhile waits as one more, which does for all who asked.
 * K5  What follows from a batch comes after its answer, and nobody waits for it: older generations go, a journal record names the
 *     files, and then segments that they cover may go.
 */

export interface CheckpointRequest {
  readonly sequence: number;
  /** All where null. */
  readonly strategies: readonly string[] | null;
  readonly reason: CheckpointReason;
}

export interface ServiceCheckpointsOptions {
  readonly mirror: Mirror;
  readonly store: CheckpointStore;
  readonly epoch: number;
  readonly clock: Clock;
  /** Resolves once the journal is durable through `sequence`; rejects when an attempt to make it so fails. */
  readonly durable: (sequence: number) => Promise<void>;
  /** Lets deltas in, and makes them durable. @throws when the service has failed */
  readonly pump: () => void;
  /** @throws when anything that the mirror has is not durable */
  readonly flush: () => void;
  /** Strategies that hold back segments beyond the journal's bound. */
  readonly holdingBack: () => readonly string[];
  /** These files are durable. */
  readonly onDurable: (files: readonly CheckpointFile[]) => void;
  /** These were answered, and what they pushed out is gone: the journal's record of them is next. */
  readonly onSettled: (files: readonly CheckpointFile[]) => void;
  /** What follows from a batch failed in a way that nobody foresaw, and there is nobody left to tell. */
  readonly onFatal: (error: unknown) => void;
}

export interface CheckpointFile {
  readonly strategy: string;
  readonly epoch: number;
  readonly sequence: number;
  readonly checksum: string;
}

interface Asked {
  readonly request: CheckpointRequest;
  readonly resolve: (done: CheckpointDone) => void;
  readonly reject: (error: unknown) => void;
}

export class ServiceCheckpoints {
  readonly #options: ServiceCheckpointsOptions;
  readonly #encoder = new CheckpointEncoder();
  #asked: Asked[] = [];
  #running = false;
  /** Durable, and nothing followed from them yet. */
  #unsettled: CheckpointFile[] = [];
  #count = 0;
  #lastAt: Timestamp | null = null;

  constructor(options: ServiceCheckpointsOptions) {
    this.#options = options;
  }

  /** Files written. */
  get count(): number {
    return this.#count;
  }

  get lastAt(): Timestamp | null {
    return this.#lastAt;
  }

  /** Resolves once the files are durable. @throws the error of a failed write; the earlier checkpoints are then valid still */
  request(request: CheckpointRequest): Promise<CheckpointDone> {
    return new Promise((resolve, reject) => {
      this.#asked.push({ request, resolve, reject });
      if (!this.#running) void this.#run();
    });
  }

  /**
   * All strategies at one sequence, the mirror's when it is called: nothing is let in meanwhile. It does for everybody who
   * waits. @throws as request()
   */
  final(reason: CheckpointReason): CheckpointDone {
    const done = this.#write(null, reason, () => {});
    for (const { request, resolve } of this.#take(done.sequence)) resolve({ ...done, reason: request.reason });
    return done;
  }

  /** What follows from batches that were answered, now. */
  settle(between: () => void): void {
    const files = this.#unsettled.splice(0);
    if (files.length === 0) return;
    this.#options.store.prune(between);
    this.#options.onSettled(files);
  }

  /** Whoever waits gets the error, and nothing follows any more. */
  stop(error: unknown): void {
    this.#unsettled = [];
    this.#refuse(error);
  }

  #refuse(error: unknown): void {
    for (const { reject } of this.#asked.splice(0)) reject(error);
  }

  async #run(): Promise<void> {
    this.#running = true;
    while (this.#asked.length > 0) {
      // Whoever asks in the same turn of the event loop shares the batch.
      await turn();
      try {
        await this.#options.durable(Math.max(...this.#asked.map(({ request }) => request.sequence)));
      } catch (error) {
        this.#refuse(error);
        continue;
      }
      // Somebody may have asked for a later sequence while this waited.
      this.#answer(this.#take(this.#options.mirror.sequence));
      // The answers leave first.
      await turn();
      try {
        this.settle(this.#options.pump);
      } catch (error) {
        this.#options.onFatal(error);
      }
    }
    this.#running = false;
  }

  #take(sequence: number): Asked[] {
    const taken = this.#asked.filter(({ request }) => request.sequence <= sequence);
    this.#asked = this.#asked.filter(({ request }) => request.sequence > sequence);
    return taken;
  }

  #answer(batch: readonly Asked[]): void {
    const requests = batch.map(({ request }) => request);
    try {
      const done = this.#write(union(requests), requests[0]?.reason ?? 'on_demand', this.#options.pump);
      for (const { request, resolve } of batch) resolve({ ...done, reason: request.reason });
    } catch (error) {
      for (const { reject } of batch) reject(error);
    }
  }

  #write(strategies: ReadonlySet<string> | null, reason: CheckpointReason, between: () => void): CheckpointDone {
    const { mirror, store, clock, flush, onDurable } = this.#options;
    const startedMs = clock.monotonicMs();
    const names = strategies === null ? mirror.strategies() : this.#named(strategies);
    const files: CheckpointFile[] = [];
    if (names.length === 0) return { reason, sequence: mirror.sequence, strategies: [], bytes: 0, durationMs: 0 };
    const done = store.writeBatch(this.#items(names, files), { between, beforeRename: flush });
    this.#count += files.length;
    this.#lastAt = timestamp(clock.nowMicros());
    this.#unsettled.push(...files);
    onDurable(files);
    return {
      reason,
      sequence: files.reduce((least, { sequence }) => Math.min(least, sequence), mirror.sequence),
      strategies: files.map(({ strategy, sequence }, index) => ({
        strategy,
        sequence,
        file: String(done.files[index]),
      })),
      bytes: done.bytes,
      durationMs: clock.monotonicMs() - startedMs,
    };
  }

  *#items(names: readonly string[], files: CheckpointFile[]): Generator<CheckpointItem> {
    const { mirror, epoch, clock } = this.#options;
    for (const strategy of names) {
      const place = { epoch, sequence: mirror.sequence };
      const { bytes, checksum } = this.#encoder.encode(mirror.snapshot(strategy), {
        ...place,
        timestamp: timestamp(clock.nowMicros()),
      });
      files.push({ strategy, ...place, checksum });
      yield { strategy, ...place, bytes };
    }
  }

  #named(strategies: ReadonlySet<string>): readonly string[] {
    const { mirror, holdingBack } = this.#options;
    for (const strategy of strategies) {
      if (mirror.has(strategy)) continue;
      throw new StateError(
        'STRATEGY_UNKNOWN',
        `strategy ${strategy} has no state at sequence ${mirror.sequence}, so there is nothing to write a checkpoint of`,
        { details: { strategy, sequence: mirror.sequence } },
      );
    }
    return [...new Set([...strategies, ...holdingBack()])].sort();
  }
}

function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

function union(requests: readonly CheckpointRequest[]): ReadonlySet<string> | null {
  const names = new Set<string>();
  for (const { strategies } of requests) {
    if (strategies === null) return null;
    for (const strategy of strategies) names.add(strategy);
  }
  return names;
}
