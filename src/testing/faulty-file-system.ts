import { errnoError } from '../persistence/errno.ts';
import type { FileHandle, FileStat, FileSystem } from '../persistence/file-system.ts';
import { nodeFileSystem } from '../persistence/node-file-system.ts';

/** What a rule can aim at: the calls of the seam, with the two halves of fsyncDirectory apart. */
export const fileCalls = [
  'create',
  'openRead',
  'write',
  'read',
  'truncate',
  'fsync',
  'fdatasync',
  'close',
  'link',
  'rename',
  'unlink',
  'mkdir',
  'readdir',
  'lstat',
  'directoryOpen',
  'directoryFsync',
  'statfsType',
] as const;
export type FileCall = (typeof fileCalls)[number];

export interface FaultRule {
  readonly call: FileCall | readonly FileCall[];
  /** Which paths: a part of the path, or a pattern. All where absent. Of link and rename both names are looked at. */
  readonly path?: string | RegExp;
  /** Fires first at the nth call that matches, counted from 1. Default 1. */
  readonly nth?: number;
  /** How many calls in a row it fires for. Default 1; Infinity for a fault that stays. */
  readonly times?: number;
  /** Throws what the operating system would: "EIO", "ENOSPC" … */
  readonly errno?: string;
  /** With `errno`: the call does its work and then reports the error all the same. A close always does. Default false. */
  readonly done?: boolean;
  /** Reads or writes at most this many bytes: a short count. */
  readonly count?: number;
  /** Blocks the thread for so long before the call. */
  readonly delayMs?: number;
  /** Called before the call, for what a rule cannot say: look, wait, throw, kill. */
  readonly before?: (call: LoggedCall) => void;
  /** The rule holds while the first Int32 of this is not 0: for switching a fault on and off from another thread. */
  readonly while?: SharedArrayBuffer;
}

export interface LoggedCall {
  readonly call: FileCall;
  readonly path: string;
  /** The second name of link and rename. */
  readonly to: string | null;
  /** The errno that was reported instead of the call's own result, if any. */
  readonly fault: string | null;
}

export interface FaultyFileSystem extends FileSystem {
  /** Every call so far, in order, those that failed included. */
  readonly calls: readonly LoggedCall[];
  /** Replaces all rules; counting begins anew. Without rules the disk is well again. */
  setRules(rules: readonly FaultRule[]): void;
  clearCalls(): void;
}

/**
 * A file system that passes everything to another one, logs it, and fails as its rules say. The first rule that fires at a call
 * decides; every rule that matches counts it.
 */
export function faulty(inner: FileSystem, rules: readonly FaultRule[] = []): FaultyFileSystem {
  const log: LoggedCall[] = [];
  let active = rules.map((rule) => ({ rule, seen: 0 }));

  function firing(call: FileCall, path: string, to: string | null): FaultRule | null {
    let first: FaultRule | null = null;
    for (const entry of active) {
      if (!matches(entry.rule, call, path, to)) continue;
      entry.seen++;
      const from = entry.rule.nth ?? 1;
      const fires = entry.seen >= from && entry.seen < from + (entry.rule.times ?? 1);
      if (fires && first === null) first = entry.rule;
    }
    return first;
  }

  /** `run` gets the limit on bytes that a rule sets, if any. */
  function call<T>(name: FileCall, path: string, to: string | null, run: (count: number) => T): T {
    const rule = firing(name, path, to);
    const logged: LoggedCall = { call: name, path, to, fault: rule?.errno ?? null };
    log.push(logged);
    if (rule?.delayMs !== undefined) sleep(rule.delayMs);
    rule?.before?.(logged);
    if (rule?.errno === undefined) return run(rule?.count ?? Number.POSITIVE_INFINITY);
    // Linux gives a descriptor back even when close reports an error.
    if (rule.done === true || name === 'close') run(rule.count ?? Number.POSITIVE_INFINITY);
    throw errnoError(rule.errno, syscalls[name], path);
  }

  return {
    get calls(): readonly LoggedCall[] {
      return log;
    },
    setRules(next: readonly FaultRule[]): void {
      active = next.map((rule) => ({ rule, seen: 0 }));
    },
    clearCalls(): void {
      log.length = 0;
    },
    create: (path: string): FileHandle => call('create', path, null, () => inner.create(path)),
    openRead: (path: string): FileHandle => call('openRead', path, null, () => inner.openRead(path)),
    write: (file: FileHandle, bytes: Uint8Array, offset: number, length: number, position: number): number =>
      call('write', file.path, null, (count) => inner.write(file, bytes, offset, Math.min(count, length), position)),
    read: (file: FileHandle, bytes: Uint8Array, offset: number, length: number, position: number): number =>
      call('read', file.path, null, (count) => inner.read(file, bytes, offset, Math.min(count, length), position)),
    truncate: (file: FileHandle, length: number): void =>
      call('truncate', file.path, null, () => inner.truncate(file, length)),
    fsync: (file: FileHandle): void => call('fsync', file.path, null, () => inner.fsync(file)),
    fdatasync: (file: FileHandle): void => call('fdatasync', file.path, null, () => inner.fdatasync(file)),
    close: (file: FileHandle): void => call('close', file.path, null, () => inner.close(file)),
    link: (from: string, to: string): void => call('link', from, to, () => inner.link(from, to)),
    rename: (from: string, to: string): void => call('rename', from, to, () => inner.rename(from, to)),
    unlink: (path: string): void => call('unlink', path, null, () => inner.unlink(path)),
    mkdir: (path: string): void => call('mkdir', path, null, () => inner.mkdir(path)),
    readdir: (path: string): string[] => call('readdir', path, null, () => inner.readdir(path)),
    lstat: (path: string): FileStat => call('lstat', path, null, () => inner.lstat(path)),
    fsyncDirectory(path: string): void {
      call('directoryOpen', path, null, () => {});
      call('directoryFsync', path, null, () => inner.fsyncDirectory(path));
    },
    statfsType: (path: string): number => call('statfsType', path, null, () => inner.statfsType(path)),
  };
}

/** For the persistence worker, which loads its file system by module and options: node:fs with the rules of `options`. */
export function createFileSystem(options: { readonly rules?: readonly FaultRule[] } = {}): FaultyFileSystem {
  return faulty(nodeFileSystem, options.rules);
}

function matches(rule: FaultRule, call: FileCall, path: string, to: string | null): boolean {
  if (rule.while !== undefined && Atomics.load(new Int32Array(rule.while), 0) === 0) return false;
  if (typeof rule.call === 'string' ? rule.call !== call : !rule.call.includes(call)) return false;
  const pattern = rule.path;
  if (pattern === undefined) return true;
  const names = to === null ? [path] : [path, to];
  return names.some((name) => (typeof pattern === 'string' ? name.includes(pattern) : name.search(pattern) >= 0));
}

const syscalls: Readonly<Record<FileCall, string>> = {
  create: 'open',
  openRead: 'open',
  write: 'write',
  read: 'read',
  truncate: 'ftruncate',
  fsync: 'fsync',
  fdatasync: 'fdatasync',
  close: 'close',
  link: 'link',
  rename: 'rename',
  unlink: 'unlink',
  mkdir: 'mkdir',
  readdir: 'scandir',
  lstat: 'lstat',
  directoryOpen: 'open',
  directoryFsync: 'fsync',
  statfsType: 'statfs',
};

/** Blocks this thread, as a slow disk does. */
function sleep(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}
