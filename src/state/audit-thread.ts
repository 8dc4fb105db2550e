import { MessageChannel, type MessagePort } from 'node:worker_threads';
import { Thread, type ThreadEnd, threadEnv } from '../actor/thread.ts';
import { threadUrl } from '../actor/thread-url.ts';
import type { AuditOptions, AuditWorkerData } from '../persistence/audit-protocol.ts';

/** One incarnation of the audit worker, as the engine's thread sees it. */
export interface AuditThread extends ThreadEnd {
  readonly port: MessagePort;
  /** Ends it wherever it is; resolves when it has ended. */
  terminate(): Promise<void>;
}

export interface AuditStart {
  readonly incarnation: number;
  readonly shared: SharedArrayBuffer;
  readonly options: AuditOptions;
  readonly heapMbMax: number | null;
}

export type StartAudit = (start: AuditStart) => AuditThread;

/** Starts the worker. */
export const startAuditThread: StartAudit = ({ incarnation, shared, options, heapMbMax }) => {
  const { port1, port2 } = new MessageChannel();
  const workerData: AuditWorkerData = { port: port2, shared, incarnation, options };
  const thread = new Thread({
    name: 'audit',
    url: threadUrl('audit'),
    incarnation,
    workerData,
    transfer: [port2],
    env: threadEnv(),
    ...(heapMbMax === null ? {} : { resourceLimits: { maxOldGenerationSizeMb: heapMbMax } }),
  });
  return new Running(thread, port1);
};

class Running implements AuditThread {
  readonly port: MessagePort;
  readonly #thread: Thread;

  constructor(thread: Thread, port: MessagePort) {
    this.#thread = thread;
    this.port = port;
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
