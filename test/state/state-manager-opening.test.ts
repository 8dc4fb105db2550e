import { describe, expect, it } from 'vitest';
import { StateManager } from '../../src/state/state-manager.ts';
import { FakePersistence } from '../support/state-fake-persistence.ts';
import { position } from '../support/state-fixtures.ts';
import { StateManagerRig } from './state-manager-rig.ts';

const rig = new StateManagerRig();

describe('opening', () => {
  it('gives back what was committed before, at a higher epoch, and says what it found', async () => {
    const first = await rig.open();
    const book = first.register('alpha');
    book.setPosition(position('AAPL', '100'));
    book.setCash('25000.00');
    book.set('signal', new Map([['AAPL', 1]]));
    first.register('beta');
    expect(first.commit()).toBe(1);
    await first.close({ checkpoint: false });

    const second = await rig.open();
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
    expect(rig.log.map(({ message }) => message)).toContain('the state directory is new: nothing to restore');
  });

  it('refuses a second state on the directory, and frees it when a restore fails', async () => {
    await rig.open();
    await expect(rig.open()).rejects.toMatchObject({ code: 'STATE_DIRECTORY_LOCKED' });
    await rig.opened[0]?.close();
    rig.disk.failure = new Error('EIO: i/o error, read');
    await expect(rig.open()).rejects.toThrow('EIO');
    rig.disk.failure = null;
    await expect(rig.open()).resolves.toBeInstanceOf(StateManager);
  });

  it('is refused where the worker ends while it restores, and not tried again', async () => {
    rig.disk.before = () => rig.disk.current.die();
    await expect(rig.open()).rejects.toMatchObject({ code: 'WORKER_ENDED' });
    expect(rig.disk.started).toHaveLength(1);
  });

  it('raises the epoch above that of the files, where the lock knew a lower one', async () => {
    rig.disk.epoch = 41;
    const state = await rig.open();
    expect(state.epoch).toBe(42);
    expect(rig.disk.started.map(({ epoch }) => epoch)).toEqual([1, 42]);
  });

  it('warns of stale state, and of everything that was lost or kept aside', async () => {
    rig.disk.recovery = {
      stale: true,
      timestamp: '2025-10-02T14:30:00.000000Z',
      lost: [
        { what: 'torn_tail', file: 'journal/1-1.journal', why: 'cut', acknowledged: false },
        { what: 'damaged_journal', file: 'journal/1-2.journal', why: 'crc', acknowledged: true },
      ],
      quarantined: ['quarantine/x'],
    };
    const state = await rig.open();
    expect(state.recovery.stale).toBe(true);
    expect(rig.log.filter(({ level }) => level !== 'info').map(({ level, message }) => `${level}: ${message}`)).toEqual(
      [
        expect.stringMatching(/^warn: the restored state is stale: it is from 2025-10-02/),
        'warn: journal/1-1.journal was not used: cut',
        'error: acknowledged state was lost: journal/1-2.journal: crc',
        'warn: kept aside for you to look at: quarantine/x',
      ],
    );
  });

  it('refuses another base currency than that of the files', async () => {
    const state = await rig.open();
    state.register('alpha');
    state.commit();
    await state.close();
    rig.disk.mirror = () => FakePersistence.prototype.mirror.call(rig.disk, 'USD');
    await expect(rig.open({ currency: 'EUR' })).rejects.toMatchObject({ code: 'CURRENCY_MISMATCH' });
  });

  it.each([
    [{ currency: 'usd' }, 'currency'],
    [{ generations: 1 }, 'generations'],
    [{ checkpointIntervalMs: 0.5 }, 'checkpointIntervalMs'],
    [{ lag: { eventsMax: 0 } }, 'lag.eventsMax'],
    [{ significantChange: { notional: '1e6' } }, 'notional'],
  ])('refuses options that cannot be meant: %j', async (options, path) => {
    await expect(rig.open(options)).rejects.toThrow(path);
  });
});

it.each([[''], ['a\0b'], [5 as never]])('refuses %j as a directory before anything is made', async (directory) => {
  await expect(StateManager.open({ directory })).rejects.toMatchObject({
    code: 'STATE_OPTIONS_INVALID',
    details: { path: 'directory' },
  });
});

it.each([
  [null, 'options'],
  ['/a/path', 'options'],
  [{ lag: null }, 'lag'],
  [{ significantChange: [] }, 'significantChange'],
  [{ stateValueMaxBytes: 2 ** 40 }, 'stateValueMaxBytes'],
  [{ hostStateMaxBytes: 2 ** 28 }, 'hostStateMaxBytes'],
  [{ significantChange: { notional: 5 } }, 'significantChange.notional'],
  [{ significantChange: { notional: '-1' } }, 'significantChange.notional'],
  [{ host: 5 }, 'host'],
  [{ force: 'yes' }, 'force'],
  [{ audit: 'yes' }, 'audit'],
  [{ logger: {} }, 'logger'],
  [{ clock: {} }, 'clock'],
])('refuses %j in place of options by the name of the option', async (options, path) => {
  await expect(StateManager.open(options as never)).rejects.toMatchObject({
    name: 'ConfigError',
    code: 'STATE_OPTIONS_INVALID',
    details: { path },
  });
});
