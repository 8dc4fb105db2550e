import type { MessagePort } from 'node:worker_threads';
import { encodeError, StateError } from '../model/errors.ts';
import { AuditBatch } from './audit-batch.ts';
import { AuditDatabase } from './audit-database.ts';
import { AuditIntake } from './audit-intake.ts';
import { type AuditReply, type AuditRequest, AuditWords, type AuditWorkerData } from './audit-protocol.ts';
import type { FileSystem } from './file-system.ts';
import { JournalFollower } from './journal-follower.ts';
import { sqliteCode, sqliteCodes } from './lock-errors.ts';

/*
 * The audit worker's work: what the journal has for sure goes to audit.db.
 *
 * B1  Only groups that end at the durable sequence or before are taken, so the database never holds what a power cut takes back.
 * B2  Rows and cursor are one transaction, and the floor moves once it is durable: a crash anywhere leaves neither hole nor double.
 * B3  It takes nothing from anybody: it reads files beside the persistence worker, and while it keeps up makes the disk busy at most
 *     once in `everyMs`.
 * B4  A database that cannot be written is opened again, for ever, with a wait that grows to ten seconds; what is to come stays in
 *     the journal, up to the journal's bound.
 */

export interface AuditServiceOptions {
  readonly worker: Omit<AuditWorkerData, 'port'> & { readonly port: Pick<MessagePort, 'on' | 'postMessage' | 'close'> };
  readonly fileSystem: FileSystem;
  readonly after?: (ms: number, run: () => void) => () => void;
  /** It cannot go on: the thread is to end by this error. */
  readonly onFatal: (error: unknown) => void;
}

interface Open {
  readonly database: AuditDatabase;
  readonly follower: JournalFollower;
  readonly intake: AuditIntake;
}

/** One transaction holds about so much of the journal. */
const batchBytesMax = 8 * 2 ** 20;
const retryMsMin = 250;
const retryMsMax = 10_000;

export class AuditService {
  readonly #options: AuditServiceOptions;
  readonly #words: AuditWords;
  readonly #after: (ms: number, run: () => void) => () => void;
  #open: Open | null = null;
  #finish: AuditRequest | null = null;
  #ended = false;
  #retryMs = 0;
  /** SQLite has found damage in the database. */
  #suspect = false;
  #cancel: () => void = () => {};

  constructor(options: AuditServiceOptions) {
    this.#options = options;
    this.#words = new AuditWords(options.worker.shared);
    this.#after = options.after ?? realAfter;
  }

  start(): void {
    this.#options.worker.port.on('message', (request: AuditRequest) => {
      this.#finish = request;
      this.#turnIn(0);
    });
    this.#turnIn(0);
  }

  /** One turn: what there is, at most one batch. */
  turn(): void {
    if (this.#ended) return;
    this.#words.beat();
    let inMs = this.#options.worker.options.everyMs;
    try {
      if (this.#step()) inMs = 0;
      if (this.#retryMs > 0) this.#notice('info', 'the audit goes on');
      this.#retryMs = 0;
    } catch (error) {
      if (!(error instanceof StateError) || !error.retryable) {
        this.#end();
        this.#options.onFatal(error);
        return;
      }
      this.#close();
      this.#suspect ||= sqliteCode(error.cause) === sqliteCodes.corrupt;
      if (this.#retryMs === 0) this.#notice('error', `the audit stands still: ${encodeError(error).message}`);
      this.#retryMs = Math.min(Math.max(retryMsMin, this.#retryMs * 2), retryMsMax);
      inMs = this.#retryMs;
    }
    if (this.#isFinished()) this.#end();
    else this.#turnIn(inMs);
  }

  /** True where there was as much as a batch takes: more may be waiting. */
  #step(): boolean {
    this.#open ??= this.#opened();
    const { database, follower, intake } = this.#open;
    if (database.settle() && intake.place !== null) this.#words.audited(intake.place.sequence);
    const from = intake.place;
    const batch = new AuditBatch();
    const durable = this.#words.durable;
    let bytes = 0;
    while (bytes < batchBytesMax) {
      const group = follower.next(durable);
      if (group === null) break;
      this.#words.beat();
      intake.take(group, batch);
      bytes += group.group.header.bytes;
    }
    if (batch.cursor !== null) {
      database.write(batch, from);
      if (database.settle()) this.#words.audited(batch.cursor.sequence);
      for (const message of batch.gaps) this.#post({ kind: 'gap', message });
    }
    return bytes >= batchBytesMax;
  }

  #opened(): Open {
    const { options } = this.#options.worker;
    const notice = (message: string): void => this.#notice('error', message);
    const database = AuditDatabase.open(options.directory, notice, this.#suspect);
    this.#suspect = false;
    try {
      const place = database.cursor();
      const follower = new JournalFollower(this.#options.fileSystem, options.directory, place);
      return { database, follower, intake: new AuditIntake(place) };
    } catch (error) {
      database.close();
      throw error;
    }
  }

  #isFinished(): boolean {
    const reached = this.#open?.intake.place?.sequence ?? -1;
    return this.#finish !== null && this.#retryMs === 0 && reached >= this.#finish.sequence;
  }

  #close(): void {
    const open = this.#open;
    this.#open = null;
    try {
      open?.database.close();
    } catch (error) {
      this.#notice('warn', `closing the audit's database failed: ${encodeError(error).message}`);
    }
  }

  #end(): void {
    this.#ended = true;
    this.#cancel();
    this.#close();
    this.#options.worker.port.close();
  }

  #turnIn(ms: number): void {
    this.#cancel();
    if (!this.#ended) this.#cancel = this.#after(ms, () => this.turn());
  }

  #notice(level: 'info' | 'warn' | 'error', message: string): void {
    this.#post({ kind: 'notice', level, message });
  }

  #post(reply: Posted): void {
    this.#options.worker.port.postMessage({ ...reply, incarnation: this.#options.worker.incarnation } as AuditReply);
  }
}

type Posted = AuditReply extends infer Each ? (Each extends AuditReply ? Omit<Each, 'incarnation'> : never) : never;

const realAfter = (ms: number, run: () => void): (() => void) => {
  const timer = setTimeout(run, ms);
  return () => clearTimeout(timer);
};
