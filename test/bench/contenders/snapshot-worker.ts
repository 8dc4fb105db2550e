import { once } from 'node:events';
import { performance } from 'node:perf_hooks';
import { Worker } from 'node:worker_threads';
import { type Contender, WholeState } from '../contender.ts';

/** (c) The whole state to a worker by postMessage, which clones it on the thread that sends it. */
export const snapshotWorker: Contender = {
  key: 'c',
  name: 'full snapshot to a worker',
  async start(directory, positions) {
    const whole = new WholeState(positions);
    const worker = new Worker(new URL('./snapshot-thread.ts', import.meta.url), { workerData: directory });
    await once(worker, 'online');
    return {
      async commit(changed) {
        const beforeMs = performance.now();
        whole.replace(changed);
        worker.postMessage(whole.state);
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
