import { EventEmitter } from 'node:events';
import { performance } from 'node:perf_hooks';
import { encodeError, StateError } from '../model/errors.ts';
import type { ThreadEnd } from './thread.ts';
import { type After, systemAfter } from './timers.ts';

/*
 * Keeps one thread running.
 *
 * S1  A replacement starts only after the old thread has ended: until then the old one may be inside a system call and
 *     still change files.
 * S2  Each start has the next incarnation, from 1. Whoever uses the thread drops what an older incarnation still says.
 * S3  The wait before a restart doubles with each restart within the window, from backoffMs to backoffMsMax.
 * S4  After restartsMax restarts within windowMs the next end is the last: gaveUp, and nothing starts any more.
 */

export interface SupervisorOptions<T extends ThreadEnd> {
  /** For messages. */
  readonly name: string;
  /** Starts the thread; what it throws counts as an end. */
  readonly start: (incarnation: number) => T;
  /** Default 5. */
  readonly restartsMax?: number;
  /** Default 60,000. */
  readonly windowMs?: number;
  /** Default 100. */
  readonly backoffMs?: number;
  /** Default 5,000. */
  readonly backoffMsMax?: number;
  /** A clock that never goes back. */
  readonly monotonicMs?: () => number;
  readonly after?: After;
}

export interface SupervisorEvents<T> {
  started: [thread: T, incarnation: number];
  /** Also for an end that was asked for; `restartInMs` is null where nothing follows. */
  ended: [cause: Error, incarnation: number, restartInMs: number | null];
  gaveUp: [cause: Error];
}

type Phase<T> =
  | { readonly is: 'new' }
  | { readonly is: 'running'; readonly thread: T }
  | { readonly is: 'waiting'; readonly cancel: () => void }
  | { readonly is: 'stopping'; readonly thread: T }
  | { readonly is: 'stopped' };

export class Supervisor<T extends ThreadEnd> extends EventEmitter<SupervisorEvents<T>> {
  readonly #options: Required<SupervisorOptions<T>>;
  #phase: Phase<T> = { is: 'new' };
  #incarnation = 0;
  /** When the restarts within the window happened, oldest first. */
  #restarts: number[] = [];

  constructor(options: SupervisorOptions<T>) {
    super();
    this.#options = {
      restartsMax: 5,
      windowMs: 60_000,
      backoffMs: 100,
      backoffMsMax: 5_000,
      monotonicMs: () => performance.now(),
      after: systemAfter,
      ...options,
    };
  }

  /** The thread that runs, or null between two. */
  get thread(): T | null {
    return this.#phase.is === 'running' || this.#phase.is === 'stopping' ? this.#phase.thread : null;
  }

  /** Of the last start; 0 before the first. */
  get incarnation(): number {
    return this.#incarnation;
  }

  /** Starts the first incarnation. @throws StateError SUPERVISOR_STARTED on a second call */
  start(): void {
    if (this.#phase.is !== 'new') {
      throw new StateError(
        'SUPERVISOR_STARTED',
        `the supervisor of ${this.#options.name} was started before: make a new one`,
      );
    }
    this.#start();
  }

  /**
   * Starts nothing any more. It does not end the thread that runs: ask it to end, then await this, which resolves once it has
   * ended (at once where none runs).
   */
  stop(): Promise<void> {
    const phase = this.#phase;
    if (phase.is === 'waiting') phase.cancel();
    if (phase.is === 'running' || phase.is === 'stopping') {
      this.#phase = { is: 'stopping', thread: phase.thread };
      return new Promise((resolve) => phase.thread.onEnd(() => resolve()));
    }
    this.#phase = { is: 'stopped' };
    return Promise.resolve();
  }

  #start(): void {
    this.#incarnation += 1;
    const incarnation = this.#incarnation;
    let thread: T;
    try {
      thread = this.#options.start(incarnation);
    } catch (error) {
      this.#ended(notStarted(this.#options.name, incarnation, error), incarnation);
      return;
    }
    this.#phase = { is: 'running', thread };
    this.emit('started', thread, incarnation);
    thread.onEnd((cause) => this.#ended(cause, incarnation));
  }

  #ended(cause: Error, incarnation: number): void {
    if (this.#phase.is === 'stopping' || this.#phase.is === 'stopped') {
      this.#phase = { is: 'stopped' };
      this.emit('ended', cause, incarnation, null);
      return;
    }
    const { restartsMax, windowMs, backoffMs, backoffMsMax, monotonicMs, after } = this.#options;
    const now = monotonicMs();
    this.#restarts = this.#restarts.filter((at) => now - at < windowMs);
    if (this.#restarts.length >= restartsMax) {
      this.#phase = { is: 'stopped' };
      this.emit('ended', cause, incarnation, null);
      this.emit('gaveUp', gaveUp(this.#options.name, restartsMax, windowMs, cause));
      return;
    }
    const waitMs = Math.min(backoffMs * 2 ** this.#restarts.length, backoffMsMax);
    this.#restarts.push(now);
    this.#phase = { is: 'waiting', cancel: after(waitMs, () => this.#start()) };
    this.emit('ended', cause, incarnation, waitMs);
  }
}

function notStarted(name: string, incarnation: number, error: unknown): StateError {
  return new StateError(
    'WORKER_NOT_STARTED',
    `thread ${name} (incarnation ${incarnation}) could not be started: ${encodeError(error).message}`,
    { cause: error, details: { thread: name, incarnation }, retryable: true },
  );
}

function gaveUp(name: string, restarts: number, windowMs: number, cause: Error): StateError {
  return new StateError(
    'WORKER_GIVEN_UP',
    `thread ${name} ended after ${restarts} restarts within ${windowMs} ms and is not restarted any more; see the cause, and restart the process once it is mended: ${cause.message}`,
    { cause, details: { thread: name, restarts, window_ms: windowMs } },
  );
}
