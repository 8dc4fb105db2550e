import { describe, expect, it } from 'vitest';
import { StateManager } from '../../src/state/state-manager.ts';
import { next, StateManagerRig } from './state-manager-rig.ts';

const rig = new StateManagerRig();

describe('closing', () => {
  it('makes everything committed durable with a last checkpoint, and nothing that is staged', async () => {
    const state = await rig.open();
    const book = state.register('alpha');
    book.set('x', 'committed');
    state.commit();
    const waiting = state.durable();
    book.set('x', 'staged');
    await state.close();
    await waiting;
    expect(rig.disk.checkpoints).toEqual([{ reason: 'shutdown', strategies: null }]);
    expect(rig.disk.mirror().snapshot('alpha').strategy_state).toEqual({ x: 'committed' });
  });

  it('is done once, however often it is asked', async () => {
    const state = await rig.open();
    state.register('alpha');
    state.commit();
    const first = state.close();
    expect(state.close()).toBe(first);
    await first;
    await state.close();
    expect(rig.disk.checkpoints).toHaveLength(1);
    expect(() => state.commit()).toThrow(/closed/);
    expect(state.acceptsIntents).toBe(false);
  });

  it('leaves nothing behind that the directory or the process would wait for', async () => {
    const before = process.listenerCount('exit');
    const state = await rig.open({ lastWordsMs: 100 });
    expect(process.listenerCount('exit')).toBe(before + 1);
    await state.close();
    expect(process.listenerCount('exit')).toBe(before);
    await expect(rig.open()).resolves.toBeInstanceOf(StateManager);
  });

  it('names what the worker does when the deadline passes, and keeps the directory', async () => {
    rig.disk.auto = false;
    const state = await rig.open();
    state.register('alpha');
    state.commit();
    rig.disk.current.enterStage('directory fsync', 1_759_415_400_000_000);
    const waiting = state.durable();
    waiting.catch(() => undefined);
    await expect(state.close({ deadlineMs: 20 })).rejects.toMatchObject({
      code: 'SHUTDOWN_DEADLINE',
      message: expect.stringMatching(/up to 0 of 1 are durable.*"directory fsync" since 2025-10-02T14:30:00/),
      details: { stage: 'directory fsync' },
    });
    await expect(waiting).rejects.toMatchObject({ code: 'STATE_CLOSED' });
    await expect(rig.open()).rejects.toMatchObject({ code: 'STATE_DIRECTORY_LOCKED' });
    rig.disk.current.makeDurable();
  });

  it('says how the last write failed too, where one did', async () => {
    const state = await rig.open();
    state.register('alpha');
    state.commit();
    await state.durable();
    rig.disk.failure = new Error('EIO: i/o error, fdatasync.');
    state.register('beta');
    await expect(state.durable(state.commit())).rejects.toThrow('EIO');
    rig.disk.before = (method) => (method === 'close' ? new Promise(() => {}) : undefined);
    rig.disk.current.enterStage('idle', 1_759_415_400_000_000);
    await expect(state.close({ deadlineMs: 20 })).rejects.toMatchObject({
      code: 'SHUTDOWN_DEADLINE',
      message: expect.stringContaining(
        'and its last attempt to write failed: EIO: i/o error, fdatasync. End this process',
      ),
      cause: { message: 'EIO: i/o error, fdatasync.' },
    });
  });

  it('tells who asks during it or after it that the state is closed, and not how the worker went', async () => {
    const state = await rig.open();
    state.register('alpha').set('x', 1);
    state.commit();
    await state.checkpoint();
    rig.disk.before = (method) => (method === 'readCheckpoint' ? new Promise(() => {}) : undefined);
    const during = state.loadCheckpoint('alpha');
    during.catch(() => undefined);
    await state.close();
    await expect(during).rejects.toMatchObject({ code: 'STATE_CLOSED' });
    await expect(state.loadCheckpoint('alpha')).rejects.toMatchObject({ code: 'STATE_CLOSED' });
  });

  it('goes on with the next worker where one ends in the middle of it', async () => {
    const state = await rig.open();
    state.register('alpha').set('x', 1);
    state.commit();
    rig.disk.before = (method) => {
      if (method === 'close' && rig.disk.started.length === 1) rig.disk.current.die();
    };
    await state.close();
    expect(rig.disk.started).toHaveLength(2);
    expect(rig.disk.mirror().snapshot('alpha').strategy_state).toEqual({ x: 1 });
  });

  it('tells a write that failed until the deadline, and leaves the directory free', async () => {
    const state = await rig.open();
    state.register('alpha');
    state.commit();
    await state.durable();
    rig.disk.failure = new Error('ENOSPC');
    await expect(state.close({ deadlineMs: 150 })).rejects.toThrow('ENOSPC');
    rig.disk.failure = null;
    await expect(rig.open()).resolves.toBeInstanceOf(StateManager);
  });

  it('tries again until the deadline, since a rig.disk may be full for a moment', async () => {
    const state = await rig.open();
    state.register('alpha');
    state.commit();
    await state.durable();
    rig.disk.failure = new Error('ENOSPC');
    rig.disk.before = (method) => {
      if (method === 'close' && rig.disk.asked.filter((what) => what === 'close').length === 2) rig.disk.failure = null;
    };
    await state.close();
    expect(rig.disk.checkpoints).toHaveLength(1);
  });

  it.each([
    ['none is replaced', { restartsMax: 0 }],
    ['one is replaced at once', { restartsMax: 5, restartBackoffMs: 0 }],
  ])('hears the end of a worker that has answered as what it is, where %s', async (_, options) => {
    for (let round = 0; round < 5; round += 1) {
      const state = await rig.open(options);
      const told: string[] = [];
      for (const event of ['failed', 'workerRestarted', 'notice'] as const) state.on(event, () => told.push(event));
      state.register('alpha').set('round', round);
      state.commit();
      await state.durable();
      const worker = rig.disk.current;
      // Dead before its answer is read.
      rig.disk.before = (method) => {
        if (method === 'close') setImmediate(() => worker.die());
      };
      const asked = rig.disk.asked.length;
      await state.close();
      rig.disk.before = () => {};
      expect(told).toEqual([]);
      expect(rig.disk.asked.slice(asked)).toEqual(['close']);
      expect(rig.disk.mirror().snapshot('alpha').strategy_state).toEqual({ round });
    }
  });

  it('is told of a worker that ended for good before it answered', async () => {
    const state = await rig.open({ restartsMax: 0 });
    state.register('alpha');
    state.commit();
    await state.durable();
    const failed = next(state, 'failed');
    rig.disk.before = (method) => {
      if (method === 'close') rig.disk.current.die();
    };
    await expect(state.close()).rejects.toMatchObject({ code: 'WORKER_GIVEN_UP' });
    expect(await failed).toMatchObject({ code: 'WORKER_GIVEN_UP' });
    await expect(rig.open()).resolves.toBeInstanceOf(StateManager);
  });

  it('ends with the deadline also where the last write failed and the next one hangs', async () => {
    const state = await rig.open();
    state.register('alpha');
    state.commit();
    await state.durable();
    rig.disk.failure = new Error('EIO: i/o error, fdatasync');
    const worker = rig.disk.current;
    worker.enterStage('fsync', 1_759_415_400_000_000);
    worker.terminate = () => new Promise(() => {});
    await expect(state.close({ deadlineMs: 150 })).rejects.toMatchObject({
      code: 'SHUTDOWN_DEADLINE',
      message: expect.stringMatching(/stage "fsync" since 2025-10-02T14:30:00/),
    });
    await expect(rig.open()).rejects.toMatchObject({ code: 'STATE_DIRECTORY_LOCKED' });
    worker.die();
  });
});
