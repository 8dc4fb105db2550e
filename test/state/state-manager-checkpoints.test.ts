import { describe, expect, it } from 'vitest';
import { manualClock, order, position } from '../support/state-fixtures.ts';
import { next, StateManagerRig, until } from './state-manager-rig.ts';

const rig = new StateManagerRig();

/** So many intervals of the state's own timer, which has the shortest that it may have in these tests. */
async function ticks(count: number): Promise<void> {
  for (let i = 0; i < count; i += 1) await new Promise((resolve) => setTimeout(resolve, 10));
}

describe('checkpoints', () => {
  it('hold what is staged when they are asked for, and the newest prices', async () => {
    const state = await rig.open();
    const book = state.register('alpha');
    book.setPosition(position('AAPL'));
    state.mark('AAPL', '155.50');
    const checkpointed = next(state, 'checkpointed');
    expect(await state.checkpoint()).toEqual({ sequence: 1, files: ['alpha_checkpoint.json'] });
    expect(await checkpointed).toEqual({ sequence: 1, strategies: 1, durationMs: 1 });
    state.mark('AAPL', '156');
    expect(await state.checkpoint()).toEqual({ sequence: 2, files: ['alpha_checkpoint.json'] });
    expect(JSON.parse(rig.disk.files.get('alpha') ?? '').positions[0].last_price).toBe('156');
  });

  it('are each of at least the commit before them, however many ask at once', async () => {
    const state = await rig.open();
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
    const state = await rig.open({ clock, checkpointIntervalMs: 60_000, lag: { lagMsMax: 40 } });
    const book = state.register('alpha');
    book.setPosition(position('AAPL'));
    state.commit();
    clock.advance(60_000);
    await until(() => rig.disk.checkpoints.length === 1);
    clock.advance(59_999);
    state.mark('TSLA', '1');
    book.set('x', 1);
    state.commit();
    await state.durable();
    await ticks(3);
    expect(rig.disk.checkpoints).toEqual([{ reason: 'interval', strategies: null }]);
    clock.advance(1);
    await until(() => rig.disk.checkpoints.length === 2);
    clock.advance(60_000);
    await ticks(3);
    expect(rig.disk.checkpoints).toHaveLength(2);
    state.mark('AAPL', '1');
    await until(() => rig.disk.checkpoints.length === 3);
  });

  it('come at once after so many commits, or so much that was traded, or written', async () => {
    const clock = manualClock();
    const state = await rig.open({
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
    expect(rig.disk.checkpoints).toEqual([]);
    await commit(() => book.set('i', 10));
    await until(() => rig.disk.checkpoints.length === 1);
    await commit(() => book.setPosition(position('AAPL', '60', { last_price: '10' })));
    expect(rig.disk.checkpoints).toHaveLength(1);
    await commit(() => book.setPosition(position('AAPL', '20', { last_price: '10.5' })));
    await until(() => rig.disk.checkpoints.length === 2);
    await commit(() => book.set('i', 11));
    clock.advance(1_000);
    await until(() => rig.disk.asked.filter((what) => what === 'status').length === 1);
    await commit(() => book.set('i', 'x'.repeat(10_000)));
    expect(rig.disk.checkpoints).toHaveLength(2);
    await ticks(1);
    clock.advance(1_000);
    await until(() => rig.disk.checkpoints.length === 3);
    expect(rig.disk.checkpoints.map(({ reason }) => reason)).toEqual(Array(3).fill('significant_change'));
  });

  it('that fail say so and change nothing else', async () => {
    const state = await rig.open();
    state.register('alpha');
    state.commit();
    await state.durable();
    const failures: Error[] = [];
    state.on('checkpointFailed', (error) => failures.push(error));
    rig.disk.failure = new Error('EROFS');
    await expect(state.checkpoint()).rejects.toThrow('EROFS');
    rig.disk.failure = null;
    rig.disk.current.reply({
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

  it('gives the checkpoint that is on the rig.disk, and the same again', async () => {
    const state = await rig.open();
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
    expect(rig.disk.checkpoints).toHaveLength(1);
  });

  it('replaces all that it names and nothing else', async () => {
    const state = await rig.open();
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
    const state = await rig.open();
    await state.saveCheckpoint('alpha', saved);
    const before = state.register('alpha').snapshot();
    const wrong = { ...saved, strategy_state: { f: () => 1 }, positions: [] };
    await expect(state.saveCheckpoint('alpha', wrong)).rejects.toMatchObject({ code: 'STATE_VALUE_INVALID' });
    state.commit();
    expect(state.register('alpha').snapshot()).toEqual(before);
  });

  it.each([
    ['nothing', undefined, 'state'],
    ['text', 'saved', 'state'],
    ['a Map of state, which would be saved as nothing', { strategy_state: new Map([['x', 1]]) }, 'strategy_state'],
    ['a list of state', { strategy_state: [1] }, 'strategy_state'],
    ['no positions', { positions: undefined }, 'positions'],
    ['no orders', { pending_orders: null }, 'pending_orders'],
    ['a position that is null', { positions: [null] }, 'position'],
    ['two positions of one asset', { positions: [position('AAPL', '1'), position('AAPL', '2')] }, 'positions[1].asset'],
  ])('refuses %s with a typed error, and changes nothing', async (_what, change, path) => {
    const state = await rig.open();
    await state.saveCheckpoint('alpha', saved);
    const before = state.register('alpha').snapshot();
    const given = typeof change === 'object' ? { ...saved, ...change } : change;
    const message = expect.stringContaining(path);
    await expect(state.saveCheckpoint('alpha', given as typeof saved)).rejects.toMatchObject({
      code: 'ENTRY_INVALID',
      message,
    });
    state.commit();
    expect(state.register('alpha').snapshot()).toEqual(before);
  });

  it('does not make a strategy known by a state that is refused', async () => {
    const state = await rig.open();
    for (const change of [{ strategy_state: { x: 1, f: () => 1 } }, { positions: null }]) {
      const wrong: unknown = { ...saved, ...change };
      await expect(state.saveCheckpoint('misspelled', wrong as typeof saved)).rejects.toThrow('misspelled');
    }
    expect(state.commit()).toBe(0);
    expect(state.strategies()).toEqual([]);
    await state.saveCheckpoint('misspelled', saved);
    expect(state.strategies()).toEqual(['misspelled']);
  });

  it('stages nothing once the state is closing', async () => {
    const state = await rig.open();
    await state.saveCheckpoint('alpha', saved);
    const closing = state.close();
    await expect(state.saveCheckpoint('alpha', { ...saved, cash_balance: '1' })).rejects.toMatchObject({
      code: 'STATE_CLOSED',
    });
    await closing;
    expect(state.register('alpha').cash()).toBe(saved.cash_balance);
  });

  it('loads what was committed since the last file, by a new one', async () => {
    const state = await rig.open();
    await state.saveCheckpoint('alpha', saved);
    state.register('alpha').setCash('26000');
    state.commit();
    expect(await state.loadCheckpoint('alpha')).toMatchObject({ cash_balance: '26000', sequence: 2 });
  });

  it('gives null where a strategy has no state', async () => {
    const state = await rig.open();
    expect(await state.loadCheckpoint('nobody')).toBeNull();
    await expect(state.loadCheckpoint('../nobody')).rejects.toMatchObject({ code: 'STRATEGY_NAME_INVALID' });
    state.register('empty');
    state.commit();
    expect(await state.loadCheckpoint('empty')).toBeNull();
  });

  it('names the directory where somebody removes files from it', async () => {
    const state = await rig.open();
    await state.saveCheckpoint('alpha', saved);
    rig.disk.files.clear();
    await expect(state.loadCheckpoint('alpha')).rejects.toMatchObject({ code: 'CHECKPOINT_MISSING' });
  });
});
