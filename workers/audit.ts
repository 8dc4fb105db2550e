import { workerData } from 'node:worker_threads';
import type { AuditWorkerData } from '../src/persistence/audit-protocol.ts';
import { AuditService } from '../src/persistence/audit-service.ts';
import { loadFileSystem } from '../src/persistence/service-load-file-system.ts';

const worker = workerData as AuditWorkerData;

const service = new AuditService({
  worker,
  fileSystem: await loadFileSystem(worker.options.fileSystem),
  onFatal: (error) => {
    // Thrown where nobody catches it, so that the thread ends by it and the supervisor sees why.
    queueMicrotask(() => {
      throw error;
    });
  },
});
service.start();
