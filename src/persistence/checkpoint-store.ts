import { join } from 'node:path';
import { StateError } from '../model/errors.ts';
import { checkpointBytesMax } from './checkpoint-codec.ts';
import {
  type CheckpointName,
  isTemporaryName,
  newestName,
  parseCheckpointName,
  temporaryName,
} from './checkpoint-names.ts';
import { NewestCheckpoints, type Place } from './checkpoint-newest.ts';
import { readCheckpointFile } from './checkpoint-reader.ts';
import type { DecodedCheckpoint } from './checkpoint-schema.ts';
import { isErrno } from './errno.ts';
import type { FileSystem } from './file-system.ts';
import { quarantine } from './quarantine.ts';
import { type TemporaryFile, writeTemporaryFiles } from './temporary-files.ts';
import { withStage } from './write-file.ts';

/*
 * Checkpoint files of all strategies, in one directory. Who writes holds the directory's lock; anybody may list and read.
 *
 * C1  A name never shows half a file: bytes are complete and fsynced under a temporary name before they get their own.
 * C2  The newest generation is never absent: the older name is a second link to it, and the rename replaces the first.
 * C3  No generation is written over. A name that is taken by other bytes is settled by what the bytes are.
 * C4  What fails leaves the earlier state valid, and says stage, errno and path.
 */

export interface CheckpointStoreOptions {
  /** How many generations of a strategy are kept, the newest included. */
  readonly generations: number;
  /** What `cash_balance` of a file in the seed's format is in. Default "USD". */
  readonly currency?: string;
  /** Larger files are damaged, unread. Default and most: {@link checkpointBytesMax}. */
  readonly bytesMax?: number;
  /** What an operator may want to know although nothing failed. Default: nobody is told. */
  readonly notice?: (message: string) => void;
}

export interface GenerationFile {
  readonly strategy: string;
  /** Relative to the directory. */
  readonly file: string;
  readonly newest: boolean;
  /** Null for the newest, where only the file itself tells. */
  readonly epoch: number | null;
  readonly sequence: number | null;
}

export interface CheckpointItem {
  readonly strategy: string;
  readonly epoch: number;
  readonly sequence: number;
  /** As encodeCheckpoint gave them. */
  readonly bytes: Uint8Array;
}

export interface BatchHooks {
  /** Called between file calls that may take long, from the first to the last, so that other work of the thread gets its turn. */
  between(): void;
  /** Called when every file is durable under its temporary name; what it throws ends the batch with nothing renamed. */
  beforeRename(): void;
}

export interface BatchDone {
  /** The newest files' names, relative, in the order of the items. */
  readonly files: string[];
  readonly bytes: number;
  readonly fsyncs: number;
}

interface Written extends Place {
  readonly strategy: string;
  readonly temporary: string;
  readonly bytes: number;
}

export class CheckpointStore {
  readonly #fs: FileSystem;
  readonly #directory: string;
  readonly #generations: number;
  readonly #currency: string;
  readonly #bytesMax: number;
  readonly #notice: (message: string) => void;
  readonly #newest: NewestCheckpoints;
  /** Temporary files that exist, or may. */
  readonly #leftovers = new Set<string>();
  /** Of what became durable since the last prune, the newest of each strategy. */
  readonly #unpruned = new Map<string, Place>();

  constructor(fs: FileSystem, directory: string, options: CheckpointStoreOptions) {
    this.#fs = fs;
    this.#directory = directory;
    this.#generations = options.generations;
    this.#currency = options.currency ?? 'USD';
    this.#bytesMax = Math.min(options.bytesMax ?? checkpointBytesMax, checkpointBytesMax);
    this.#notice = options.notice ?? (() => {});
    this.#newest = new NewestCheckpoints(fs, directory, {
      read: (file) => this.read(file),
      quarantine: (file, why) => this.quarantine(file, why),
    });
  }

  /**
   * Every file with a checkpoint's name, unread: by strategy, the newest first. The newest name may be missing where it was
   * quarantined. @throws StateError READ_FAILED
   */
  list(): readonly GenerationFile[] {
    const files: GenerationFile[] = [];
    for (const file of withStage('read', this.#directory, () => this.#fs.readdir(this.#directory))) {
      const name = parseCheckpointName(file);
      if (name !== null) files.push(generationFile(file, name));
    }
    return files.sort(byStrategyThenNewest);
  }

  /**
   * Reads and verifies one file; changes nothing. A file that is no regular one, that others may write, or that the device
   * cannot read is damaged. `gone`: it was renamed or removed since it was listed.
   * @throws StateError READ_FAILED where reading failed for a reason outside the file, such as too many open files
   */
  read(file: string | GenerationFile): DecodedCheckpoint | { readonly kind: 'gone' } {
    const name = typeof file === 'string' ? file : file.file;
    const limits = { bytesMax: this.#bytesMax, currency: this.#currency };
    const read = readCheckpointFile(this.#fs, this.#directory, name, limits);
    if (read.kind === 'gone') return read;
    if (read.decoded.kind === 'ok' && read.stat !== null) this.#newest.learn(name, read.decoded.checkpoint, read.stat);
    return read.decoded;
  }

  /**
   * Makes the checkpoints of several strategies durable as one batch: all are written and fsynced, then all are renamed, and
   * one fsync of the directory makes the names durable. When it returns, a restore gives these. What they push out stays until
   * prune().
   * @param items is drawn from one by one, so that each may be encoded when its turn comes
   * @throws StateError WRITE_FAILED, CHECKPOINT_NOT_NEWER, CHECKPOINT_NEWER_FORMAT, CHECKPOINT_TOO_LARGE, and what `items` and
   * the hooks throw: earlier state is valid, the temporary files are gone as far as they can be removed, and some newest files
   * may already be the new ones (all of them, and durable, where a hook throws last)
   */
  writeBatch(items: Iterable<CheckpointItem>, hooks: BatchHooks): BatchDone {
    this.#removeLeftovers();
    const written: Written[] = [];
    try {
      writeTemporaryFiles(this.#fs, this.#temporaryFiles(items, written), () => hooks.between());
      hooks.beforeRename();
      for (const item of written) {
        this.#newest.keep(item);
        const to = join(this.#directory, newestName(item.strategy));
        withStage('rename', to, () => this.#fs.rename(item.temporary, to));
        this.#leftovers.delete(item.temporary);
        hooks.between();
      }
      withStage('directory fsync', this.#directory, () => this.#fs.fsyncDirectory(this.#directory));
    } catch (error) {
      this.#removeLeftovers();
      throw error;
    }
    for (const { strategy, epoch, sequence } of written) this.#unpruned.set(strategy, { epoch, sequence });
    return {
      files: written.map(({ strategy }) => newestName(strategy)),
      bytes: written.reduce((sum, { bytes }) => sum + bytes, 0),
      fsyncs: written.length + 1,
    };
  }

  /**
   * Removes the generations that saves since the last call pushed out; those of a save before which a crash came go with the
   * strategy's next. The saves are durable already, so trouble with the disk is only told.
   * @param between as of {@link BatchHooks}
   */
  prune(between: () => void): void {
    const saved = [...this.#unpruned];
    this.#unpruned.clear();
    if (saved.length === 0) return;
    let surplus: readonly string[];
    try {
      for (const [strategy, place] of saved) this.#newest.learnWritten(strategy, place);
      surplus = this.#surplus(new Set(saved.map(([strategy]) => strategy)));
    } catch (error) {
      if (!(error instanceof StateError)) throw error;
      this.#notice(`the checkpoint is durable, but older ones were not pruned: ${error.message}`);
      return;
    }
    for (const file of surplus) {
      this.#remove(join(this.#directory, file));
      between();
    }
  }

  /** Removes temporary files that a crash left, and returns their names. Only for the holder of the lock, before it writes. */
  sweep(): readonly string[] {
    const swept: string[] = [];
    for (const file of withStage('read', this.#directory, () => this.#fs.readdir(this.#directory))) {
      if (isTemporaryName(file) && this.#remove(join(this.#directory, file))) swept.push(file);
    }
    return swept;
  }

  /**
   * Moves a file (relative to the directory) to quarantine/ and returns its new relative name; nothing in quarantine/ is written
   * over. @throws StateError WRITE_FAILED
   */
  quarantine(file: string, why: string): string {
    const kept = quarantine(this.#fs, this.#directory, file, why);
    this.#notice(`${file} was moved to ${kept}: ${why}`);
    return kept;
  }

  *#temporaryFiles(items: Iterable<CheckpointItem>, written: Written[]): Generator<TemporaryFile> {
    for (const { strategy, epoch, sequence, bytes } of items) {
      if (bytes.length > this.#bytesMax) throw tooLarge(strategy, bytes.length, this.#bytesMax);
      this.#newest.refuseOlder(strategy, { epoch, sequence });
      const path = join(this.#directory, temporaryName(`${strategy}.${epoch}-${sequence}`));
      written.push({ strategy, epoch, sequence, temporary: path, bytes: bytes.length });
      // Until it has its own name it is a leftover: whatever happens, it is removed.
      this.#leftovers.add(path);
      yield { path, bytes };
    }
  }

  /** Generations of these strategies beyond the number to keep. */
  #surplus(strategies: ReadonlySet<string>): readonly string[] {
    const kept = new Map<string, number>();
    const surplus: string[] = [];
    for (const { strategy, file, newest } of this.list()) {
      if (newest || !strategies.has(strategy)) continue;
      const count = (kept.get(strategy) ?? 1) + 1;
      kept.set(strategy, count);
      if (count > this.#generations) surplus.push(file);
    }
    return surplus;
  }

  #removeLeftovers(): void {
    for (const path of [...this.#leftovers]) if (this.#remove(path)) this.#leftovers.delete(path);
  }

  /** True when it is gone; otherwise it is told, and nothing else depends on it. */
  #remove(path: string): boolean {
    try {
      withStage('unlink', path, () => this.#fs.unlink(path));
      return true;
    } catch (error) {
      if (!(error instanceof StateError)) throw error;
      if (isErrno(error.cause, 'ENOENT')) return true;
      this.#notice(error.message);
      return false;
    }
  }
}

function generationFile(file: string, { strategy, generation }: CheckpointName): GenerationFile {
  return {
    strategy,
    file,
    newest: generation === null,
    epoch: generation?.epoch ?? null,
    sequence: generation?.sequence ?? null,
  };
}

function byStrategyThenNewest(a: GenerationFile, b: GenerationFile): number {
  if (a.strategy !== b.strategy) return a.strategy < b.strategy ? -1 : 1;
  if (a.newest !== b.newest) return a.newest ? -1 : 1;
  return (b.epoch ?? 0) - (a.epoch ?? 0) || (b.sequence ?? 0) - (a.sequence ?? 0);
}

function tooLarge(strategy: string, bytes: number, bytesMax: number): StateError {
  return new StateError(
    'CHECKPOINT_TOO_LARGE',
    `the checkpoint of strategy ${strategy} has ${bytes} bytes, more than the ${bytesMax} that would be read again. Nothing was changed.`,
    { details: { strategy, bytes, bytes_max: bytesMax } },
  );
}
