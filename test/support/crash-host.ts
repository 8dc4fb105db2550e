import { MessageChannel, receiveMessageOnPort } from 'node:worker_threads';
import { deltaLine, type SnapshotDelta } from '../../src/model/delta.ts';
import { decodeError } from '../../src/model/errors.ts';
import type { FileSystem } from '../../src/persistence/file-system.ts';
import {
  type Answer,
  type CheckpointDone,
  type DataReply,
  type Opened,
  type PersistenceOptions,
  sharedLayout,
} from '../../src/persistence/protocol.ts';
import { PersistenceService } from '../../src/persistence/service.ts';
import { ManualClock } from '../../src/testing/manual-clock.ts';

export const directory = '/state';

/** What a worker is started with here: small segments, few generations, so that little work rotates and prunes. */
export const hostOptions: Omit<PersistenceOptions, 'epoch' | 'atLeast'> = {
  directory,
  host: 'crash-host',
  currency: 'USD',
  generations: 2,
  segmentBytesMax: 1_600,
  segmentAheadBytes: 1_536,
  journalBytesMax: 2 ** 28,
  staleAfterMs: 3_600_000,
  heartbeatMs: 60_000,
  statusMs: 2 ** 30,
  fileSystem: null,
};

// One channel serves every host: messages are taken by hand, in the same turn, so the service runs without threads and without
// waiting. Only the worker's listener is caught, and its close is left to the end of the process.
const { port1: engineEnd, port2: workerEnd } = new MessageChannel();
let caught: (message: unknown) => void = () => {};
Object.assign(workerEnd, {
  on: (_: string, listener: (message: unknown) => void) => {
    caught = listener;
    return workerEnd;
  },
  close: () => {},
});

/** The real persistence service on this thread, driven step by step. */
export class CrashHost {
  readonly service: PersistenceService;
  readonly clock: ManualClock = new ManualClock('2025-10-02T14:30:00.000000Z');
  readonly fatal: unknown[] = [];
  readonly replies: DataReply[] = [];
  readonly #words = new SharedArrayBuffer(sharedLayout.bytes);
  readonly #incarnation: number;
  readonly #listener: (message: unknown) => void;

  constructor(
    fs: FileSystem,
    life: { readonly epoch: number; readonly incarnation: number; readonly atLeast: number },
    options: Partial<PersistenceOptions> = {},
  ) {
    // What a host before this one left unread died with it.
    while (receiveMessageOnPort(workerEnd) !== undefined);
    const { epoch, incarnation, atLeast } = life;
    this.#incarnation = incarnation;
    this.service = new PersistenceService({
      worker: {
        data: workerEnd,
        ring: null,
        shared: this.#words,
        incarnation,
        options: { ...hostOptions, ...options, epoch, atLeast },
      },
      fileSystem: fs,
      clock: this.clock,
      after: this.clock.after,
      onFatal: (error) => this.fatal.push(error),
      onClosed: () => {},
    });
    this.service.start();
    this.#listener = caught;
  }

  /** What the engine may rely on: null before the service has begun. */
  get acknowledged(): number | null {
    if (Atomics.load(new Int32Array(this.#words), sharedLayout.ackCount) === 0) return null;
    return Number(Atomics.load(new BigInt64Array(this.#words), sharedLayout.durableSequence));
  }

  open(): Promise<Opened> {
    return unwrap(this.service.open());
  }

  async begin(): Promise<number> {
    return (await unwrap(this.service.begin())).sequence;
  }

  /** Puts a delta where the service finds it at its next turn. */
  post(delta: SnapshotDelta): void {
    engineEnd.postMessage({
      kind: 'delta',
      incarnation: this.#incarnation,
      through: delta.through,
      line: deltaLine(delta),
    });
  }

  /** A turn of the worker's event loop: everything posted is taken, and made durable as far as the disk allows. */
  turn(): void {
    const first = receiveMessageOnPort(workerEnd);
    if (first !== undefined) this.#listener(first.message);
    this.#drain();
  }

  async checkpoint(sequence: number, strategies: readonly string[] | null): Promise<CheckpointDone> {
    try {
      const done = await unwrap(this.service.checkpoint({ sequence, strategies, reason: 'on_demand' }));
      // What follows from it comes a turn of the event loop after the answer.
      await new Promise((resolve) => setImmediate(resolve));
      if (this.fatal.length > 0) throw this.fatal[0];
      return done;
    } finally {
      this.#drain();
    }
  }

  async close(sequence: number): Promise<void> {
    await unwrap(this.service.close({ sequence, checkpoint: true }));
    this.#drain();
  }

  #drain(): void {
    for (let reply = receiveMessageOnPort(engineEnd); reply !== undefined; reply = receiveMessageOnPort(engineEnd)) {
      this.replies.push(reply.message as DataReply);
    }
  }
}

async function unwrap<T>(answered: Promise<Answer<T>>): Promise<T> {
  const answer = await answered;
  if (answer.ok) return answer.value;
  throw decodeError(answer.error);
}
