import { MessageChannel, type MessagePort } from 'node:worker_threads';
import { type Asker, createAsker } from '../actor/ask.ts';
import { Thread, type ThreadEnd, threadEnv } from '../actor/thread.ts';
import { threadUrl } from '../actor/thread-url.ts';
import type { PersistenceControl, PersistenceOptions, PersistenceWorkerData } from '../persistence/protocol.ts';

/** One incarnation of the persistence worker, as the engine's thread sees it. */
export interface PersistenceThread extends ThreadEnd {
  readonly data: MessagePort;
  readonly control: Asker<PersistenceControl>;
  /** Ends it wherever it is; resolves when it has ended, which a thread that is stuck in a system call does not. */
  terminate(): Promise<void>;
}

export interface PersistenceStart {
  readonly incarnation: number;
  readonly shared: SharedArrayBuffer;
  readonly options: PersistenceOptions;
}

export type StartPersistence = (start: PersistenceStart) => PersistenceThread;

/** Starts the worker; while it runs it keeps the process alive. */
export const startPersistenceThread: StartPersistence = ({ incarnation, shared, options }) => {
  const data = new MessageChannel();
  const control = new MessageChannel();
  const workerData: PersistenceWorkerData = { data: data.port2, control: control.port2, shared, incarnation, options };
  const thread = new Thread({
    name: 'persistence',
    url: threadUrl('persistence'),
    incarnation,
    workerData,
    transfer: [data.port2, control.port2],
    env: threadEnv(),
  });
  return new Running(thread, data.port1, createAsker<PersistenceControl>(control.port1, thread));
};

class Running implements PersistenceThread {
  readonly data: MessagePort;
  readonly control: Asker<PersistenceControl>;
  readonly #thread: Thread;

  constructor(thread: Thread, data: MessagePort, control: Asker<PersistenceControl>) {
    this.#thread = thread;
    this.data = data;
    this.control = control;
  }

  get cause(): Error | null {
    return this.#thread.cause;
  }

  onEnd(listener: (cause: Error) => void): () => void {
    return this.#thread.onEnd(listener);
  }

  terminate(): Promise<void> {
    return this.#thread.terminate();
  }
}
