import { StateError } from '../model/errors.ts';
import type { StateCheckpoint } from '../model/snapshot.ts';
import type { CheckpointStore } from './checkpoint-store.ts';
import type { FileSystem } from './file-system.ts';
import { readChain } from './journal-chain.ts';
import type { Evidence, Generation } from './restore-errors.ts';

export interface ReadEvidence extends Evidence {
  /** The newest valid checkpoint of each strategy, which is nearly always the one to start from, so that it is read once. */
  readonly newest: ReadonlyMap<string, { readonly generation: Generation; readonly checkpoint: StateCheckpoint }>;
}

/**
 * Reads and verifies every checkpoint, then the journal: in this order, because a running engine's journal is always ahead of its
 * checkpoints. Null where a file has gone since it was listed.
 * @throws StateError READ_FAILED, or FORMAT_NEWER naming the file
 */
export function readEvidence(fs: FileSystem, directory: string, store: CheckpointStore): ReadEvidence | null {
  const generations: Generation[] = [];
  const newest = new Map<string, { readonly generation: Generation; readonly checkpoint: StateCheckpoint }>();
  for (const listed of store.list()) {
    const { strategy, file } = listed;
    const decoded = store.read(listed);
    if (decoded.kind === 'gone') return null;
    if (decoded.kind === 'newer_format') throw newerFormat(file, decoded.why);
    if (decoded.kind !== 'ok') {
      generations.push({ ...listed, kind: decoded.kind, timestamp: null, why: decoded.why });
      continue;
    }
    const { checkpoint, seed } = decoded;
    const { epoch, sequence, timestamp } = checkpoint;
    const kind = seed ? 'seed' : 'ok';
    const generation: Generation = {
      strategy,
      file,
      newest: listed.newest,
      kind,
      epoch,
      sequence,
      timestamp,
      why: null,
    };
    generations.push(generation);
    const best = newest.get(strategy)?.generation;
    if (best === undefined || isNewer(generation, best)) newest.set(strategy, { generation, checkpoint });
  }
  const chain = readChain(fs, directory);
  return chain === null ? null : { chain, generations, newest };
}

function isNewer(a: Generation, b: Generation): boolean {
  const epochs = (a.epoch ?? 0) - (b.epoch ?? 0);
  return epochs > 0 || (epochs === 0 && (a.sequence ?? 0) > (b.sequence ?? 0));
}

function newerFormat(file: string, why: string): StateError {
  return new StateError('FORMAT_NEWER', `${file}: ${why}. It was not touched.`, { details: { path: file } });
}
