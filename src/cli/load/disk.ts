import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { temporaryName } from '../../persistence/checkpoint-names.ts';
import { nodeFileSystem } from '../../persistence/node-file-system.ts';
import { writeFully } from '../../persistence/write-file.ts';
import { Durations } from './histogram.ts';

/** What the disk itself takes for the two things that persistence asks of it, each in a loop with nothing beside it. */
export interface DiskProbe {
  /** One journal group: a write at the end of a file, and its fdatasync. */
  readonly append: Durations;
  /** One checkpoint: a new file, written, fsynced, closed and renamed over the older one, and the fsync of the directory. */
  readonly replace: Durations;
}

const appendsMax = 1000;
const replacesMax = 100;

/**
 * Blocks the thread for at most about twice `msMax`. What a crash leaves has the names of temporary files, which a start removes.
 * @param sizes bytes of a group and of a checkpoint
 */
export function probeDisk(
  directory: string,
  sizes: { readonly append: number; readonly replace: number },
  msMax = 1000,
): DiskProbe {
  return { append: appends(directory, sizes.append, msMax), replace: replaces(directory, sizes.replace, msMax) };
}

function appends(directory: string, size: number, msMax: number): Durations {
  const fs = nodeFileSystem;
  const path = join(directory, temporaryName('load.append'));
  const bytes = Buffer.alloc(size, 'x');
  const file = fs.create(path);
  try {
    // The first one also makes the file's name and first block.
    writeFully(fs, file, bytes, 0);
    fs.fdatasync(file);
    fs.fsyncDirectory(directory);
    return repeat(appendsMax, msMax, (count) => {
      writeFully(fs, file, bytes, (count + 1) * size);
      fs.fdatasync(file);
    });
  } finally {
    fs.close(file);
    fs.unlink(path);
  }
}

function replaces(directory: string, size: number, msMax: number): Durations {
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
