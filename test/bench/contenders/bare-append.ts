import { once } from 'node:events';
import { performance } from 'node:perf_hooks';
import { Worker } from 'node:worker_threads';
import type { Contender } from '../contender.ts';

/**
 * The lower bound, and nothing to use: the change alone goes to a worker, which appends it and makes it durable. No state is kept, so
 * nothing could be restored in bounded time, checked, or taken back.
 */
export const bareAppend: Contender = {
  key: '0',
  name: 'lower bound: post, append',
  async start(directory) {
    const worker = new Worker(new URL('./append-thread.ts', import.meta.url), { workerData: directory });
    await once(worker, 'online');
    return {
      async commit(changed) {
        const beforeMs = performance.now();
        worker.postMessage(changed);
        const takenMs = performance.now() - beforeMs;
        await once(worker, 'message');
        return takenMs;
      },
      async close() {
        await worker.terminate();
      },
    };
  },
};
