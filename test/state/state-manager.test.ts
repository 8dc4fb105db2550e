import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { LogFields, Logger } from '../../src/state/logger.ts';
import { StateManager } from '../../src/state/state-manager.ts';
import type { StateManagerOptions } from '../../src/state/state-options.ts';
import { FakePersistence } from '../support/state-fake-persistence.ts';
import { fill, manualClock, note, order, position } from '../support/state-fixtures.ts';

let directory: string;
let disk: FakePersistence;
let log: { readonly level: string; readonly fields: LogFields; readonly message: string }[];
let opened: StateManager[];

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'holdfast-state-'));
  disk = new FakePersistence();
  log = [];
  opened = [];
});

afterEach(async () => {
  disk.failure = null;
  disk.auto = true;
  disk.before = () => {};
  for (const state of opened) await state.close({ checkpoint: false, deadlineMs: 50 }).catch(() => undefined);
  rmSync(directory, { recursive: true, force: true });
});

const write =
  (level: string) =>
  (fields: LogFields, message: string): void => {
    log.push({ level, fields, message });
  };

async function open(options: StateManagerOptions = {}): Promise<StateManager> {
  const logger: Logger = { info: write('info'), warn: write('warn'), error: write('error') };
  const state = await StateManager.openWith(
    { directory, force: true, logger, checkpointIntervalMs: 0, restartBackoffMs: 0, lastWordsMs: 0, ...options },
    disk.start,
  );
  opened.push(state);
  return state;
}

/** The next time that the state emits this. */
function next(
  state: StateManager,
  event: 'lagging' | 'recovered' | 'workerRestarted' | 'failed' | 'checkpointed',
): Promise<unknown> {
  return new Promise((resolve) => {
    const listener = (detail: unknown): void => {
      state.off(event, listener);
      resolve(detail);
    };
    state.on(event, listener);
  });
}

/** So many intervals of the state's own timer, which has the shortest that it may have in these tests. */
async function ticks(count: number): Promise<void> {
  for (let i = 0; i < count; i += 1) await new Promise((resolve) => setTimeout(resolve, 10));
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await turn();
}

describe('opening', () => {
  it('gives back what was committed before, at a higher epoch, and says what it found', async () => {
    const first = await open();
    const book = first.register('alpha');
    book.setPosition(position('AAPL', '100'));
    book.setCash('25000.00');
    book.set('signal', new Map([['AAPL', 1]]));
    first.register('beta');
    expect(first.commit()).toBe(1);
    await first.close({ checkpoint: false });

    const second = await open();
    expect(second.epoch).toBeGreaterThan(first.epoch);
    expect(second.recovery.sequence).toBe(1);
    expect(second.strategies()).toEqual(['alpha', 'beta']);
    const restored = second.register('alpha');
    expect(restored.isNew).toBe(false);
    expect(restored.position('AAPL')).toEqual(position('AAPL', '100'));
    expect(restored.cash()).toBe('25000.00');
    expect(restored.get('signal')).toEqual(new Map([['AAPL', 1]]));
    expect(second.sequence).toBe(1);
    expect(second.durableSequence).toBe(1);
    expect(log.map(({ message }) => message)).toContain('the state directory is new: nothing to restore');
  });

  it('refuses a second state on the directory, and frees it when a restore fails', async () => {
    await open();
    await expect(open()).rejects.toMatchObject({ code: 'STATE_DIRECTORY_LOCKED' });
    await opened[0]?.close();
    disk.failure = new Error('EIO: i/o error, read');
    await expect(open()).rejects.toThrow('EIO');
    disk.failure = null;
    await expect(open()).resolves.toBeInstanceOf(StateManager);
  });

  it('is refused where the worker ends while it restores, and not tried again', async () => {
    disk.before = () => disk.current.die();
    await expect(open()).rejects.toMatchObject({ code: 'WORKER_ENDED' });
    expect(disk.started).toHaveLength(1);
  });

  it('raises the epoch above that of the files, where the lock knew a lower one', async () => {
    disk.epoch = 41;
    const state = await open();
    expect(state.epoch).toBe(42);
    expect(disk.started.map(({ epoch }) => epoch)).toEqual([1, 42]);
  });

  it('warns of stale state, and of everything that was lost or kept aside', async () => {
    disk.recovery = {
      stale: true,
      timestamp: '2025-10-02T14:30:00.000000Z',
      lost: [
        { what: 'torn_tail', file: 'journal/1-1.journal', why: 'cut', acknowledged: false },
        { what: 'damaged_journal', file: 'journal/1-2.journal', why: 'crc', acknowledged: true },
      ],
      quarantined: ['quarantine/x'],
    };
    const state = await open();
    expect(state.recovery.stale).toBe(true);
    expect(log.filter(({ level }) => level !== 'info').map(({ level, message }) => `${level}: ${message}`)).toEqual([
      expect.stringMatching(/^warn: the restored state is stale: it is from 2025-10-02/),
      'warn: journal/1-1.journal was not used: cut',
      'error: acknowledged state was lost: journal/1-2.journal: crc',
      'warn: kept aside for you to look at: quarantine/x',
    ]);
  });

  it('refuses another base currency than that of the files', async () => {
    const state = await open();
    state.register('alpha');
    state.commit();
    await state.close();
    disk.mirror = () => FakePersistence.prototype.mirror.call(disk, 'USD');
    await expect(open({ currency: 'EUR' })).rejects.toMatchObject({ code: 'CURRENCY_MISMATCH' });
  });

  it.each([
    [{ currency: 'usd' }, 'currency'],
    [{ generations: 1 }, 'generations'],
    [{ checkpointIntervalMs: 0.5 }, 'checkpointIntervalMs'],
    [{ lag: { eventsMax: 0 } }, 'lag.eventsMax'],
    [{ significantChange: { notional: '1e6' } }, 'notional'],
  ])('refuses options that cannot be meant: %j', async (options, path) => {
    await expect(open(options)).rejects.toThrow(path);
  });
});

it.each([[''], ['a\0b'], [5 as never]])('refuses %j as a directory before anything is made', async (directory) => {
  await expect(StateManager.open({ directory })).rejects.toMatchObject({
    code: 'STATE_OPTIONS_INVALID',
    details: { path: 'directory' },
  });
});

describe('posts', () => {
  it('share one delta in a turn, and leave at its end', async () => {
    const state = await open();
    const alpha = state.register('alpha');
    const beta = state.register('beta');
    for (let i = 1; i <= 3; i += 1) {
      alpha.set('i', i);
      beta.addEvent(note(String(i)));
      state.commit();
    }
    expect(disk.current.received).toEqual([]);
    expect(state.durableSequence).toBe(0);
    await state.durable();
    expect(disk.current.received).toMatchObject([
      {
        previous: 0,
        through: 3,
        strategies: [
          { strategy: 'alpha', state: [['i', 3]] },
          { strategy: 'beta', events: ['1', '2', '3'].map(note) },
        ],
      },
    ]);
    expect(state.durableSequence).toBe(3);
    expect(state.durableLagMs).toBe(0);
  });

  it('never hold what is staged and not committed', async () => {
    const state = await open();
    const book = state.register('alpha');
    book.set('x', 'committed');
    state.commit();
    book.set('x', 'staged');
    await state.durable();
    expect(disk.mirror().snapshot('alpha').strategy_state).toEqual({ x: 'committed' });
    state.rollback();
    expect(state.commit()).toBe(1);
    expect(book.get('x')).toBe('committed');
  });

  it('wait while too much is unacknowledged: entries conflate, events are all kept', async () => {
    disk.auto = false;
    const state = await open({ lag: { unacknowledgedDeltasMax: 2 } });
    const book = state.register('alpha');
    for (let i = 1; i <= 10; i += 1) {
      book.set('i', i);
      book.addEvent(note(String(i)));
      state.commit();
      await turn();
    }
    await until(() => disk.current.received.length === 2);
    disk.current.makeDurable();
    await until(() => disk.current.received.length === 3);
    expect(disk.current.received[2]).toMatchObject({ previous: 2, through: 10 });
    expect(disk.current.received[2]?.strategies[0]?.state).toEqual([['i', 10]]);
    expect(disk.current.received[2]?.strategies[0]?.events).toHaveLength(8);
  });

  it('wait as well while they hold too many entries', async () => {
    disk.auto = false;
    const state = await open({ lag: { unacknowledgedEntriesMax: 3 } });
    const book = state.register('alpha');
    for (const key of ['a', 'b', 'c', 'd']) {
      book.set(key, 1);
      state.commit();
      await turn();
    }
    await until(() => disk.current.received.length === 2);
    await turn();
    expect(disk.current.received).toHaveLength(2);
  });

  it('stop new intents while too many events are not durable, and take what the broker says', async () => {
    disk.auto = false;
    const state = await open({ lag: { eventsMax: 2 } });
    const book = state.register('alpha');
    expect(state.acceptsIntents).toBe(true);
    book.addEvent(fill('e1'));
    state.commit();
    expect(state.acceptsIntents).toBe(true);
    book.addEvent(fill('e2'));
    state.commit();
    expect(state.acceptsIntents).toBe(false);
    book.addEvent(fill('e3'));
    state.commit();
    await until(() => disk.current.received.length === 1);
    expect(state.acceptsIntents).toBe(false);
    disk.current.makeDurable();
    await state.durable();
    expect(state.acceptsIntents).toBe(true);
    expect(disk.mirror().snapshot('alpha').broker_cursor.recent_execution_ids).toEqual(['e1', 'e2', 'e3']);
  });

  it('tell the worker the phase', async () => {
    const state = await open();
    state.phase('trading');
    await until(() => disk.phases.includes('trading'));
  });
});

describe('what is durable', () => {
  it('is told in order to who waits, and known before the message of it is read', async () => {
    disk.auto = false;
    const state = await open();
    const book = state.register('alpha');
    const durable: number[] = [];
    state.on('durable', (sequence) => durable.push(sequence));
    const settled: number[] = [];
    for (let i = 1; i <= 3; i += 1) {
      book.set('i', i);
      const sequence = state.commit();
      void state.durable(sequence).then(() => settled.push(sequence));
      await turn();
    }
    await until(() => disk.current.received.length === 3);
    disk.current.words(2);
    expect(state.durableSequence).toBe(2);
    expect(settled).toEqual([]);
    disk.current.makeDurable(2);
    await until(() => settled.length === 2);
    expect(settled).toEqual([1, 2]);
    disk.current.makeDurable();
    await until(() => settled.length === 3);
    expect(durable).toEqual([2, 3]);
  });

  it('has an age: that of the oldest commit that is not', async () => {
    disk.auto = false;
    const clock = manualClock();
    const state = await open({ clock });
    const book = state.register('alpha');
    expect(state.durableLagMs).toBe(0);
    state.commit();
    clock.advance(5);
    expect(state.durableLagMs).toBe(5);
    await until(() => disk.current.received.length === 1);
    book.set('x', 1);
    state.commit();
    clock.advance(5);
    expect(state.durableLagMs).toBe(10);
    disk.current.makeDurable();
    expect(state.durableLagMs).toBe(5);
    await until(() => disk.current.received.length === 2);
    disk.current.makeDurable();
    expect(state.durableLagMs).toBe(0);
  });

  it('is refused for a sequence that nobody committed', async () => {
    const state = await open();
    await expect(state.durable(1)).rejects.toMatchObject({ code: 'SEQUENCE_UNKNOWN' });
    await expect(state.durable(0)).resolves.toBeUndefined();
  });

  it('rejects who waited when an attempt failed, and comes by itself when a later one does not', async () => {
    const state = await open();
    const lagging = next(state, 'lagging');
    disk.failure = new Error('ENOSPC: no space left on device, write');
    state.register('alpha');
    const sequence = state.commit();
    await expect(state.durable(sequence)).rejects.toThrow('ENOSPC');
    expect(await lagging).toMatchObject({ error: { message: expect.stringContaining('ENOSPC') } });
    const recovered = next(state, 'recovered');
    disk.failure = null;
    disk.current.makeDurable();
    await recovered;
    await state.durable(sequence);
  });

  it('stops new intents where nothing became durable for too long, until it does', async () => {
    disk.auto = false;
    const clock = manualClock();
    const state = await open({ clock, lag: { lagMsMax: 40 }, stallLimitMs: 100 });
    state.register('alpha');
    state.commit();
    await until(() => disk.current.received.length === 1);
    disk.current.enterStage('fsync', 1_759_415_400_000_000);
    clock.advance(50);
    expect(await next(state, 'lagging')).toMatchObject({ lagMs: 50, error: null });
    expect(state.acceptsIntents).toBe(true);
    clock.advance(60);
    expect(await next(state, 'lagging')).toMatchObject({
      error: { code: 'PERSISTENCE_STALLED', message: expect.stringMatching(/stage "fsync" since 2025-10-02T14:30/) },
    });
    expect(state.acceptsIntents).toBe(false);
    const recovered = next(state, 'recovered');
    disk.current.makeDurable();
    await recovered;
    expect(state.acceptsIntents).toBe(true);
  });
});

describe('a worker that ended', () => {
  it('is replaced, and everything acknowledged and everything unacknowledged is durable in the end', async () => {
    disk.auto = false;
    const state = await open();
    const book = state.register('alpha');
    for (let i = 1; i <= 3; i += 1) {
      book.set(`k${i}`, i);
      book.addEvent(note(String(i)));
      state.commit();
      await turn();
    }
    await until(() => disk.current.received.length === 3);
    disk.current.makeDurable(1);
    await state.durable(1);
    // The second is on the disk and nobody was told; the third is in the worker only.
    disk.current.makeDurable(2, true);
    const restarted = next(state, 'workerRestarted');
    const waiting = state.durable(3);
    disk.current.die();
    book.set('k4', 4);
    state.commit();
    expect(await restarted).toMatchObject({ incarnation: 2 });
    await until(() => disk.current.received.length === 2);
    expect(disk.started[1]).toMatchObject({ atLeast: 1, epoch: state.epoch });
    expect(disk.current.received.map(({ previous, through }) => [previous, through])).toEqual([
      [2, 3],
      [3, 4],
    ]);
    expect(state.durableSequence).toBe(2);
    disk.current.makeDurable();
    await waiting;
    await state.durable(4);
    expect(disk.mirror().snapshot('alpha').strategy_state).toEqual({ k1: 1, k2: 2, k3: 3, k4: 4 });
  });

  it('had room for no more: what waited goes to the next one after what is sent again, each once', async () => {
    disk.auto = false;
    const state = await open({ lag: { unacknowledgedDeltasMax: 2 } });
    const book = state.register('alpha');
    for (let i = 1; i <= 4; i += 1) {
      book.set('i', i);
      state.commit();
      await turn();
    }
    await until(() => disk.current.received.length === 2);
    disk.current.makeDurable(1, true);
    disk.current.die();
    await until(() => disk.started.length === 2 && disk.current.received.length === 2);
    expect(disk.current.received.map(({ previous, through }) => [previous, through])).toEqual([
      [1, 2],
      [2, 4],
    ]);
    disk.current.makeDurable();
    await state.durable();
    expect(disk.started).toHaveLength(2);
  });

  it('may be in the middle of what it was asked: the next one answers', async () => {
    const state = await open();
    state.register('alpha');
    disk.before = (method) => {
      if (method === 'checkpoint' && disk.started.length === 1) disk.current.die();
    };
    const { sequence, files } = await state.checkpoint();
    expect(sequence).toBe(1);
    expect(files).toEqual(['alpha_checkpoint.json']);
    expect(disk.started).toHaveLength(2);
  });

  it('is not believed any more: what an older incarnation still says is dropped', async () => {
    disk.auto = false;
    const state = await open();
    state.register('alpha');
    state.commit();
    await until(() => disk.current.received.length === 1);
    disk.current.reply({ kind: 'acknowledged', sequence: 1 }, 7);
    disk.current.reply({ kind: 'notice', level: 'info', message: 'the end' });
    await until(() => log.some(({ message }) => message === 'the end'));
    expect(state.durableSequence).toBe(0);
  });

  it('gets every strategy whole where what was acknowledged is gone from the disk', async () => {
    const state = await open();
    const alpha = state.register('alpha');
    alpha.setPosition(position('AAPL', '1'));
    alpha.setOrder(order('o1'));
    state.commit();
    await state.durable();
    disk.auto = false;
    state.register('beta').addEvent(note('kept'));
    state.commit();
    await until(() => disk.current.received.length === 2);
    disk.journal = [];
    disk.current.die();
    alpha.set('late', true);
    state.commit();
    disk.auto = true;
    await state.durable();
    expect(disk.started.map(({ atLeast }) => atLeast)).toEqual([0, 1, 0]);
    expect(disk.journal[0]).toMatchObject({ previous: 0, strategies: [{ whole: true }, { whole: true }] });
    expect(disk.journal[0]?.strategies[1]?.events).toEqual([note('kept')]);
    expect(disk.mirror().snapshot('alpha')).toEqual(alpha.snapshot());
    expect(log.some(({ message }) => message.includes('every strategy is sent whole'))).toBe(true);
    state.register('beta').set('x', 1);
    state.commit();
    await state.durable();
    expect(disk.mirror().snapshot('beta').strategy_state).toEqual({ x: 1 });
  });

  it('gets every strategy whole where it counts on from a point that is not ours, and claims nothing before that is durable', async () => {
    disk.auto = false;
    const state = await open();
    const book = state.register('alpha');
    for (let i = 1; i <= 3; i += 1) {
      book.set('i', i);
      state.commit();
      await turn();
    }
    await until(() => disk.current.received.length === 3);
    disk.current.makeDurable(1);
    await state.durable(1);
    disk.baseGap = 1;
    disk.current.die();
    await until(() => disk.started.length === 2 && disk.current.received.length === 1);
    expect(disk.current.received[0]).toMatchObject({ previous: 2, through: 4, strategies: [{ whole: true }] });
    expect(state.durableSequence).toBe(1);
    disk.current.makeDurable();
    await state.durable();
    expect(state.durableSequence).toBe(4);
  });

  it('too often ends the state: no intents, and everybody who waits is told why', async () => {
    disk.auto = false;
    const state = await open({ restartsMax: 2 });
    state.register('alpha');
    state.commit();
    const failed = next(state, 'failed');
    const waiting = state.durable();
    disk.before = () => disk.current.die();
    const asked = state.checkpoint();
    await expect(asked).rejects.toMatchObject({ code: 'WORKER_GIVEN_UP' });
    await expect(waiting).rejects.toMatchObject({ code: 'WORKER_GIVEN_UP' });
    await failed;
    expect(state.acceptsIntents).toBe(false);
    await expect(state.durable()).rejects.toMatchObject({ code: 'WORKER_GIVEN_UP' });
    await expect(state.checkpoint()).rejects.toMatchObject({ code: 'WORKER_GIVEN_UP' });
    await expect(state.close()).rejects.toMatchObject({ code: 'WORKER_GIVEN_UP' });
    disk.before = () => {};
    disk.auto = true;
    await expect(open()).resolves.toBeInstanceOf(StateManager);
  });
});

describe('checkpoints', () => {
  it('hold what is staged when they are asked for, and the newest prices', async () => {
    const state = await open();
    const book = state.register('alpha');
    book.setPosition(position('AAPL'));
    state.mark('AAPL', '155.50');
    const checkpointed = next(state, 'checkpointed');
    expect(await state.checkpoint()).toEqual({ sequence: 1, files: ['alpha_checkpoint.json'] });
    expect(await checkpointed).toEqual({ sequence: 1, strategies: 1, durationMs: 1 });
    state.mark('AAPL', '156');
    expect(await state.checkpoint()).toEqual({ sequence: 2, files: ['alpha_checkpoint.json'] });
    expect(JSON.parse(disk.files.get('alpha') ?? '').positions[0].last_price).toBe('156');
  });

  it('are each of at least the commit before them, however many ask at once', async () => {
    const state = await open();
    const book = state.register('alpha');
    const asked = [1, 2, 3, 4].map(async (i) => {
      book.set('i', i);
      const sequence = state.commit();
      const done = await state.checkpoint();
      expect(done.sequence).toBeGreaterThanOrEqual(sequence);
    });
    await Promise.all(asked);
  });

  it('come by themselves when it is time and anything changed, and not otherwise', async () => {
    const clock = manualClock();
    const state = await open({ clock, checkpointIntervalMs: 60_000, lag: { lagMsMax: 40 } });
    const book = state.register('alpha');
    book.setPosition(position('AAPL'));
    state.commit();
    clock.advance(60_000);
    await until(() => disk.checkpoints.length === 1);
    clock.advance(59_999);
    state.mark('TSLA', '1');
    book.set('x', 1);
    state.commit();
    await state.durable();
    await ticks(3);
    expect(disk.checkpoints).toEqual([{ reason: 'interval', strategies: null }]);
    clock.advance(1);
    await until(() => disk.checkpoints.length === 2);
    clock.advance(60_000);
    await ticks(3);
    expect(disk.checkpoints).toHaveLength(2);
    state.mark('AAPL', '1');
    await until(() => disk.checkpoints.length === 3);
  });

  it('come at once after so many commits, or so much that was traded, or written', async () => {
    const clock = manualClock();
    const state = await open({
      clock,
      significantChange: { commits: 10, notional: '1000', journalBytes: 5_000 },
      lag: { lagMsMax: 40 },
    });
    const book = state.register('alpha');
    const commit = async (change: () => void): Promise<void> => {
      change();
      state.commit();
      await state.durable();
    };
    for (let i = 0; i < 9; i += 1) await commit(() => book.set('i', i));
    expect(disk.checkpoints).toEqual([]);
    await commit(() => book.set('i', 10));
    await until(() => disk.checkpoints.length === 1);
    await commit(() => book.setPosition(position('AAPL', '60', { last_price: '10' })));
    expect(disk.checkpoints).toHaveLength(1);
    await commit(() => book.setPosition(position('AAPL', '20', { last_price: '10.5' })));
    await until(() => disk.checkpoints.length === 2);
    await commit(() => book.set('i', 11));
    clock.advance(1_000);
    await until(() => disk.asked.filter((what) => what === 'status').length === 1);
    await commit(() => book.set('i', 'x'.repeat(10_000)));
    expect(disk.checkpoints).toHaveLength(2);
    await ticks(1);
    clock.advance(1_000);
    await until(() => disk.checkpoints.length === 3);
    expect(disk.checkpoints.map(({ reason }) => reason)).toEqual(Array(3).fill('significant_change'));
  });

  it('that fail say so and change nothing else', async () => {
    const state = await open();
    state.register('alpha');
    state.commit();
    await state.durable();
    const failures: Error[] = [];
    state.on('checkpointFailed', (error) => failures.push(error));
    disk.failure = new Error('EROFS');
    await expect(state.checkpoint()).rejects.toThrow('EROFS');
    disk.failure = null;
    disk.current.reply({
      kind: 'checkpoint_failed',
      error: {
        name: 'StateError',
        code: 'WRITE_FAILED',
        message: 'EROFS',
        stack: null,
        details: {},
        retryable: false,
        cause: null,
      },
    });
    await until(() => failures.length === 2);
    expect(failures).toMatchObject([{ message: 'EROFS' }, { code: 'WRITE_FAILED' }]);
    await expect(state.checkpoint()).resolves.toMatchObject({ sequence: 1 });
  });
});

describe('saving and loading one strategy', () => {
  const saved = {
    strategy_state: { last_signal: 'buy', nested: { strength: 0.75 } },
    positions: [position('MSFT', '5'), position('AAPL', '100')],
    pending_orders: [order('o2'), order('o1')],
    cash_balance: '25000.00',
  };

  it('gives the checkpoint that is on the disk, and the same again', async () => {
    const state = await open();
    const checkpoint = await state.saveCheckpoint('alpha', saved);
    expect(checkpoint).toMatchObject({
      format: 'holdfast-checkpoint',
      format_version: 1,
      strategy_name: 'alpha',
      epoch: state.epoch,
      sequence: 1,
      cash_balance: '25000.00',
      strategy_state: saved.strategy_state,
      positions: [position('AAPL', '100'), position('MSFT', '5')],
    });
    expect(checkpoint.pending_orders.map(({ order_id }) => order_id)).toEqual(['o2', 'o1']);
    expect(checkpoint.checksum).toMatch(/^sha256:/);
    state.register('beta').set('other', 1);
    state.commit();
    expect(await state.loadCheckpoint('alpha')).toEqual(checkpoint);
    expect(disk.checkpoints).toHaveLength(1);
  });

  it('replaces all that it names and nothing else', async () => {
    const state = await open();
    const book = state.register('alpha');
    await state.saveCheckpoint('alpha', saved);
    book.setHalt({ reason: 'x', source: 'operator', at: '2025-10-02T14:30:00Z' });
    book.setCash('7', 'EUR');
    const again = await state.saveCheckpoint('alpha', {
      strategy_state: { only: 1 },
      positions: [position('TSLA')],
      pending_orders: [order('o1'), order('o2')],
      cash_balance: '1',
    });
    expect(again).toMatchObject({
      strategy_state: { only: 1 },
      positions: [position('TSLA')],
      cash_balance: '1',
      other_cash: { EUR: '7' },
      halt: { reason: 'x' },
    });
    expect(again.pending_orders.map(({ order_id }) => order_id)).toEqual(['o1', 'o2']);
  });

  it('saves nothing of a state that holds anything wrong', async () => {
    const state = await open();
    await state.saveCheckpoint('alpha', saved);
    const before = state.register('alpha').snapshot();
    const wrong = { ...saved, strategy_state: { f: () => 1 }, positions: [] };
    await expect(state.saveCheckpoint('alpha', wrong)).rejects.toMatchObject({ code: 'STATE_VALUE_INVALID' });
    state.commit();
    expect(state.register('alpha').snapshot()).toEqual(before);
  });

  it('loads what was committed since the last file, by a new one', async () => {
    const state = await open();
    await state.saveCheckpoint('alpha', saved);
    state.register('alpha').setCash('26000');
    state.commit();
    expect(await state.loadCheckpoint('alpha')).toMatchObject({ cash_balance: '26000', sequence: 2 });
  });

  it('gives null where a strategy has no state', async () => {
    const state = await open();
    expect(await state.loadCheckpoint('nobody')).toBeNull();
    state.register('empty');
    state.commit();
    expect(await state.loadCheckpoint('empty')).toBeNull();
  });

  it('names the directory where somebody removes files from it', async () => {
    const state = await open();
    await state.saveCheckpoint('alpha', saved);
    disk.files.clear();
    await expect(state.loadCheckpoint('alpha')).rejects.toMatchObject({ code: 'CHECKPOINT_MISSING' });
  });
});

describe('closing', () => {
  it('makes everything committed durable with a last checkpoint, and nothing that is staged', async () => {
    const state = await open();
    const book = state.register('alpha');
    book.set('x', 'committed');
    state.commit();
    const waiting = state.durable();
    book.set('x', 'staged');
    await state.close();
    await waiting;
    expect(disk.checkpoints).toEqual([{ reason: 'shutdown', strategies: null }]);
    expect(disk.mirror().snapshot('alpha').strategy_state).toEqual({ x: 'committed' });
  });

  it('is done once, however often it is asked', async () => {
    const state = await open();
    state.register('alpha');
    state.commit();
    const first = state.close();
    expect(state.close()).toBe(first);
    await first;
    await state.close();
    expect(disk.checkpoints).toHaveLength(1);
    expect(() => state.commit()).toThrow(/closed/);
    expect(state.acceptsIntents).toBe(false);
  });

  it('leaves nothing behind that the directory or the process would wait for', async () => {
    const before = process.listenerCount('exit');
    const state = await open();
    expect(process.listenerCount('exit')).toBe(before + 1);
    await state.close();
    expect(process.listenerCount('exit')).toBe(before);
    await expect(open()).resolves.toBeInstanceOf(StateManager);
  });

  it('names what the worker does when the deadline passes, and keeps the directory', async () => {
    disk.auto = false;
    const state = await open();
    state.register('alpha');
    state.commit();
    disk.current.enterStage('directory fsync', 1_759_415_400_000_000);
    const waiting = state.durable();
    waiting.catch(() => undefined);
    await expect(state.close({ deadlineMs: 20 })).rejects.toMatchObject({
      code: 'SHUTDOWN_DEADLINE',
      message: expect.stringMatching(/up to 0 of 1 are durable.*"directory fsync" since 2025-10-02T14:30:00/),
      details: { stage: 'directory fsync' },
    });
    await expect(waiting).rejects.toMatchObject({ code: 'STATE_CLOSED' });
    await expect(open()).rejects.toMatchObject({ code: 'STATE_DIRECTORY_LOCKED' });
    disk.current.makeDurable();
  });

  it('says how the last write failed too, where one did', async () => {
    const state = await open();
    state.register('alpha');
    state.commit();
    await state.durable();
    disk.failure = new Error('EIO: i/o error, fdatasync.');
    state.register('beta');
    await expect(state.durable(state.commit())).rejects.toThrow('EIO');
    disk.before = (method) => (method === 'close' ? new Promise(() => {}) : undefined);
    disk.current.enterStage('idle', 1_759_415_400_000_000);
    await expect(state.close({ deadlineMs: 20 })).rejects.toMatchObject({
      code: 'SHUTDOWN_DEADLINE',
      message: expect.stringContaining(
        'and its last attempt to write failed: EIO: i/o error, fdatasync. End this process',
      ),
      cause: { message: 'EIO: i/o error, fdatasync.' },
    });
  });

  it('tells who asks during it or after it that the state is closed, and not how the worker went', async () => {
    const state = await open();
    state.register('alpha').set('x', 1);
    state.commit();
    await state.checkpoint();
    disk.before = (method) => (method === 'readCheckpoint' ? new Promise(() => {}) : undefined);
    const during = state.loadCheckpoint('alpha');
    during.catch(() => undefined);
    await state.close();
    await expect(during).rejects.toMatchObject({ code: 'STATE_CLOSED' });
    await expect(state.loadCheckpoint('alpha')).rejects.toMatchObject({ code: 'STATE_CLOSED' });
  });

  it('goes on with the next worker where one ends in the middle of it', async () => {
    const state = await open();
    state.register('alpha').set('x', 1);
    state.commit();
    disk.before = (method) => {
      if (method === 'close' && disk.started.length === 1) disk.current.die();
    };
    await state.close();
    expect(disk.started).toHaveLength(2);
    expect(disk.mirror().snapshot('alpha').strategy_state).toEqual({ x: 1 });
  });

  it('tells a write that failed until the deadline, and leaves the directory free', async () => {
    const state = await open();
    state.register('alpha');
    state.commit();
    await state.durable();
    disk.failure = new Error('ENOSPC');
    await expect(state.close({ deadlineMs: 150 })).rejects.toThrow('ENOSPC');
    disk.failure = null;
    await expect(open()).resolves.toBeInstanceOf(StateManager);
  });

  it('tries again until the deadline, since a disk may be full for a moment', async () => {
    const state = await open();
    state.register('alpha');
    state.commit();
    await state.durable();
    disk.failure = new Error('ENOSPC');
    disk.before = (method) => {
      if (method === 'close' && disk.asked.filter((what) => what === 'close').length === 2) disk.failure = null;
    };
    await state.close();
    expect(disk.checkpoints).toHaveLength(1);
  });
});

it('a listener that throws is logged, and the others hear', async () => {
  const state = await open();
  const heard: number[] = [];
  state.on('durable', () => {
    throw new Error('mine');
  });
  state.on('durable', (sequence) => heard.push(sequence));
  state.register('alpha');
  state.commit();
  await state.durable();
  expect(heard).toEqual([1]);
  expect(log.some(({ message }) => message === 'a listener of "durable" threw: Error: mine')).toBe(true);
});
