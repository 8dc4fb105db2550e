import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { systemClock, timestamp } from '../../model/time.ts';
import { encodeCheckpoint } from '../../persistence/checkpoint-codec.ts';
import { temporaryName } from '../../persistence/checkpoint-names.ts';
import { encodeGroup, encodeRecord } from '../../persistence/journal-format.ts';
import { nodeFileSystem } from '../../persistence/node-file-system.ts';
import { segmentAheadBytes } from '../../persistence/protocol.ts';
import { SegmentFile } from '../../persistence/segment-file.ts';
import { writeFully } from '../../persistence/write-file.ts';
import { strategyAt } from './base.ts';
import { Durations } from './histogram.ts';
import { lastWriters, positionAt, strategyName } from './plan.ts';
import type { LoadRecord } from './record.ts';

/** What the disk itself takes for the two things that persistence asks of it, each in a loop with nothing beside it. */
export interface DiskProbe {
  /** One journal group, by the calls that the journal makes: a write at the end of a segment, and its fdatasync. */
  readonly append: Durations;
  /** One checkpoint: a new file, written, fsynced, closed and renamed over the older one, and the fsync of the directory. */
  readonly replace: Durations;
}

export interface DiskSizes {
  /** Bytes of a group that holds one commit. */
  readonly append: number;
  /** Bytes of one strategy's checkpoint. */
  readonly replace: number;
}

/** How many bytes the two are where the load is this. */
export function diskSizes(record: LoadRecord): DiskSizes {
  const at = timestamp(systemClock.nowMicros());
  const positions = Array.from({ length: record.changes }, (_, index) => positionAt(record, 0, 1, index));
  const strategies = [{ strategy: strategyName(0), positions }];
  const line = encodeRecord({ kind: 'delta', previous: 1_000_000, through: 1_000_001, at, strategies });
  const header = { group: 1000, segment: 1, epoch: 1, first: 1_000_000, last: 1_000_001 };
  const group = encodeGroup({ ...header, strategies: record.strategies }, [line]);
  const snapshot = strategyAt(record, 0, lastWriters({ ...record, strategies: 1 }, 0));
  const checkpoint = encodeCheckpoint(snapshot, { epoch: 1, sequence: 1_000_000, timestamp: at });
  return { append: group.length, replace: checkpoint.bytes.length };
}

const appendsMax = 1000;
const replacesMax = 100;

/** Blocks the thread for at most about twice `msMax`. What a crash leaves has the names of temporary files, which a start removes. */
export function probeDisk(directory: string, sizes: DiskSizes, msMax = 1000): DiskProbe {
  return {
    append: probeAppend(directory, sizes.append, msMax),
    replace: probeReplace(directory, sizes.replace, msMax),
  };
}

/** The first of the two alone. */
export function probeAppend(directory: string, size: number, msMax: number): Durations {
  const fs = nodeFileSystem;
  const path = join(directory, temporaryName('load.append'));
  const bytes = Buffer.alloc(size, 'x');
  const file = new SegmentFile(fs, path, segmentAheadBytes);
  try {
    // The first one also makes the file's name and first block.
    file.append(bytes, 0);
    fs.fsyncDirectory(directory);
    return repeat(appendsMax, msMax, (count) => file.append(bytes, (count + 1) * size));
  } finally {
    file.close();
    fs.unlink(path);
  }
}

/** The second of the two alone. */
export function probeReplace(directory: string, size: number, msMax: number): Durations {
  const fs = nodeFileSystem;
  const bytes = Buffer.alloc(size, 'x');
  const newest = join(directory, temporaryName('load.newest'));
  let isThere = false;
  try {
    return repeat(replacesMax, msMax, () => {
      const path = join(directory, temporaryName('load.replace'));
      const file = fs.create(path);
      writeFully(fs, file, bytes, 0);
      fs.fsync(file);
      fs.close(file);
      fs.rename(path, newest);
      isThere = true;
      fs.fsyncDirectory(directory);
    });
  } finally {
    if (isThere) fs.unlink(newest);
  }
}

function repeat(timesMax: number, msMax: number, run: (count: number) => void): Durations {
  const durations = new Durations();
  const startMs = performance.now();
  for (let count = 0; count < timesMax && (count === 0 || performance.now() - startMs < msMax); count += 1) {
    const beforeMs = performance.now();
    run(count);
    durations.addMs(performance.now() - beforeMs);
  }
  return durations;
}
