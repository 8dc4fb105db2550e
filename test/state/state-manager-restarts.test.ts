import { setImmediate as turn } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { StateManager } from '../../src/state/state-manager.ts';
import { note, order, position } from '../support/state-fixtures.ts';
import { next, StateManagerRig, until } from './state-manager-rig.ts';

const rig = new StateManagerRig();

describe('a worker that ended', () => {
  it('is replaced, and everything acknowledged and everything unacknowledged is durable in the end', async () => {
    rig.disk.auto = false;
    const state = await rig.open();
    const book = state.register('alpha');
    for (let i = 1; i <= 3; i += 1) {
      book.set(`k${i}`, i);
      book.addEvent(note(String(i)));
      state.commit();
      await turn();
    }
    await until(() => rig.disk.current.received.length === 3);
    rig.disk.current.makeDurable(1);
    await state.durable(1);
    // The second is on the rig.disk and nobody was told; the third is in the worker only.
    rig.disk.current.makeDurable(2, true);
    const restarted = next(state, 'workerRestarted');
    const waiting = state.durable(3);
    rig.disk.current.die();
    book.set('k4', 4);
    state.commit();
    expect(await restarted).toMatchObject({ incarnation: 2 });
    await until(() => rig.disk.current.received.length === 2);
    expect(rig.disk.started[1]).toMatchObject({ atLeast: 1, epoch: state.epoch });
    expect(rig.disk.current.received.map(({ previous, through }) => [previous, through])).toEqual([
      [2, 3],
      [3, 4],
    ]);
    expect(state.durableSequence).toBe(2);
    rig.disk.current.makeDurable();
    await waiting;
    await state.durable(4);
    expect(rig.disk.mirror().snapshot('alpha').strategy_state).toEqual({ k1: 1, k2: 2, k3: 3, k4: 4 });
  });

  it('had room for no more: what waited goes to the next one after what is sent again, each once', async () => {
    rig.disk.auto = false;
    const state = await rig.open({ lag: { unacknowledgedDeltasMax: 2 } });
    const book = state.register('alpha');
    for (let i = 1; i <= 4; i += 1) {
      book.set('i', i);
      state.commit();
      await turn();
    }
    await until(() => rig.disk.current.received.length === 2);
    rig.disk.current.makeDurable(1, true);
    rig.disk.current.die();
    await until(() => rig.disk.started.length === 2 && rig.disk.current.received.length === 2);
    expect(rig.disk.current.received.map(({ previous, through }) => [previous, through])).toEqual([
      [1, 2],
      [2, 4],
    ]);
    rig.disk.current.makeDurable();
    await state.durable();
    expect(rig.disk.started).toHaveLength(2);
  });

  it('may be in the middle of what it was asked: the next one answers', async () => {
    const state = await rig.open();
    state.register('alpha');
    rig.disk.before = (method) => {
      if (method === 'checkpoint' && rig.disk.started.length === 1) rig.disk.current.die();
    };
    const { sequence, files } = await state.checkpoint();
    expect(sequence).toBe(1);
    expect(files).toEqual(['alpha_checkpoint.json']);
    expect(rig.disk.started).toHaveLength(2);
  });

  it('is not believed any more: what an older incarnation still says is dropped', async () => {
    rig.disk.auto = false;
    const state = await rig.open();
    state.register('alpha');
    state.commit();
    await until(() => rig.disk.current.received.length === 1);
    rig.disk.current.reply({ kind: 'acknowledged', sequence: 1 }, 7);
    rig.disk.current.reply({ kind: 'notice', level: 'info', message: 'the end' });
    await until(() => rig.log.some(({ message }) => message === 'the end'));
    expect(state.durableSequence).toBe(0);
  });

  it('gets every strategy whole where what was acknowledged is gone from the rig.disk', async () => {
    const state = await rig.open();
    const alpha = state.register('alpha');
    alpha.setPosition(position('AAPL', '1'));
    alpha.setOrder(order('o1'));
    state.commit();
    await state.durable();
    rig.disk.auto = false;
    state.register('beta').addEvent(note('kept'));
    state.commit();
    await until(() => rig.disk.current.received.length === 2);
    rig.disk.journal = [];
    rig.disk.current.die();
    alpha.set('late', true);
    state.commit();
    rig.disk.auto = true;
    await state.durable();
    expect(rig.disk.started.map(({ atLeast }) => atLeast)).toEqual([0, 1, 0]);
    expect(rig.disk.journal[0]).toMatchObject({ previous: 0, strategies: [{ whole: true }, { whole: true }] });
    expect(rig.disk.journal[0]?.strategies[1]?.events).toEqual([note('kept')]);
    expect(rig.disk.mirror().snapshot('alpha')).toEqual(alpha.snapshot());
    expect(rig.log.some(({ message }) => message.includes('every strategy is sent whole'))).toBe(true);
    state.register('beta').set('x', 1);
    state.commit();
    await state.durable();
    expect(rig.disk.mirror().snapshot('beta').strategy_state).toEqual({ x: 1 });
  });

  it('gets every strategy whole where it counts on from a point that is not ours, and claims nothing before that is durable', async () => {
    rig.disk.auto = false;
    const state = await rig.open();
    const book = state.register('alpha');
    for (let i = 1; i <= 3; i += 1) {
      book.set('i', i);
      state.commit();
      await turn();
    }
    await until(() => rig.disk.current.received.length === 3);
    rig.disk.current.makeDurable(1);
    await state.durable(1);
    rig.disk.baseGap = 1;
    rig.disk.current.die();
    await until(() => rig.disk.started.length === 2 && rig.disk.current.received.length === 1);
    expect(rig.disk.current.received[0]).toMatchObject({ previous: 2, through: 4, strategies: [{ whole: true }] });
    expect(state.durableSequence).toBe(1);
    rig.disk.current.makeDurable();
    await state.durable();
    expect(state.durableSequence).toBe(4);
  });

  it('too often ends the state: no intents, and everybody who waits is told why', async () => {
    rig.disk.auto = false;
    const state = await rig.open({ restartsMax: 2 });
    state.register('alpha');
    state.commit();
    const failed = next(state, 'failed');
    const waiting = state.durable();
    rig.disk.before = () => rig.disk.current.die();
    const asked = state.checkpoint();
    await expect(asked).rejects.toMatchObject({ code: 'WORKER_GIVEN_UP' });
    await expect(waiting).rejects.toMatchObject({ code: 'WORKER_GIVEN_UP' });
    await failed;
    expect(state.acceptsIntents).toBe(false);
    await expect(state.durable()).rejects.toMatchObject({ code: 'WORKER_GIVEN_UP' });
    await expect(state.checkpoint()).rejects.toMatchObject({ code: 'WORKER_GIVEN_UP' });
    await expect(state.close()).rejects.toMatchObject({ code: 'WORKER_GIVEN_UP' });
    rig.disk.before = () => {};
    rig.disk.auto = true;
    await expect(rig.open()).resolves.toBeInstanceOf(StateManager);
  });
});
