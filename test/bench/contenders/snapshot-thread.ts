import { parentPort, workerData } from 'node:worker_threads';
import { replaceFile } from './stringify-main.ts';

// The other thread of (c): takes whole states and answers when each is durable.
parentPort?.on('message', (state: unknown) => {
  replaceFile(workerData, JSON.stringify(state));
  parentPort?.postMessage('durable');
});
