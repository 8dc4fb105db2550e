import { fdatasyncSync, openSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { parentPort, workerData } from 'node:worker_threads';

// The other thread of the lower bound: what it gets becomes a line at the end of a file.
const file = openSync(join(workerData, 'changes'), 'a', 0o600);
parentPort?.on('message', (changed: unknown) => {
  writeSync(file, `${JSON.stringify(changed)}\n`);
  fdatasyncSync(file);
  parentPort?.postMessage('durable');
});
