import { join } from 'node:path';
import { StateError } from '../model/errors.ts';
import { generationName, newestName, parseCheckpointName } from './checkpoint-names.ts';
import type { DecodedCheckpoint } from './checkpoint-schema.ts';
import { isErrno } from './errno.ts';
import type { FileStat, FileSystem } from './file-system.ts';
import { withStage } from './write-file.ts';

/** A place in the order of everything. */
export interface Place {
  readonly epoch: number;
  readonly sequence: number;
}

export interface NewestCheckpointsOptions {
  /** As of the store. */
  readonly read: (file: string) => DecodedCheckpoint | { readonly kind: 'gone' };
  readonly quarantine: (file: string, why: string) => void;
}

/** What stands under each strategy's newest name, so that nothing older replaces it and it stays when something newer does. */
export class NewestCheckpoints {
  readonly #fs: FileSystem;
  readonly #directory: string;
  readonly #options: NewestCheckpointsOptions;
  /** Where the newest file of a strategy stands in the order, and which file that was when it was learnt. */
  readonly #known = new Map<string, { readonly place: Place; readonly stat: FileStat }>();

  constructor(fs: FileSystem, directory: string, options: NewestCheckpointsOptions) {
    this.#fs = fs;
    this.#directory = directory;
    this.#options = options;
  }

  /** Remembers where the newest file stands, so that the next save need not read it. */
  learn(file: string, { epoch, sequence }: Place, stat: FileStat | null): void {
    const name = parseCheckpointName(file);
    if (stat === null || name?.generation !== null) return;
    this.#known.set(name.strategy, { place: { epoch, sequence }, stat });
  }

  /** The newest file of the strategy was just written, and stands at `place`. @throws StateError READ_FAILED */
  learnWritten(strategy: string, place: Place): void {
    const newest = newestName(strategy);
    this.learn(newest, place, this.#statOrNull(newest));
  }

  /** A sequence that goes back would put older state in the place of newer. @throws StateError CHECKPOINT_NOT_NEWER, CHECKPOINT_NEWER_FORMAT */
  refuseOlder(strategy: string, item: Place): void {
    const newest = this.#place(strategy);
    if (newest === null || compare(item, newest) >= 0) return;
    throw new StateError(
      'CHECKPOINT_NOT_NEWER',
      `strategy ${strategy}: a checkpoint of epoch ${item.epoch}, sequence ${item.sequence} would replace one of epoch ` +
        `${newest.epoch}, sequence ${newest.sequence}. Nothing was changed.`,
      { details: { strategy, epoch: item.epoch, sequence: item.sequence } },
    );
  }

  /** Gives the newest file its second name, under which it stays when the first name goes to its successor. */
  keep(item: Place & { readonly strategy: string }): void {
    const place = this.#place(item.strategy);
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
      if (this.#options.read(file).kind === 'ok') return;
      this.#options.quarantine(file, 'its name was needed for a checkpoint that is not damaged, and this one is');
      withStage('link', to, () => this.#fs.link(from, to));
    }
  }

  /** Null where there is no newest file. One that is not what it should be is moved out of the way, and that is said. */
  #place(strategy: string): Place | null {
    const file = newestName(strategy);
    const stat = this.#statOrNull(file);
    if (stat === null) return null;
    const known = this.#known.get(strategy);
    if (known !== undefined && sameFile(known.stat, stat)) return known.place;
    const decoded = this.#options.read(file);
    if (decoded.kind === 'gone') return null;
    if (decoded.kind === 'ok') return decoded.checkpoint;
    if (decoded.kind === 'newer_format') {
      throw new StateError(
        'CHECKPOINT_NEWER_FORMAT',
        `${join(this.#directory, file)}: ${decoded.why}. It was not touched.`,
        { details: { strategy, path: join(this.#directory, file) } },
      );
    }
    this.#options.quarantine(file, decoded.why);
    return null;
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

function compare(a: Place, b: Place): number {
  return a.epoch - b.epoch || a.sequence - b.sequence;
}

/** A rename or an edit gives another inode, size or time. */
function sameFile(a: FileStat, b: FileStat): boolean {
  return a.inode === b.inode && a.size === b.size && a.mtimeMs === b.mtimeMs;
}
