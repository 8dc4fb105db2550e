import { Supervisor } from '../actor/supervisor.ts';
import { type After, systemAfter } from '../actor/timers.ts';
import { type AuditOptions, type AuditReply, type AuditRequest, AuditWords } from '../persistence/audit-protocol.ts';
import type { AuditThread, StartAudit } from './audit-thread.ts';

/*
 * The audit worker's life, seen from the engine's thread, which never waits for it while it trades.
 *
 * U1  Nothing that becomes of the audit touches a commit or an acknowledgement: the persistence worker asks only the shared words,
 *     and only about which segments may go.
 * U2  A worker that throws, runs out of memory or exits is replaced, and so is one that makes no turn for `hangMs`. One that is inside
 *     a system call ends only when that returns.
 * U3  After too many ends within a minute it is given up: told as an error, and taken up again by the next start, from the journal as
 *     far as that reaches back.
 */

export interface AuditSessionOptions {
  readonly audit: AuditOptions;
  readonly shared: SharedArrayBuffer;
  readonly start: StartAudit;
  readonly heapMbMax: number | null;
  /** A worker that makes no turn for so long is ended and replaced. */
  readonly hangMs: number;
  readonly restartsMax: number;
  readonly restartBackoffMs: number;
  readonly after?: After;
  readonly hooks: {
    readonly gap: (message: string) => void;
    readonly restarted: (incarnation: number, cause: Error) => void;
    readonly failed: (cause: Error) => void;
    readonly notice: (level: 'info' | 'warn' | 'error', message: string) => void;
  };
}

export class AuditSession {
  readonly #options: AuditSessionOptions;
  readonly #words: AuditWords;
  readonly #supervisor: Supervisor<AuditThread>;
  readonly #after: After;
  #cause: Error | null = null;
  #cancelWatch: () => void = () => {};

  constructor(options: AuditSessionOptions) {
    this.#options = options;
    this.#after = options.after ?? systemAfter;
    this.#words = new AuditWords(options.shared);
    this.#words.expect();
    const { start, shared, audit, heapMbMax, restartsMax, restartBackoffMs, hooks } = options;
    this.#supervisor = new Supervisor<AuditThread>({
      name: 'audit',
      start: (incarnation) => start({ incarnation, shared, options: audit, heapMbMax }),
      restartsMax,
      backoffMs: restartBackoffMs,
      ...(options.after === undefined ? {} : { after: options.after }),
    });
    this.#supervisor.on('started', (thread, incarnation) => this.#started(thread, incarnation));
    this.#supervisor.on('ended', (cause) => {
      this.#cause = cause;
      this.#cancelWatch();
    });
    this.#supervisor.on('gaveUp', (cause) => hooks.failed(cause));
  }

  /** Everything up to here is in the database; −1 before it has said so. */
  get sequence(): number {
    return this.#words.floor;
  }

  /** Once the journal has begun. */
  start(): void {
    this.#supervisor.start();
  }

  /**
   * The journal is complete through `sequence`: resolves when the database has it and the worker has ended, or, with a word about it,
   * after `ms`. What is not in the database then is taken up by the next start.
   */
  async finish(sequence: number, ms: number): Promise<void> {
    const { thread } = this.#supervisor;
    const ended = this.#supervisor.stop();
    this.#cancelWatch();
    const request: AuditRequest = { kind: 'finish', sequence };
    thread?.port.postMessage(request);
    let cancel = (): void => {};
    const passed = new Promise<'passed'>((resolve) => {
      cancel = this.#after(ms, () => resolve('passed'));
    });
    const first = await Promise.race([ended, passed]);
    cancel();
    if (this.#words.floor < sequence) {
      const message = `audit.db has everything up to sequence ${this.#words.floor} of ${sequence}; the next start goes on from there`;
      this.#options.hooks.notice('warn', message);
    }
    if (first === 'passed' && thread !== null) await this.#end(thread);
  }

  /** Ends the worker wherever it is. */
  async stop(): Promise<void> {
    const { thread } = this.#supervisor;
    void this.#supervisor.stop();
    this.#cancelWatch();
    if (thread !== null) await this.#end(thread);
  }

  /** A thread that is stuck in a system call does not end; it writes to nothing but the audit's database, whose lock is SQLite's. */
  async #end(thread: AuditThread): Promise<void> {
    let cancel = (): void => {};
    const passed = new Promise<void>((resolve) => {
      cancel = this.#after(stuckMsMax, resolve);
    });
    await Promise.race([thread.terminate(), passed]);
    cancel();
  }

  #started(thread: AuditThread, incarnation: number): void {
    thread.port.on('message', (reply: AuditReply) => this.#heard(reply));
    // What it said last may be heard after its end, within the turn that follows.
    thread.onEnd(() => setImmediate(() => setImmediate(() => thread.port.close())));
    if (this.#cause !== null) this.#options.hooks.restarted(incarnation, this.#cause);
    this.#watch(thread, this.#words.beats);
  }

  #heard(reply: AuditReply): void {
    if (reply.kind === 'gap') this.#options.hooks.gap(reply.message);
    else this.#options.hooks.notice(reply.level, reply.message);
  }

  /** U2. */
  #watch(thread: AuditThread, beats: bigint): void {
    this.#cancelWatch = this.#after(this.#options.hangMs, () => {
      const now = this.#words.beats;
      if (now !== beats) {
        this.#watch(thread, now);
        return;
      }
      const { hangMs, hooks } = this.#options;
      hooks.notice(
        'error',
        `the audit worker made no turn for ${hangMs} ms: it is ended, and replaced once it has ended`,
      );
      void thread.terminate();
    });
  }
}

const stuckMsMax = 1_000;
