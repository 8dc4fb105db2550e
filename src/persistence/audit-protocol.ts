import type { MessagePort } from 'node:worker_threads';
import type { PersistenceOptions } from './protocol.ts';
import { sharedLayout } from './protocol.ts';

/*
 * What passes between the engine's thread and the audit worker, which follows the journal's files and is sent nothing of what it
 * writes. How far it is, it says in the shared words, where the persistence worker reads it too.
 */

/** What `new Worker` receives. Nothing secret is in it. */
export interface AuditWorkerData {
  readonly port: MessagePort;
  /** The same words as the persistence worker's. */
  readonly shared: SharedArrayBuffer;
  readonly incarnation: number;
  readonly options: AuditOptions;
}

export interface AuditOptions {
  /** Absolute. */
  readonly directory: string;
  /** How often it looks for more, and so how often at most it makes the disk busy while it keeps up. Default 1,000. */
  readonly everyMs: number;
  /** For tests of faults only: how it reads the journal. */
  readonly fileSystem: PersistenceOptions['fileSystem'];
}

/** Engine to worker: everything up to `sequence` is durable in the journal; end once it is in the database. */
export interface AuditRequest {
  readonly kind: 'finish';
  readonly sequence: number;
}

/** Worker to engine. */
export type AuditReply =
  /** A stretch of the journal was gone before it was read, or is damaged: it is not in the database, and a row there says so. */
  | { readonly kind: 'gap'; readonly incarnation: number; readonly message: string }
  | {
      readonly kind: 'notice';
      readonly incarnation: number;
      readonly level: 'info' | 'warn' | 'error';
      readonly message: string;
    };

/**
 * The words of the audit among those that the threads share. `floor` is the sequence through which the database is durable: journal
 * segments beyond it wait. Stored plus two, because words begin as zero, which says that nobody audits.
 */
export class AuditWords {
  readonly #longs: BigInt64Array;

  constructor(shared: SharedArrayBuffer) {
    this.#longs = new BigInt64Array(shared);
  }

  /** From now on segments wait. Before the persistence worker begins. */
  expect(): void {
    Atomics.store(this.#longs, sharedLayout.auditedThrough, 1n);
  }

  /** −1: nothing yet. Infinity: nobody audits. */
  get floor(): number {
    const stored = Atomics.load(this.#longs, sharedLayout.auditedThrough);
    return stored === 0n ? Number.POSITIVE_INFINITY : Number(stored) - 2;
  }

  /** The database is durable through `sequence`. */
  audited(sequence: number): void {
    Atomics.store(this.#longs, sharedLayout.auditedThrough, BigInt(sequence) + 2n);
  }

  /** Changes as long as the worker is not stuck. */
  get beats(): bigint {
    return Atomics.load(this.#longs, sharedLayout.auditBeats);
  }

  beat(): void {
    Atomics.add(this.#longs, sharedLayout.auditBeats, 1n);
  }

  /** What the journal has for sure. */
  get durable(): number {
    return Number(Atomics.load(this.#longs, sharedLayout.durableSequence));
  }
}
