import { MessageChannel, type ResourceLimits } from 'node:worker_threads';
import { type Asker, createAsker } from '../actor/ask.ts';
import { createTextRing } from '../actor/text-ring.ts';
import { Thread, type ThreadEnd, threadEnv } from '../actor/thread.ts';
import { threadUrl } from '../actor/thread-url.ts';
import {
  deltaRingBytes,
  type PersistenceControl,
  type PersistenceOptions,
  type PersistenceWorkerData,
} from '../persistence/protocol.ts';
import { type DataPort, DeltaPort } from './delta-port.ts';

/** One incarnation of the persistence worker, as the engine's thread sees it. */
export interface PersistenceThread extends ThreadEnd {
  readonly data: DataPort;
  readonly control: Asker<PersistenceControl>;
  /** Ends it wherever it is; resolves when it has ended, which a thread that is stuck in a system call does not. */
  terminate(): Promise<void>;
}

export interface PersistenceStart {
  readonly incarnation: number;
  readonly shared: SharedArrayBuffer;
  readonly options: PersistenceOptions;
  /** Default: Node's. */
  readonly resourceLimits?: ResourceLimits;
}

export type StartPersistence = (start: PersistenceStart) => PersistenceThread;

/** Starts the worker; while it runs it keeps the process alive. */
export const startPersistenceThread: StartPersistence = ({ incarnation, shared, options, ...limits }) => {
  const data = new MessageChannel();
  const control = new MessageChannel();
  const ring = createTextRing(deltaRingBytes);
  const ports = { data: data.port2, control: control.port2 };
  const workerData: PersistenceWorkerData = { ...ports, shared, ring, incarnation, options };
  const thread = new Thread({
    name: 'persistence',
    url: threadUrl('persistence'),
    incarnation,
    workerData,
    transfer: [data.port2, control.port2],
    env: threadEnv(),
    ...limits,
  });
  return Object.assign(thread, {
    data: new DeltaPort(data.port1, ring),
    control: createAsker<PersistenceControl>(control.port1, thread),
  });
};
