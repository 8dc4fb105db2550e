import { MessageChannel, type MessagePort } from 'node:worker_threads';
import { createAsker } from '../../src/actor/ask.ts';
import { exposeOn } from '../../src/actor/comlink.ts';
import type { SnapshotDelta } from '../../src/model/delta.ts';
import { encodeError, StateError } from '../../src/model/errors.ts';
import type { Recovery } from '../../src/model/recovery.ts';
import { Mirror } from '../../src/persistence/mirror.ts';
import {
  type Answer,
  type CheckpointDone,
  type CheckpointReason,
  type DataReply,
  type DataRequest,
  type Opened,
  type PersistenceControl,
  type PersistenceOptions,
  sharedLayout,
  stages,
} from '../../src/persistence/protocol.ts';
import type { PersistenceThread, StartPersistence } from '../../src/state/persistence-thread.ts';

/**
 * A disk and the persistence workers that come and go on it, in this thread: the real ports, Comlink and mirror, and a journal that is
 * an array. Deltas that do not connect throw, as they do in the worker.
 */
export class FakePersistence {
  /** What a restore finds. */
  journal: SnapshotDelta[] = [];
  epoch = 0;
  readonly files = new Map<string, string>();
  readonly started: PersistenceOptions[] = [];
  readonly checkpoints: { readonly reason: CheckpointReason; readonly strategies: readonly string[] | null }[] = [];
  phases: string[] = [];
  /** What was asked on the control lane, in order. */
  readonly asked: string[] = [];
  /** False: deltas that arrive wait for makeDurable(). */
  auto = true;
  /** Set: every attempt fails with this, and what is asked too. */
  failure: Error | null = null;
  /** Called with the method's name before it answers; what it throws or rejects with is the answer. */
  before: (method: string) => void | Promise<void> = () => {};
  recovery: Partial<Recovery> = {};
  /** Added to the restored sequence as the point to go on from. */
  baseGap = 0;
  worker: FakeWorker | null = null;

  readonly start: StartPersistence = ({ incarnation, shared, options }) => {
    this.started.push(options);
    this.worker = new FakeWorker(this, incarnation, shared, options);
    return this.worker;
  };

  get durable(): number {
    return this.journal.at(-1)?.through ?? 0;
  }

  get current(): FakeWorker {
    if (this.worker === null) throw new Error('no worker was started');
    return this.worker;
  }

  mirror(currency = 'USD'): Mirror {
    const mirror = new Mirror({ currency });
    for (const delta of this.journal) {
      if (delta.previous !== mirror.sequence && delta.strategies.every(({ whole }) => whole))
        mirror.start(delta.previous);
      mirror.apply(delta);
    }
    return mirror;
  }
}

export class FakeWorker implements PersistenceThread, PersistenceControl {
  readonly data: PersistenceThread['data'];
  readonly control: PersistenceThread['control'];
  cause: Error | null = null;
  received: SnapshotDelta[] = [];
  /** Called when a delta arrives, before it counts. */
  onDelta: (delta: SnapshotDelta) => void = () => {};
  readonly #disk: FakePersistence;
  readonly #incarnation: number;
  readonly #options: PersistenceOptions;
  readonly #words: Int32Array;
  readonly #longs: BigInt64Array;
  readonly #dataEnd: MessagePort;
  readonly #controlEnd: MessagePort;
  readonly #listeners = new Set<(cause: Error) => void>();
  #waiting: SnapshotDelta[] = [];
  #waits: { readonly sequence: number; readonly go: () => void }[] = [];
  #sequence = 0;
  #mirror = new Mirror({ currency: 'USD' });

  constructor(disk: FakePersistence, incarnation: number, shared: SharedArrayBuffer, options: PersistenceOptions) {
    this.#disk = disk;
    this.#incarnation = incarnation;
    this.#options = options;
    this.#words = new Int32Array(shared);
    this.#longs = new BigInt64Array(shared);
    const data = new MessageChannel();
    const control = new MessageChannel();
    this.data = data.port1;
    this.control = createAsker<PersistenceControl>(control.port1, this);
    this.#dataEnd = data.port2;
    this.#controlEnd = control.port2;
    exposeOn(answering(this), control.port2);
    data.port2.on('message', (request: DataRequest) => this.#take(request));
  }

  onEnd(listener: (cause: Error) => void): () => void {
    if (this.cause !== null) {
      listener(this.cause);
      return () => {};
    }
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  async terminate(): Promise<void> {
    this.die(new Error('terminated'));
  }

  /** Ends as a thread does: what is not on the disk is gone, and nothing is answered any more. */
  die(cause: Error = new Error('the worker was shot')): void {
    if (this.cause !== null) return;
    this.cause = new StateError('WORKER_ENDED', 'ended', { cause });
    this.#dataEnd.close();
    this.#controlEnd.close();
    this.#waiting = [];
    for (const listener of [...this.#listeners]) listener(this.cause);
  }

  /** Writes what waits up to `through` and says so; `silently` dies before the message is sent. */
  makeDurable(through: number = Number.POSITIVE_INFINITY, silently = false): void {
    const now = this.#waiting.filter((delta) => delta.through <= through);
    if (now.length === 0) return;
    this.#waiting = this.#waiting.filter((delta) => delta.through > through);
    this.#disk.journal.push(...now);
    this.#disk.epoch = this.#options.epoch;
    const sequence = this.#disk.durable;
    if (silently) return;
    this.words(sequence);
    this.reply({ kind: 'acknowledged', sequence });
  }

  words(durable: number): void {
    Atomics.store(this.#longs, sharedLayout.durableSequence, BigInt(durable));
    Atomics.add(this.#words, sharedLayout.ackCount, 1);
    Atomics.notify(this.#words, sharedLayout.ackCount);
  }

  enterStage(stage: (typeof stages)[number], sinceMicros: number): void {
    Atomics.store(this.#longs, sharedLayout.stageSinceMicros, BigInt(sinceMicros));
    Atomics.store(this.#words, sharedLayout.stage, stages.indexOf(stage));
  }

  reply(
    reply: DataReply extends infer R ? (R extends DataReply ? Omit<R, 'incarnation'> : never) : never,
    incarnation = this.#incarnation,
  ): void {
    this.#dataEnd.postMessage({ ...reply, incarnation });
  }

  async open(): Promise<Answer<Opened>> {
    this.#mirror = this.#disk.mirror(this.#options.currency);
    const restored = this.#mirror.sequence;
    if (restored < this.#options.atLeast) {
      throw new StateError(
        'RESTORED_TOO_LITTLE',
        `restored ${restored}, and ${this.#options.atLeast} was acknowledged`,
      );
    }
    const recovery: Recovery = {
      epoch: this.#disk.epoch,
      sequence: restored,
      timestamp: null,
      age_ms: null,
      stale: false,
      used: [],
      lost: [],
      quarantined: [],
      ...this.#disk.recovery,
    };
    const base = restored + this.#disk.baseGap;
    return { ok: true, value: { recovery, maxEpoch: this.#disk.epoch, strategies: this.#mirror.strategies(), base } };
  }

  async restored(strategy: string): Promise<Answer<string>> {
    return { ok: true, value: JSON.stringify(this.#mirror.snapshot(strategy)) };
  }

  async begin(): Promise<Answer<{ readonly sequence: number }>> {
    this.#sequence = this.#mirror.sequence + this.#disk.baseGap;
    this.#disk.epoch = this.#options.epoch;
    this.words(this.#sequence);
    return { ok: true, value: { sequence: this.#sequence } };
  }

  async checkpoint(request: {
    readonly sequence: number;
    readonly strategies: readonly string[] | null;
    readonly reason: CheckpointReason;
  }): Promise<Answer<CheckpointDone>> {
    await this.#durable(request.sequence);
    const mirror = this.#disk.mirror(this.#options.currency);
    const strategies = (request.strategies ?? mirror.strategies()).map((strategy) => {
      const { epoch } = this.#options;
      const file = `${strategy}_checkpoint.json`;
      const text = JSON.stringify({
        format: 'holdfast-checkpoint',
        format_version: 1,
        ...mirror.snapshot(strategy),
        timestamp: '2025-10-02T14:30:00.000000Z',
        epoch,
        sequence: mirror.sequence,
        checksum: `sha256:${'0'.repeat(64)}`,
      });
      this.#disk.files.set(strategy, text);
      return { strategy, sequence: mirror.sequence, file };
    });
    this.#disk.checkpoints.push({ reason: request.reason, strategies: request.strategies });
    const durationMs = this.#disk.checkpoints.length;
    const done = { reason: request.reason, sequence: mirror.sequence, strategies, bytes: 1, durationMs };
    return { ok: true, value: done };
  }

  async sendSnapshot(): Promise<Answer<{ readonly sequence: number }>> {
    throw new Error('not here');
  }

  async readCheckpoint(strategy: string): Promise<Answer<string | null>> {
    return { ok: true, value: this.#disk.files.get(strategy) ?? null };
  }

  async status(): ReturnType<PersistenceControl['status']> {
    const written = JSON.stringify(this.#disk.journal).length;
    return {
      ok: true,
      value: {
        durableSequence: this.#disk.durable,
        receivedSequence: this.#sequence,
        journalBytes: written,
        segments: 1,
        checkpoints: this.#disk.checkpoints.length,
        fsyncs: 0,
        bytesWritten: written,
        lastCheckpointAt: null,
      },
    };
  }

  async close(request: {
    readonly sequence: number;
    readonly checkpoint: boolean;
  }): Promise<Answer<CheckpointDone | null>> {
    if (request.checkpoint)
      return this.checkpoint({ sequence: request.sequence, strategies: null, reason: 'shutdown' });
    await this.#durable(request.sequence);
    return { ok: true, value: null };
  }

  /** For answering(): what a test wants to happen first. */
  async before(method: string): Promise<void> {
    this.#disk.asked.push(method);
    await this.#disk.before(method);
    if (this.#disk.failure !== null) throw this.#disk.failure;
  }

  #take(request: DataRequest): void {
    if (request.incarnation !== this.#incarnation) return;
    if (request.kind === 'phase') {
      this.#disk.phases.push(request.phase);
      return;
    }
    if (request.kind !== 'delta') return;
    const delta = JSON.parse(request.line) as SnapshotDelta;
    this.onDelta(delta);
    if (this.cause !== null) return;
    if (delta.previous !== this.#sequence) {
      this.die(new Error(`gap: (${delta.previous}, ${delta.through}] after ${this.#sequence}`));
      return;
    }
    this.#sequence = delta.through;
    this.received.push(delta);
    this.#waiting.push(delta);
    if (this.#disk.failure !== null) {
      this.reply({
        kind: 'write_failed',
        through: delta.through,
        error: encodeError(this.#disk.failure),
        retryInMs: 1,
      });
    } else if (this.#disk.auto) this.makeDurable();
    for (const wait of this.#waits.filter(({ sequence }) => sequence <= this.#disk.durable)) wait.go();
  }

  async #durable(sequence: number): Promise<void> {
    while (this.#disk.durable < sequence) {
      await new Promise<void>((go) => this.#waits.push({ sequence, go }));
    }
  }
}

/** Turns what is thrown into an answer, as the worker does. */
function answering(worker: FakeWorker): object {
  return new Proxy(worker, {
    get(target, name: keyof PersistenceControl) {
      return async (...args: never[]) => {
        try {
          await target.before(name);
          const method = target[name] as (...args: never[]) => Promise<Answer<unknown>>;
          return await method.apply(target, args);
        } catch (error) {
          return { ok: false, error: encodeError(error) } satisfies Answer<never>;
        }
      };
    },
  });
}
