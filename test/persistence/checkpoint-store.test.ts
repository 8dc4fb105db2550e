import fs from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type BatchHooks, type CheckpointItem, CheckpointStore } from '../../src/persistence/checkpoint-store.ts';
import { faulty } from '../../src/testing/faulty-file-system.ts';
import { itemOf, temporaryDirectory, unsyncedFileSystem } from '../support/checkpoint-fixtures.ts';

const quiet: BatchHooks = { between() {}, beforeRename() {} };
let directory: string;
let dispose: () => void;
let notices: string[];
let store: CheckpointStore;

beforeEach(() => {
  const temporary = temporaryDirectory();
  directory = temporary.path;
  dispose = () => temporary[Symbol.dispose]();
  notices = [];
  store = newStore();
});
afterEach(() => dispose());

function newStore(generations = 3): CheckpointStore {
  return new CheckpointStore(unsyncedFileSystem, directory, { generations, notice: (text) => notices.push(text) });
}
const path = (file: string) => join(directory, file);
const files = () => fs.readdirSync(directory).sort();
const save = (sequence: number, cash?: string, epoch = 1) => saveAll([itemOf('s', epoch, sequence, cash)]);
function saveAll(items: readonly CheckpointItem[]): void {
  store.writeBatch(items, quiet);
  store.prune(quiet.between);
}
function cashOf(file: string): string {
  const decoded = store.read(file);
  return decoded.kind === 'ok' ? decoded.checkpoint.cash_balance : decoded.kind;
}

describe('writeBatch', () => {
  it('keeps the newest under its own name, and as many older ones as it was told', () => {
    for (let sequence = 1; sequence <= 5; sequence++) save(sequence, `${sequence}00`);
    expect(files()).toEqual(['s_checkpoint.1-3.json', 's_checkpoint.1-4.json', 's_checkpoint.json']);
    expect(files().map(cashOf)).toEqual(['300', '400', '500']);
    expect(fs.statSync(path('s_checkpoint.json')).mode & 0o777).toBe(0o600);
    expect(notices).toEqual([]);
  });

  it('orders generations by epoch first', () => {
    for (const [epoch, sequence] of [
      [1, 900],
      [2, 5],
      [2, 1000],
      [10, 7],
    ] as const) {
      save(sequence, '1', epoch);
    }
    expect(store.list().map(({ epoch, sequence }) => [epoch, sequence])).toEqual([
      [null, null],
      [2, 1000],
      [2, 5],
    ]);
  });

  it('goes on where another process stopped, whose newest file it has to read', () => {
    save(1, '100');
    store = newStore();
    save(2, '200', 2);
    expect(files().map(cashOf)).toEqual(['100', '200']);
    expect(files()).toEqual(['s_checkpoint.1-1.json', 's_checkpoint.json']);
  });

  it('prunes only the strategies that it wrote', () => {
    for (let sequence = 1; sequence <= 4; sequence++) {
      saveAll([itemOf('a', 1, sequence), itemOf('b', 1, sequence)]);
    }
    store = newStore(2);
    saveAll([itemOf('a', 1, 5)]);
    expect(files()).toEqual([
      'a_checkpoint.1-4.json',
      'a_checkpoint.json',
      'b_checkpoint.1-2.json',
      'b_checkpoint.1-3.json',
      'b_checkpoint.json',
    ]);
  });

  it('removes nothing, so that whoever waits for it need not wait for that; what a crash left so goes with the next save', () => {
    for (let sequence = 1; sequence <= 5; sequence += 1) store.writeBatch([itemOf('s', 1, sequence)], quiet);
    expect(files()).toHaveLength(5);
    store = newStore();
    store.prune(quiet.between);
    expect(files()).toHaveLength(5);
    save(6);
    expect(files()).toEqual(['s_checkpoint.1-4.json', 's_checkpoint.1-5.json', 's_checkpoint.json']);
  });

  it('keeps as many as it was told also where somebody removed one and put another there meanwhile', () => {
    for (let sequence = 1; sequence <= 3; sequence += 1) save(sequence);
    store.writeBatch([itemOf('s', 1, 5)], quiet);
    fs.rmSync(path('s_checkpoint.1-3.json'));
    fs.copyFileSync(path('s_checkpoint.1-2.json'), path('s_checkpoint.1-4.json'));
    store.prune(quiet.between);
    expect(files()).toEqual(['s_checkpoint.1-2.json', 's_checkpoint.1-4.json', 's_checkpoint.json']);
  });

  it('says what it wrote', () => {
    const items = [itemOf('a', 1, 1), itemOf('b', 1, 2)];
    const bytes = items.reduce((sum, item) => sum + item.bytes.length, 0);
    expect(store.writeBatch(items, quiet)).toEqual({
      files: ['a_checkpoint.json', 'b_checkpoint.json'],
      bytes,
      fsyncs: 3,
    });
    expect(store.writeBatch([], quiet)).toMatchObject({ files: [], bytes: 0 });
  });

  it('writes and fsyncs all files, then lets the journal catch up, then renames all, then fsyncs the directory once', () => {
    const disk = faulty(unsyncedFileSystem);
    const counted = new CheckpointStore(disk, directory, { generations: 3 });
    const items = Array.from({ length: 40 }, (_, index) => itemOf(`s${index}`, 1, 1));
    let between = 0;
    let before: readonly string[] = [];
    counted.writeBatch(items, {
      between: () => between++,
      beforeRename() {
        before = disk.calls.map(({ call }) => call);
        expect(files().every((file) => file.endsWith('.tmp'))).toBe(true);
      },
    });
    const count = (calls: readonly string[], name: string) => calls.filter((call) => call === name).length;
    expect(['create', 'write', 'fsync', 'close'].map((name) => count(before, name))).toEqual([40, 40, 40, 40]);
    expect(['rename', 'directoryFsync'].map((name) => count(before, name))).toEqual([0, 0]);
    const after = disk.calls.slice(before.length).map(({ call }) => call);
    expect(['create', 'write', 'fsync', 'rename', 'directoryFsync'].map((name) => count(after, name))).toEqual([
      0, 0, 0, 40, 1,
    ]);
    expect(after.lastIndexOf('rename')).toBeLessThan(after.indexOf('directoryFsync'));
    // After each write, each fsync and each rename.
    expect(between).toBe(120);
  });

  it('has at most 32 files open at once, however many strategies there are', () => {
    let open = 0;
    let most = 0;
    const disk = faulty(unsyncedFileSystem, [
      { call: 'create', times: 100, before: () => (most = Math.max(most, ++open)) },
      { call: 'close', path: '.tmp', times: 100, before: () => open-- },
    ]);
    const many = Array.from({ length: 100 }, (_, index) => itemOf(`s${index}`, 1, 1));
    new CheckpointStore(disk, directory, { generations: 3 }).writeBatch(many, quiet);
    expect([open, most]).toEqual([0, 32]);
    expect(files()).toHaveLength(100);
  });

  it('fsyncs each file before it closes it, and after its last byte', () => {
    const disk = faulty(unsyncedFileSystem, [{ call: 'write', times: 3, count: 100 }]);
    new CheckpointStore(disk, directory, { generations: 3 }).writeBatch([itemOf('s', 1, 1)], quiet);
    const temporary = disk.calls.filter(({ path: file }) => file.endsWith('.tmp')).map(({ call }) => call);
    expect(temporary).toEqual(['create', 'write', 'write', 'write', 'write', 'fsync', 'close', 'rename']);
  });

  it('draws items one by one, so that each can be made when its turn comes', () => {
    const order: string[] = [];
    function* items() {
      for (const name of ['a', 'b']) {
        order.push(`make ${name}`);
        yield itemOf(name, 1, 1);
      }
    }
    store.writeBatch(items(), { between: () => order.push('between'), beforeRename() {} });
    expect(order).toEqual(['make a', 'between', 'make b', ...Array.from({ length: 5 }, () => 'between')]);
  });

  it.each<[string, Partial<BatchHooks>]>([
    ['between', { between: () => fail() }],
    ['beforeRename', { beforeRename: () => fail() }],
  ])('changes nothing when %s throws', (_, hook) => {
    save(1, '100');
    expect(() => store.writeBatch([itemOf('a', 1, 2), itemOf('s', 1, 2)], { ...quiet, ...hook })).toThrow('not now');
    expect(files()).toEqual(['s_checkpoint.json']);
    expect(cashOf('s_checkpoint.json')).toBe('100');
  });

  it('changes nothing when an item cannot be made', () => {
    function* items() {
      yield itemOf('a', 1, 1);
      fail();
    }
    expect(() => store.writeBatch(items(), quiet)).toThrow('not now');
    expect(files()).toEqual([]);
  });

  it('writes the same restore point twice without spending a generation on it', () => {
    save(1, '100');
    save(2, '200');
    save(2, '201');
    save(3, '300');
    expect(files().map((file) => [file, cashOf(file)])).toEqual([
      ['s_checkpoint.1-1.json', '100'],
      ['s_checkpoint.1-2.json', '201'],
      ['s_checkpoint.json', '300'],
    ]);
  });

  it('refuses to put older state in the place of newer', () => {
    save(5, '500', 2);
    for (const [epoch, sequence] of [
      [2, 4],
      [1, 9],
    ] as const) {
      expect(() => save(sequence, '1', epoch)).toThrow(expect.objectContaining({ code: 'CHECKPOINT_NOT_NEWER' }));
    }
    expect(files()).toEqual(['s_checkpoint.json']);
    expect(cashOf('s_checkpoint.json')).toBe('500');
  });

  it('refuses more bytes than it would read again', () => {
    const small = new CheckpointStore(unsyncedFileSystem, directory, { generations: 3, bytesMax: 100 });
    const write = () => small.writeBatch([itemOf('s', 1, 1)], quiet);
    expect(write).toThrow(expect.objectContaining({ code: 'CHECKPOINT_TOO_LARGE' }));
    expect(files()).toEqual([]);
  });

  it('does not touch a newest file in a newer format', () => {
    const newer = '{"format": "holdfast-checkpoint", "format_version": 9}\n';
    fs.writeFileSync(path('s_checkpoint.json'), newer, { mode: 0o600 });
    expect(() => save(1)).toThrow(expect.objectContaining({ code: 'CHECKPOINT_NEWER_FORMAT' }));
    expect(files()).toEqual(['s_checkpoint.json']);
    expect(fs.readFileSync(path('s_checkpoint.json'), 'utf8')).toBe(newer);
  });

  it('moves a damaged newest file to quarantine instead of making it a generation', () => {
    save(1, '100');
    fs.writeFileSync(path('s_checkpoint.json'), 'ruined');
    save(2, '200');
    expect(files()).toEqual(['quarantine', 's_checkpoint.json']);
    expect(fs.readFileSync(path('quarantine/s_checkpoint.json.1'), 'utf8')).toBe('ruined');
    expect(notices).toEqual([expect.stringContaining('quarantine/s_checkpoint.json.1')]);
  });

  it('notices that the newest file was replaced behind its back', () => {
    save(1, '100');
    save(2, '200');
    const other = new CheckpointStore(unsyncedFileSystem, directory, { generations: 3 });
    other.writeBatch([itemOf('s', 1, 7, '700')], quiet);
    save(8, '800');
    expect(files().map((file) => [file, cashOf(file)])).toEqual([
      ['s_checkpoint.1-2.json', '200'],
      ['s_checkpoint.1-7.json', '700'],
      ['s_checkpoint.json', '800'],
    ]);
  });
});

describe('after a crash', () => {
  it('between link and rename the directory is valid, and the next save copes with the second name', () => {
    save(1, '100');
    save(2, '200');
    fs.linkSync(path('s_checkpoint.json'), path('s_checkpoint.1-2.json'));
    expect(files().map(cashOf)).toEqual(['100', '200', '200']);
    store = newStore();
    save(3, '300');
    expect(files().map((file) => [file, cashOf(file)])).toEqual([
      ['s_checkpoint.1-1.json', '100'],
      ['s_checkpoint.1-2.json', '200'],
      ['s_checkpoint.json', '300'],
    ]);
    expect(notices).toEqual([]);
  });

  it('a generation of the same name with other bytes stays when it is true', () => {
    save(1, '100');
    fs.writeFileSync(path('s_checkpoint.1-1.json'), itemOf('s', 1, 1, '111').bytes, { mode: 0o600 });
    save(2, '200');
    expect(files().map(cashOf)).toEqual(['111', '200']);
  });

  it('a generation of the same name goes to quarantine when it is damaged', () => {
    save(1, '100');
    fs.writeFileSync(path('s_checkpoint.1-1.json'), 'ruined', { mode: 0o600 });
    save(2, '200');
    expect(files()).toEqual(['quarantine', 's_checkpoint.1-1.json', 's_checkpoint.json']);
    expect(cashOf('s_checkpoint.1-1.json')).toBe('100');
    expect(fs.readFileSync(path('quarantine/s_checkpoint.1-1.json.1'), 'utf8')).toBe('ruined');
  });

  it('temporary files are swept, and nothing else is', () => {
    save(1);
    const ours = ['.s.1-2.0123456789abcdef.tmp', '.status.json.0123456789abcdef.tmp'];
    const others = ['.keep', 'notes.tmp', 'lock.db', '.s.1-2.0123.tmp'];
    for (const file of [...ours, ...others]) fs.writeFileSync(path(file), '');
    expect([...store.sweep()].sort()).toEqual(ours);
    expect(files()).toEqual([...others, 's_checkpoint.json'].sort());
    expect(store.sweep()).toEqual([]);
  });

  it('a temporary file that cannot be removed is told and not swept', () => {
    fs.mkdirSync(path('.s.1-2.0123456789abcdef.tmp'));
    expect(store.sweep()).toEqual([]);
    expect(notices).toHaveLength(1);
  });
});

describe('list', () => {
  it('gives every generation by strategy, the newest first, and nothing that is no checkpoint', () => {
    for (let sequence = 1; sequence <= 3; sequence++)
      store.writeBatch([itemOf('b', 1, sequence), itemOf('a', 1, sequence)], quiet);
    for (const other of ['lock.db', 'status.json', 'x y_checkpoint.json', '.c_checkpoint.json'])
      fs.writeFileSync(path(other), '');
    expect(store.list()).toEqual([
      { strategy: 'a', file: 'a_checkpoint.json', newest: true, epoch: null, sequence: null },
      { strategy: 'a', file: 'a_checkpoint.1-2.json', newest: false, epoch: 1, sequence: 2 },
      { strategy: 'a', file: 'a_checkpoint.1-1.json', newest: false, epoch: 1, sequence: 1 },
      { strategy: 'b', file: 'b_checkpoint.json', newest: true, epoch: null, sequence: null },
      { strategy: 'b', file: 'b_checkpoint.1-2.json', newest: false, epoch: 1, sequence: 2 },
      { strategy: 'b', file: 'b_checkpoint.1-1.json', newest: false, epoch: 1, sequence: 1 },
    ]);
  });
});

function fail(): never {
  throw new Error('not now');
}
