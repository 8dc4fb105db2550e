import { encodeError, StateError } from '../model/errors.ts';
import { type Clock, type Timestamp, timestamp } from '../model/time.ts';
import type { CheckpointStore } from './checkpoint-store.ts';
import { deltaOfLine } from './journal-lines.ts';
import type { JournalWriter } from './journal-writer.ts';
import type { Mirror } from './mirror.ts';
import type { CheckpointDone, PersistenceOptions } from './protocol.ts';
import { type CheckpointRequest, ServiceCheckpoints } from './service-checkpoints.ts';
import type { DataReplyBody } from './service-data-lane.ts';
import { ServiceGroups } from './service-groups.ts';
import { ServiceRetention } from './service-retention.ts';
import { ServiceWaits } from './service-waits.ts';
import type { ServiceWords } from './service-words.ts';

export interface AcceptingOptions {
  readonly options: PersistenceOptions;
  readonly mirror: Mirror;
  readonly journal: JournalWriter;
  readonly store: CheckpointStore;
  readonly coverage: ReadonlyMap<string, readonly number[]>;
  readonly base: number;
  /** Of the restore point. */
  readonly at: Timestamp;
  readonly words: ServiceWords;
  readonly clock: Clock;
  readonly after: (ms: number, run: () => void) => () => void;
  readonly post: (reply: DataReplyBody) => void;
  /** Takes what waits on the data lane. @throws when the service has failed */
  readonly pump: () => void;
  /** The service cannot go on. */
  readonly onFatal: (error: unknown) => void;
}

/** How long the worker waits before it tries again what it does of its own accord: checkpoints for the journal's bound. */
const ownRetryMs = 10_000;

/** The service from begin() to close(): deltas become the mirror and the journal, and both become checkpoints. */
export class ServiceAccepting {
  readonly groups: ServiceGroups;
  readonly checkpoints: ServiceCheckpoints;
  readonly journal: JournalWriter;
  readonly #options: AcceptingOptions;
  readonly #retention: ServiceRetention;
  readonly #durable: ServiceWaits = new ServiceWaits();
  readonly #received: ServiceWaits = new ServiceWaits();
  #at: Timestamp;
  #cancelHeartbeat: () => void = () => {};
  /** No checkpoint of the worker's own accord before this moment. */
  #ownNotBeforeMs = 0;

  constructor(options: AcceptingOptions) {
    const { mirror, journal, store, base, words, clock, after, post } = options;
    this.#options = options;
    this.journal = journal;
    this.#at = options.at;
    this.groups = new ServiceGroups(base, {
      append: (records) => journal.append(records),
      onDurable: (sequence) => {
        words.durable(sequence);
        post({ kind: 'acknowledged', sequence });
        this.#durable.reached(sequence);
      },
      onFailed: ({ through, error, retryInMs }) => {
        post({ kind: 'write_failed', through, error: encodeError(error), retryInMs });
        this.#durable.failed(error);
      },
      monotonicMs: () => clock.monotonicMs(),
      after,
    });
    this.#retention = new ServiceRetention({
      journal,
      strategies: () => mirror.strategies(),
      journalBytesMax: options.options.journalBytesMax,
      generations: options.options.generations,
      coverage: options.coverage,
      auditedThrough: () => words.auditedThrough,
    });
    this.checkpoints = new ServiceCheckpoints({
      mirror,
      store,
      epoch: options.options.epoch,
      clock,
      durable: (sequence) => this.durable(sequence),
      pump: options.pump,
      flush: () => this.groups.flushOrThrow(),
      holdingBack: () => this.#retention.holdingBack(),
      onDurable: (files) => this.#retention.add(files),
      onSettled: (files) => {
        this.groups.add({ kind: 'checkpointed', at: this.#now(), files });
        this.groups.flush();
        this.#trim();
      },
      onFatal: options.onFatal,
    });
    this.#beat(options.options.heartbeatMs);
  }

  /** When the mirror's sequence was committed. */
  get at(): Timestamp {
    return this.#at;
  }

  /** @throws StateError DELTA_GAP, JOURNAL_RECORD_INVALID: then the mirror is not what the engine has, and this worker must not go on */
  take(line: string): void {
    const { mirror, words } = this.#options;
    const delta = deltaOfLine(line);
    if (delta.previous !== mirror.sequence || delta.through <= delta.previous) {
      throw new StateError(
        'DELTA_GAP',
        `a delta (${delta.previous}, ${delta.through}] does not connect to sequence ${mirror.sequence}: the worker must be replaced`,
        { details: { previous: delta.previous, through: delta.through, sequence: mirror.sequence } },
      );
    }
    mirror.apply(delta);
    this.#at = delta.at;
    words.received(delta.through);
    this.groups.add(delta);
  }

  /** Everything that waited was taken. */
  endTurn(): void {
    this.groups.flush();
    this.#received.reached(this.#options.mirror.sequence);
    this.#keepBound();
  }

  /** Resolves once the journal is durable through `sequence`. @throws the error of the next attempt that fails before that */
  durable(sequence: number): Promise<void> {
    return sequence <= this.groups.durable ? Promise.resolve() : this.#durable.wait(sequence);
  }

  /** Resolves once the mirror has `sequence`, durable or not. */
  received(sequence: number): Promise<void> {
    return sequence <= this.#options.mirror.sequence ? Promise.resolve() : this.#received.wait(sequence);
  }

  checkpoint(request: CheckpointRequest): Promise<CheckpointDone> {
    return this.checkpoints.request(request);
  }

  /** Everything is durable when it returns, a final checkpoint of all strategies at one sequence too where asked. */
  finish(checkpoint: boolean): CheckpointDone | null {
    const done = checkpoint ? this.checkpoints.final('shutdown') : null;
    this.checkpoints.settle(() => {});
    this.groups.flushOrThrow();
    return done;
  }

  /** Does nothing more of its own accord, and whoever waits gets the error. */
  stop(error: unknown): void {
    this.#cancelHeartbeat();
    this.groups.close();
    this.checkpoints.stop(error);
    this.#durable.failed(error);
    this.#received.failed(error);
  }

  #beat(inMs: number): void {
    const { after, options } = this.#options;
    this.#cancelHeartbeat = after(inMs, () => {
      const idleMs = this.groups.idleMs;
      // While writes fail a heartbeat would only make what is kept grow.
      if (idleMs >= options.heartbeatMs && this.groups.failing === null) {
        this.groups.add({ kind: 'heartbeat', at: this.#now() });
        this.groups.flush();
      }
      const leftMs = options.heartbeatMs - idleMs;
      this.#beat(leftMs > 0 ? leftMs : options.heartbeatMs);
    });
  }

  #keepBound(): void {
    const { mirror, clock, options } = this.#options;
    if (this.journal.bytes <= options.journalBytesMax || clock.monotonicMs() < this.#ownNotBeforeMs) return;
    const strategies = this.#retention.holdingBack();
    if (strategies.length === 0) {
      // Nothing but the audit holds the journal beyond its bound.
      if (this.#retention.outrunsAudit) this.#trim();
      return;
    }
    this.#ownNotBeforeMs = Number.POSITIVE_INFINITY;
    this.checkpoint({ sequence: mirror.sequence, strategies, reason: 'interval' }).then(
      (checkpoint) => {
        this.#ownNotBeforeMs = 0;
        this.#options.post({ kind: 'checkpointed', checkpoint });
      },
      (error: unknown) => {
        this.#ownNotBeforeMs = clock.monotonicMs() + ownRetryMs;
        this.#options.post({ kind: 'checkpoint_failed', error: encodeError(error) });
      },
    );
  }

  #trim(): void {
    try {
      const outrun = this.#retention.outrunsAudit;
      const files = this.#retention.trim();
      if (!outrun) return;
      const message = `the journal reached its bound and ${files.join(', ')} went before the audit had read all of it: audit.db will have a gap`;
      this.#options.post({ kind: 'notice', level: 'error', message });
    } catch (error) {
      const { message } = encodeError(error);
      this.#options.post({ kind: 'notice', level: 'warn', message: `journal segments were not deleted: ${message}` });
    }
  }

  #now(): Timestamp {
    return timestamp(this.#options.clock.nowMicros());
  }
}
