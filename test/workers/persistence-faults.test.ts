import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import { afterAll, afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  type PersistenceStart,
  type PersistenceThread,
  startPersistenceThread,
} from '../../src/state/persistence-thread.ts';
import { StateManager } from '../../src/state/state-manager.ts';
import { printRow } from '../support/fault-row.ts';
import { note, position } from '../support/state-fixtures.ts';
import { faultWords, type ThreadFault, threadFaults } from './fixtures/failing-thread.ts';

// Row 15 of the fault matrix, the persistence worker's part.

const faults = threadFaults.filter((fault) => fault !== 'none');
let directory: string;
let words: Int32Array;
let threads: PersistenceThread[];
let opened: StateManager[];
let cases = 0;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'holdfast-thread-'));
  words = new Int32Array(new SharedArrayBuffer(faultWords.bytes));
  threads = [];
  opened = [];
});
afterEach(async () => {
  for (const state of opened) await state.close({ checkpoint: false }).catch(() => undefined);
  rmSync(directory, { recursive: true, force: true });
});
afterAll(() => {
  printRow(
    15,
    `persistence thread: ${cases} of 8 cases (${faults.join(', ')}; idle and mid-save), all settled, 0 lost`,
  );
});

/** The real worker with little memory, and a file system that lets it fail. */
function startThread(start: PersistenceStart): PersistenceThread {
  const running = startPersistenceThread({ ...start, resourceLimits: { maxOldGenerationSizeMb: 64 } });
  threads.push(running);
  return running;
}

async function open(): Promise<StateManager> {
  const module = new URL('fixtures/failing-thread.ts', import.meta.url).href;
  const state = await StateManager.openWith(
    {
      directory,
      force: true,
      logger: { info: () => {}, warn: () => {}, error: () => {} },
      checkpointIntervalMs: 0,
      restartBackoffMs: 1,
      lag: { lagMsMax: 50 },
      fileSystem: { module, options: { words: words.buffer } },
    },
    startThread,
  );
  opened.push(state);
  return state;
}

function set(fault: ThreadFault, midSave: boolean): void {
  Atomics.store(words, faultWords.midSave, midSave ? 1 : 0);
  Atomics.store(words, faultWords.fault, threadFaults.indexOf(fault));
}

const taken = () => Atomics.load(words, faultWords.fault) === 0;

describe.each([
  ['while it is idle', false],
  ['in the middle of a save', true],
])('a persistence thread that fails %s', (_when, midSave) => {
  it.each(faults)(
    '(%s) loses nothing acknowledged, and whoever waits is answered',
    async (fault) => {
      const state = await open();
      const book = state.register('alpha');
      const durable: number[] = [];
      state.on('durable', (sequence) => durable.push(sequence));
      const lagging = new Promise<void>((resolve) => state.on('lagging', () => resolve()));
      const restarted = new Promise<void>((resolve) => state.on('workerRestarted', () => resolve()));
      let number = 0;
      const commit = (): number => {
        number += 1;
        book.set('number', number);
        book.setPosition(position('AAPL', String(number)));
        book.addEvent(note(String(number)));
        return state.commit();
      };
      for (let first = 0; first < 20; first += 1) commit();
      await state.checkpoint();

      set(fault, midSave);
      const saving = midSave
        ? state.checkpoint().then(
            () => null,
            (error: Error) => error,
          )
        : null;
      while (!taken()) await turn();
      for (let more = 0; more < 20; more += 1) commit();
      const waiting = state.durable();
      if (fault === 'hang') {
        // It is taken for slow until it ends: only who looks on can know that it will not come back.
        await lagging;
        await threads.at(-1)?.terminate();
      }
      // An error of a file call that no operating system gives fails the save, and not the thread.
      const survives = fault === 'throw' && midSave;
      if (!survives) await restarted;
      expect(threads).toHaveLength(survives ? 1 : 2);
      await waiting;
      const failure = await saving;
      if (survives) expect(failure).toMatchObject({ message: expect.stringContaining('a bug in the worker') });

      commit();
      await state.durable();
      await state.checkpoint();
      expect(durable).toEqual([...durable].sort((a, b) => a - b));
      expect(durable.at(-1)).toBe(41);
      const before = state.snapshot();
      await state.close();
      expect(readdirSync(directory).filter((name) => name.endsWith('.tmp'))).toEqual([]);
      const again = await open();
      expect(again.snapshot().strategies).toEqual(before.strategies);
      expect(again.register('alpha').get('number')).toBe(41);
      cases += 1;
    },
    120_000,
  );
});
