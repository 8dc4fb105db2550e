import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { DatabaseSync } from 'node:sqlite';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { acquireLock, isLocked, type StateLock } from '../../src/persistence/lock.ts';
import { nodeFileSystem } from '../../src/persistence/node-file-system.ts';
import { writeHolder } from '../../src/persistence/status-file.ts';
import { temporaryDirectory } from '../support/checkpoint-fixtures.ts';
import { printRow } from '../support/fault-row.ts';

let directory: string;
let dispose: () => void;
let locks: StateLock[];
let children: ChildProcess[];

beforeEach(() => {
  const temporary = temporaryDirectory();
  directory = temporary.path;
  dispose = () => temporary[Symbol.dispose]();
  locks = [];
  children = [];
});
afterEach(() => {
  for (const lock of locks) lock.release();
  for (const child of children) child.kill('SIGKILL');
  dispose();
});

function acquire(options: Parameters<typeof acquireLock>[1] = {}): StateLock {
  const lock = acquireLock(directory, options);
  locks.push(lock);
  return lock;
}

interface Answer {
  readonly epoch?: number;
  readonly code?: string;
  readonly message?: string;
  readonly held?: boolean;
  readonly holder?: { readonly pid: number } | null;
}
interface Child {
  readonly process: ChildProcess;
  ask(line: string): Promise<Answer>;
}

function startChild(): Child {
  const file = fileURLToPath(new URL('fixtures/lock-child.ts', import.meta.url));
  const child = spawn(process.execPath, [file, directory], { stdio: ['pipe', 'pipe', 'inherit'] });
  children.push(child);
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  return {
    process: child,
    async ask(line) {
      child.stdin.write(`${line}\n`);
      return JSON.parse(String((await lines.next()).value)) as Answer;
    },
  };
}

describe('the lock of a state directory', () => {
  it('gives every holder a higher epoch, also across processes', async () => {
    expect(acquire().epoch).toBe(1);
    locks[0]?.release();
    const child = startChild();
    expect(await child.ask('acquire')).toEqual({ epoch: 2 });
    await child.ask('release');
    expect(acquire().epoch).toBe(3);
  });

  it('gives an epoch above the one that it is told', () => {
    expect(acquire({ atLeast: 41 }).epoch).toBe(42);
  });

  it('raises the epoch where the files show one as high, keeps it raised, and never lowers it', () => {
    const lock = acquire();
    expect(lock.raiseEpoch(0)).toBe(1);
    expect(lock.raiseEpoch(1)).toBe(2);
    expect(lock.raiseEpoch(90)).toBe(91);
    expect(lock.raiseEpoch(5)).toBe(91);
    expect(lock.epoch).toBe(91);
    expect(isLocked(directory).holder?.epoch).toBe(91);
    lock.release();
    expect(acquire().epoch).toBe(92);
  });

  it('stores no epoch above which there is none, so that a forged file name spoils nothing for ever', () => {
    const lock = acquire();
    const exhausted = expect.objectContaining({ code: 'EPOCH_EXHAUSTED', message: expect.stringContaining(directory) });
    for (const forged of [Number.MAX_SAFE_INTEGER, Number.MAX_SAFE_INTEGER - 1]) {
      expect(() => lock.raiseEpoch(forged)).toThrow(exhausted);
    }
    expect(lock.epoch).toBe(1);
    lock.release();
    expect(acquire().epoch).toBe(2);
  });

  it.each(['9007199254740991', '4611686018427387904'])('refuses a stored epoch of %s by its own name', (stored) => {
    acquire().release();
    const database = new DatabaseSync(join(directory, 'lock.db'));
    database.exec(`UPDATE lock SET epoch = ${stored}`);
    database.close();
    expect(() => acquireLock(directory)).toThrow(expect.objectContaining({ code: 'EPOCH_EXHAUSTED' }));
  });

  it('refuses a second holder in the same process, and names it', () => {
    acquire({ host: 'trader-1', now: () => 1_759_415_400_123_456 });
    expect(() => acquireLock(directory)).toThrow(
      expect.objectContaining({
        code: 'STATE_DIRECTORY_LOCKED',
        message: expect.stringContaining('this process since 2025-10-02T14:30:00.123456Z (epoch 1)'),
        details: {
          path: directory,
          pid: process.pid,
          host: 'trader-1',
          since: '2025-10-02T14:30:00.123456Z',
          epoch: 1,
        },
      }),
    );
  });

  it('refuses a second holder in the same process that comes by another path', () => {
    acquire();
    const link = `${directory}-link`;
    fs.symlinkSync(directory, link);
    try {
      expect(() => acquireLock(link)).toThrow(expect.objectContaining({ code: 'STATE_DIRECTORY_LOCKED' }));
    } finally {
      fs.unlinkSync(link);
    }
  });

  it('is not opened again in the process that holds it, whatever became of the file', () => {
    acquire();
    fs.renameSync(join(directory, 'lock.db'), join(directory, 'moved.db'));
    fs.writeFileSync(join(directory, 'lock.db'), '');
    expect(isLocked(directory)).toMatchObject({ held: true });
    expect(() => acquireLock(directory)).toThrow(expect.objectContaining({ code: 'STATE_DIRECTORY_LOCKED' }));
    expect(fs.statSync(join(directory, 'lock.db')).size).toBe(0);
  });

  it('refuses another thread of the same process, whose look leaves the lock in place', async () => {
    acquire();
    const lockUrl = new URL('../../src/persistence/lock.ts', import.meta.url).href;
    const code = `
      import { parentPort } from 'node:worker_threads';
      import { acquireLock, isLocked } from ${JSON.stringify(lockUrl)};
      const directory = ${JSON.stringify(directory)};
      const looked = isLocked(directory);
      try { acquireLock(directory, { waitMs: 0 }); } catch (error) { parentPort.postMessage([looked.held, error.code]); }`;
    const worker = new Worker(new URL(`data:text/javascript,${encodeURIComponent(code)}`), { execArgv: [] });
    const [message] = await once(worker, 'message');
    await worker.terminate();
    expect(message).toEqual([true, 'STATE_DIRECTORY_LOCKED']);
    expect(await startChild().ask('acquire')).toMatchObject({ code: 'STATE_DIRECTORY_LOCKED' });
  });

  it('refuses another process while it is held, names the holder, and lets it in after the release', async () => {
    const lock = acquire({ host: 'trader-1' });
    const child = startChild();
    const refused = await child.ask('acquire');
    expect(refused).toMatchObject({
      code: 'STATE_DIRECTORY_LOCKED',
      details: { pid: process.pid, host: 'trader-1', epoch: 1 },
    });
    expect(refused.message).toContain(`process ${process.pid} on trader-1 since`);
    lock.release();
    lock.release();
    expect(await child.ask('acquire')).toEqual({ epoch: 2 });
    expect(() => acquireLock(directory, { waitMs: 0 })).toThrow(
      expect.objectContaining({ code: 'STATE_DIRECTORY_LOCKED' }),
    );
  });

  it('waits for a holder that is about to go', async () => {
    const child = startChild();
    await child.ask('acquire');
    const waiting = startChild();
    await waiting.ask('look');
    const granted = waiting.ask('acquire 10000');
    await child.ask('release');
    expect(await granted).toEqual({ epoch: 2 });
  });

  it('is free after a kill -9 of its holder, and the killed holder is not reported any more', async () => {
    const child = startChild();
    await child.ask('acquire');
    expect(isLocked(directory)).toMatchObject({ held: true, holder: { pid: child.process.pid } });
    child.process.kill('SIGKILL');
    // At once, as a supervisor does: the wait covers the time that the killed process takes to go, long on a busy machine.
    expect(acquire({ waitMs: 10_000 }).epoch).toBe(2);
    expect(isLocked(directory).holder?.pid).toBe(process.pid);
  });

  it('is kept by a holder that is stopped, and looks do not disturb it', async () => {
    const child = startChild();
    await child.ask('acquire');
    child.process.kill('SIGSTOP');
    for (let look = 0; look < 3; look++) {
      expect(isLocked(directory)).toMatchObject({ held: true, holder: { pid: child.process.pid, epoch: 1 } });
      expect(() => acquireLock(directory, { waitMs: 0 })).toThrow(
        expect.objectContaining({ details: expect.objectContaining({ pid: child.process.pid }) }),
      );
    }
    child.process.kill('SIGCONT');
    expect(await child.ask('look')).toMatchObject({ held: true });
    expect(await child.ask('release')).toEqual({});
    expect(isLocked(directory)).toEqual({ held: false, holder: null });
  });

  it('has one winner in each of 100 races of three processes, each with a higher epoch', async () => {
    const racers = [startChild(), startChild(), startChild()];
    let last = 0;
    let wins = 0;
    for (let race = 0; race < 100; race++) {
      const answers = await Promise.all(racers.map((racer) => racer.ask('acquire 0')));
      const winners = answers.flatMap((answer, index) =>
        answer.epoch === undefined ? [] : [{ index, epoch: answer.epoch }],
      );
      const refused = answers.filter(({ code }) => code === 'STATE_DIRECTORY_LOCKED');
      expect(winners.length + refused.length).toBe(3);
      // Without waiting, two that arrive at the same instant may refuse each other; never may two be let in.
      expect(winners.length).toBeLessThanOrEqual(1);
      for (const { index, epoch } of winners) {
        expect(epoch).toBeGreaterThan(last);
        last = epoch;
        wins += 1;
        await racers[index]?.ask('release');
      }
    }
    expect(last).toBeGreaterThan(50);
    printRow(
      18,
      `100 races of three processes for one directory, ${wins} won by one, never by two; held while stopped, free after kill -9`,
    );
  });
});

describe('isLocked', () => {
  it('says that nobody holds a directory without a lock, and makes nothing there', () => {
    expect(isLocked(directory)).toEqual({ held: false, holder: null });
    expect(isLocked(join(directory, 'nowhere'))).toEqual({ held: false, holder: null });
    expect(fs.readdirSync(directory)).toEqual([]);
  });

  it('answers in the holder itself without letting the lock go', async () => {
    acquire();
    expect(isLocked(directory)).toMatchObject({ held: true, holder: { pid: process.pid, epoch: 1 } });
    expect(await startChild().ask('acquire')).toMatchObject({ code: 'STATE_DIRECTORY_LOCKED' });
  });

  it('is not deceived by a holder.json that a killed process left, even one with the same pid', () => {
    acquire().release();
    const gone = { host: 'h', since: '2025-10-02T14:30:00Z', epoch: 1, boot_id: null };
    writeHolder(nodeFileSystem, directory, { ...gone, pid: 1, process_start: null });
    expect(isLocked(directory)).toEqual({ held: false, holder: null });
    writeHolder(nodeFileSystem, directory, { ...gone, pid: process.pid, process_start: '1' });
    expect(isLocked(directory)).toEqual({ held: false, holder: null });
  });

  it('says of a damaged lock.db that nobody holds it', () => {
    fs.writeFileSync(join(directory, 'lock.db'), 'x'.repeat(8192));
    expect(isLocked(directory)).toEqual({ held: false, holder: null });
  });
});

describe('what acquireLock finds in the place of lock.db', () => {
  it('a damaged file is refused with what to do, and stays as it is', () => {
    const damaged = 'x'.repeat(8192);
    fs.writeFileSync(join(directory, 'lock.db'), damaged);
    expect(() => acquireLock(directory)).toThrow(
      expect.objectContaining({ code: 'LOCK_DAMAGED', message: expect.stringContaining('quarantine/') }),
    );
    expect(fs.readFileSync(join(directory, 'lock.db'), 'utf8')).toBe(damaged);
  });

  it.each<[string, string]>([
    ['with a table of the same name', 'CREATE TABLE lock (a TEXT)'],
    ['with a view of the same name', 'CREATE VIEW lock AS SELECT 1 AS epoch'],
    ['with no number as its epoch', "CREATE TABLE lock (id INTEGER, epoch TEXT); INSERT INTO lock VALUES (1, 'x')"],
    ['with an epoch below 0', 'CREATE TABLE lock (id INTEGER, epoch INTEGER); INSERT INTO lock VALUES (1, -5)'],
    ['with rules of its own', 'CREATE TABLE lock (id INTEGER PRIMARY KEY, epoch INTEGER CHECK (epoch > 8))'],
  ])("another program's database %s is refused with what to do", (_, statements) => {
    const database = new DatabaseSync(join(directory, 'lock.db'));
    database.exec(statements);
    database.close();
    const before = fs.readFileSync(join(directory, 'lock.db'));
    expect(() => acquireLock(directory)).toThrow(
      expect.objectContaining({ code: 'LOCK_DAMAGED', message: expect.stringContaining('quarantine/') }),
    );
    expect(fs.readFileSync(join(directory, 'lock.db'))).toEqual(before);
  });

  it('an empty file, as a crash between making and writing it leaves, is a new lock', () => {
    fs.writeFileSync(join(directory, 'lock.db'), '');
    expect(acquire().epoch).toBe(1);
  });

  it.each<[string, (path: string) => void]>([
    ['a symbolic link', (path) => fs.symlinkSync('/dev/null', path)],
    ['a dangling link', (path) => fs.symlinkSync('elsewhere', path)],
    ['a directory', (path) => fs.mkdirSync(path)],
    ['a named pipe', (path) => execFileSync('mkfifo', [path])],
  ])('%s is refused', (what, make) => {
    make(join(directory, 'lock.db'));
    const kind = what.replace('dangling', 'symbolic');
    expect(() => acquireLock(directory)).toThrow(
      expect.objectContaining({ code: 'STATE_DIRECTORY_UNSAFE', message: expect.stringContaining(kind) }),
    );
  });

  it('no directory at all is refused', () => {
    expect(() => acquireLock(join(directory, 'nowhere'))).toThrow(expect.objectContaining({ code: 'LOCK_FAILED' }));
  });

  it('nothing: the file is made for this user alone, and so is what stands beside it', () => {
    acquire();
    for (const file of ['lock.db', 'holder.json']) {
      expect(fs.statSync(join(directory, file)).mode & 0o777, file).toBe(0o600);
    }
  });
});

it('frees the directory when holder.json cannot be removed', async () => {
  const lock = acquire();
  fs.rmSync(join(directory, 'holder.json'));
  fs.mkdirSync(join(directory, 'holder.json'));
  lock.release();
  fs.rmdirSync(join(directory, 'holder.json'));
  expect(await startChild().ask('acquire')).toEqual({ epoch: 2 });
});

it('holds the directory also where holder.json cannot be written, and says so', async () => {
  fs.mkdirSync(join(directory, 'holder.json'));
  const notices: string[] = [];
  const lock = acquire({ notice: (message) => notices.push(message) });
  expect(notices).toEqual([expect.stringMatching(/holder\.json.*EISDIR/)]);
  expect(fs.readdirSync(directory).filter((name) => name.endsWith('.tmp'))).toEqual([]);
  const child = startChild();
  expect(await child.ask('acquire 0')).toMatchObject({
    code: 'STATE_DIRECTORY_LOCKED',
    message: expect.stringContaining('in use by another process'),
  });
  expect(isLocked(directory)).toEqual({ held: true, holder: null });
  lock.release();
  expect(await child.ask('acquire')).toEqual({ epoch: 2 });
});

it('says as a warning of the process what nobody asked to be told', async () => {
  fs.mkdirSync(join(directory, 'holder.json'));
  const warned = once(process, 'warning');
  acquire();
  expect((await warned)[0]).toMatchObject({ name: 'HoldfastWarning', message: expect.stringContaining('holder.json') });
});
