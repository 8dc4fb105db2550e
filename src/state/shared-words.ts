import { type Stage, sharedLayout, stages } from '../persistence/protocol.ts';

/** The engine's end of the words that it shares with the persistence worker: true also while this thread is busy. */
export class SharedWords {
  readonly buffer: SharedArrayBuffer;
  readonly #words: Int32Array;
  readonly #longs: BigInt64Array;

  constructor(buffer: SharedArrayBuffer = new SharedArrayBuffer(sharedLayout.bytes)) {
    this.buffer = buffer;
    this.#words = new Int32Array(buffer);
    this.#longs = new BigInt64Array(buffer);
  }

  get durableSequence(): number {
    return Number(Atomics.load(this.#longs, sharedLayout.durableSequence));
  }

  /** What system call the worker is in, and since when in microseconds since the epoch. */
  get stage(): { readonly stage: Stage; readonly sinceMicros: number } {
    const stage = stages[Atomics.load(this.#words, sharedLayout.stage)] ?? 'idle';
    return { stage, sinceMicros: Number(Atomics.load(this.#longs, sharedLayout.stageSinceMicros)) };
  }

  /** Blocks this thread until everything up to `sequence` is durable, at most `ms`. True where it is. Only for an exit handler. */
  waitDurable(sequence: number, ms: number, monotonicMs: () => number): boolean {
    const deadline = monotonicMs() + ms;
    for (;;) {
      // The count is read first: an acknowledgement after this line changes it, and the wait returns at once.
      const count = Atomics.load(this.#words, sharedLayout.ackCount);
      if (this.durableSequence >= sequence) return true;
      const leftMs = deadline - monotonicMs();
      if (leftMs <= 0) return false;
      Atomics.wait(this.#words, sharedLayout.ackCount, count, leftMs);
    }
  }
}
