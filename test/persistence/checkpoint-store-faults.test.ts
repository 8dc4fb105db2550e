import fs from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { StateError } from '../../src/model/errors.ts';
import { type BatchHooks, CheckpointStore } from '../../src/persistence/checkpoint-store.ts';
import { type FaultRule, type FaultyFileSystem, type FileCall, faulty } from '../../src/testing/faulty-file-system.ts';
import { itemOf, temporaryDirectory, unsyncedFileSystem } from '../support/checkpoint-fixtures.ts';
import { printRow } from '../support/fault-row.ts';

const quiet: BatchHooks = { between() {}, beforeRename() {} };
let directory: string;
let dispose: () => void;
let disk: FaultyFileSystem;
let notices: string[];
let store: CheckpointStore;
let saves = 0;

beforeEach(() => {
  const temporary = temporaryDirectory();
  directory = temporary.path;
  dispose = () => temporary[Symbol.dispose]();
  disk = faulty(unsyncedFileSystem);
  notices = [];
  store = new CheckpointStore(disk, directory, { generations: 3, notice: (text) => notices.push(text) });
  for (const sequence of [1, 2, 3]) save(sequence);
  disk.clearCalls();
});
afterEach(() => dispose());

const strategies = ['a', 'b'];
function save(sequence: number, cash = `${sequence}00`): void {
  store.writeBatch(
    strategies.map((name) => itemOf(name, 1, sequence, cash)),
    quiet,
  );
  store.prune(quiet.between);
}
const temporaryFiles = () => fs.readdirSync(directory).filter((file) => file.endsWith('.tmp'));

/** What somebody else would restore: for each strategy the newest generation that is valid, and how many are. */
function restorable(): readonly { readonly cash: string; readonly valid: number }[] {
  const reader = new CheckpointStore(unsyncedFileSystem, directory, { generations: 3 });
  return strategies.map((strategy) => {
    const decoded = reader
      .list()
      .filter((file) => file.strategy === strategy)
      .map((file) => reader.read(file));
    expect(decoded.every(({ kind }) => kind === 'ok')).toBe(true);
    const first = decoded[0];
    return { cash: first?.kind === 'ok' ? first.checkpoint.cash_balance : 'none', valid: decoded.length };
  });
}

function thrownBy(call: () => unknown): StateError {
  try {
    call();
  } catch (error) {
    return error as StateError;
  }
  throw new Error('it did not throw');
}

const stageOf: Partial<Record<FileCall, string>> = {
  create: 'open',
  write: 'write',
  fsync: 'fsync',
  close: 'close',
  link: 'link',
  rename: 'rename',
  directoryOpen: 'directory open',
  directoryFsync: 'directory fsync',
};
const errnos = ['EIO', 'ENOSPC', 'EDQUOT', 'EROFS', 'EACCES', 'EMFILE', 'EINTR'];
const faults = Object.keys(stageOf).flatMap((call) => errnos.map((errno) => [call as FileCall, errno] as const));

describe.each([
  ['first', 1, 1],
  ['second', 2, 1],
  ['first and every later', 1, Number.POSITIVE_INFINITY],
])('when the %s', (_, nth, times) => {
  const once = faults.filter(([call]) => nth === 1 || !call.startsWith('directory'));
  it.each(once)(
    '%s of a save fails with %s, it says so, keeps the earlier state, and the next save works',
    (call, errno) => {
      const rules: FaultRule[] = [{ call, errno, nth, times }];
      disk.setRules(rules);
      const error = thrownBy(() => save(4));
      expect(error).toMatchObject({ code: 'WRITE_FAILED', retryable: true, details: { stage: stageOf[call], errno } });
      expect(String(error.details['path']).startsWith(directory)).toBe(true);
      expect(error.message).toContain(errno);

      // Each strategy has the old state, or the new one where its rename was done already; never something else, never fewer.
      for (const { cash, valid } of restorable()) {
        expect(['300', '400']).toContain(cash);
        expect(valid).toBeGreaterThanOrEqual(3);
      }
      if (!call.startsWith('directory') && call !== 'rename' && call !== 'link') {
        expect(restorable().map(({ cash }) => cash)).toEqual(['300', '300']);
      }
      expect(temporaryFiles()).toEqual([]);

      disk.setRules([]);
      save(5);
      expect(restorable()).toEqual([
        { cash: '500', valid: 3 },
        { cash: '500', valid: 3 },
      ]);
      expect(temporaryFiles()).toEqual([]);
      saves += 1;
    },
  );
});

afterAll(() => {
  printRow(
    10,
    `checkpoint files: ${saves} saves failed by an errno, first or second call, once and for good: told, old state kept, the next works`,
  );
});

it.each(errnos)('a prune that fails with %s is told and fails no save', (errno) => {
  disk.setRules([{ call: 'unlink', errno, times: Number.POSITIVE_INFINITY }]);
  save(4);
  expect(restorable().map(({ cash }) => cash)).toEqual(['400', '400']);
  expect(notices).toHaveLength(2);
  expect(notices[0]).toContain(errno);
  disk.setRules([]);
  save(5);
  expect(restorable()).toEqual([
    { cash: '500', valid: 3 },
    { cash: '500', valid: 3 },
  ]);
});

it.each(['readdir', 'lstat'] as const)('a %s that fails once the save is durable fails no save', (call) => {
  disk.setRules([
    { call: 'directoryFsync', before: () => disk.setRules([{ call, errno: 'EIO', times: Number.POSITIVE_INFINITY }]) },
  ]);
  save(4);
  expect(notices).toEqual([expect.stringContaining('durable')]);
});

it.each(errnos)('temporary files that cannot be removed (%s) go at the next save', (errno) => {
  disk.setRules([
    { call: 'fsync', errno: 'EIO' },
    { call: 'unlink', errno, times: 2 },
  ]);
  expect(thrownBy(() => save(4)).details).toMatchObject({ stage: 'fsync', errno: 'EIO' });
  expect(temporaryFiles()).toHaveLength(2);
  disk.setRules([]);
  save(5);
  expect(temporaryFiles()).toEqual([]);
});

it('never fsyncs again a file whose fsync failed, nor renames it', () => {
  disk.setRules([{ call: 'fsync', errno: 'EIO' }]);
  thrownBy(() => save(4));
  const failed = String(disk.calls.find(({ fault }) => fault === 'EIO')?.path);
  save(5);
  const later = disk.calls.filter(({ path }) => path === failed).map(({ call }) => call);
  expect(later).toEqual(['create', 'write', 'fsync', 'close', 'unlink']);
});

it('closes each file once, whatever fails', () => {
  for (const call of ['write', 'fsync', 'close'] as const) {
    disk.clearCalls();
    disk.setRules([{ call, errno: 'EIO', nth: 2 }]);
    thrownBy(() => save(4));
    const opened = disk.calls.filter((entry) => entry.call === 'create').map(({ path }) => path);
    const closed = disk.calls.filter((entry) => entry.call === 'close').map(({ path }) => path);
    expect(closed.filter((path) => path.endsWith('.tmp')).sort()).toEqual(opened.sort());
  }
});

it('a rename that was done although it reported an error leaves the new state, and the next save works', () => {
  disk.setRules([{ call: 'rename', errno: 'EIO', done: true }]);
  thrownBy(() => save(4));
  expect(restorable().map(({ cash }) => cash)).toEqual(['400', '300']);
  expect(temporaryFiles()).toEqual([]);
  save(5);
  expect(restorable().map(({ cash }) => cash)).toEqual(['500', '500']);
});

it('writes the whole file whatever short count the system takes at first', () => {
  const length = itemOf('a', 1, 4).bytes.length;
  for (let count = 1; count <= length; count++) {
    disk.setRules([{ call: 'write', count }]);
    save(count + 3);
    expect(restorable().map(({ cash }) => cash)).toEqual([`${count + 3}00`, `${count + 3}00`]);
  }
});

it.each([1, 7, 64])('writes the whole file when the system takes %i bytes at a time', (count) => {
  disk.setRules([{ call: 'write', count, times: Number.POSITIVE_INFINITY }]);
  save(4);
  expect(restorable().map(({ cash }) => cash)).toEqual(['400', '400']);
});

it('fails when the disk is full after k bytes, for every k, and keeps the earlier state', () => {
  const length = itemOf('a', 1, 4).bytes.length;
  for (let count = 1; count < length; count += 1) {
    disk.setRules([
      { call: 'write', count },
      { call: 'write', nth: 2, errno: 'ENOSPC', times: Number.POSITIVE_INFINITY },
    ]);
    expect(thrownBy(() => save(4)).details).toMatchObject({ stage: 'write', errno: 'ENOSPC' });
    expect(temporaryFiles()).toEqual([]);
  }
  expect(restorable()).toEqual([
    { cash: '300', valid: 3 },
    { cash: '300', valid: 3 },
  ]);
  printRow(
    12,
    `seam: a checkpoint written after a short count of each of ${length} bytes, or refused where the disk is full there, 0 lost`,
  );
});

it('fails when the system takes nothing and reports no error', () => {
  disk.setRules([{ call: 'write', count: 0 }]);
  expect(thrownBy(() => save(4))).toMatchObject({ code: 'WRITE_FAILED', details: { stage: 'write', errno: null } });
  expect(restorable().map(({ cash }) => cash)).toEqual(['300', '300']);
});

it('leaves a valid directory when the process ends before any of the calls of a save', () => {
  const ends = new Error('the process ended');
  const dead: FaultRule = {
    call: [
      'create',
      'openRead',
      'write',
      'read',
      'fsync',
      'close',
      'link',
      'rename',
      'unlink',
      'directoryOpen',
      'directoryFsync',
      'readdir',
      'lstat',
    ],
    times: Number.POSITIVE_INFINITY,
    before() {
      throw ends;
    },
  };
  let points = 0;
  for (let nth = 1; ; nth++) {
    disk.setRules([{ ...dead, nth }]);
    const sequence = 3 + nth;
    let error: unknown = null;
    try {
      save(sequence);
    } catch (thrown) {
      error = thrown;
    }
    if (error === null) break;
    points++;
    expect(error).toBe(ends);
    for (const { valid } of restorable()) expect(valid).toBeGreaterThanOrEqual(3);
    // The next process: another store, which sweeps first.
    disk.setRules([]);
    store = new CheckpointStore(disk, directory, { generations: 3 });
    store.sweep();
    expect(temporaryFiles()).toEqual([]);
    save(sequence, '7');
    expect(restorable()).toEqual([
      { cash: '7', valid: 3 },
      { cash: '7', valid: 3 },
    ]);
    strategies.forEach((name) => {
      expect(fs.existsSync(join(directory, `${name}_checkpoint.json`))).toBe(true);
    });
  }
  expect(points).toBeGreaterThan(15);
});
