import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import { MessageChannel } from 'node:worker_threads';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { deltaLine } from '../../src/model/delta.ts';
import type { StrategySnapshot } from '../../src/model/snapshot.ts';
import { nodeFileSystem } from '../../src/persistence/node-file-system.ts';
import type { SnapshotSlice } from '../../src/persistence/protocol.ts';
import { readStatus } from '../../src/persistence/status-file.ts';
import type { LoggedCall } from '../../src/testing/faulty-file-system.ts';
import { delta, type Harness, makeStateDirectory, startService, unwrap } from './service-harness.ts';

let directory: string;
let remove: () => void;
const harnesses: Harness[] = [];

beforeEach(() => {
  ({ directory, remove } = makeStateDirectory());
});
afterEach(() => {
  for (const harness of harnesses.splice(0)) harness.engine.close();
  remove();
});

function start(...args: Parameters<typeof startService> extends [string, ...infer Rest] ? Rest : never): Harness {
  const harness = startService(directory, ...args);
  harnesses.push(harness);
  return harness;
}

const all = Number.POSITIVE_INFINITY;
const isJournal = ({ path }: LoggedCall) => path.includes('/journal/');

/** What a new start would begin with: amounts of AAPL by strategy, and the restore point. */
async function restoredAmounts(
  epoch: number,
): Promise<{ readonly sequence: number; readonly amounts: Record<string, string> }> {
  const { service } = start({ epoch });
  const { recovery, strategies } = await unwrap(service.open());
  const amounts: Record<string, string> = {};
  for (const strategy of strategies) {
    const { positions } = JSON.parse(await unwrap(service.restored(strategy))) as StrategySnapshot;
    amounts[strategy] = positions[0]?.amount ?? 'none';
  }
  return { sequence: recovery.sequence, amounts };
}

describe('a persistence service that opens', () => {
  it('begins at nothing where there is nothing', async () => {
    const { service, engine } = start();
    const opened = await unwrap(service.open());
    expect(opened).toMatchObject({ base: 0, maxEpoch: 0, strategies: [], recovery: { sequence: 0 } });
    expect(await unwrap(service.begin())).toEqual({ sequence: 0 });
    expect(engine.durable).toBe(0);
  });

  it('gives back what was acknowledged, and goes on from there in the next epoch', async () => {
    const first = start();
    await first.begin();
    first.engine.post(delta(1), delta(2, ['beta']), delta(3));
    await first.engine.acknowledgedThrough(3);
    first.kill();

    const { service, engine } = start({ epoch: 2 });
    expect(await unwrap(service.open())).toMatchObject({ strategies: ['alpha', 'beta'], base: 3, maxEpoch: 1 });
    const alpha = JSON.parse(await unwrap(service.restored('alpha'))) as StrategySnapshot;
    expect(alpha).toMatchObject({ strategy_state: { seen: 3 }, positions: [{ asset: 'AAPL', amount: '3' }] });
    expect(await unwrap(service.begin())).toEqual({ sequence: 3 });
    expect([engine.durable, engine.received]).toEqual([3, 3]);
    engine.post(delta(4));
    await engine.acknowledgedThrough(4);
    expect(await restoredAmounts(3)).toEqual({ sequence: 4, amounts: { alpha: '4', beta: '2' } });
  });

  it('refuses to go on where less comes back than was acknowledged', async () => {
    const first = start();
    await first.begin();
    first.engine.post(delta(1));
    await first.engine.acknowledgedThrough(1);
    first.kill();
    const replacement = start({ incarnation: 2, atLeast: 2 });
    await expect(unwrap(replacement.service.open())).rejects.toMatchObject({
      code: 'STATE_LOST',
      details: { restored: 1, acknowledged: 2 },
    });
    const other = start({ incarnation: 3, atLeast: 1 });
    expect(await unwrap(other.service.open())).toMatchObject({ base: 1 });
    expect(await unwrap(other.service.begin())).toEqual({ sequence: 1 });
  });

  it('refuses an epoch that is not above all that it found, and has written nothing then', async () => {
    const first = start({ epoch: 5 });
    await first.begin();
    first.engine.post(delta(1));
    await first.engine.acknowledgedThrough(1);
    first.kill();
    const { service } = start({ epoch: 5 });
    expect(await unwrap(service.open())).toMatchObject({ maxEpoch: 5 });
    const before = readdirSync(join(directory, 'journal'));
    await expect(unwrap(service.begin())).rejects.toMatchObject({ code: 'EPOCH_TOO_LOW', details: { found: 5 } });
    expect(readdirSync(join(directory, 'journal'))).toEqual(before);
  });

  it('goes on above everything that it found, also above what was damaged', async () => {
    const first = start();
    await first.begin();
    first.engine.post(delta(1));
    await first.engine.acknowledgedThrough(1);
    first.kill();
    writeFileSync(join(directory, 'alpha_checkpoint.1-7.json'), 'damage');
    const { service, engine } = start({ epoch: 2 });
    const { base, recovery } = await unwrap(service.open());
    expect([recovery.sequence, base]).toEqual([1, 8]);
    expect(await unwrap(service.begin())).toEqual({ sequence: 8 });
    engine.post(delta(9));
    await engine.acknowledgedThrough(9);
    expect(await restoredAmounts(3)).toEqual({ sequence: 9, amounts: { alpha: '9' } });
  });

  it('says what it swept, and that it did so', async () => {
    const left = join(directory, '.alpha.1-2.0123456789abcdef.tmp');
    writeFileSync(left, 'half');
    const { service, engine } = start();
    const notice = engine.next('notice');
    await unwrap(service.open());
    expect(await notice).toMatchObject({ level: 'info', message: expect.stringMatching(/temporary files .*: 1$/) });
    expect(existsSync(left)).toBe(false);
  });

  it('can begin again after a disk error at the beginning', async () => {
    const { service, fs, engine } = start();
    await unwrap(service.open());
    fs.setRules([{ call: 'fdatasync', errno: 'EIO' }]);
    await expect(unwrap(service.begin())).rejects.toMatchObject({
      code: 'WRITE_FAILED',
      details: { stage: 'fsync', errno: 'EIO' },
    });
    expect(await unwrap(service.begin())).toEqual({ sequence: 0 });
    engine.post(delta(1));
    await engine.acknowledgedThrough(1);
    expect(await restoredAmounts(2)).toMatchObject({ sequence: 1 });
  });

  it('answers calls that come out of order with an error that says what is expected', async () => {
    const { service } = start();
    for (const early of [
      service.begin(),
      service.restored('alpha'),
      service.status(),
      service.readCheckpoint('alpha'),
      service.checkpoint({ sequence: 0, strategies: null, reason: 'on_demand' }),
    ]) {
      await expect(unwrap<unknown>(early)).rejects.toMatchObject({ code: 'PERSISTENCE_PHASE' });
    }
    await unwrap(service.open());
    await expect(unwrap(service.restored('nobody'))).rejects.toMatchObject({ code: 'STRATEGY_UNKNOWN' });
    await expect(unwrap(service.open())).rejects.toMatchObject({ code: 'PERSISTENCE_PHASE' });
  });
});

describe('deltas', () => {
  it('are acknowledged after the fdatasync of their group, and those that came meanwhile share the next', async () => {
    const { engine, fs, begin } = start();
    const durableAtFsync: number[] = [];
    await begin([
      {
        call: 'fdatasync',
        times: all,
        before: () => {
          durableAtFsync.push(engine.durable);
          if (durableAtFsync.length === 1)
            for (let sequence = 2; sequence <= 20; sequence += 1) engine.post(delta(sequence));
        },
      },
    ]);
    engine.post(delta(1));
    await engine.acknowledgedThrough(20);
    expect(durableAtFsync).toEqual([0, 1]);
    expect(engine.acknowledged).toEqual([1, 20]);
    expect([engine.durable, engine.received]).toEqual([20, 20]);
    expect(fs.calls.filter(({ call }) => call === 'fdatasync')).toHaveLength(2);
  });

  it('of another incarnation are dropped', async () => {
    const { engine, begin, fatal } = start({ incarnation: 3 });
    await begin();
    engine.send({ kind: 'delta', incarnation: 2, through: 1, line: deltaLine(delta(1, ['ghost'])) });
    engine.send({ kind: 'delta', incarnation: 4, through: 7, line: deltaLine(delta(7, ['ghost'])) });
    engine.post(delta(1));
    await engine.acknowledgedThrough(1);
    expect(fatal).toEqual([]);
    expect(engine.replies.every((reply) => reply.incarnation === 3)).toBe(true);
    expect((await restoredAmounts(2)).amounts).toEqual({ alpha: '1' });
  });

  it.each([
    ['that leave a gap', delta(5)],
    ['that come twice', delta(2)],
    ['that go nowhere', delta(2, ['alpha'], 2)],
  ])('%s end the service, and what was acknowledged stays', async (_what, wrong) => {
    const { service, engine, begin, fatal, clock } = start();
    await begin();
    engine.post(delta(1), delta(2));
    await engine.acknowledgedThrough(2);
    engine.post(wrong, delta(3));
    await turn();
    await turn();
    expect(fatal).toMatchObject([{ code: 'DELTA_GAP' }]);
    expect(engine.acknowledged.at(-1)).toBe(2);
    await expect(unwrap(service.status())).rejects.toMatchObject({ code: 'PERSISTENCE_FAILED', retryable: true });
    expect(clock.pendingTimers).toBe(0);
    expect(await restoredAmounts(2)).toEqual({ sequence: 2, amounts: { alpha: '2' } });
  });

  it('before begin() end the service', async () => {
    const { service, engine, fatal } = start();
    await unwrap(service.open());
    engine.post(delta(1));
    await turn();
    await turn();
    expect(fatal).toMatchObject([{ code: 'PERSISTENCE_PHASE' }]);
  });
});

describe('a write that fails', () => {
  it.each([
    ['EIO at fdatasync', { call: 'fdatasync', errno: 'EIO' }, 'fsync'],
    ['EIO at fdatasync that says so after it was done', { call: 'fdatasync', errno: 'EIO', done: true }, 'fsync'],
    ['ENOSPC at write', { call: 'write', errno: 'ENOSPC' }, 'write'],
  ] as const)('(%s) is told, not acknowledged, and written anew to another file', async (_what, rule, stage) => {
    const { engine, begin, fs, clock } = start();
    await begin([{ ...rule, path: '/journal/' }]);
    const failed = engine.next('write_failed');
    engine.post(delta(1));
    expect(await failed).toMatchObject({
      through: 1,
      retryInMs: 50,
      error: { name: 'StateError', code: 'WRITE_FAILED', details: { stage, errno: rule.errno } },
    });
    engine.post(delta(2));
    await turn();
    await turn();
    expect([engine.durable, engine.received, engine.acknowledged]).toEqual([0, 2, []]);
    const broken = fs.calls.find(({ fault }) => fault !== null)?.path;
    const callsUntilThen = fs.calls.length;
    clock.advance(50);
    await engine.acknowledgedThrough(2);
    expect(engine.acknowledged).toEqual([2]);
    const later = fs.calls.slice(callsUntilThen).filter(isJournal);
    expect(later.map(({ call }) => call)).toContain('fdatasync');
    expect(later.map(({ path }) => path)).not.toContain(broken);
    expect(fs.calls.filter(({ call, path }) => call === 'fdatasync' && path === broken).length).toBeLessThanOrEqual(1);
    expect(await restoredAmounts(2)).toEqual({ sequence: 2, amounts: { alpha: '2' } });
  });

  it('is answered to those who wait for durability, at the next attempt that fails, and works again later', async () => {
    const { service, engine, begin, fs, clock } = start();
    await begin([{ call: 'fdatasync', times: all, errno: 'EIO' }]);
    engine.post(delta(1));
    await engine.next('write_failed');
    const request = { sequence: 1, strategies: null, reason: 'on_demand' } as const;
    const checkpoint = unwrap(service.checkpoint(request)).catch((error: unknown) => error);
    const close = unwrap(service.close({ sequence: 1, checkpoint: true })).catch((error: unknown) => error);
    await turn();
    const status = await unwrap(service.status());
    expect(status).toMatchObject({ durableSequence: 0, receivedSequence: 1 });
    clock.advance(50);
    for (const error of [await checkpoint, await close]) {
      expect(error).toMatchObject({ code: 'WRITE_FAILED', details: { errno: 'EIO' } });
    }
    expect(readdirSync(directory).filter((name) => name.includes('checkpoint'))).toEqual([]);
    fs.setRules([]);
    clock.advance(100);
    await engine.acknowledgedThrough(1);
    expect(await unwrap(service.checkpoint(request))).toMatchObject({
      sequence: 1,
      strategies: [{ strategy: 'alpha' }],
    });
    expect(await unwrap(service.close({ sequence: 1, checkpoint: false }))).toBeNull();
  });

  it('does not fail those who wait where the next attempt succeeds', async () => {
    const { service, engine, begin, clock } = start();
    await begin([{ call: 'fdatasync', errno: 'EIO' }]);
    engine.post(delta(1));
    await engine.next('write_failed');
    const checkpoint = unwrap(service.checkpoint({ sequence: 1, strategies: null, reason: 'on_demand' }));
    await turn();
    await turn();
    clock.advance(50);
    expect(await checkpoint).toMatchObject({ sequence: 1 });
  });
});

describe('a checkpoint', () => {
  it('waits for the sequence that was asked for', async () => {
    const { service, engine, begin } = start();
    await begin();
    let done = false;
    const checkpoint = unwrap(service.checkpoint({ sequence: 2, strategies: null, reason: 'on_demand' })).then(
      (value) => {
        done = true;
        return value;
      },
    );
    engine.post(delta(1));
    await engine.acknowledgedThrough(1);
    await turn();
    expect(done).toBe(false);
    engine.post(delta(2));
    expect(await checkpoint).toMatchObject({
      reason: 'on_demand',
      sequence: 2,
      strategies: [{ strategy: 'alpha', sequence: 2, file: 'alpha_checkpoint.json' }],
    });
  });

  it('lets deltas be acknowledged while its files are written, and renames nothing that the journal has not', async () => {
    const { service, engine, begin, fs } = start();
    const names = Array.from({ length: 40 }, (_, index) => `s${index}`);
    let sequence = 1;
    const acknowledgedAtFsync: number[] = [];
    const sequencesRenamed: number[] = [];
    await begin([
      {
        call: 'fsync',
        times: all,
        before: () => {
          acknowledgedAtFsync.push(engine.durable);
          sequence += 1;
          engine.post(delta(sequence, names));
        },
      },
      {
        call: 'rename',
        path: '_checkpoint.json',
        times: all,
        before: ({ path }) => {
          const { sequence: inFile } = JSON.parse(readFileSync(path, 'utf8')) as { sequence: number };
          sequencesRenamed.push(inFile);
          expect(inFile).toBeLessThanOrEqual(engine.durable);
        },
      },
    ]);
    engine.post(delta(1, names));
    await engine.acknowledgedThrough(1);
    const done = await unwrap(service.checkpoint({ sequence: 1, strategies: null, reason: 'interval' }));
    expect(new Set(acknowledgedAtFsync).size).toBeGreaterThan(30);
    expect(sequencesRenamed).toHaveLength(40);
    expect(new Set(sequencesRenamed).size).toBeGreaterThan(1);
    expect(done.sequence).toBe(1);
    expect(done.strategies.map((each) => each.sequence).sort()).toEqual([...sequencesRenamed].sort());
    await engine.acknowledgedThrough(sequence);
    fs.setRules([]);
    const amounts = Object.fromEntries(names.map((name) => [name, String(sequence)]));
    expect(await restoredAmounts(2)).toEqual({ sequence, amounts });
  });

  it.each([
    ['renamed', { call: 'rename', path: '.tmp' }],
    ['pruned', { call: 'unlink', path: '_checkpoint.1-1.json' }],
  ] as const)('lets deltas be acknowledged while its files are %s', async (_what, rule) => {
    const { service, engine, begin, fs } = start({ generations: 2 });
    const names = Array.from({ length: 40 }, (_, index) => `s${index}`);
    await begin();
    let sequence = 0;
    const save = async () => {
      sequence += 1;
      engine.post(delta(sequence, names));
      await engine.acknowledgedThrough(sequence);
      await unwrap(service.checkpoint({ sequence, strategies: null, reason: 'interval' }));
    };
    await save();
    await save();
    const acknowledged: number[] = [];
    const before = () => {
      acknowledged.push(engine.durable);
      sequence += 1;
      engine.post(delta(sequence, ['s0']));
    };
    fs.setRules([{ ...rule, times: all, before }]);
    await save();
    await turn();
    expect(acknowledged.length).toBeGreaterThanOrEqual(40);
    expect(new Set(acknowledged).size).toBeGreaterThanOrEqual(40);
    await engine.acknowledgedThrough(sequence);
    fs.setRules([]);
    const amounts = Object.fromEntries(names.map((name) => [name, name === 's0' ? String(sequence) : '3']));
    expect(await restoredAmounts(2)).toEqual({ sequence, amounts });
  });

  describe('is answered first, and then', () => {
    async function answered(...[options]: Parameters<typeof start>): Promise<Harness & { oldest(): boolean }> {
      const harness = start({ generations: 2, ...options });
      await harness.begin();
      for (const sequence of [1, 2, 3]) {
        if (sequence > 1) await turn();
        harness.engine.post(delta(sequence, ['alpha']));
        await unwrap(harness.service.checkpoint({ sequence, strategies: null, reason: 'on_demand' }));
      }
      return { ...harness, oldest: () => existsSync(join(directory, 'alpha_checkpoint.1-1.json')) };
    }

    it('what it pushed out goes, and the journal tells of it', async () => {
      const { fs, oldest } = await answered();
      expect(oldest()).toBe(true);
      const before = fs.calls.length;
      await turn();
      expect(oldest()).toBe(false);
      const calls = fs.calls.slice(before).map(({ call }) => call);
      expect(calls.indexOf('unlink')).toBeLessThan(calls.indexOf('fdatasync'));
      expect(calls).toContain('unlink');
    });

    it('a close that makes no checkpoint of its own does that too', async () => {
      const { service, oldest } = await answered();
      expect(oldest()).toBe(true);
      await unwrap(service.close({ sequence: 3, checkpoint: false }));
      expect(oldest()).toBe(false);
    });

    it('what nobody foresaw there ends the worker by it, and whoever asks is told', async () => {
      const { service, fs, fatal } = await answered();
      const error = new TypeError('not foreseen');
      const before = () => {
        throw error;
      };
      fs.setRules([{ call: 'unlink', before }]);
      const ask = () => unwrap(service.checkpoint({ sequence: 3, strategies: null, reason: 'on_demand' }));
      await expect(ask()).rejects.toThrow('not foreseen');
      expect(fatal).toEqual([error]);
      await expect(ask()).rejects.toMatchObject({ code: expect.any(String) });
      fs.setRules([]);
      expect(await restoredAmounts(2)).toMatchObject({ sequence: 3, amounts: { alpha: '3' } });
    });
  });

  it('leaves everything as it was when the journal fails before its files are renamed', async () => {
    const { service, engine, begin, fs } = start();
    await begin();
    engine.post(delta(1));
    await unwrap(service.checkpoint({ sequence: 1, strategies: null, reason: 'on_demand' }));
    fs.setRules([
      { call: 'fsync', before: () => engine.post(delta(2)) },
      { call: 'fdatasync', errno: 'EIO' },
    ]);
    await expect(
      unwrap(service.checkpoint({ sequence: 1, strategies: null, reason: 'on_demand' })),
    ).rejects.toMatchObject({ code: 'WRITE_FAILED', details: { errno: 'EIO', stage: 'fsync' } });
    expect(JSON.parse((await unwrap(service.readCheckpoint('alpha'))) ?? '')).toMatchObject({ sequence: 1 });
    expect(readdirSync(directory).filter((name) => name.endsWith('.tmp'))).toEqual([]);
  });

  it('that fails is answered with stage, errno and path, and the one before stays', async () => {
    const { service, engine, begin, fs } = start();
    await begin();
    const request = { strategies: null, reason: 'on_demand' } as const;
    engine.post(delta(1));
    await unwrap(service.checkpoint({ ...request, sequence: 1 }));
    fs.setRules([{ call: 'fsync', errno: 'EIO' }]);
    engine.post(delta(2));
    await expect(unwrap(service.checkpoint({ ...request, sequence: 2 }))).rejects.toMatchObject({
      code: 'WRITE_FAILED',
      details: { stage: 'fsync', errno: 'EIO', path: expect.stringContaining(directory) },
    });
    expect(JSON.parse((await unwrap(service.readCheckpoint('alpha'))) ?? '')).toMatchObject({ sequence: 1 });
    expect(await unwrap(service.checkpoint({ ...request, sequence: 2 }))).toMatchObject({ sequence: 2 });
    expect(JSON.parse((await unwrap(service.readCheckpoint('alpha'))) ?? '')).toMatchObject({ sequence: 2 });
  });

  it('does for all who ask at once, each with the reason that it gave', async () => {
    const { service, engine, begin, fs } = start();
    await begin();
    engine.post(delta(1, ['alpha', 'beta', 'gamma']));
    await engine.acknowledgedThrough(1);
    fs.clearCalls();
    const done = await Promise.all([
      unwrap(service.checkpoint({ sequence: 1, strategies: ['alpha'], reason: 'interval' })),
      unwrap(service.checkpoint({ sequence: 1, strategies: ['beta'], reason: 'significant_change' })),
    ]);
    expect(done.map(({ reason }) => reason)).toEqual(['interval', 'significant_change']);
    for (const { strategies } of done) expect(strategies.map(({ strategy }) => strategy)).toEqual(['alpha', 'beta']);
    expect(fs.calls.filter(({ call }) => call === 'directoryFsync')).toHaveLength(1);
    expect(existsSync(join(directory, 'gamma_checkpoint.json'))).toBe(false);
    expect((await unwrap(service.status())).checkpoints).toBe(2);
  });

  it('of a strategy that nobody knows is refused by name', async () => {
    const { service, begin } = start();
    await begin();
    await expect(
      unwrap(service.checkpoint({ sequence: 0, strategies: ['nobody'], reason: 'on_demand' })),
    ).rejects.toMatchObject({ code: 'STRATEGY_UNKNOWN', details: { strategy: 'nobody' } });
    expect(await unwrap(service.checkpoint({ sequence: 0, strategies: null, reason: 'on_demand' }))).toMatchObject({
      sequence: 0,
      strategies: [],
    });
  });

  it('can be read back, also when the newest file is damaged; without any it is null', async () => {
    const { service, engine, begin } = start();
    await begin();
    expect(await unwrap(service.readCheckpoint('alpha'))).toBeNull();
    for (const sequence of [1, 2]) {
      engine.post(delta(sequence));
      await unwrap(service.checkpoint({ sequence, strategies: null, reason: 'on_demand' }));
    }
    writeFileSync(join(directory, 'alpha_checkpoint.json'), 'damage');
    expect(JSON.parse((await unwrap(service.readCheckpoint('alpha'))) ?? '')).toMatchObject({ sequence: 1 });
    writeFileSync(join(directory, 'alpha_checkpoint.1-1.json'), 'damage');
    await expect(unwrap(service.readCheckpoint('alpha'))).rejects.toMatchObject({
      name: 'CheckpointCorrupted',
      message: expect.stringContaining('alpha_checkpoint.1-1.json'),
    });
  });
});

describe('the journal', () => {
  it('is kept within its bound by checkpoints of those who hold it back', async () => {
    const { service, engine, begin, fs } = start({ segmentBytesMax: 4_000, journalBytesMax: 20_000 });
    await begin();
    engine.post(delta(1, ['idle']));
    let sequence = 1;
    let most = 0;
    for (let round = 0; round < 300; round += 1) {
      sequence += 1;
      engine.post(delta(sequence, ['busy']));
      await engine.acknowledgedThrough(sequence);
      most = Math.max(most, (await unwrap(service.status())).journalBytes);
    }
    expect(most).toBeLessThan(30_000);
    expect(most).toBeGreaterThan(20_000);
    const [first] = engine.of('checkpointed');
    expect(first?.checkpoint.strategies.map(({ strategy }) => strategy)).toEqual(['busy', 'idle']);
    expect(fs.calls.some(({ call }) => call === 'unlink')).toBe(true);
    expect(await restoredAmounts(2)).toEqual({ sequence, amounts: { busy: String(sequence), idle: '1' } });
  });

  it('tells when such a checkpoint fails, and tries again after a while', async () => {
    const { service, engine, begin, fs, clock } = start({ segmentBytesMax: 500, journalBytesMax: 1_000 });
    await begin([{ call: 'fsync', times: all, errno: 'EIO' }]);
    engine.post(delta(1, ['idle']));
    await engine.acknowledgedThrough(1);
    let sequence = 1;
    async function deltas(count: number): Promise<void> {
      for (let each = 0; each < count; each += 1) {
        sequence += 1;
        engine.post(delta(sequence));
        await engine.acknowledgedThrough(sequence);
        await turn();
      }
    }
    await deltas(20);
    expect(engine.of('checkpoint_failed')).toMatchObject([{ error: { code: 'WRITE_FAILED' } }]);
    clock.advance(9_999);
    await deltas(2);
    expect(engine.of('checkpoint_failed')).toHaveLength(1);
    fs.setRules([]);
    const asked = await unwrap(service.checkpoint({ sequence, strategies: ['alpha'], reason: 'interval' }));
    // Who holds the journal back comes along with what was asked for.
    expect(asked.strategies.map(({ strategy }) => strategy)).toEqual(['alpha', 'idle']);
    clock.advance(1);
    const checkpointed = engine.next('checkpointed');
    await deltas(1);
    await checkpointed;
  });

  it('of earlier epochs goes once two checkpoints of every strategy stand after it', async () => {
    const first = start();
    await first.begin();
    first.engine.post(delta(1, ['alpha', 'beta']));
    await first.engine.acknowledgedThrough(1);
    first.kill();
    const { service, engine, begin } = start({ epoch: 2 });
    await begin();
    const epochs = () => readdirSync(join(directory, 'journal')).map((name) => Number.parseInt(name, 10));
    for (const sequence of [2, 3]) {
      expect(epochs().sort()).toEqual([1, 2]);
      engine.post(delta(sequence));
      await unwrap(service.checkpoint({ sequence, strategies: null, reason: 'on_demand' }));
      await turn();
    }
    expect(epochs()).toEqual([2]);
    expect(await restoredAmounts(3)).toEqual({ sequence: 3, amounts: { alpha: '3', beta: '1' } });
  });

  it('says that segments could not be deleted, and loses nothing by it', async () => {
    const { service, engine, begin, fs } = start({ segmentBytesMax: 500 });
    await begin([{ call: 'unlink', path: '/journal/', errno: 'EACCES', times: all }]);
    const notice = engine.next('notice');
    for (let sequence = 1; sequence <= 8; sequence += 1) {
      engine.post(delta(sequence));
      await unwrap(service.checkpoint({ sequence, strategies: null, reason: 'on_demand' }));
    }
    expect(await notice).toMatchObject({ level: 'warn', message: expect.stringContaining('were not deleted') });
    fs.setRules([]);
    expect(await restoredAmounts(2)).toMatchObject({ sequence: 8 });
  });

  it('gets a heartbeat only when nothing else was written for its interval', async () => {
    const { engine, begin, fs, clock } = start({ heartbeatMs: 1_000, statusMs: 10 ** 9 });
    await begin();
    const fsyncs = () => fs.calls.filter(({ call }) => call === 'fdatasync').length;
    clock.advance(600);
    engine.post(delta(1));
    await engine.acknowledgedThrough(1);
    clock.advance(999);
    expect(fsyncs()).toBe(1);
    clock.advance(1);
    expect(fsyncs()).toBe(2);
    clock.advance(3_000);
    expect(fsyncs()).toBe(5);
    const { service } = start({ epoch: 2 });
    expect((await unwrap(service.open())).recovery.timestamp).toBe('2025-10-02T14:30:04.600000Z');
    fs.setRules([{ call: 'fdatasync', errno: 'EIO', times: all }]);
    engine.post(delta(2));
    await engine.next('write_failed');
    fs.clearCalls();
    clock.advance(3_000);
    fs.setRules([]);
    clock.advance(2_000);
    await engine.acknowledgedThrough(2);
    const written = fs.calls.filter(({ call }) => call === 'fdatasync').at(-1)?.path ?? '';
    // One for the idle second after the disk was well again, and none of those that fell due before.
    expect(readFileSync(written, 'utf8').match(/heartbeat/g) ?? []).toHaveLength(1);
  });
});

describe('status.json', () => {
  it('tells what the service does, about once an interval', async () => {
    const { service, engine, begin, clock } = start();
    expect(readStatus(nodeFileSystem, directory)).toMatchObject({ phase: 'restoring', durable_sequence: 0, epoch: 1 });
    await begin();
    engine.send({ kind: 'phase', incarnation: 1, phase: 'trading' });
    engine.post(delta(1));
    await unwrap(service.checkpoint({ sequence: 1, strategies: null, reason: 'on_demand' }));
    clock.advance(1_000);
    const status = await unwrap(service.status());
    expect(readStatus(nodeFileSystem, directory)).toEqual({
      updated_at: '2025-10-02T14:30:01.000000Z',
      host: 'test-host',
      pid: process.pid,
      epoch: 1,
      incarnation: 1,
      phase: 'trading',
      durable_sequence: 1,
      received_sequence: 1,
      durable_lag_ms: 0,
      journal_bytes: status.journalBytes,
      segments: 1,
      last_checkpoint_at: '2025-10-02T14:30:00.000000Z',
      last_error: null,
    });
    expect(status).toMatchObject({ checkpoints: 1, segments: 1, lastCheckpointAt: '2025-10-02T14:30:00.000000Z' });
    expect(status.fsyncs).toBeGreaterThan(4);
    expect(status.bytesWritten).toBeGreaterThan(status.journalBytes);
  });

  it('tells the error while writes fail, and how long commits have waited', async () => {
    const { engine, begin, clock } = start();
    await begin([{ call: 'fdatasync', errno: 'EIO', times: all }]);
    engine.post(delta(1));
    await engine.next('write_failed');
    clock.advance(1_000);
    expect(readStatus(nodeFileSystem, directory)).toMatchObject({
      durable_sequence: 0,
      received_sequence: 1,
      durable_lag_ms: 1_000,
      last_error: expect.stringContaining('EIO'),
    });
  });

  it('tells that it is open where nobody tells of a phase', async () => {
    const { begin, clock } = start();
    await begin();
    clock.advance(1_000);
    expect(readStatus(nodeFileSystem, directory)).toMatchObject({ phase: 'open', epoch: 1 });
  });

  it('tells at the end that it was closed in order, and through which sequence', async () => {
    const { service, engine, begin, closed } = start();
    await begin();
    engine.send({ kind: 'phase', incarnation: 1, phase: 'trading' });
    engine.post(delta(1));
    await unwrap(service.close({ sequence: 1, checkpoint: false }));
    await closed;
    expect(readStatus(nodeFileSystem, directory)).toMatchObject({ phase: 'stopped', durable_sequence: 1 });
  });

  it('that cannot be written is told once, until it can be again', async () => {
    const { engine, begin, clock, fs } = start();
    const broken = [{ call: 'create', path: 'status.json', errno: 'EACCES', times: all }] as const;
    await begin(broken);
    clock.advance(3_000);
    fs.setRules([]);
    clock.advance(1_000);
    fs.setRules(broken);
    clock.advance(3_000);
    engine.post(delta(1));
    await engine.acknowledgedThrough(1);
    expect(engine.of('notice').map(({ message }) => message)).toEqual([
      expect.stringContaining('status.json is out of date'),
      expect.stringContaining('status.json is out of date'),
    ]);
  });
});

describe('a snapshot for another worker', () => {
  function receive(): {
    readonly port: MessageChannel['port2'];
    readonly slices: Promise<SnapshotSlice[]>;
    close(): void;
  } {
    const { port1, port2 } = new MessageChannel();
    const received: SnapshotSlice[] = [];
    const slices = new Promise<SnapshotSlice[]>((resolve) => {
      port1.on('message', (slice: SnapshotSlice) => {
        received.push(slice);
        if (slice.kind !== 'end') return;
        port1.close();
        resolve(received);
      });
      port1.on('close', () => resolve(received));
    });
    return { port: port2, slices, close: () => port1.close() };
  }

  it('is of one sequence while deltas go on, and has no strategy state', async () => {
    const { service, engine, begin } = start();
    await begin();
    const names = Array.from({ length: 50 }, (_, index) => `s${index}`);
    const { port, slices } = receive();
    const sending = unwrap(service.sendSnapshot(2, port));
    engine.post(delta(1, names));
    await engine.acknowledgedThrough(1);
    engine.post(delta(2, names));
    let sequence = 2;
    let sent = false;
    const answer = sending.finally(() => {
      sent = true;
    });
    while (!sent) {
      sequence += 1;
      engine.post(delta(sequence, names));
      await turn();
    }
    const received = await slices;
    const { sequence: at } = await answer;
    expect(at).toBeGreaterThanOrEqual(2);
    expect(engine.durable).toBeGreaterThan(at);
    expect(received).toHaveLength(51);
    expect(received.at(-1)).toEqual({ kind: 'end', sequence: at, timestamp: '2025-10-02T14:30:00.000000Z' });
    for (const slice of received.slice(0, -1)) {
      const { positions, strategy_state } = JSON.parse(
        slice.kind === 'strategy' ? slice.snapshot : '',
      ) as StrategySnapshot;
      expect(positions[0]?.amount).toBe(String(at));
      expect(strategy_state).toEqual({});
    }
  });

  it('is not sent on to a receiver that has gone', async () => {
    const { service, engine, begin } = start();
    await begin();
    engine.post(
      delta(
        1,
        Array.from({ length: 500 }, (_, index) => `s${index}`),
      ),
    );
    const { port, slices, close } = receive();
    const sending = unwrap(service.sendSnapshot(1, port));
    await engine.acknowledgedThrough(1);
    close();
    expect(await sending).toEqual({ sequence: 1 });
    expect((await slices).length).toBeLessThan(500);
  });

  it('that cannot be sent ends the port, so that nobody waits', async () => {
    const { service } = start();
    const { port, slices } = receive();
    await expect(unwrap(service.sendSnapshot(0, port))).rejects.toMatchObject({ code: 'PERSISTENCE_PHASE' });
    expect(await slices).toEqual([]);
  });
});

describe('a close', () => {
  it('waits for its sequence, writes all strategies at one, and nothing runs afterwards', async () => {
    const { service, engine, begin, closed, clock, fatal } = start();
    await begin();
    const closing = unwrap(service.close({ sequence: 2, checkpoint: true }));
    const meanwhile = unwrap(service.checkpoint({ sequence: 2, strategies: ['alpha'], reason: 'interval' }));
    const never = unwrap(service.checkpoint({ sequence: 9, strategies: null, reason: 'interval' }));
    const tooLate = never.catch((error: unknown) => error);
    engine.post(delta(1, ['alpha', 'beta']));
    await engine.acknowledgedThrough(1);
    engine.post(delta(2, ['beta']));
    const done = await closing;
    expect(done).toMatchObject({ reason: 'shutdown', sequence: 2 });
    expect(done?.strategies.map(({ sequence }) => sequence)).toEqual([2, 2]);
    expect(await meanwhile).toMatchObject({ reason: 'interval', sequence: 2 });
    expect(await tooLate).toMatchObject({ code: 'PERSISTENCE_CLOSED' });
    await closed;
    expect(clock.pendingTimers).toBe(0);
    expect(fatal).toEqual([]);
    await expect(unwrap(service.status())).rejects.toMatchObject({ code: 'PERSISTENCE_CLOSED' });
    await expect(unwrap(service.close({ sequence: 2, checkpoint: true }))).rejects.toMatchObject({
      code: 'PERSISTENCE_CLOSED',
    });
    expect(await restoredAmounts(2)).toEqual({ sequence: 2, amounts: { alpha: '1', beta: '2' } });
  });

  it('lets nothing in while it writes the final files', async () => {
    const { service, engine, begin } = start();
    await begin([{ call: 'create', path: 'alpha', before: () => engine.post(delta(2, ['alpha', 'beta'])) }]);
    engine.post(delta(1, ['alpha', 'beta']));
    await engine.acknowledgedThrough(1);
    const done = await unwrap(service.close({ sequence: 1, checkpoint: true }));
    expect(done?.strategies.map(({ sequence }) => sequence)).toEqual([1, 1]);
  });

  it('before begin() writes nothing', async () => {
    const { service, closed, fs } = start();
    await unwrap(service.open());
    fs.clearCalls();
    expect(await unwrap(service.close({ sequence: 0, checkpoint: true }))).toBeNull();
    await closed;
    expect(fs.calls).toEqual([]);
  });

  it('whose final checkpoint fails says so, and the service goes on', async () => {
    const { service, engine, begin, fs } = start();
    await begin([{ call: 'directoryFsync', errno: 'EIO' }]);
    engine.post(delta(1));
    await engine.acknowledgedThrough(1);
    await expect(unwrap(service.close({ sequence: 1, checkpoint: true }))).rejects.toMatchObject({
      code: 'WRITE_FAILED',
      details: { stage: 'directory fsync' },
    });
    engine.post(delta(2));
    await engine.acknowledgedThrough(2);
    fs.setRules([]);
    expect(await unwrap(service.close({ sequence: 2, checkpoint: true }))).toMatchObject({ sequence: 2 });
  });

  it('whose last record fails says so, and can be asked for again', async () => {
    const { service, engine, begin, clock } = start();
    await begin([{ call: 'fdatasync', nth: 2, errno: 'EIO' }]);
    engine.post(delta(1));
    await engine.acknowledgedThrough(1);
    const close = { sequence: 1, checkpoint: true };
    await expect(unwrap(service.close(close))).rejects.toMatchObject({ code: 'WRITE_FAILED' });
    clock.advance(50);
    expect(await unwrap(service.close(close))).toMatchObject({ sequence: 1 });
    expect(await restoredAmounts(2)).toMatchObject({ sequence: 1 });
  });

  it('whose journal reports an error at the end says so, and is closed all the same', async () => {
    const { service, engine, begin, closed } = start();
    await begin([{ call: 'close', path: '/journal/', errno: 'EIO' }]);
    engine.post(delta(1));
    await expect(unwrap(service.close({ sequence: 1, checkpoint: false }))).rejects.toMatchObject({
      code: 'WRITE_FAILED',
      details: { stage: 'close' },
    });
    await closed;
    expect(await restoredAmounts(2)).toMatchObject({ sequence: 1 });
  });
});
