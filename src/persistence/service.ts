import type { MessagePort } from 'node:worker_threads';
import type { SnapshotDelta } from '../model/delta.ts';
import { encodeError } from '../model/errors.ts';
import { type Clock, systemClock, type Timestamp, timestamp } from '../model/time.ts';
import { CheckpointStore } from './checkpoint-store.ts';
import type { FileSystem } from './file-system.ts';
import { JournalWriter } from './journal-writer.ts';
import type { Mirror } from './mirror.ts';
import type {
  Answer,
  CheckpointDone,
  Opened,
  PersistenceControl,
  PersistenceOptions,
  PersistenceStatus,
  PersistenceWorkerData,
} from './protocol.ts';
import { type Restored, restore } from './restore.ts';
import { ServiceAccepting } from './service-accepting.ts';
import type { CheckpointRequest } from './service-checkpoints.ts';
import { ServiceDataLane } from './service-data-lane.ts';
import { closed, epochTooLow, stateLost, wrongPhase } from './service-errors.ts';
import { type FileSystemUse, stagedFileSystem } from './service-file-system.ts';
import { readNewest } from './service-read-newest.ts';
import { sendSlices } from './service-snapshot.ts';
import { ServiceStatus } from './service-status.ts';
import { ServiceWords } from './service-words.ts';
import type { StatusFile } from './status-file.ts';

/*
 * The persistence worker's work: one thread, synchronous file calls, one state directory.
 *
 * new --open--> opened --begin--> accepting --close--> closed
 *
 * V1  A sequence is acknowledged only once the journal's fdatasync of its group has returned; a later failure takes nothing back.
 * V2  The mirror may be ahead of what is durable; checkpoint files never are.
 * V3  A delta that doesn't connect ends the worker: its replacement restores what is durable and is sent the rest.
 * V4  A replacement that restores less than was acknowledged refuses to open.
 */

export interface PersistenceServiceOptions {
  readonly worker: Omit<PersistenceWorkerData, 'control'>;
  readonly fileSystem: FileSystem;
  readonly clock?: Clock;
  readonly after?: (ms: number, run: () => void) => () => void;
  /** The service cannot go on and does nothing any more: the thread is to end by this error. Called once. */
  readonly onFatal: (error: unknown) => void;
  /** After close() has been answered: the thread can end. */
  readonly onClosed: () => void;
}

type Phase =
  | { readonly is: 'new' }
  | { readonly is: 'opened'; readonly restored: Restored; readonly store: CheckpointStore }
  | Accepting
  | { readonly is: 'closed' }
  | { readonly is: 'failed' };

interface Accepting {
  readonly is: 'accepting';
  readonly restored: Restored;
  readonly store: CheckpointStore;
  readonly accepting: ServiceAccepting;
}

export class PersistenceService implements PersistenceControl {
  readonly #options: PersistenceOptions;
  readonly #incarnation: number;
  readonly #fs: FileSystem;
  readonly #use: FileSystemUse = { fsyncs: 0, bytesWritten: 0 };
  readonly #words: ServiceWords;
  readonly #lane: ServiceDataLane;
  readonly #clock: Clock;
  readonly #after: (ms: number, run: () => void) => () => void;
  readonly #status: ServiceStatus;
  readonly #onFatal: (error: unknown) => void;
  readonly #onClosed: () => void;
  #phase: Phase = { is: 'new' };
  /** Null until the engine tells one, which a state without an engine never does. */
  #enginePhase: string | null = null;

  constructor(options: PersistenceServiceOptions) {
    const { data, ring, shared, incarnation, options: settings } = options.worker;
    this.#options = settings;
    this.#incarnation = incarnation;
    this.#clock = options.clock ?? systemClock;
    this.#after = options.after ?? realAfter;
    this.#words = new ServiceWords(shared, () => this.#clock.nowMicros());
    this.#fs = stagedFileSystem(options.fileSystem, this.#words, this.#use);
    this.#onFatal = options.onFatal;
    this.#onClosed = options.onClosed;
    this.#lane = new ServiceDataLane(data, ring, incarnation, {
      onDelta: (line) => this.#take(line),
      onPhase: (phase) => {
        this.#enginePhase = phase;
      },
      onTurnEnd: () => {
        if (this.#phase.is === 'accepting') this.#phase.accepting.endTurn();
      },
    });
    this.#status = new ServiceStatus({
      fs: this.#fs,
      directory: settings.directory,
      everyMs: settings.statusMs,
      after: this.#after,
      status: () => this.#statusFile(),
      notice: (message) => this.#lane.post({ kind: 'notice', level: 'warn', message }),
    });
  }

  /** Listens on the data lane, and begins to say in status.json what it does. */
  start(): void {
    this.#lane.listen();
    this.#status.start();
  }

  open(): Promise<Answer<Opened>> {
    return answer(() => {
      if (this.#phase.is !== 'new') throw wrongPhase('open', this.#phase.is);
      const { directory, generations, currency, staleAfterMs, atLeast } = this.#options;
      const notice = (message: string): void => this.#lane.post({ kind: 'notice', level: 'warn', message });
      const store = new CheckpointStore(this.#fs, directory, { generations, currency, notice });
      const swept = store.sweep();
      if (swept.length > 0) {
        const message = `temporary files that an earlier run left unfinished were removed: ${swept.length}`;
        this.#lane.post({ kind: 'notice', level: 'info', message });
      }
      const restored = restore(this.#fs, directory, {
        currency,
        staleAfterMs,
        now: this.#clock.nowMicros(),
        readOnly: false,
        notice,
      });
      const { recovery, mirror, base, maxEpoch } = restored;
      if (recovery.sequence < atLeast) throw stateLost(directory, recovery.sequence, atLeast);
      this.#phase = { is: 'opened', restored, store };
      return { recovery, maxEpoch, strategies: mirror.strategies(), base };
    });
  }

  restored(strategy: string): Promise<Answer<string>> {
    return answer(() => {
      if (this.#phase.is !== 'opened') throw wrongPhase('restored', this.#phase.is);
      return JSON.stringify(this.#phase.restored.mirror.snapshot(strategy));
    });
  }

  begin(): Promise<Answer<{ readonly sequence: number }>> {
    return answer(() => {
      if (this.#phase.is !== 'opened') throw wrongPhase('begin', this.#phase.is);
      const { restored, store } = this.#phase;
      const { mirror, recovery, base, coverage, segments, nextSegment } = restored;
      const { directory, epoch, segmentBytesMax, segmentAheadBytes } = this.#options;
      // A replacement goes on in the epoch of the worker before it.
      const isAbove = this.#incarnation === 1 ? epoch > restored.maxEpoch : epoch >= restored.maxEpoch;
      if (!isAbove) throw epochTooLow(directory, epoch, restored.maxEpoch);
      const journal = new JournalWriter(this.#fs, directory, {
        epoch,
        incarnation: this.#incarnation,
        segmentBytesMax,
        segmentAheadBytes,
        nextSegment,
        currency: this.#options.currency,
      });
      const now = timestamp(this.#clock.nowMicros());
      // Old state that is written anew is as old as it was: a crash right after this must not make it look fresh.
      const at = recovery.timestamp ?? now;
      const from = { epoch: recovery.epoch, sequence: recovery.sequence };
      journal.begin(from, base, wholeStates(mirror, at, base), now);
      journal.adopt(segments);
      mirror.start(base);
      const accepting = new ServiceAccepting({
        options: this.#options,
        mirror,
        journal,
        store,
        coverage,
        base,
        at: recovery.timestamp ?? at,
        words: this.#words,
        clock: this.#clock,
        after: this.#after,
        post: (reply) => this.#lane.post(reply),
        pump: () => {
          this.#lane.pump();
          if (this.#phase.is !== 'accepting') throw wrongPhase('checkpoint', this.#phase.is);
        },
        onFatal: (error) => this.#fail(error),
      });
      this.#phase = { is: 'accepting', restored, store, accepting };
      this.#words.received(base);
      this.#words.durable(base);
      return { sequence: base };
    });
  }

  checkpoint(request: CheckpointRequest): Promise<Answer<CheckpointDone>> {
    return answer(() => this.#accepting('checkpoint').checkpoint(request));
  }

  sendSnapshot(sequence: number, port: MessagePort): Promise<Answer<{ readonly sequence: number }>> {
    return answer(async () => {
      try {
        const accepting = this.#accepting('sendSnapshot');
        await accepting.received(sequence);
        const { mirror } = this.#begun('sendSnapshot').restored;
        const at = { sequence: mirror.sequence, timestamp: accepting.at };
        const snapshots = mirror.strategies().map((strategy) => mirror.snapshot(strategy));
        await sendSlices(snapshots, at, port);
        return { sequence: at.sequence };
      } catch (error) {
        // The receiver must not wait for an end that never comes.
        port.close();
        throw error;
      }
    });
  }

  readCheckpoint(strategy: string): Promise<Answer<string | null>> {
    return answer(() => {
      const checkpoint = readNewest(this.#begun('readCheckpoint').store, strategy);
      return checkpoint === null ? null : JSON.stringify(checkpoint);
    });
  }

  status(): Promise<Answer<PersistenceStatus>> {
    return answer(() => {
      const { restored, accepting } = this.#begun('status');
      const { groups, journal, checkpoints } = accepting;
      return {
        durableSequence: groups.durable,
        receivedSequence: restored.mirror.sequence,
        journalBytes: journal.bytes,
        segments: journal.segments().length,
        checkpoints: checkpoints.count,
        fsyncs: this.#use.fsyncs,
        bytesWritten: this.#use.bytesWritten,
        lastCheckpointAt: checkpoints.lastAt,
      };
    });
  }

  close(request: { readonly sequence: number; readonly checkpoint: boolean }): Promise<Answer<CheckpointDone | null>> {
    return answer(async () => {
      if (this.#phase.is === 'new' || this.#phase.is === 'opened') {
        this.#end();
        return null;
      }
      const accepting = this.#accepting('close');
      await accepting.durable(request.sequence);
      // Another close may have been answered while this one waited.
      const done = this.#accepting('close').finish(request.checkpoint);
      // The last that is told of it: whoever looks at the directory later learns that it ended in order.
      this.#enginePhase = 'stopped';
      this.#status.write();
      accepting.stop(closed());
      this.#end();
      accepting.journal.close();
      return done;
    });
  }

  #take(line: string): void {
    if (this.#phase.is === 'failed' || this.#phase.is === 'closed') return;
    try {
      this.#accepting('a delta').take(line);
    } catch (error) {
      this.#fail(error);
    }
  }

  #fail(error: unknown): void {
    if (this.#phase.is === 'failed') return;
    if (this.#phase.is === 'accepting') this.#phase.accepting.stop(error);
    this.#phase = { is: 'failed' };
    this.#status.stop();
    this.#onFatal(error);
  }

  #end(): void {
    this.#phase = { is: 'closed' };
    this.#status.stop();
    // The answer leaves before the ports close.
    setImmediate(() => {
      this.#lane.close();
      this.#onClosed();
    });
  }

  #statusFile(): StatusFile {
    const begun = this.#phase.is === 'accepting' ? this.#phase : null;
    const error = begun?.accepting.groups.failing?.error;
    return {
      updated_at: timestamp(this.#clock.nowMicros()),
      host: this.#options.host,
      pid: process.pid,
      epoch: this.#options.epoch,
      incarnation: this.#incarnation,
      phase: this.#enginePhase ?? (begun === null ? 'restoring' : 'open'),
      durable_sequence: begun?.accepting.groups.durable ?? 0,
      received_sequence: begun?.restored.mirror.sequence ?? 0,
      durable_lag_ms: begun?.accepting.groups.lagMs ?? 0,
      journal_bytes: begun?.accepting.journal.bytes ?? 0,
      segments: begun?.accepting.journal.segments().length ?? 0,
      last_checkpoint_at: begun?.accepting.checkpoints.lastAt ?? null,
      last_error: error === undefined ? null : encodeError(error).message,
    };
  }

  #begun(what: string): Accepting {
    if (this.#phase.is !== 'accepting') throw wrongPhase(what, this.#phase.is);
    return this.#phase;
  }

  #accepting(what: string): ServiceAccepting {
    return this.#begun(what).accepting;
  }
}

function* wholeStates(mirror: Mirror, at: Timestamp, base: number): Generator<SnapshotDelta> {
  for (const strategy of mirror.strategies()) yield mirror.wholeDelta(strategy, at, base);
}

const realAfter = (ms: number, run: () => void): (() => void) => {
  const timer = setTimeout(run, ms);
  return () => clearTimeout(timer);
};

/** Comlink loses what an error is, so errors are values. */
async function answer<T>(call: () => T | Promise<T>): Promise<Answer<T>> {
  try {
    return { ok: true, value: await call() };
  } catch (error) {
    return { ok: false, error: encodeError(error) };
  }
}
