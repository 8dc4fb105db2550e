import { Supervisor } from '../actor/supervisor.ts';
import { type HoldfastError, StateError } from '../model/errors.ts';
import type { Opened, PersistenceControl, PersistenceOptions } from '../persistence/protocol.ts';
import type { DeltaChannel } from './delta-channel.ts';
import type { HostBooks } from './host-books.ts';
import type { PersistenceThread, StartPersistence } from './persistence-thread.ts';
import type { SharedWords } from './shared-words.ts';

/*
 * The persistence worker for as long as the state is open: the first incarnation, which restores what the engine begins with, and
 * replacements, which restore from disk what was acknowledged and get the rest from memory (docs/decisions/0005).
 *
 * S1  A replacement starts only after the old thread has ended: the supervisor sees to that.
 * S2  A worker is spoken to on the data lane only once begin() has answered, and from exactly the point that it restored.
 * S3  Where a replacement stands at no point that the kept deltas connect to, it gets every strategy's whole state as one step.
 * S4  A worker that has answered close() is expected to end. The end may be heard before the answer, so whatever follows from an end
 *     waits until the close that is pending is answered or not.
 */

export interface PersistenceSessionOptions {
  readonly persistence: PersistenceOptions;
  readonly words: SharedWords;
  readonly channel: DeltaChannel;
  readonly books: HostBooks;
  readonly start: StartPersistence;
  readonly restartsMax: number;
  readonly restartBackoffMs: number;
  readonly hooks: {
    restarted(incarnation: number, cause: Error): void;
    attached(): void;
    failed(error: Error): void;
    notice(level: 'info' | 'warn' | 'error', message: string): void;
  };
}

type Phase = 'opening' | 'serving' | 'stopped' | 'failed';

export class PersistenceSession {
  readonly #options: PersistenceSessionOptions;
  readonly #supervisor: Supervisor<PersistenceThread>;
  /** False once a replacement could not restore what was acknowledged: the next one takes what it finds and gets the rest whole. */
  #trustsDisk = true;
  #phase: Phase = 'opening';
  /** Of the close() asked last: true where it was answered well, false where it was not; pending until either is known. */
  #closed: Promise<boolean> = Promise.resolve(false);
  #lastCause: Error | null = null;
  /** The worker that everything is said to; null between two. */
  #serving: PersistenceThread | null = null;
  #waiting: { readonly resolve: (thread: PersistenceThread) => void; readonly reject: (error: Error) => void }[] = [];

  constructor(options: PersistenceSessionOptions) {
    this.#options = options;
    this.#supervisor = new Supervisor<PersistenceThread>({
      name: 'persistence',
      start: (incarnation) => this.#start(incarnation),
      restartsMax: options.restartsMax,
      backoffMs: options.restartBackoffMs,
    });
    this.#supervisor.on('started', (thread, incarnation) => this.#started(thread, incarnation));
    this.#supervisor.on('ended', (cause) => this.#ended(cause));
    this.#supervisor.on('gaveUp', (cause) => this.#gaveUp(cause));
  }

  /** Starts the first worker and has it read what is there. */
  async open(): Promise<Opened> {
    this.#supervisor.start();
    return await this.#opening().control.ask('open');
  }

  /** One strategy's restored state as JSON text. */
  async restored(strategy: string): Promise<string> {
    return await this.#opening().control.ask('restored', strategy);
  }

  /** Makes what was restored this epoch's own and durable, and opens the data lane. Returns the sequence to go on from. */
  async begin(): Promise<number> {
    const thread = this.#opening();
    const { sequence } = await thread.control.ask('begin');
    this.#phase = 'serving';
    this.#options.channel.attach(thread.data, this.#supervisor.incarnation, sequence);
    this.#serve(thread);
    return sequence;
  }

  /** Asks the worker that serves, waiting for the next one where there is none just now or where it ends before it answers. */
  async ask<Name extends keyof PersistenceControl>(
    name: Name,
    ...args: Parameters<PersistenceControl[Name]>
  ): Promise<Value<Name>> {
    for (;;) {
      const thread = await this.#whoServes();
      try {
        return (await this.#askOne(thread, name, args)) as Value<Name>;
      } catch (error) {
        // Who asks while or after the state is closed hears that it is closed, and not how its worker went.
        if (thread.cause !== null && this.#phase === 'stopped') throw stopped();
        if (thread.cause === null || this.#phase !== 'serving') throw error;
      }
    }
  }

  #askOne<Name extends keyof PersistenceControl>(
    thread: PersistenceThread,
    name: Name,
    args: Parameters<PersistenceControl[Name]>,
  ): Promise<unknown> {
    const answer = thread.control.ask(name, ...(args as never));
    if (name === 'close') {
      this.#closed = answer.then(
        () => true,
        () => false,
      );
    }
    return answer;
  }

  /** Nothing is started any more, and who waits is told. Resolves when the worker has ended; ends it where it does not by itself. */
  async stop(): Promise<void> {
    if (this.#phase !== 'failed') this.#phase = 'stopped';
    this.#rejectWaiting(stopped());
    const { thread } = this.#supervisor;
    const ended = this.#supervisor.stop();
    await thread?.terminate();
    await ended;
    this.#options.channel.detach();
  }

  #start(incarnation: number): PersistenceThread {
    const { words, start, channel, persistence } = this.#options;
    const atLeast = incarnation === 1 || !this.#trustsDisk ? 0 : channel.durableSequence;
    return start({ incarnation, shared: words.buffer, options: { ...persistence, atLeast } });
  }

  #started(thread: PersistenceThread, incarnation: number): void {
    if (incarnation === 1) return;
    this.#replaceUnlessClosed(thread, incarnation).catch((error: unknown) => {
      // Where the thread ended, the supervisor knows already.
      if (thread.cause !== null) return;
      this.#lastCause = error as Error;
      this.#options.hooks.notice('error', `the persistence worker could not be replaced: ${(error as Error).message}`);
      this.#trustsDisk = false;
      return thread.terminate();
    });
  }

  /** S4. A replacement that nobody needs has read and written nothing: stop() ends it. */
  async #replaceUnlessClosed(thread: PersistenceThread, incarnation: number): Promise<void> {
    if (await this.#closed) return;
    this.#options.hooks.restarted(incarnation, this.#lastCause ?? stopped());
    await this.#replace(thread);
  }

  async #replace(thread: PersistenceThread): Promise<void> {
    const { channel, books, hooks, persistence } = this.#options;
    const { recovery } = await thread.control.ask('open');
    const { sequence } = await thread.control.ask('begin');
    const sameEpoch = recovery.epoch === persistence.epoch;
    if (sameEpoch && recovery.sequence === sequence && channel.connectsAt(sequence)) {
      channel.attach(thread.data, this.#supervisor.incarnation, sequence);
      this.#serve(thread);
      return;
    }
    hooks.notice(
      'warn',
      `the replaced persistence worker restored sequence ${recovery.sequence} of epoch ${recovery.epoch}, from which what is in memory does not go on: every strategy is sent whole`,
    );
    const wholes = books.takeWhole(sequence, () => channel.takeBack(sameEpoch ? recovery.sequence : 0));
    channel.attachAnew(thread.data, this.#supervisor.incarnation, wholes);
    this.#trustsDisk = true;
    this.#serve(thread);
  }

  #serve(thread: PersistenceThread): void {
    this.#serving = thread;
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const { resolve } of waiting) resolve(thread);
    this.#options.hooks.attached();
  }

  #ended(cause: Error): void {
    this.#lastCause = cause;
    this.#serving = null;
    if (this.#phase === 'serving') this.#options.channel.detach();
    // The first incarnation is not replaced: whoever opens is told, and may open again.
    if (this.#phase === 'opening') void this.#supervisor.stop();
  }

  /** S4. */
  #gaveUp(cause: Error): void {
    void this.#closed.then((closed) => {
      if (!closed) this.#failed(cause);
    });
  }

  #failed(cause: Error): void {
    if (this.#phase !== 'serving') return;
    this.#phase = 'failed';
    this.#lastCause = cause;
    this.#rejectWaiting(cause);
    this.#options.hooks.failed(cause);
  }

  #opening(): PersistenceThread {
    const { thread } = this.#supervisor;
    if (thread === null) throw this.#lastCause ?? stopped();
    return thread;
  }

  #whoServes(): Promise<PersistenceThread> {
    if (this.#serving !== null) return Promise.resolve(this.#serving);
    if (this.#phase === 'stopped') return Promise.reject(stopped());
    if (this.#phase !== 'serving') return Promise.reject(this.#lastCause ?? stopped());
    return new Promise((resolve, reject) => this.#waiting.push({ resolve, reject }));
  }

  #rejectWaiting(error: Error): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const { reject } of waiting) reject(error);
  }
}

type Value<Name extends keyof PersistenceControl> =
  Awaited<ReturnType<PersistenceControl[Name]>> extends infer Answered
    ? Extract<Answered, { readonly ok: true }> extends { readonly value: infer V }
      ? V
      : never
    : never;

function stopped(): HoldfastError {
  return new StateError('STATE_CLOSED', 'the state is closed, and its persistence worker with it; open it again');
}
