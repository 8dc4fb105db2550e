import { type ResourceLimits, type Transferable, Worker } from 'node:worker_threads';
import { decodeError, encodeError, type HoldfastError, StateError, type WireError } from '../model/errors.ts';

/** The end of something that runs: what a pending ask and a supervisor need to know of it. */
export interface ThreadEnd {
  /** Why it ended; null while it runs. */
  readonly cause: Error | null;
  /** Calls `listener` once when it has ended, at once where it has already. Returns what takes the listener away again. */
  onEnd(listener: (cause: Error) => void): () => void;
}

export interface ThreadOptions {
  /** For messages: "persistence". */
  readonly name: string;
  readonly url: URL;
  readonly incarnation: number;
  readonly workerData: unknown;
  readonly transfer?: readonly Transferable[];
  /** All that the thread sees of the environment: a Worker otherwise gets everything, secrets included. */
  readonly env: Readonly<Record<string, string>>;
  readonly resourceLimits?: ResourceLimits;
}

/**
 * One incarnation of a thread. It has ended when its Worker has said `exit`, and not before: a thread that is stuck in a system
 * call still owns its files, whatever was asked of it. Its stdout and stderr are those of the process.
 */
export class Thread implements ThreadEnd {
  readonly name: string;
  readonly incarnation: number;
  readonly worker: Worker;
  #cause: Error | null = null;
  #failure: unknown = null;
  readonly #listeners: Set<(cause: Error) => void> = new Set();

  constructor(options: ThreadOptions) {
    this.name = options.name;
    this.incarnation = options.incarnation;
    this.worker = new Worker(options.url, {
      name: options.name,
      workerData: options.workerData,
      transferList: [...(options.transfer ?? [])],
      env: { ...options.env },
      ...threadExecArgv(),
      ...(options.resourceLimits === undefined ? {} : { resourceLimits: options.resourceLimits }),
    });
    this.worker.on('error', (error) => {
      this.#failure = error;
    });
    this.worker.once('exit', (code) => this.#end(code));
  }

  get cause(): Error | null {
    return this.#cause;
  }

  onEnd(listener: (cause: Error) => void): () => void {
    if (this.#cause !== null) {
      listener(this.#cause);
      return () => {};
    }
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Asks the thread to stop wherever it is, also in the middle of a write. Resolves when it has ended, which a stuck one does not. */
  async terminate(): Promise<void> {
    await this.worker.terminate();
  }

  #end(exitCode: number): void {
    const cause = this.#failure === null ? undefined : decodeError(crossed(this.#failure));
    const why = cause === undefined ? `with exit code ${exitCode}` : `by an error: ${cause.message}`;
    const ended = new StateError('WORKER_ENDED', `thread ${this.name} (incarnation ${this.incarnation}) ended ${why}`, {
      ...(cause === undefined ? {} : { cause }),
      details: { thread: this.name, incarnation: this.incarnation, exit_code: exitCode },
      retryable: true,
    });
    this.#cause = ended;
    const listeners = [...this.#listeners];
    this.#listeners.clear();
    for (const listener of listeners) listener(ended);
  }
}

// An error that ends a thread arrives as a plain Error that still has the own properties of what was thrown.
function crossed(error: unknown): WireError {
  const wire = encodeError(error);
  if (!(error instanceof Error)) return wire;
  const { details, retryable } = error as Partial<HoldfastError>;
  return {
    ...wire,
    details: typeof details === 'object' ? details : {},
    retryable: retryable === true,
    cause: error.cause === undefined ? null : crossed(error.cause),
  };
}

/**
 * How a thread gets Node's options. It inherits the process's, those of V8 among them, which a thread refuses where they are given to it; but
 * not where the program was given as text: options about that are none for a file, and are inherited too.
 */
export function threadExecArgv(): { readonly execArgv?: string[] } {
  return process.execArgv.some((option) => /^(-e|-p|--eval|--print|--input-type)/.test(option)) ? { execArgv: [] } : {};
}

/** The environment of a thread: the names given, where they are set, and what a coverage run needs to reach threads. */
export function threadEnv(names: readonly string[] = []): Record<string, string> {
  const env: Record<string, string> = {};
  for (const name of ['NODE_V8_COVERAGE', ...names]) {
    const value = process.env[name];
    if (value !== undefined) env[name] = value;
  }
  return env;
}
