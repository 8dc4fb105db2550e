import { workerData } from 'node:worker_threads';
import { exposeOn } from '../src/actor/comlink.ts';
import type { PersistenceWorkerData } from '../src/persistence/protocol.ts';
import { PersistenceService } from '../src/persistence/service.ts';
import { loadFileSystem } from '../src/persistence/service-load-file-system.ts';

const worker = workerData as PersistenceWorkerData;

const service = new PersistenceService({
  worker,
  fileSystem: await loadFileSystem(worker.options.fileSystem),
  onFatal: (error) => {
    // Thrown where nobody catches it, so that the thread ends by it and the supervisor sees why.
    queueMicrotask(() => {
      throw error;
    });
  },
  onClosed: () => worker.control.close(),
});
exposeOn(service, worker.control);
service.start();
