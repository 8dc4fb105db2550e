import { join } from 'node:path';
import { StateError } from '../model/errors.ts';
import { checkpointBytesMax } from './checkpoint-codec.ts';
import {
  type CheckpointName,
  generationName,
  isTemporaryName,
  newestName,
  parseCheckpointName,
  temporaryName,
} from './checkpoint-names.ts';
import { readCheckpointFile } from './checkpoint-reader.ts';
import type { DecodedCheckpoint } from './checkpoint-schema.ts';
import { isErrno } from './errno.ts';
import type { FileStat, FileSystem } from './file-system.ts';
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
  /** Called between file calls that may take long, so that other work of the thread gets its turn. */
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

interface Place {
  readonly epoch: number;
  readonly sequence: number;
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
  /** Where the newest file of a strategy stands in the order, and which file that was when it was learnt. */
  readonly #newest = new Map<string, { readonly place: Place; readonly stat: FileStat }>();
  /** Temporary files that exist, or may. */
  readonly #leftovers = new Set<string>();

  constructor(fs: FileSystem, directory: string, options: CheckpointStoreOptions) {
    this.#fs = fs;
    this.#directory = directory;
    this.#generations = options.generations;
    this.#currency = options.currency ?? 'USD';
    this.#bytesMax = Math.min(options.bytesMax ?? checkpointBytesMax, checkpointBytesMax);
    this.#notice = options.notice ?? (() => {});
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
    if (read.decoded.kind === 'ok' && read.stat !== null) this.#learn(name, read.decoded.checkpoint, read.stat);
    return read.decoded;
  }

  /**
   * Makes the checkpoints of several strategies durable as one batch: all are written and fsynced, then all are renamed, and
   * one fsync of the directory makes the names durable. When it returns, a restore gives these.
   * @param items is drawn from one by one, so that each may be encoded when its turn comes
   * @throws StateError WRITE_FAILED, CHECKPOINT_NOT_NEWER, CHECKPOINT_NEWER_FORMAT, CHECKPOINT_TOO_LARGE, and what `items` and
   * the hooks throw: earlier state is valid, the temporary files are gone as far as they can be removed, and some newest files
   * may already be the new ones
   */
  writeBatch(items: Iterable<CheckpointItem>, hooks: BatchHooks): BatchDone {
    this.#removeLeftovers();
    const written: Written[] = [];
    try {
      writeTemporaryFiles(this.#fs, this.#temporaryFiles(items, written), () => hooks.between());
      hooks.beforeRename();
      for (const item of written) {
        this.#keepNewest(item);
        const to = join(this.#directory, newestName(item.strategy));
        withStage('rename', to, () => this.#fs.rename(item.temporary, to));
        this.#leftovers.delete(item.temporary);
      }
      withStage('directory fsync', this.#directory, () => this.#fs.fsyncDirectory(this.#directory));
    } catch (error) {
      this.#removeLeftovers();
      throw error;
    }
    this.#afterDurable(written);
    return {
      files: written.map(({ strategy }) => newestName(strategy)),
      bytes: written.reduce((sum, { bytes }) => sum + bytes, 0),
      fsyncs: written.length + 1,
    };
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
      this.#refuseOlder(strategy, { epoch, sequence });
      const path = join(this.#directory, temporaryName(`${strategy}.${epoch}-${sequence}`));
      written.push({ strategy, epoch, sequence, temporary: path, bytes: bytes.length });
      // Until it has its own name it is a leftover: whatever happens, it is removed.
      this.#leftovers.add(path);
      yield { path, bytes };
    }
  }

  /** A sequence that goes back would put older state in the place of newer. */
  #refuseOlder(strategy: string, item: Place): void {
    const newest = this.#newestPlace(strategy);
    if (newest === null || compare(item, newest) >= 0) return;
    throw new StateError(
      'CHECKPOINT_NOT_NEWER',
      `strategy ${strategy}: a checkpoint of epoch ${item.epoch}, sequence ${item.sequence} would replace one of epoch ` +
        `${newest.epoch}, sequence ${newest.sequence}. Nothing was changed.`,
      { details: { strategy, epoch: item.epoch, sequence: item.sequence } },
    );
  }

  /** Gives the newest file its second name, under which it stays when the first name goes to its successor. */
  #keepNewest(item: Written): void {
    const place = this.#newestPlace(item.strategy);
    // The same restore point written again replaces itself; keeping it would only push out an older one.
    if (place === null || compare(place, item) === 0) return;
    const from = join(this.#directory, newestName(item.strategy));
    const file = generationName(item.strategy, place.epoch, place.sequence);
    const to = join(this.#directory, file);
    try {
      withStage('link', to, () => this.#fs.link(from, to));
    } catch (error) {
      if (!(error instanceof StateError) || !isErrno(error.cause, 'EEXIST')) throw error;
      // A crash between link and rename leaves the same file; an earlier save of the same restore point leaves its equal.
      if (this.read(file).kind === 'ok') return;
      this.quarantine(file, 'its name was needed for a checkpoint that is not damaged, and this one is');
      withStage('link', to, () => this.#fs.link(from, to));
    }
  }

  /** Null where there is no newest file. One that is not what it should be is moved out of the way, and that is said. */
  #newestPlace(strategy: string): Place | null {
    const file = newestName(strategy);
    const stat = this.#statOrNull(file);
    if (stat === null) return null;
    const known = this.#newest.get(strategy);
    if (known !== undefined && sameFile(known.stat, stat)) return known.place;
    const decoded = this.read(file);
    if (decoded.kind === 'gone') return null;
    if (decoded.kind === 'ok') return decoded.checkpoint;
    if (decoded.kind === 'newer_format') {
      throw new StateError(
        'CHECKPOINT_NEWER_FORMAT',
        `${join(this.#directory, file)}: ${decoded.why}. It was not touched.`,
        { details: { strategy, path: join(this.#directory, file) } },
      );
    }
    this.quarantine(file, decoded.why);
    return null;
  }

  /** Remembers where the newest file stands, so that the next save need not read it. */
  #learn(file: string, { epoch, sequence }: Place, stat: FileStat | null): void {
    const name = parseCheckpointName(file);
    if (stat === null || name?.generation !== null) return;
    this.#newest.set(name.strategy, { place: { epoch, sequence }, stat });
  }

  /** The save is durable already, so trouble here is only told. */
  #afterDurable(items: readonly Written[]): void {
    try {
      for (const item of items) {
        const newest = newestName(item.strategy);
        this.#learn(newest, item, this.#statOrNull(newest));
      }
      this.#prune(new Set(items.map(({ strategy }) => strategy)));
    } catch (error) {
      if (!(error instanceof StateError)) throw error;
      this.#notice(`the checkpoint is durable, but older ones were not pruned: ${error.message}`);
    }
  }

  #prune(strategies: ReadonlySet<string>): void {
    const kept = new Map<string, number>();
    for (const { strategy, file, newest } of this.list()) {
      if (newest || !strategies.has(strategy)) continue;
      const count = (kept.get(strategy) ?? 1) + 1;
      kept.set(strategy, count);
      if (count > this.#generations) this.#remove(join(this.#directory, file));
    }
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

  #statOrNull(file: string): FileStat | null {
    const path = join(this.#directory, file);
    return withStage('read', path, () => {
      try {
        return this.#fs.lstat(path);
      } catch (error) {
        if (isErrno(error, 'ENOENT')) return null;
        throw error;
      }
    });
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

function compare(a: Place, b: Place): number {
  return a.epoch - b.epoch || a.sequence - b.sequence;
}

/** A rename or an edit gives another inode, size or time. */
function sameFile(a: FileStat, b: FileStat): boolean {
  return a.inode === b.inode && a.size === b.size && a.mtimeMs === b.mtimeMs;
}

function tooLarge(strategy: string, bytes: number, bytesMax: number): StateError {
  return new StateError(
    'CHECKPOINT_TOO_LARGE',
    `the checkpoint of strategy ${strategy} has ${bytes} bytes, more than the ${bytesMax} that would be read again. Nothing was changed.`,
    { details: { strategy, bytes, bytes_max: bytesMax } },
  );
}
