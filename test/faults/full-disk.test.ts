import { execFileSync } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, rmSync, statfsSync, statSync, truncateSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CheckpointStore } from '../../src/persistence/checkpoint-store.ts';
import { nodeFileSystem } from '../../src/persistence/node-file-system.ts';
import { tellRow, whyNot } from '../support/fault-gates.ts';
import { Image, type ImageOptions } from '../support/fault-image.ts';
import { brokenPromise, Victim } from '../support/fault-process.ts';
import { Strace } from '../support/fault-strace.ts';

/*
 * Rows 12 and 13: disks that take only a part, or nothing any more. What is being written is there as a whole or not at all, the
 * earlier state stays, no temporary file stays, and once there is room again the state becomes durable without anybody's help.
 */

const mebibyte = 2 ** 20;
const images: readonly ImageOptions[] = [
  { type: 'ext4', bytes: 16 * mebibyte },
  { type: 'xfs', bytes: 320 * mebibyte },
  { type: 'tmpfs', bytes: 2 * mebibyte },
];
// Checkpoints of some pages, so that a disk may be full in the middle of one.
const plan = { strategies: 2, positions: 150, changes: 20, seed: 12 };
const saved = { durable: null, checkpoint: null };

const skipped13 = whyNot(13, 'linux', 'root', 'mount', 'mkfs.ext4', 'mkfs.xfs');
const skipped12 = whyNot(12, 'linux', 'root', 'mount', 'mkfs.ext4', 'prlimit', 'strace');

let home: string;

beforeAll(() => {
  home = mkdtempSync(join(tmpdir(), 'holdfast-full-'));
  process.env['NODE_COMPILE_CACHE'] ??= join(home, 'compiled');
});

afterAll(() => {
  rmSync(home, { recursive: true, force: true });
});

describe.skipIf(skipped13 !== null)('a disk that is full, and then has room again', () => {
  let cases = 0;
  const rounds = 3;

  afterAll(() => {
    if (skipped13 !== null) return;
    const of = images.length * rounds;
    tellRow(13, { done: cases, of }, 'on ext4, XFS and tmpfs, 0 lost, all recovered by themselves');
  });

  it.each(images)('on $type: an event, the old state, no temporary file, and recovery by itself', async (options) => {
    await using image = await Image.make(options);
    await using victims = new AsyncDisposableStack();
    const directory = join(image.path, 'state');
    let victim = victims.use(await Victim.open({ directory, plan, lagMsMax: 200 }));
    for (let i = 0; i < 4; i += 1) expect(await victim.save(plan.strategies)).toMatchObject(saved);
    for (let round = 0; round < rounds; round += 1) {
      const from = victim.said.length;
      const ballast = join(image.path, 'ballast');
      fill(ballast);
      // Where blocks that the files have already give room for some more, saves go on until they do not.
      let answer = await victim.save(plan.strategies);
      for (let tries = 1; answer?.durable === null && tries < 500; tries += 1) {
        fill(ballast);
        answer = await victim.save(plan.strategies);
      }
      const told = `${options.type}, round ${round}`;
      expect(answer?.durable, told).toMatchObject({ code: 'WRITE_FAILED', details: { errno: 'ENOSPC' } });
      expect(victim.acknowledged, told).toBeLessThan(victim.committed);
      const lagging = await victim.heard(({ is }) => is === 'lagging', from);
      expect(lagging, told).toMatchObject({ error: { code: 'WRITE_FAILED', details: { errno: 'ENOSPC' } } });
      expect(brokenPromise(directory, victim.acknowledged, victim.committed).problem, told).toBeNull();
      expect(victim.temporaryFiles(), told).toEqual([]);
      if (round === 1) {
        // Ended while the disk is full: what was acknowledged is there, and the next start has room again.
        const { acknowledged, committed } = victim;
        await victim.killed();
        expect(brokenPromise(directory, acknowledged, committed).problem, told).toBeNull();
        rmSync(ballast);
        victim = victims.use(await Victim.open({ directory, plan, lagMsMax: 200 }));
        expect(victim.acknowledged, told).toBeGreaterThanOrEqual(acknowledged);
      } else {
        const full = victim.said.length;
        rmSync(ballast);
        // Nobody commits, asks, or restarts anything.
        await victim.heard(({ is }) => is === 'recovered', full);
        await victim.acknowledges(victim.committed);
      }
      expect(await victim.save(plan.strategies), told).toMatchObject(saved);
      expect(victim.temporaryFiles(), told).toEqual([]);
      const { problem, check } = brokenPromise(directory, victim.acknowledged, victim.committed);
      expect(problem, told).toBeNull();
      expect(check.sequence, told).toBe(victim.committed);
      cases += 1;
    }
  });
});

describe.skipIf(skipped12 !== null)('a disk that takes only a part', () => {
  const sizes = 60;
  const roomsMax = 24;
  let cases = 0;
  let failed = 0;
  let short = 0;

  afterAll(() => {
    if (skipped12 !== null) return;
    tellRow(
      12,
      { done: cases, of: sizes + 2 * roomsMax },
      `on a tiny tmpfs, a tiny ext4 and under a limit of file size (${short} short counts, ${failed} saves refused), ` +
        '0 half files, 0 lost',
    );
    expect(short).toBeGreaterThan(0);
  });

  /** One save for each of `limits`, which `limit` puts in force and `lift` takes away. */
  async function saveUnder(
    directory: string,
    limits: readonly number[],
    limit: (bytes: number, victim: Victim) => void,
    lift: (victim: Victim) => void,
  ): Promise<void> {
    await using victim = await Victim.open({ directory, plan, lagMsMax: 200 });
    for (let i = 0; i < 4; i += 1) expect(await victim.save(plan.strategies)).toMatchObject(saved);
    const strace = await Strace.attach({ thread: victim.thread, log: join(home, 'short.log'), trace: ['pwrite64'] });
    for (const bytes of limits) {
      const before = victim.committed;
      limit(bytes, victim);
      const answer = await victim.save(plan.strategies);
      const told = `${directory}, room for ${bytes} bytes: ${JSON.stringify(answer)}`;
      for (const error of [answer?.durable, answer?.checkpoint]) {
        if (error === null) continue;
        expect(error, told).toMatchObject({ code: 'WRITE_FAILED' });
        expect(['ENOSPC', 'EFBIG'], told).toContain(error?.details['errno']);
      }
      if (answer?.durable === null) expect(victim.acknowledged, told).toBe(victim.committed);
      if (answer?.durable !== null || answer.checkpoint !== null) failed += 1;
      const { problem, check } = brokenPromise(directory, victim.acknowledged, victim.committed);
      expect(problem, told).toBeNull();
      expect(check.sequence, told).toBeGreaterThanOrEqual(before);
      expect(halfFiles(directory), told).toEqual([]);
      expect(victim.temporaryFiles(), told).toEqual([]);
      lift(victim);
      await victim.acknowledges(victim.committed);
      expect(await victim.save(plan.strategies), told).toMatchObject(saved);
      cases += 1;
    }
    await strace.detach();
    for (const line of strace.lines()) {
      const [, wanted, taken] = /, (\d+), \d+\) += (\d+)$/.exec(line) ?? [];
      if (Number(taken) < Number(wanted)) short += 1;
    }
    await victim.killed();
    expect(brokenPromise(directory, victim.committed, victim.committed).problem).toBeNull();
  }

  it('a limit on the size of a file that lies anywhere in a checkpoint or a journal group', async () => {
    const limits = Array.from({ length: sizes }, (_, index) => 1 + index * 331);
    const limit = (bytes: number | 'unlimited', { pid }: Victim): void => {
      execFileSync('prlimit', [`--pid=${pid}`, `--fsize=${bytes}:unlimited`]);
    };
    await saveUnder(join(home, 'limited'), limits, limit, (victim) => limit('unlimited', victim));
  });

  it.each(images.filter(({ type }) => type !== 'xfs'))('a tiny $type with room for a part', async (options) => {
    await using image = await Image.make(options);
    const ballast = join(image.path, 'ballast');
    const { bsize } = statfsSync(image.path);
    const limits = Array.from({ length: roomsMax }, (_, blocks) => blocks * bsize);
    const limit = (bytes: number): void => {
      fill(ballast);
      truncateSync(ballast, statSync(ballast).size - bytes);
    };
    await saveUnder(join(image.path, 'state'), limits, limit, () => rmSync(ballast));
  });
});

/** Names of checkpoint files that are anything but whole. */
function halfFiles(directory: string): readonly string[] {
  const store = new CheckpointStore(nodeFileSystem, directory, { generations: 3 });
  const files = store.list();
  expect(files.length).toBeGreaterThanOrEqual(plan.strategies);
  // One that is gone was pruned meanwhile.
  return files.filter((file) => !['ok', 'gone'].includes(store.read(file).kind)).map(({ file }) => file);
}

/** Writes to the file until nothing more fits, in large pieces and then in small ones. */
function fill(path: string): void {
  const file = openSync(path, 'a');
  for (let size = mebibyte; size >= 1; size = Math.floor(size / 4)) {
    const bytes = Buffer.alloc(size, 1);
    try {
      while (writeSync(file, bytes) === size);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
    }
  }
  closeSync(file);
}
