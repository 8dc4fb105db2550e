import { CheckpointCorrupted } from '../model/errors.ts';
import type { StateCheckpoint } from '../model/snapshot.ts';
import type { CheckpointStore } from './checkpoint-store.ts';

/** The newest checkpoint of a strategy that is valid; null where it has no file. @throws CheckpointCorrupted CHECKPOINT_CORRUPTED, StateError READ_FAILED */
export function readNewest(store: CheckpointStore, strategy: string): StateCheckpoint | null {
  const damaged: string[] = [];
  for (const file of store.list()) {
    if (file.strategy !== strategy) continue;
    const read = store.read(file);
    if (read.kind === 'ok') return read.checkpoint;
    if (read.kind !== 'gone') damaged.push(`${file.file}: ${read.why}`);
  }
  if (damaged.length === 0) return null;
  throw new CheckpointCorrupted(
    'CHECKPOINT_CORRUPTED',
    `strategy ${strategy} has no checkpoint file that can be read. ${damaged.join('; ')}. The journal still has its state; a new checkpoint mends this.`,
    { details: { strategy } },
  );
}
