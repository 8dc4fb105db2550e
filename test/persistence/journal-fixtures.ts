import { dirname } from 'node:path';
import type { SnapshotDelta, StrategyDelta } from '../../src/model/delta.ts';
import type { StrategySnapshot } from '../../src/model/snapshot.ts';
import { timestamp } from '../../src/model/time.ts';
import { encodeCheckpoint } from '../../src/persistence/checkpoint-codec.ts';
import { generationName, newestName } from '../../src/persistence/checkpoint-names.ts';
import { errnoError } from '../../src/persistence/errno.ts';
import type { FileHandle, FileSystem } from '../../src/persistence/file-system.ts';
import { JournalWriter } from '../../src/persistence/journal-writer.ts';
import { Mirror } from '../../src/persistence/mirror.ts';
import type { JournalRecord } from '../../src/persistence/records.ts';
import { type Restored, type RestoreOptions, restore } from '../../src/persistence/restore.ts';

export const directory = '/state';
/** 2025-10-02T14:30:00Z */
export const start = 1_759_415_400_000_000;

export function at(sequence: number): string {
  return timestamp(start + sequence * 1_000_000);
}

/** A file system in memory: directories are implied, names are whole paths, links share their file. */
export class MemoryFiles implements FileSystem {
  readonly files = new Map<string, { bytes: Buffer; inode: number }>();
  readonly directories = new Set<string>(['/', directory]);
  /** Called before each call; what it throws is what the call throws. */
  before: (call: string, path: string) => void = () => {};
  calls: string[] = [];
  /** What fsync and fdatasync made durable: lengths by inode, and names. */
  readonly #synced = new Map<number, number>();
  readonly #named = new Set<string>();
  #fds = new Map<number, { bytes: Buffer; inode: number }>();
  #next = 1;

  get open(): number {
    return this.#fds.size;
  }

  copy(): MemoryFiles {
    const copy = new MemoryFiles();
    for (const [path, { bytes, inode }] of this.files) copy.files.set(path, { bytes: Buffer.from(bytes), inode });
    for (const path of this.directories) copy.directories.add(path);
    copy.#next = this.#next;
    return copy;
  }

  /** Takes up to `cut` bytes that were not synced from every segment, and the whole segment where its name was not. */
  lose(cut: number): void {
    for (const [path, file] of this.files) {
      if (!path.endsWith('.journal')) continue;
      const kept = Math.max(this.#synced.get(file.inode) ?? 0, file.bytes.length - cut);
      if (kept < file.bytes.length) file.bytes = file.bytes.subarray(0, kept);
      if (!this.#named.has(path) && cut % 2 === 1) this.files.delete(path);
    }
  }

  put(file: string, bytes: Uint8Array): void {
    this.files.set(`${directory}/${file}`, { bytes: Buffer.from(bytes), inode: this.#next++ });
    this.directories.add(dirname(`${directory}/${file}`));
  }

  get(file: string): Buffer {
    return this.#file('read', `${directory}/${file}`).bytes;
  }

  names(folder = 'journal'): string[] {
    const prefix = `${directory}/${folder}/`;
    return [...this.files.keys()]
      .filter((path) => path.startsWith(prefix))
      .map((path) => path.slice(prefix.length))
      .sort();
  }

  create(path: string): FileHandle {
    this.#called('create', path);
    if (this.files.has(path)) throw errnoError('EEXIST', 'open', path);
    if (!this.directories.has(dirname(path))) throw errnoError('ENOENT', 'open', path);
    const file = { bytes: Buffer.alloc(0), inode: this.#next++ };
    this.files.set(path, file);
    return this.#handle(file, path);
  }

  openRead(path: string): FileHandle {
    this.#called('openRead', path);
    return this.#handle(this.#file('open', path), path);
  }

  write(handle: FileHandle, bytes: Uint8Array, offset: number, length: number, position: number): number {
    this.#called('write', handle.path);
    const file = this.#opened(handle);
    const part = bytes.subarray(offset, offset + length);
    const grown = Buffer.alloc(Math.max(file.bytes.length, position + part.length));
    file.bytes.copy(grown);
    grown.set(part, position);
    file.bytes = grown;
    return part.length;
  }

  read(handle: FileHandle, bytes: Uint8Array, offset: number, length: number, position: number): number {
    this.#called('read', handle.path);
    // Short reads are legal, so every reader must loop.
    const part = this.#opened(handle).bytes.subarray(position, position + Math.min(length, 1 << 16));
    bytes.set(part, offset);
    return part.length;
  }

  truncate(handle: FileHandle, length: number): void {
    this.#called('truncate', handle.path);
    const file = this.#opened(handle);
    file.bytes = file.bytes.subarray(0, length);
  }

  fsync(handle: FileHandle): void {
    this.#called('fsync', handle.path);
    const file = this.#opened(handle);
    this.#synced.set(file.inode, file.bytes.length);
  }

  fdatasync(handle: FileHandle): void {
    this.#called('fdatasync', handle.path);
    const file = this.#opened(handle);
    this.#synced.set(file.inode, file.bytes.length);
  }

  close(handle: FileHandle): void {
    if (!this.#fds.delete(handle.fd)) throw errnoError('EBADF', 'close', handle.path);
    this.#called('close', handle.path);
  }

  link(from: string, to: string): void {
    this.#called('link', to);
    if (this.files.has(to)) throw errnoError('EEXIST', 'link', to);
    this.files.set(to, this.#file('link', from));
  }

  rename(from: string, to: string): void {
    this.#called('rename', to);
    this.files.set(to, this.#file('rename', from));
    this.files.delete(from);
  }

  unlink(path: string): void {
    this.#called('unlink', path);
    this.#file('unlink', path);
    this.files.delete(path);
  }

  mkdir(path: string): void {
    this.#called('mkdir', path);
    this.directories.add(path);
  }

  readdir(path: string): string[] {
    this.#called('readdir', path);
    if (!this.directories.has(path)) throw errnoError('ENOENT', 'scandir', path);
    return [...this.files.keys()].filter((file) => dirname(file) === path).map((file) => file.slice(path.length + 1));
  }

  lstat(path: string): ReturnType<FileSystem['lstat']> {
    this.#called('lstat', path);
    const common = { mode: 0o600, uid: process.getuid?.() ?? 0, mtimeMs: 0 };
    if (this.directories.has(path)) return { ...common, kind: 'directory', size: 0, inode: 0 };
    const { bytes, inode } = this.#file('lstat', path);
    return { ...common, kind: 'file', size: bytes.length, inode };
  }

  fsyncDirectory(path: string): void {
    this.#called('fsyncDirectory', path);
    for (const file of this.files.keys()) if (dirname(file) === path) this.#named.add(file);
  }

  statfsType(): number {
    return 0xef53;
  }

  #called(call: string, path: string): void {
    this.calls.push(`${call} ${path}`);
    this.before(call, path);
  }

  #file(syscall: string, path: string): { bytes: Buffer; inode: number } {
    const file = this.files.get(path);
    if (file === undefined) throw errnoError('ENOENT', syscall, path);
    return file;
  }

  #handle(file: { bytes: Buffer; inode: number }, path: string): FileHandle {
    const fd = this.#next++;
    this.#fds.set(fd, file);
    return { fd, path };
  }

  #opened(handle: FileHandle): { bytes: Buffer; inode: number } {
    const file = this.#fds.get(handle.fd);
    if (file === undefined) throw errnoError('EBADF', 'write', handle.path);
    return file;
  }
}

/** A delta (previous, through] that gives each strategy a position whose amount is `through`, and a fill of its own. */
export function delta(previous: number, through: number, strategies: readonly string[] = ['alpha']): JournalRecord {
  return {
    kind: 'delta',
    previous,
    through,
    at: at(through),
    strategies: strategies.map((name) => change(name, through)),
  };
}

export function change(strategy: string, sequence: number): StrategyDelta {
  return {
    strategy,
    positions: [{ asset: `ASSET${sequence % 3}`, amount: String(sequence), cost_basis: '10.25', last_price: '11' }],
    cash: [['USD', `${1000 - sequence}.50`]],
    state: [['last', { sequence, note: 'naïve \u2028 "{\\"group\\":1"' }]],
  };
}

export interface Session {
  readonly fs: MemoryFiles;
  readonly writer: JournalWriter;
  readonly mirror: Mirror;
  readonly restored: Restored;
}

export const restoring: RestoreOptions = { currency: 'USD', staleAfterMs: 3_600_000, now: start, readOnly: false };

/** What a worker does when it opens a directory: restore, then begin. */
export function open(
  fs: MemoryFiles,
  epoch: number,
  options: { segmentBytesMax?: number; incarnation?: number } = {},
): Session {
  const restored = restore(fs, directory, restoring);
  const { mirror, recovery, base } = restored;
  const writer = new JournalWriter(fs, directory, {
    epoch,
    incarnation: options.incarnation ?? 1,
    segmentBytesMax: options.segmentBytesMax ?? 1 << 20,
    segmentAheadBytes: 0,
    nextSegment: restored.nextSegment,
  });
  writer.adopt(restored.segments);
  mirror.start(base);
  const states = mirror.strategies().map((strategy) => mirror.wholeDelta(strategy, recovery.timestamp ?? at(0), base));
  writer.begin({ epoch: recovery.epoch, sequence: recovery.sequence }, base, states, at(base));
  return { fs, writer, mirror, restored };
}

/** Appends each delta as a group of its own and applies it. */
export function commit(session: Session, ...records: readonly JournalRecord[]): void {
  for (const record of records) {
    session.writer.append([record]);
    if (record.kind === 'delta') session.mirror.apply(record as SnapshotDelta);
  }
}

/** What a checkpoint batch leaves in the directory, the older generation kept. */
export function checkpoint(
  session: Session,
  epoch: number,
  strategies: readonly string[] = session.mirror.strategies(),
): void {
  for (const strategy of strategies) {
    putCheckpoint(session.fs, session.mirror.snapshot(strategy), epoch, session.mirror.sequence);
  }
}

export function putCheckpoint(fs: MemoryFiles, snapshot: StrategySnapshot, epoch: number, sequence: number): void {
  const name = newestName(snapshot.strategy_name);
  const older = fs.files.get(`${directory}/${name}`);
  if (older !== undefined) {
    const { epoch: olderEpoch, sequence: olderSequence } = JSON.parse(older.bytes.toString()) as Record<string, number>;
    fs.put(generationName(snapshot.strategy_name, Number(olderEpoch), Number(olderSequence)), older.bytes);
  }
  fs.put(name, encodeCheckpoint(snapshot, { epoch, sequence, timestamp: at(sequence) }).bytes);
}

/** The state of every strategy, for comparing. */
export function stateOf(mirror: Mirror): Record<string, StrategySnapshot> {
  return Object.fromEntries(mirror.strategies().map((strategy) => [strategy, mirror.snapshot(strategy)]));
}

/** A mirror that applied the records in memory only. */
export function reference(records: readonly JournalRecord[]): Mirror {
  const mirror = new Mirror({ currency: 'USD' });
  for (const record of records) if (record.kind === 'delta') mirror.apply(record);
  return mirror;
}

export function restored(fs: MemoryFiles, options: Partial<RestoreOptions> = {}): Restored {
  return restore(fs, directory, { ...restoring, ...options });
}

/** Where each group of a segment begins, by its header. */
export function groupOffsets(bytes: Buffer): number[] {
  const offsets: number[] = [];
  for (let at = bytes.indexOf('{"group":'); at >= 0; at = bytes.indexOf('\n{"group":', at + 1)) {
    offsets.push(bytes[at] === 0x0a ? at + 1 : at);
  }
  return offsets;
}
