import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { nodeFileSystem } from '../../src/persistence/node-file-system.ts';
import { quarantine } from '../../src/persistence/quarantine.ts';
import { type FaultyFileSystem, faulty } from '../../src/testing/faulty-file-system.ts';
import { temporaryDirectory } from '../support/checkpoint-fixtures.ts';

let directory: string;
let dispose: () => void;
let disk: FaultyFileSystem;
beforeEach(() => {
  const temporary = temporaryDirectory();
  directory = temporary.path;
  dispose = () => temporary[Symbol.dispose]();
  disk = faulty(nodeFileSystem);
});
afterEach(() => dispose());

const path = (name: string) => join(directory, name);
const text = (name: string) => fs.readFileSync(path(name), 'utf8');
const move = (file: string) => quarantine(disk, directory, file, 'its checksum does not match');

describe('quarantine', () => {
  it('moves a file as it is, writes the reason beside it, and fsyncs both directories', () => {
    fs.writeFileSync(path('s_checkpoint.json'), 'ruined');
    expect(move('s_checkpoint.json')).toBe('quarantine/s_checkpoint.json.1');
    expect(text('quarantine/s_checkpoint.json.1')).toBe('ruined');
    expect(text('quarantine/s_checkpoint.json.1.why.txt')).toBe('s_checkpoint.json: its checksum does not match\n');
    expect(fs.readdirSync(directory)).toEqual(['quarantine']);
    const synced = disk.calls.filter(({ call }) => call === 'directoryFsync').map((call) => call.path);
    expect(synced).toEqual([path('quarantine'), directory]);
  });

  it('never writes over what is there', () => {
    for (const content of ['first', 'second', 'third']) {
      fs.writeFileSync(path('s'), content);
      move('s');
    }
    expect(['s.1', 's.2', 's.3'].map((name) => text(`quarantine/${name}`))).toEqual(['first', 'second', 'third']);
  });

  it('takes files of subdirectories', () => {
    fs.mkdirSync(path('journal'));
    fs.writeFileSync(path('journal/1-1.journal'), 'x');
    expect(move('journal/1-1.journal')).toBe('quarantine/1-1.journal.1');
    expect(fs.readdirSync(path('journal'))).toEqual([]);
  });

  it('goes on where a crash left both names', () => {
    fs.writeFileSync(path('s'), 'ruined');
    disk.setRules([{ call: 'unlink', errno: 'EIO' }]);
    expect(() => move('s')).toThrow(expect.objectContaining({ details: expect.objectContaining({ stage: 'unlink' }) }));
    expect(text('s')).toBe('ruined');
    expect(move('s')).toBe('quarantine/s.1');
    expect(fs.readdirSync(path('quarantine')).sort()).toEqual(['s.1', 's.1.why.txt']);
    expect(fs.existsSync(path('s'))).toBe(false);
  });

  it('moves a link and not what it leads to, a pipe, and a directory with what is in it', () => {
    fs.writeFileSync(path('target'), 'stays');
    fs.symlinkSync('target', path('link'));
    execFileSync('mkfifo', [path('pipe')]);
    fs.mkdirSync(path('directory'));
    fs.writeFileSync(path('directory/x'), 'x');
    expect(['link', 'pipe', 'directory'].map(move)).toEqual([
      'quarantine/link.1',
      'quarantine/pipe.1',
      'quarantine/directory.1',
    ]);
    fs.mkdirSync(path('directory'));
    expect(move('directory')).toBe('quarantine/directory.2');
    expect(fs.readlinkSync(path('quarantine/link.1'))).toBe('target');
    expect(text('target')).toBe('stays');
    expect(text('quarantine/directory.1/x')).toBe('x');
  });

  it('moves the file also when the reason cannot be written', () => {
    fs.writeFileSync(path('s'), 'ruined');
    disk.setRules([{ call: 'create', errno: 'ENOSPC' }]);
    expect(move('s')).toBe('quarantine/s.1');
    expect(fs.readdirSync(path('quarantine'))).toEqual(['s.1']);
  });

  it.each(['mkdir', 'link'] as const)('leaves the file where it is when %s fails', (call) => {
    fs.writeFileSync(path('s'), 'ruined');
    disk.setRules([{ call, errno: 'EROFS' }]);
    expect(() => move('s')).toThrow(expect.objectContaining({ code: 'WRITE_FAILED' }));
    expect(text('s')).toBe('ruined');
  });

  it('says that there is no such file', () => {
    expect(() => move('nothing')).toThrow(expect.objectContaining({ code: 'READ_FAILED' }));
  });
});
