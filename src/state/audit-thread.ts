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
  return Object.assign(thread, { port: port1 });
};
