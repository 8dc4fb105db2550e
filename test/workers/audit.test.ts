import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause, setImmediate as turn } from 'node:timers/promises';
import { afterAll, afterEach, beforeEach, describe, expect, it } from 'vitest';
import { StateManager } from '../../src/state/state-manager.ts';
import type { StateManagerOptions } from '../../src/state/state-options.ts';
import { auditedLog, query } from '../support/audited.ts';
import { position } from '../support/state-fixtures.ts';

// With the real workers and real files.

const quiet = { info: () => {}, warn: () => {}, error: () => {} };
const kinds = ['throws', 'runs out of memory', 'exits', 'hangs'] as const;
const at = '2025-10-02T14:30:00.000000Z';

let directory: string;
let opened: StateManager[];

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'holdfast-audit-'));
  opened = [];
});

afterEach(async () => {
  for (const state of opened) await state.close({ checkpoint: false }).catch(() => undefined);
  rmSync(directory, { recursive: true, force: true });
});

async function open(options: StateManagerOptions): Promise<StateManager> {
  const state = await StateManager.open({
    directory,
    force: true,
    logger: quiet,
    checkpointIntervalMs: 0,
    restartBackoffMs: 1,
    ...options,
  });
  opened.push(state);
  return state;
}

/** One commit with one event that is unlike any other. */
function commit(state: StateManager, number: number): number {
  const book = state.register('alpha');
  book.addEvent({ kind: 'note', name: 'number', data: number, at });
  book.setPosition(position('AAPL', String(number)));
  book.set('number', number);
  return state.commit();
}

function numbers(): readonly number[] {
  return auditedLog(directory)
    .filter(({ kind }) => kind === 'note')
    .map(({ event }) => (JSON.parse(event) as { data: number }).data);
}

function upTo(last: number): readonly number[] {
  return Array.from({ length: last }, (_, index) => index + 1);
}

function caughtUp(): unknown {
  const rows = existsSync(join(directory, 'audit.db'))
    ? query(directory, "SELECT name FROM sqlite_schema WHERE name = 'audit_cursor'")
    : [];
  return rows.length === 0 ? null : query(directory, 'SELECT sequence FROM audit_cursor')[0]?.['sequence'];
}

/** Waits for what other threads do; no longer than any of it could take. */
async function until(what: string, isSo: () => boolean): Promise<void> {
  for (const endsAt = performance.now() + 50_000; !isSo(); ) {
    if (performance.now() > endsAt) throw new Error(`waited in vain until ${what}`);
    await pause(5);
  }
}

describe('an audit worker that fails', () => {
  let restarted = 0;
  afterAll(() => process.stdout.write(`row 15, audit: ${restarted} of ${kinds.length * 2} replaced, nothing lost\n`));

  for (const kind of kinds) {
    for (const when of ['idle', 'in the middle of the journal'] as const) {
      it(`and ${kind} when it is ${when} is replaced, and nobody else notices`, async () => {
        const flag = join(directory, 'fault');
        const ends: string[] = [];
        const state = await open({
          restartsMax: 1_000,
          audit: {
            everyMs: 5,
            finishMs: 50_000,
            ...(kind === 'hangs' ? { hangMs: 1_500 } : {}),
            heapMbMax: 64,
            fileSystem: {
              module: new URL('./fixtures/failing-reads.ts', import.meta.url).href,
              options: { faults: { [kind]: flag } },
            },
          },
        });
        state.on('audit', (detail) => ends.push(detail.kind));
        const failed: Error[] = [];
        state.on('failed', (error) => failed.push(error));
        let number = 0;
        for (; number < 50; ) commit(state, ++number);
        await state.durable();
        if (when === 'idle') await until('it has caught up', () => caughtUp() === 50);
        writeFileSync(flag, '');
        // Trading goes on, and every commit is acknowledged while the audit is away.
        for (const last of [60, 200]) {
          for (; number < last; ) {
            commit(state, ++number);
            if (number % 10 === 0) await turn();
          }
          await state.durable();
        }
        await until('it was replaced', () => ends.length > 0);
        for (; number < 210; ) commit(state, ++number);
        await state.durable();
        expect(ends[0]).toBe('restarted');
        expect(failed).toEqual([]);
        await until('it has caught up again', () => caughtUp() === 210);
        await state.close();
        expect(numbers()).toEqual(upTo(210));
        expect(query(directory, 'SELECT amount FROM live_positions')).toEqual([{ amount: '210' }]);
        expect(
          auditedLog(directory)
            .filter(({ ordinal }) => ordinal < 0)
            .map(({ kind: own }) => own),
        ).toEqual(['beginning']);
        restarted += 1;
      });
    }
  }

  it('too often is given up: told, trading goes on, and the next start takes it up where it is', async () => {
    const told: string[] = [];
    const state = await open({
      restartsMax: 2,
      audit: { everyMs: 1, finishMs: 50_000, fileSystem: { module: '/nowhere/at-all.ts' } },
    });
    state.on('audit', ({ kind }) => told.push(kind));
    commit(state, 1);
    await state.durable();
    await until('it is given up', () => told.includes('failed'));
    commit(state, 2);
    await state.durable();
    await state.close();
    expect(told).toEqual(['restarted', 'restarted', 'failed']);

    // Two generations of checkpoints hold all that the first segment has; it waits for the audit all the same.
    const still = await open({ audit: { fileSystem: { module: '/nowhere/at-all.ts' } } });
    for (const number of [3, 4, 5]) {
      commit(still, number);
      await still.checkpoint();
    }
    await still.close();

    const again = await open({ audit: { finishMs: 50_000 } });
    commit(again, 6);
    await again.close();
    expect(numbers()).toEqual(upTo(6));
    expect(auditedLog(directory).filter(({ ordinal }) => ordinal < 0)).toHaveLength(1);
  });
});

describe('an audit', () => {
  it('that is turned on later begins with the state as it is, and what the journal still has', async () => {
    const before = await open({});
    for (const number of [1, 2]) commit(before, number);
    await before.close();
    const state = await open({ audit: { finishMs: 50_000 } });
    commit(state, 3);
    await state.close();
    expect(numbers()).toEqual([1, 2, 3]);
    expect(query(directory, 'SELECT key, value FROM strategy_state')).toEqual([{ key: 'number', value: '3' }]);
  });

  it('that was turned off for some starts, while segments went, says what it does not have', async () => {
    const first = await open({ audit: { finishMs: 50_000 } });
    commit(first, 1);
    await first.close();
    for (const number of [2, 3, 4]) {
      const without = await open({ generations: 2 });
      commit(without, number);
      await without.checkpoint();
      await without.close();
    }
    const told: string[] = [];
    const state = await open({ audit: { finishMs: 50_000 } });
    state.on('audit', ({ kind }) => told.push(kind));
    commit(state, 5);
    await state.close();
    expect(numbers()).not.toContain(2);
    expect(numbers()).toContain(5);
    expect(told).toEqual(['gap']);
    const own = auditedLog(directory).filter(({ ordinal }) => ordinal < 0);
    expect(own.map(({ kind }) => kind)).toEqual(['beginning', 'gap']);
    expect(query(directory, 'SELECT amount FROM live_positions')).toEqual([{ amount: '5' }]);
  });

  it('is not there unless it is asked for', async () => {
    const state = await open({});
    commit(state, 1);
    await state.close();
    expect(() => query(directory, 'SELECT 1')).toThrow(/unable to open/);
  });
});
