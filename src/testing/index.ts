/** For users' own tests: a file system that fails as told, a disk that loses power, a clock that tests move, and the paper exchange. */
export { PaperBroker } from '../brokers/paper/adapter.ts';
export { PaperExchange } from '../brokers/paper/exchange.ts';
export {
  type BrokerOperation,
  brokerOperations,
  type Misbehavior,
  type MisbehaviorKind,
  misbehaviorKinds,
} from '../brokers/paper/faults.ts';
export type { PaperExchangeOptions } from '../brokers/paper/options.ts';
export { type PaperServer, type PaperServerOptions, startPaperServer } from '../brokers/paper/server.ts';
export { createFileSystem, faulty } from './faulty-file-system.ts';
export { ManualClock } from './manual-clock.ts';
export {
  type CrashStates,
  type DiskState,
  type ModelCall,
  ModelDisk,
  type ModelDiskOptions,
  PowerCut,
  seededRandom,
} from './model-disk.ts';
export { type PaperBrokerOptions, type RunningPaperBroker, startPaperBroker } from './paper-broker.ts';
