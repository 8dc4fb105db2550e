import type { MessagePort } from 'node:worker_threads';
import type { WireError } from '../model/errors.ts';
import type { Recovery } from '../model/recovery.ts';
import type { Timestamp } from '../model/time.ts';

/*
 * What passes between the engine's thread and the persistence worker.
 *
 * Data lane: a ring of texts in shared memory for deltas, and a raw MessagePort for everything else and for what has no room in the ring,
 * one way each, never awaited: DataRequest up, DataReply down.
 * Control lane: Comlink on a second port: PersistenceControl, each call raced with the end of the thread.
 * The two ports are not ordered with each other, so a control call carries the sequence that it must see and the worker
 * answers after it has that sequence on its data lane. Everything carries the worker's incarnation.
 */

/** What `new Worker` receives. `env` is passed explicitly, and nothing secret is in it. */
export interface PersistenceWorkerData {
  readonly data: MessagePort;
  readonly control: MessagePort;
  readonly shared: SharedArrayBuffer;
  /** A ring of texts for deltas, of this incarnation alone; null: all of them come by the port. */
  readonly ring: SharedArrayBuffer | null;
  readonly incarnation: number;
  readonly options: PersistenceOptions;
}

/** {@link PersistenceOptions.segmentAheadBytes} where nothing else is said. */
export const segmentAheadBytes: number = 64 * 2 ** 10;

export interface PersistenceOptions {
  /** Absolute. */
  readonly directory: string;
  readonly epoch: number;
  /** The host's name in status and messages. */
  readonly host: string;
  /** The host's base currency, that of `cash_balance`. */
  readonly currency: string;
  /** How many checkpoint generations of a strategy are kept, the newest included: 2 to 100, default 3. */
  readonly generations: number;
  /** A journal segment is closed when it reaches this size. Default 16 MiB. */
  readonly segmentBytesMax: number;
  /** How far the journal's open file is filled with zeros beyond what it holds. Default 64 KiB. */
  readonly segmentAheadBytes: number;
  /** Past this many journal bytes strategies that hold segments back are checkpointed. Default 256 MiB. */
  readonly journalBytesMax: number;
  /** State older than this at a restore is stale. Default one hour. */
  readonly staleAfterMs: number;
  /** Default one minute. */
  readonly heartbeatMs: number;
  /** Default one second. */
  readonly statusMs: number;
  /** A module exporting `createFileSystem(options): FileSystem` in place of node:fs: for tests of faults only. */
  readonly fileSystem: { readonly module: string; readonly options?: unknown } | null;
  /** The engine has this durable already: set on a replacement worker, which must restore at least this. */
  readonly atLeast: number;
}

/** Engine to worker, on the data lane. */
export type DataRequest =
  /** As {@link deltaLine} of the model writes it. */
  | { readonly kind: 'delta'; readonly incarnation: number; readonly through: number; readonly line: string }
  /** For status.json only. */
  | { readonly kind: 'phase'; readonly incarnation: number; readonly phase: string }
  /** There is a delta in the ring, and the worker slept. */
  | { readonly kind: 'wake'; readonly incarnation: number };

/**
 * The capacity of the ring, which a processor's cache holds. A delta lies there as its line; its place is its `through`, and it comes after
 * that of the last delta before it that went by the port.
 */
export const deltaRingBytes: number = 2 ** 20;

/** Worker to engine, on the data lane. */
export type DataReply =
  /** Every commit up to `sequence`, of every strategy, is durable. */
  | { readonly kind: 'acknowledged'; readonly incarnation: number; readonly sequence: number }
  /** An attempt to make commits durable failed; they are kept, and written anew to another file in `retryInMs`. */
  | {
      readonly kind: 'write_failed';
      readonly incarnation: number;
      /** Commits up to here were in the attempt. */
      readonly through: number;
      readonly error: WireError;
      readonly retryInMs: number;
    }
  | { readonly kind: 'checkpointed'; readonly incarnation: number; readonly checkpoint: CheckpointDone }
  | { readonly kind: 'checkpoint_failed'; readonly incarnation: number; readonly error: WireError }
  /** Worth an operator's eye, said by a logger on the engine's side: sweeps, quarantine, rotation trouble. */
  | {
      readonly kind: 'notice';
      readonly incarnation: number;
      readonly level: 'info' | 'warn' | 'error';
      readonly message: string;
    };

export interface CheckpointDone {
  readonly reason: CheckpointReason;
  /** Every checkpoint of the batch holds at least this sequence. */
  readonly sequence: number;
  readonly strategies: readonly { readonly strategy: string; readonly sequence: number; readonly file: string }[];
  readonly bytes: number;
  readonly durationMs: number;
}

export type CheckpointReason = 'interval' | 'significant_change' | 'on_demand' | 'shutdown';

/** Comlink loses an error's class, code and cause, so answers are values. */
export type Answer<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly error: WireError };

/** Worker's end of the control lane. Nothing here throws. */
export interface PersistenceControl {
  /** Sweeps temp files, reads checkpoints and journal, quarantines what is damaged. Changes nothing that a restore needs. */
  open(): Promise<Answer<Opened>>;
  /** One restored strategy as the JSON text of its StrategySnapshot: the engine parses slice by slice. */
  restored(strategy: string): Promise<Answer<string>>;
  /**
   * Writes the restored state anew as the first records of a new segment of this epoch and makes it durable, directory
   * included. Before this no delta is accepted. Deltas continue from the sequence that it returns.
   */
  begin(): Promise<Answer<{ readonly sequence: number }>>;
  /** Once the data lane reached `sequence`: the strategies named (all where null) as durable files. */
  checkpoint(request: {
    readonly sequence: number;
    readonly strategies: readonly string[] | null;
    readonly reason: CheckpointReason;
  }): Promise<Answer<CheckpointDone>>;
  /**
   * Once the data lane reached `sequence`: the mirror's books without strategy state, as SnapshotSlice messages on `port`,
   * worker to worker. `port` is transferred, and closed by the receiver.
   */
  sendSnapshot(sequence: number, port: MessagePort): Promise<Answer<{ readonly sequence: number }>>;
  /** The newest checkpoint file of the strategy that is durable, verified, as its JSON text; null where there is none. */
  readCheckpoint(strategy: string): Promise<Answer<string | null>>;
  status(): Promise<Answer<PersistenceStatus>>;
  /** Once the data lane reached `sequence`: journal durable, a final checkpoint of all where asked, files closed. */
  close(request: { readonly sequence: number; readonly checkpoint: boolean }): Promise<Answer<CheckpointDone | null>>;
}

export interface Opened {
  readonly recovery: Recovery;
  /** The highest epoch found anywhere, also in what was not used: begin() refuses an epoch that is not above it. */
  readonly maxEpoch: number;
  readonly strategies: readonly string[];
  /** The first commit of this epoch is this plus one: above every sequence found anywhere. */
  readonly base: number;
}

export interface PersistenceStatus {
  readonly durableSequence: number;
  readonly receivedSequence: number;
  readonly journalBytes: number;
  readonly segments: number;
  readonly checkpoints: number;
  readonly fsyncs: number;
  readonly bytesWritten: number;
  readonly lastCheckpointAt: Timestamp | null;
}

/** What the reconciliation worker receives from the persistence worker, in order; `end` is last. */
export type SnapshotSlice =
  | { readonly kind: 'strategy'; readonly snapshot: string }
  | { readonly kind: 'end'; readonly sequence: number; readonly timestamp: Timestamp };

/**
 * The shared words, readable on the engine thread at any time, even while it is busy or in an exit handler.
 * Int32 slots for Atomics.wait, then BigInt64 slots.
 */
export const sharedLayout = {
  bytes: 64,
  /** Int32: counts acknowledgements; notified on each. */
  ackCount: 0,
  /** Int32: what system call the worker is in: an index into {@link stages}. */
  stage: 1,
  /** BigInt64 index: durable sequence. */
  durableSequence: 2,
  /** BigInt64 index: since when it is in that call, microseconds since the epoch. */
  stageSinceMicros: 3,
  /** BigInt64 index: last sequence received on the data lane. */
  receivedSequence: 4,
  /** BigInt64 index: how far the audit is, see AuditWords. */
  auditedThrough: 5,
  /** BigInt64 index: counts the audit worker's turns. */
  auditBeats: 6,
} as const;

export const stages = [
  'idle',
  'open',
  'write',
  'fsync',
  'close',
  'rename',
  'directory fsync',
  'unlink',
  'read',
  'link',
  'truncate',
  'directory open',
] as const;
export type Stage = (typeof stages)[number];
