import { AuditWords } from './audit-protocol.ts';
import { type Stage, sharedLayout, stages } from './protocol.ts';

/** The worker's end of the words that it shares with the engine's thread: it alone writes them. */
export class ServiceWords {
  readonly #words: Int32Array;
  readonly #longs: BigInt64Array;
  readonly #nowMicros: () => number;
  readonly #audit: AuditWords;

  constructor(shared: SharedArrayBuffer, nowMicros: () => number) {
    this.#words = new Int32Array(shared);
    this.#longs = new BigInt64Array(shared);
    this.#nowMicros = nowMicros;
    this.#audit = new AuditWords(shared);
  }

  /** What the audit has; the audit worker writes it. Infinity where nobody audits. */
  get auditedThrough(): number {
    return this.#audit.floor;
  }

  /** A system call begins. */
  enter(stage: Stage): void {
    // The time first: a reader that sees the new stage must not see the time of an older one.
    Atomics.store(this.#longs, sharedLayout.stageSinceMicros, BigInt(this.#nowMicros()));
    Atomics.store(this.#words, sharedLayout.stage, stages.indexOf(stage));
  }

  /** It has returned. */
  leave(): void {
    Atomics.store(this.#longs, sharedLayout.stageSinceMicros, BigInt(this.#nowMicros()));
    Atomics.store(this.#words, sharedLayout.stage, 0);
  }

  received(sequence: number): void {
    Atomics.store(this.#longs, sharedLayout.receivedSequence, BigInt(sequence));
  }

  /** Everything up to `sequence` is durable: wakes who waits for that, an exit handler for one. */
  durable(sequence: number): void {
    Atomics.store(this.#longs, sharedLayout.durableSequence, BigInt(sequence));
    Atomics.add(this.#words, sharedLayout.ackCount, 1);
    Atomics.notify(this.#words, sharedLayout.ackCount);
  }
}
