import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { CheckpointCorrupted } from '../../src/model/errors.ts';
import { decodeCheckpoint } from '../../src/persistence/checkpoint-codec.ts';
import type { PersistenceThread } from '../../src/state/persistence-thread.ts';
import { startPersistenceThread } from '../../src/state/persistence-thread.ts';
import { StateManager } from '../../src/state/state-manager.ts';
import type { StateManagerOptions } from '../../src/state/state-options.ts';
import { note, order, position } from '../support/state-fixtures.ts';

// With the real worker and real files.

let directory: string;
let threads: PersistenceThread[];
let opened: StateManager[];
const quiet = { info: () => {}, warn: () => {}, error: () => {} };

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'holdfast-state-'));
  threads = [];
  opened = [];
});

afterEach(async () => {
  for (const state of opened) await state.close({ checkpoint: false }).catch(() => undefined);
  rmSync(directory, { recursive: true, force: true });
});

async function open(options: StateManagerOptions = {}): Promise<StateManager> {
  const state = await StateManager.openWith(
    { directory, force: true, logger: quiet, checkpointIntervalMs: 0, restartBackoffMs: 1, ...options },
    (start) => {
      const thread = startPersistenceThread(start);
      threads.push(thread);
      return thread;
    },
  );
  opened.push(state);
  return state;
}

describe('a state with the real worker', () => {
  it('gives back after a close what was committed, of every strategy', async () => {
    const state = await open();
    const alpha = state.register('alpha');
    alpha.setPosition(position('AAPL', '100', { total_cost: '1000' }));
    alpha.setOrder(order('o1'));
    alpha.setCash('25000.00');
    alpha.set('when', new Date(0));
    state.register('beta').setCash('1', 'EUR');
    state.commit();
    const before = state.snapshot();
    await state.close();

    const again = await open();
    expect(again.epoch).toBe(state.epoch + 1);
    expect(again.recovery).toMatchObject({ epoch: state.epoch, sequence: 1, lost: [], stale: false });
    expect(await again.restore()).toBe(again.recovery);
    expect(again.snapshot().strategies).toEqual(before.strategies);
    expect(again.register('alpha').get('when')).toEqual(new Date(0));
  });

  it('saves a strategy as a file whose checkpoint it gives, and loads the same', async () => {
    const state = await open();
    const saved = await state.saveCheckpoint('mean_reversion_v1', {
      strategy_state: { last_signal: 'buy' },
      positions: [position('AAPL', '100', { sid: 1, last_price: '155.50' })],
      pending_orders: [order('o2'), order('o1')],
      cash_balance: '25000.00',
    });
    const file = 'mean_reversion_v1_checkpoint.json';
    const decoded = decodeCheckpoint(readFileSync(join(directory, file)), {
      strategy: 'mean_reversion_v1',
      file,
      currency: 'USD',
    });
    expect(decoded).toMatchObject({ kind: 'ok', checkpoint: saved });
    expect(saved).toMatchObject({
      epoch: state.epoch,
      sequence: 1,
      checksum: expect.stringMatching(/^sha256:[0-9a-f]{64}$/),
    });
    expect(await state.loadCheckpoint('mean_reversion_v1')).toEqual(saved);
    expect(await state.loadCheckpoint('nobody')).toBeNull();
    await state.close();
    const { epoch: _e, sequence: _s, timestamp: _t, checksum: _c, ...content } = saved;
    expect(await (await open()).loadCheckpoint('mean_reversion_v1')).toMatchObject(content);
  });

  it('writes one batch for many checkpoints that were asked for at once, each of at least what was committed', async () => {
    const state = await open({ generations: 100 });
    const book = state.register('alpha');
    const batches: number[] = [];
    state.on('checkpointed', ({ sequence }) => batches.push(sequence));
    const asked: Promise<void>[] = [];
    for (let i = 0; i < 20; i += 1) {
      book.set('i', i);
      const sequence = state.commit();
      asked.push(state.checkpoint().then((done) => expect(done.sequence).toBeGreaterThanOrEqual(sequence)));
    }
    await Promise.all(asked);
    const files = readdirSync(directory).filter((name) => name.includes('_checkpoint'));
    expect(files.length).toBeLessThanOrEqual(3);
    expect(batches.length).toBeLessThanOrEqual(3);
    expect(batches.at(-1)).toBe(20);
  });

  it('loses nothing when the worker is killed in mid-flight, again and again', async () => {
    const state = await open({ restartsMax: 100 });
    const book = state.register('alpha');
    const events: string[] = [];
    state.on('workerRestarted', ({ incarnation }) => events.push(String(incarnation)));
    for (let round = 0; round < 4; round += 1) {
      for (let i = 0; i < 25; i += 1) {
        book.set(`k${round}-${i}`, i);
        book.addEvent(note(`${round}-${i}`));
        state.commit();
        await new Promise((resolve) => setImmediate(resolve));
      }
      await threads.at(-1)?.terminate();
      await state.durable();
    }
    expect(events).toEqual(['2', '3', '4', '5']);
    const before = state.snapshot();
    await state.close();
    const again = await open();
    expect(again.snapshot().strategies).toEqual(before.strategies);
    expect(again.register('alpha').keys()).toHaveLength(100);
  });

  it('survives that its files are destroyed under it: the next worker gets everything whole', async () => {
    const state = await open({ restartsMax: 10 });
    const book = state.register('alpha');
    book.setPosition(position('AAPL', '100'));
    state.commit();
    await state.durable();
    rmSync(join(directory, 'journal'), { recursive: true });
    await threads[0]?.terminate();
    book.set('x', 1);
    state.commit();
    await state.durable();
    const before = state.snapshot();
    await state.close();
    expect((await open()).snapshot().strategies).toEqual(before.strategies);
  });

  it('raises the epoch where lock.db is lost', async () => {
    const first = await open();
    first.register('alpha');
    first.commit();
    await first.close();
    const second = await open();
    await second.close();
    rmSync(join(directory, 'lock.db'));
    expect((await open()).epoch).toBeGreaterThan(second.epoch);
  });

  it('tells what cannot be restored, and leaves the directory free', async () => {
    const state = await open();
    state.register('alpha');
    state.commit();
    await state.close();
    const journal = join(directory, 'journal');
    for (const name of readdirSync(journal)) writeFileSync(join(journal, name), 'x'.repeat(200));
    writeFileSync(join(directory, 'alpha_checkpoint.json'), '{}');
    await expect(open()).rejects.toBeInstanceOf(CheckpointCorrupted);
    rmSync(journal, { recursive: true });
    rmSync(join(directory, 'alpha_checkpoint.json'));
    await expect(open()).resolves.toBeInstanceOf(StateManager);
  });

  it.each(['exit', 'throw'])('keeps what an exit handler commits that runs after its own: %s', async (how) => {
    const child = join(import.meta.dirname, 'exit-child.ts');
    const { status, stderr } = spawnSync(process.execPath, [child, directory, how], { encoding: 'utf8' });
    expect(status).toBe(how === 'exit' ? 3 : 1);
    expect(stderr).not.toContain('the process exits with commits');
    const state = await open();
    expect(state.register('alpha').keys()).toEqual(['early', 'late', 'later']);
  });
});
