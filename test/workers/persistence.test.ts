import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import { MessageChannel } from 'node:worker_threads';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Asker } from '../../src/actor/ask.ts';
import type { StrategySnapshot } from '../../src/model/snapshot.ts';
import {
  type PersistenceControl,
  type PersistenceOptions,
  sharedLayout,
  stages,
} from '../../src/persistence/protocol.ts';
import { type PersistenceThread, startPersistenceThread } from '../../src/state/persistence-thread.ts';
import type { FaultRule } from '../../src/testing/faulty-file-system.ts';
import { delta, EngineEnd, makeStateDirectory, persistenceOptions } from '../persistence/service-harness.ts';

let directory: string;
let remove: () => void;
const workers: Worker[] = [];

beforeEach(() => {
  ({ directory, remove } = makeStateDirectory());
});
afterEach(async () => {
  await Promise.all(
    workers.splice(0).map(async ({ thread, engine, control }) => {
      await thread.terminate();
      engine.close();
      control.close();
    }),
  );
  remove();
});

interface Worker {
  readonly thread: PersistenceThread;
  readonly control: Asker<PersistenceControl>;
  readonly engine: EngineEnd;
  readonly shared: SharedArrayBuffer;
}

function start(
  options: Partial<PersistenceOptions> & { readonly incarnation?: number; readonly rules?: readonly FaultRule[] } = {},
): Worker {
  const { incarnation = 1, rules, ...changes } = options;
  const module = new URL('../../src/testing/faulty-file-system.ts', import.meta.url).href;
  const fileSystem = rules === undefined ? null : { module, options: { rules } };
  const shared = new SharedArrayBuffer(sharedLayout.bytes);
  const persistence = persistenceOptions(directory, { fileSystem, ...changes });
  const thread = startPersistenceThread({ incarnation, shared, options: persistence });
  const worker = { thread, control: thread.control, engine: new EngineEnd(thread.data, shared, incarnation), shared };
  workers.push(worker);
  return worker;
}

async function begin({ control }: Worker): Promise<number> {
  await control.ask('open');
  return (await control.ask('begin')).sequence;
}

async function amountOf(control: Asker<PersistenceControl>, strategy: string): Promise<number> {
  const { positions } = JSON.parse(await control.ask('restored', strategy)) as StrategySnapshot;
  return Number(positions[0]?.amount);
}

/** A switch that both threads see. */
function faultSwitch(): { readonly while: SharedArrayBuffer; set(on: boolean): void } {
  const shared = new SharedArrayBuffer(4);
  return { while: shared, set: (on) => Atomics.store(new Int32Array(shared), 0, on ? 1 : 0) };
}

const always = Number.POSITIVE_INFINITY;

describe('the persistence worker', () => {
  it('gives a replacement everything that it acknowledged, wherever it was killed', async () => {
    let sequence = 0;
    let acknowledged = 0;
    for (let incarnation = 1; incarnation <= 4; incarnation += 1) {
      const worker = start({ incarnation, atLeast: acknowledged });
      const { base } = await worker.control.ask('open');
      expect(base).toBeGreaterThanOrEqual(acknowledged);
      if (base > 0) expect(await amountOf(worker.control, 'alpha')).toBe(base);
      expect(await worker.control.ask('begin')).toEqual({ sequence: base });
      sequence = base;
      // Killed somewhere in the middle: after some acknowledgements, with more on the way, but no more than an engine lets be.
      const enough = base + incarnation * 7;
      while (worker.engine.durable < enough) {
        if (sequence - worker.engine.durable < 100) {
          sequence += 1;
          worker.engine.post(delta(sequence));
        }
        await turn();
      }
      await worker.thread.terminate();
      acknowledged = Math.max(worker.engine.durable, ...worker.engine.acknowledged);
    }
    expect(acknowledged).toBeGreaterThan(4 * 7);
  }, 120_000);

  it('acknowledges deltas while it writes the checkpoints of many strategies', async () => {
    const names = Array.from({ length: 60 }, (_, index) => `s${index}`);
    const worker = start({ rules: [{ call: 'fsync', delayMs: 2, times: always }] });
    const { engine, control } = worker;
    await begin(worker);
    engine.post(delta(1, names));
    await engine.acknowledgedThrough(1);
    let written = false;
    const checkpoint = control.ask('checkpoint', { sequence: 1, strategies: null, reason: 'on_demand' }).finally(() => {
      written = true;
    });
    let sequence = 1;
    let acknowledgedMeanwhile = 0;
    while (!written) {
      sequence += 1;
      engine.post(delta(sequence, ['s0']));
      await engine.acknowledgedThrough(sequence);
      if (!written) acknowledgedMeanwhile += 1;
    }
    const done = await checkpoint;
    expect(done.strategies).toHaveLength(60);
    expect(acknowledgedMeanwhile).toBeGreaterThan(20);
  });

  it('tells that a write failed, and writes it anew once the disk is well', async () => {
    const broken = faultSwitch();
    const worker = start({
      rules: [{ call: 'fdatasync', errno: 'EIO', times: always, while: broken.while }],
    });
    const { engine } = worker;
    await begin(worker);
    engine.post(delta(1));
    await engine.acknowledgedThrough(1);
    broken.set(true);
    engine.post(delta(2));
    expect(await engine.next('write_failed')).toMatchObject({ through: 2, error: { details: { errno: 'EIO' } } });
    engine.post(delta(3));
    expect(await engine.next('write_failed')).toMatchObject({ through: 3, retryInMs: 100 });
    expect(engine.durable).toBe(1);
    broken.set(false);
    await engine.acknowledgedThrough(3);
    expect(engine.acknowledged).toEqual([1, 3]);
    await worker.thread.terminate();
    const next = start({ epoch: 2 });
    await next.control.ask('open');
    expect(await amountOf(next.control, 'alpha')).toBe(3);
  });

  it('shows the system call that it is in, and an ask settles when it ends there', async () => {
    const slow = faultSwitch();
    const worker = start({ rules: [{ call: 'fsync', delayMs: 60_000, while: slow.while }] });
    const { engine, control, thread, shared } = worker;
    await begin(worker);
    engine.post(delta(1));
    await engine.acknowledgedThrough(1);
    slow.set(true);
    const checkpoint = control.ask('checkpoint', { sequence: 1, strategies: null, reason: 'on_demand' });
    const settled = checkpoint.catch((error: unknown) => error);
    const words = new Int32Array(shared);
    while (stages[Atomics.load(words, sharedLayout.stage)] !== 'fsync') await turn();
    const sinceMicros = Number(Atomics.load(new BigInt64Array(shared), sharedLayout.stageSinceMicros));
    expect(Math.abs(Date.now() * 1000 - sinceMicros)).toBeLessThan(20_000_000);
    await thread.terminate();
    expect(await settled).toMatchObject({ code: 'WORKER_ENDED' });
  });

  it('ends with the reason when a delta does not connect', async () => {
    const worker = start();
    await begin(worker);
    const ended = new Promise<Error>((resolve) => worker.thread.onEnd(resolve));
    worker.engine.post(delta(2));
    expect(await ended).toMatchObject({
      code: 'WORKER_ENDED',
      cause: { name: 'StateError', code: 'DELTA_GAP', details: { previous: 1, through: 2, sequence: 0 } },
    });
  });

  it('ends with the reason when the delta comes in the middle of a checkpoint', async () => {
    const slow = faultSwitch();
    const worker = start({ rules: [{ call: 'fsync', delayMs: 300, while: slow.while }] });
    const { engine, control, thread, shared } = worker;
    await begin(worker);
    engine.post(delta(1));
    await engine.acknowledgedThrough(1);
    const ended = new Promise<Error>((resolve) => thread.onEnd(resolve));
    slow.set(true);
    const checkpoint = control.ask('checkpoint', { sequence: 1, strategies: null, reason: 'on_demand' });
    const settled = checkpoint.catch((error: unknown) => error);
    while (stages[Atomics.load(new Int32Array(shared), sharedLayout.stage)] !== 'fsync') await turn();
    engine.post(delta(9));
    expect(await ended).toMatchObject({ cause: { code: 'DELTA_GAP' } });
    expect(await settled).toBeInstanceOf(Error);
    const next = start({ epoch: 2 });
    expect(await next.control.ask('open')).toMatchObject({ base: 1 });
  });

  it('ends by itself after close, once it has answered', async () => {
    const worker = start();
    await begin(worker);
    worker.engine.post(delta(1));
    const ended = new Promise<Error>((resolve) => worker.thread.onEnd(resolve));
    const done = await worker.control.ask('close', { sequence: 1, checkpoint: true });
    expect(done).toMatchObject({ reason: 'shutdown', sequence: 1 });
    expect(await ended).toMatchObject({ details: { exit_code: 0 } });
    expect(worker.engine.acknowledged).toEqual([1]);
  });

  it('sends a snapshot to another port than its own', async () => {
    const worker = start();
    await begin(worker);
    const { port1, port2 } = new MessageChannel();
    const slices: unknown[] = [];
    port1.on('message', (slice) => slices.push(slice));
    worker.engine.post(delta(1, ['alpha', 'beta']));
    expect(await worker.control.ask('sendSnapshot', 1, port2)).toEqual({ sequence: 1 });
    while (slices.length < 3) await turn();
    expect(slices.at(-1)).toMatchObject({ kind: 'end', sequence: 1 });
    port1.close();
  });
});

describe('a file system named by module', () => {
  let modules: string;
  beforeEach(() => {
    modules = mkdtempSync(join(tmpdir(), 'holdfast-module-'));
  });
  afterEach(() => rmSync(modules, { recursive: true }));

  it.each([
    ['that is missing', null, 'cannot be loaded'],
    ['that exports something else', 'export const other = 1;\n', 'exports no createFileSystem'],
  ])('%s ends the worker with a message that says so', async (_what, text, why) => {
    const module = join(modules, 'file-system.mjs');
    if (text !== null) writeFileSync(module, text);
    const { control } = start({ fileSystem: { module } });
    const error = await control.ask('open').catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({
      code: 'WORKER_ENDED',
      cause: { name: 'ConfigError', code: 'FILE_SYSTEM_MODULE', message: expect.stringContaining(why) },
    });
  });
});
