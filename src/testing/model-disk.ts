import { basename, dirname } from 'node:path';
import { errnoError } from '../persistence/errno.ts';
import type { FileHandle, FileStat, FileSystem } from '../persistence/file-system.ts';
import { type ModelCall, type ModelDiskOptions, PowerCut } from './model-disk-call.ts';
import {
  type CrashStates,
  type CrashStatesOptions,
  crashStates,
  type DiskState,
  randomCrashState,
  stateNow,
} from './model-disk-crash.ts';
import { ModelFile } from './model-disk-file.ts';
import { ModelNames, rootInode } from './model-disk-names.ts';
import { diskOf } from './model-disk-tree.ts';

export { type ModelCall, type ModelDiskOptions, PowerCut } from './model-disk-call.ts';
export type { CrashStates, CrashStatesOptions, DiskEntry, DiskState } from './model-disk-crash.ts';
export { seededRandom } from './model-disk-random.ts';

/*
 * A disk in memory that keeps what is synced apart from what is not, and so can tell every disk that a power cut may leave.
 *
 * D1  Data. fsync and fdatasync of a file make its bytes and its size durable, and nothing else: neither its name nor another
 *     file. Before that a crash keeps any subset of the blocks written (512 bytes, aligned; one block is kept whole or not at
 *     all), in any order, with the size that follows from them or with the newest size; what is missing reads as it was before,
 *     or as zeros. ext4 (data=ordered) and XFS never show another file's old bytes, so neither does this.
 * D2  Names. A create, link, rename, unlink or mkdir is on the disk whole or not at all, also a rename between two directories:
 *     ext4, XFS and btrfs keep these in a journal. fsyncDirectory makes the operations of that directory durable.
 *     order 'any' (default): before that a crash keeps any subset of the operations, in any mixture with data: all that POSIX
 *     allows, and more than ext4 and XFS do, whose journal keeps a prefix. Operations on one entry stay in their order.
 *     order 'prefix': what ext4 and XFS do: a crash keeps a prefix of all operations, and an fsync of any file or directory
 *     writes the journal, so all operations before it are durable. fdatasync is not relied upon to do that.
 * D3  Data and names are not ordered: a name may be there while the data is not (a rename that was not preceded by an fsync),
 *     and the data of a file without a name is gone.
 * D4  After a failed sync the cache shows the new bytes and takes them for clean: the next sync says OK and writes none of them.
 *     Whether the device has them nobody knows, so a crash at any later time keeps any subset. (A failed sync of a directory
 *     leaves its operations as they were: journalling file systems go read-only instead.)
 * D5  A kill of the process loses nothing (clone). The clock does not tick: mtimeMs counts changes.
 */

interface OpenFile {
  readonly file: ModelFile;
  readonly writable: boolean;
}

/**
 * A disk in memory behind the same calls as the operating system's files, which a worker or a store takes in their place. It keeps what
 * is synced apart from what is not, so that {@link ModelDisk.crashStates} can tell every disk that a power cut at this moment may leave.
 */
export class ModelDisk implements FileSystem {
  /** Called before each call that changes or syncs something: the moment to look at {@link crashStates}. What it throws the call throws. */
  before: (call: ModelCall) => void = () => {};
  /** Files that were opened for reading or looked at: what is in another one cannot have mattered to who read. */
  readonly looked: Set<string> = new Set<string>();
  readonly #options: Required<ModelDiskOptions>;
  readonly #names: ModelNames;
  readonly #files = new Map<number, ModelFile>();
  readonly #open = new Map<number, OpenFile>();
  readonly #failing: { readonly matches: (path: string) => boolean; left: number }[] = [];
  #next = rootInode + 1;
  #calls = 0;
  #cutBefore = Number.POSITIVE_INFINITY;

  constructor(options: ModelDiskOptions = {}, names: ModelNames = new ModelNames()) {
    const { blockBytes = 512, order = 'any', writeBytesMax = Number.MAX_SAFE_INTEGER } = options;
    this.#options = { blockBytes, order, writeBytesMax };
    this.#names = names;
  }

  /** The disk that a power cut left. */
  static from(state: DiskState, options: ModelDiskOptions = {}): ModelDisk {
    const { tree, files, last } = diskOf(state);
    const disk = new ModelDisk(options, new ModelNames(tree));
    for (const [inode, file] of files) disk.#files.set(inode, file);
    disk.#next = last + 1;
    return disk;
  }

  /** What the next process finds after a kill: cache and disk as they are, nothing open, no hook, no fault to come. */
  clone(): ModelDisk {
    const clone = new ModelDisk(this.#options, this.#names.clone());
    for (const [inode, file] of this.#files) clone.#files.set(inode, file.clone());
    clone.#next = this.#next;
    return clone;
  }

  /** Every disk that may be found after a power cut now. */
  crashStates(options: CrashStatesOptions = {}): CrashStates {
    return crashStates(this.#names, this.#files, this.#options.order, options);
  }

  /** One of them. */
  randomCrashState(random: () => number): DiskState {
    return randomCrashState(this.#names, this.#files, this.#options.order, random);
  }

  /** What reads show, as if all of it were durable. */
  state(): DiskState {
    return stateNow(this.#names, this.#files);
  }

  /** How many calls changed or synced something. */
  get calls(): number {
    return this.#calls;
  }

  /** The power goes right before that call: from the end of the one before it everything throws {@link PowerCut}; {@link crashStates} tells what is left. */
  cutBefore(call: number): void {
    this.#cutBefore = call;
  }

  /** The next `times` fsyncs or fdatasyncs of files whose path matches fail with EIO (D4). */
  failSyncs(matches: (path: string) => boolean, times = 1): void {
    this.#failing.push({ matches, left: times });
  }

  create(path: string): FileHandle {
    this.#changing('create', path);
    const directory = this.#directory('open', dirname(path));
    if (directory.has(basename(path))) throw errnoError('EEXIST', 'open', path);
    const file = new ModelFile(this.#next++);
    this.#files.set(file.inode, file);
    this.#entry(path, file.inode, true);
    return this.#opened(path, file, true);
  }

  openRead(path: string): FileHandle {
    this.#alive();
    this.looked.add(path);
    return this.#opened(path, this.#file('open', path), false);
  }

  /** Beyond the seam: an existing file for writing, which Holdfast never does. For trying what would happen if it did. */
  openWrite(path: string): FileHandle {
    this.#alive();
    return this.#opened(path, this.#file('open', path), true);
  }

  write(handle: FileHandle, bytes: Uint8Array, offset: number, length: number, position: number): number {
    this.#changing('write', handle.path);
    const count = Math.min(length, this.#options.writeBytesMax);
    const part = Buffer.from(bytes.subarray(offset, offset + count));
    this.#writable('write', handle).write(part, position, this.#options.blockBytes);
    return part.length;
  }

  read(handle: FileHandle, bytes: Uint8Array, offset: number, length: number, position: number): number {
    this.#alive();
    const { file } = this.#handle('read', handle);
    const part = file.cache.subarray(position, position + length);
    bytes.set(part, offset);
    return part.length;
  }

  truncate(handle: FileHandle, length: number): void {
    this.#changing('truncate', handle.path);
    this.#writable('ftruncate', handle).truncate(length);
  }

  fsync(handle: FileHandle): void {
    this.#changing('fsync', handle.path);
    this.#sync('fsync', handle);
    if (this.#options.order === 'prefix') this.#names.syncAll();
  }

  fdatasync(handle: FileHandle): void {
    this.#changing('fdatasync', handle.path);
    this.#sync('fdatasync', handle);
  }

  close(handle: FileHandle): void {
    this.#alive();
    this.#handle('close', handle);
    this.#open.delete(handle.fd);
  }

  link(from: string, to: string): void {
    this.#changing('link', from, to);
    const { inode } = this.#file('link', from);
    if (this.#directory('link', dirname(to)).has(basename(to))) throw errnoError('EEXIST', 'link', to);
    this.#entry(to, inode, true);
  }

  rename(from: string, to: string): void {
    this.#changing('rename', from, to);
    const inode = this.#inode('rename', from);
    const replaced = this.#directory('rename', dirname(to)).get(basename(to));
    if (replaced === inode) return;
    if (replaced !== undefined && this.#names.live.has(replaced) !== this.#names.live.has(inode)) {
      throw errnoError(this.#names.live.has(replaced) ? 'EISDIR' : 'ENOTDIR', 'rename', from);
    }
    if ((this.#names.live.get(replaced ?? inode)?.size ?? 0) > 0 && replaced !== undefined) {
      throw errnoError('ENOTEMPTY', 'rename', from);
    }
    this.#names.change([
      { directory: this.#inode('rename', dirname(from)), name: basename(from), inode, present: false },
      { directory: this.#inode('rename', dirname(to)), name: basename(to), inode, present: true },
    ]);
  }

  unlink(path: string): void {
    this.#changing('unlink', path);
    this.#entry(path, this.#file('unlink', path).inode, false);
  }

  mkdir(path: string): void {
    this.#changing('mkdir', path);
    const missing: string[] = [];
    for (let at = path; this.#lookup(at) === null; at = dirname(at)) missing.unshift(at);
    const top = missing.length === 0 ? path : dirname(String(missing[0]));
    if (!this.#names.live.has(this.#inode('mkdir', top))) {
      throw errnoError(missing.length === 0 ? 'EEXIST' : 'ENOTDIR', 'mkdir', path);
    }
    for (const made of missing) {
      const inode = this.#next++;
      this.#names.addDirectory(inode);
      this.#entry(made, inode, true);
    }
  }

  readdir(path: string): string[] {
    this.#alive();
    return [...this.#directory('scandir', path).keys()];
  }

  lstat(path: string): FileStat {
    this.#alive();
    this.looked.add(path);
    const inode = this.#inode('lstat', path);
    const file = this.#files.get(inode);
    const uid = process.getuid?.() ?? 0;
    if (file === undefined) return { kind: 'directory', size: 0, mode: 0o700, uid, inode, mtimeMs: 0 };
    return { kind: 'file', size: file.cache.length, mode: 0o600, uid, inode, mtimeMs: file.changes };
  }

  fsyncDirectory(path: string): void {
    this.#changing('fsyncDirectory', path);
    this.#directory('open', path);
    if (this.#options.order === 'prefix') this.#names.syncAll();
    else this.#names.sync(this.#inode('open', path));
  }

  /** ext4's. */
  statfsType(path: string): number {
    this.#alive();
    this.#inode('statfs', path);
    return 0xef53;
  }

  #changing(call: ModelCall['call'], path: string, to: string | null = null): void {
    this.#alive();
    this.before({ number: this.#calls + 1, call, path, to });
    this.#calls += 1;
  }

  #alive(): void {
    if (this.#calls + 1 >= this.#cutBefore) throw new PowerCut(`the power was cut before call ${this.#cutBefore}`);
  }

  #sync(syscall: string, handle: FileHandle): void {
    const { file } = this.#handle(syscall, handle);
    const failing = this.#failing.find(({ matches, left }) => left > 0 && matches(handle.path));
    if (failing === undefined) {
      file.sync();
      return;
    }
    failing.left -= 1;
    file.failSync();
    throw errnoError('EIO', syscall, handle.path);
  }

  #entry(path: string, inode: number, present: boolean): void {
    this.#names.change([{ directory: this.#inode('open', dirname(path)), name: basename(path), inode, present }]);
  }

  #lookup(path: string): number | null {
    let inode: number | undefined = rootInode;
    for (const name of path.split('/')) {
      if (name === '') continue;
      inode = inode === undefined ? undefined : this.#names.live.get(inode)?.get(name);
    }
    return inode ?? null;
  }

  #inode(syscall: string, path: string): number {
    const inode = this.#lookup(path);
    if (inode === null) throw errnoError('ENOENT', syscall, path);
    return inode;
  }

  #file(syscall: string, path: string): ModelFile {
    const file = this.#files.get(this.#inode(syscall, path));
    if (file === undefined) throw errnoError('EISDIR', syscall, path);
    return file;
  }

  #directory(syscall: string, path: string): Map<string, number> {
    const entries = this.#names.live.get(this.#inode(syscall, path));
    if (entries === undefined) throw errnoError('ENOTDIR', syscall, path);
    return entries;
  }

  #opened(path: string, file: ModelFile, writable: boolean): FileHandle {
    const handle = { fd: this.#next++, path };
    this.#open.set(handle.fd, { file, writable });
    return handle;
  }

  #handle(syscall: string, handle: FileHandle): OpenFile {
    const open = this.#open.get(handle.fd);
    if (open === undefined) throw errnoError('EBADF', syscall, handle.path);
    return open;
  }

  #writable(syscall: string, handle: FileHandle): ModelFile {
    const { file, writable } = this.#handle(syscall, handle);
    if (!writable) throw errnoError('EBADF', syscall, handle.path);
    return file;
  }
}
