import { setImmediate as turn } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { fill, manualClock, note } from '../support/state-fixtures.ts';
import { next, StateManagerRig, until } from './state-manager-rig.ts';

const rig = new StateManagerRig();

describe('posts', () => {
  it('share one delta in a turn, and leave at its end', async () => {
    const state = await rig.open();
    const alpha = state.register('alpha');
    const beta = state.register('beta');
    for (let i = 1; i <= 3; i += 1) {
      alpha.set('i', i);
      beta.addEvent(note(String(i)));
      state.commit();
    }
    expect(rig.disk.current.received).toEqual([]);
    expect(state.durableSequence).toBe(0);
    await state.durable();
    expect(rig.disk.current.received).toMatchObject([
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
    const state = await rig.open();
    const book = state.register('alpha');
    book.set('x', 'committed');
    state.commit();
    book.set('x', 'staged');
    await state.durable();
    expect(rig.disk.mirror().snapshot('alpha').strategy_state).toEqual({ x: 'committed' });
    state.rollback();
    expect(state.commit()).toBe(1);
    expect(book.get('x')).toBe('committed');
  });

  it('wait while too much is unacknowledged: entries conflate, events are all kept', async () => {
    rig.disk.auto = false;
    const state = await rig.open({ lag: { unacknowledgedDeltasMax: 2 } });
    const book = state.register('alpha');
    for (let i = 1; i <= 10; i += 1) {
      book.set('i', i);
      book.addEvent(note(String(i)));
      state.commit();
      await turn();
    }
    await until(() => rig.disk.current.received.length === 2);
    rig.disk.current.makeDurable();
    await until(() => rig.disk.current.received.length === 3);
    expect(rig.disk.current.received[2]).toMatchObject({ previous: 2, through: 10 });
    expect(rig.disk.current.received[2]?.strategies[0]?.state).toEqual([['i', 10]]);
    expect(rig.disk.current.received[2]?.strategies[0]?.events).toHaveLength(8);
  });

  it('wait as well while they hold too many entries', async () => {
    rig.disk.auto = false;
    const state = await rig.open({ lag: { unacknowledgedEntriesMax: 3 } });
    const book = state.register('alpha');
    for (const key of ['a', 'b', 'c', 'd']) {
      book.set(key, 1);
      state.commit();
      await turn();
    }
    await until(() => rig.disk.current.received.length === 2);
    await turn();
    expect(rig.disk.current.received).toHaveLength(2);
  });

  it('stop new intents while too many events are not durable, and take what the broker says', async () => {
    rig.disk.auto = false;
    const state = await rig.open({ lag: { eventsMax: 2 } });
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
    await until(() => rig.disk.current.received.length === 1);
    expect(state.acceptsIntents).toBe(false);
    rig.disk.current.makeDurable();
    await state.durable();
    expect(state.acceptsIntents).toBe(true);
    expect(rig.disk.mirror().snapshot('alpha').broker_cursor.recent_execution_ids).toEqual(['e1', 'e2', 'e3']);
  });

  it('tell the worker the phase', async () => {
    const state = await rig.open();
    state.phase('trading');
    await until(() => rig.disk.phases.includes('trading'));
  });
});

it('a large state value is told of once a key, by an event and a line of the log, and a refused one leaves no trace', async () => {
  const state = await rig.open({ stateValueWarnBytes: 100, stateValueMaxBytes: 2_000, eventMaxBytes: 2_000 });
  const told: unknown[] = [];
  state.on('stateValueLarge', (detail) => told.push(detail));
  const book = state.register('alpha');
  for (let i = 0; i < 3; i += 1) {
    book.set('history', 'x'.repeat(200 + i));
    state.commit();
    await state.durable();
  }
  expect(() => book.set('history', 'x'.repeat(2_000))).toThrow(/alpha.*"history".*at most 2000/);
  expect(() => book.addEvent(note('x'.repeat(2_000)))).toThrow(/alpha.*at most 2000/);
  expect(state.commit()).toBe(3);
  await state.checkpoint();
  expect(told).toEqual([{ strategy: 'alpha', key: 'history', bytes: 202 }]);
  const warnings = rig.log.filter(({ level }) => level === 'warn');
  expect(warnings).toMatchObject([{ fields: { strategy: 'alpha', key: 'history', bytes: 202 } }]);
  expect(rig.disk.mirror().snapshot('alpha').strategy_state).toEqual({ history: 'x'.repeat(202) });
});

describe('what is durable', () => {
  it('is told in order to who waits, and known before the message of it is read', async () => {
    rig.disk.auto = false;
    const state = await rig.open();
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
    await until(() => rig.disk.current.received.length === 3);
    rig.disk.current.words(2);
    expect(state.durableSequence).toBe(2);
    expect(settled).toEqual([]);
    rig.disk.current.makeDurable(2);
    await until(() => settled.length === 2);
    expect(settled).toEqual([1, 2]);
    rig.disk.current.makeDurable();
    await until(() => settled.length === 3);
    expect(durable).toEqual([2, 3]);
  });

  it('has an age: that of the oldest commit that is not', async () => {
    rig.disk.auto = false;
    const clock = manualClock();
    const state = await rig.open({ clock });
    const book = state.register('alpha');
    expect(state.durableLagMs).toBe(0);
    state.commit();
    clock.advance(5);
    expect(state.durableLagMs).toBe(5);
    await until(() => rig.disk.current.received.length === 1);
    book.set('x', 1);
    state.commit();
    clock.advance(5);
    expect(state.durableLagMs).toBe(10);
    rig.disk.current.makeDurable();
    expect(state.durableLagMs).toBe(5);
    await until(() => rig.disk.current.received.length === 2);
    rig.disk.current.makeDurable();
    expect(state.durableLagMs).toBe(0);
  });

  it('is refused for a sequence that nobody committed', async () => {
    const state = await rig.open();
    await expect(state.durable(1)).rejects.toMatchObject({ code: 'SEQUENCE_UNKNOWN' });
    await expect(state.durable(0)).resolves.toBeUndefined();
  });

  it('rejects who waited when an attempt failed, and comes by itself when a later one does not', async () => {
    const state = await rig.open();
    const lagging = next(state, 'lagging');
    rig.disk.failure = new Error('ENOSPC: no space left on device, write');
    state.register('alpha');
    const sequence = state.commit();
    await expect(state.durable(sequence)).rejects.toThrow('ENOSPC');
    expect(await lagging).toMatchObject({ error: { message: expect.stringContaining('ENOSPC') } });
    const recovered = next(state, 'recovered');
    rig.disk.failure = null;
    rig.disk.current.makeDurable();
    await recovered;
    await state.durable(sequence);
  });

  it('stops new intents where nothing became durable for too long, until it does', async () => {
    rig.disk.auto = false;
    const clock = manualClock();
    const state = await rig.open({ clock, lag: { lagMsMax: 40 }, stallLimitMs: 100 });
    state.register('alpha');
    state.commit();
    await until(() => rig.disk.current.received.length === 1);
    rig.disk.current.enterStage('fsync', 1_759_415_400_000_000);
    clock.advance(50);
    expect(await next(state, 'lagging')).toMatchObject({ lagMs: 50, error: null });
    expect(state.acceptsIntents).toBe(true);
    clock.advance(60);
    expect(await next(state, 'lagging')).toMatchObject({
      error: { code: 'PERSISTENCE_STALLED', message: expect.stringMatching(/stage "fsync" since 2025-10-02T14:30/) },
    });
    expect(state.acceptsIntents).toBe(false);
    const recovered = next(state, 'recovered');
    rig.disk.current.makeDurable();
    await recovered;
    expect(state.acceptsIntents).toBe(true);
  });
});

it('a listener that throws is logged, and the others hear', async () => {
  const state = await rig.open();
  const heard: number[] = [];
  state.on('durable', () => {
    throw new Error('mine');
  });
  state.on('durable', (sequence) => heard.push(sequence));
  state.register('alpha');
  state.commit();
  await state.durable();
  expect(heard).toEqual([1]);
  expect(rig.log.some(({ message }) => message === 'a listener of "durable" threw: Error: mine')).toBe(true);
});
