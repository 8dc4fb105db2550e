import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { tell, whyNot } from '../support/fault-gates.ts';
import { Image, type ImageOptions } from '../support/fault-image.ts';
import { brokenPromise } from '../support/fault-process.ts';
import { type KillPlan, LoadProcess, smallPlan } from '../support/kill-load.ts';
import { KillRandom } from '../support/kill-random.ts';

/*
 * Row 6: the power goes. A load runs on a file system in an image; at a random moment after an acknowledgement the file system is shut
 * down, so that nothing more reaches the device, the load is killed, and the image is mounted again, which replays its log. Then it
 * must have everything that the load had acknowledged by its end. Every other cut hits the start after the one before, while what was
 * restored is written anew.
 *
 * For half of the cuts the load is stopped first, between two system calls, and then everything counts that it had acknowledged.
 * The other half come while its calls are under way. In that instant ext4 may report success for a last fdatasync whose data it has
 * dropped, which a bare loop of writes and fdatasyncs shows as well and which no device without power could do. So what counts then is
 * what was acknowledged before the cut began, and the rest is counted apart.
 *
 * What stands in for the device keeps what it was given, whether flushed or not: that flushes are asked for is what rows 1 and 28
 * look at. The check restores in this process, as `load --check` does in its own.
 *
 * HOLDFAST_POWER_CUTS sets the cuts of each configuration, HOLDFAST_POWER_SEED repeats those of an earlier run as far as time lets it.
 */

const skipped = whyNot(6, 'linux', 'root', 'mount', 'mkfs.ext4', 'mkfs.xfs', 'xfs_io');
const cuts = Number(process.env['HOLDFAST_POWER_CUTS'] ?? 100);
const seed = Number(process.env['HOLDFAST_POWER_SEED'] ?? Date.now() % 1_000_000_007);
const cutsOfADirectory = 10;

interface Configuration {
  readonly name: string;
  readonly image: ImageOptions;
  readonly flushLog: boolean;
}

const mebibyte = 2 ** 20;
const ext4: ImageOptions = { type: 'ext4', bytes: 128 * mebibyte };
const hasty: ImageOptions = { ...ext4, options: ['noauto_da_alloc'] };
const xfs: ImageOptions = { type: 'xfs', bytes: 320 * mebibyte };
const configurations: readonly Configuration[] = [
  { name: 'ext4', image: ext4, flushLog: false },
  { name: 'ext4 noauto_da_alloc', image: hasty, flushLog: false },
  { name: 'ext4 noauto_da_alloc, log flushed', image: hasty, flushLog: true },
  { name: 'XFS', image: xfs, flushLog: false },
  { name: 'XFS, log flushed', image: xfs, flushLog: true },
];

let home: string;

beforeAll(() => {
  home = mkdtempSync(join(tmpdir(), 'holdfast-power-'));
  process.env['NODE_COMPILE_CACHE'] ??= join(home, 'compiled');
});

afterAll(() => {
  rmSync(home, { recursive: true, force: true });
});

it.skipIf(skipped !== null)(
  'a power cut at any moment loses nothing that was acknowledged',
  async () => {
    // All at the same time: most of the time a process starts.
    const lanes = await Promise.allSettled(
      configurations.map((configuration, index) => cutAgainAndAgain(configuration, new KillRandom(seed + index))),
    );
    const results = lanes.map((lane) => {
      if (lane.status === 'rejected') throw lane.reason;
      return lane.value;
    });
    const sum = (of: (result: Result) => number) => results.reduce((total, result) => total + of(result), 0);
    for (const { name, acks, inStart, beyond, inTheInstant } of results) {
      const instant = inTheInstant === 0 ? '' : `, ${inTheInstant} with a last ack in the very instant`;
      tell(
        `row 6: ${name}: ${cuts} cuts (${inStart} in a start), ${acks} acks, ${beyond} with more than acknowledged${instant}`,
      );
    }
    tell(`row 6: ${results.length * cuts} cases, ${sum(({ acks }) => acks)} acks, 0 lost, 0 mixed; seed ${seed}`);
    expect(sum(({ acks }) => acks)).toBeGreaterThan(cuts);
  },
  120_000 + cuts * configurations.length * 20_000,
);

interface Result {
  readonly name: string;
  readonly acks: number;
  /** Cuts before the first acknowledgement of a start. */
  readonly inStart: number;
  /** Cuts after which more was restored than had been acknowledged. */
  readonly beyond: number;
  /** Cuts in whose instant the kernel reported success for what it had dropped. */
  readonly inTheInstant: number;
}

async function cutAgainAndAgain(
  { name, image: options, flushLog }: Configuration,
  random: KillRandom,
): Promise<Result> {
  await using image = await Image.make(options);
  let acks = 0;
  let inStart = 0;
  let beyond = 0;
  let inTheInstant = 0;
  let plan = smallPlan(random);
  let promised = 0;
  for (let cut = 0; cut < cuts; cut += 1) {
    const directory = join(image.path, `state-${Math.floor(cut / cutsOfADirectory)}`);
    if (cut % cutsOfADirectory === 0) {
      rmSync(join(image.path, `state-${Math.floor(cut / cutsOfADirectory) - 1}`), { recursive: true, force: true });
      plan = smallPlan(random);
      promised = 0;
    }
    const told = `${name}, cut ${cut}, seed ${seed}, plan ${JSON.stringify(plan)}`;
    const load = await loadUntilCut(directory, plan, random, cut % 2 === 1);
    const stopped = cut % 4 < 2;
    if (stopped) await stop(load);
    const before = load.lastAck;
    await image.cut(flushLog);
    load.send('SIGKILL');
    const killed = await load.ended;
    // A load that is stopped before the cut has no reason to end by itself.
    if (stopped) expect(killed.signal, `${told}; exit code ${killed.code}: ${killed.stderr}`).toBe('SIGKILL');
    await image.unmount();
    await image.mount();
    acks += killed.acks;
    if (killed.acks === 0) inStart += 1;
    const atLeast = Math.max(promised, stopped ? killed.lastAck : before);
    const { problem, check } = brokenPromise(directory, atLeast, Number.POSITIVE_INFINITY);
    expect(problem, `${told}; ${killed.stderr}`).toBeNull();
    if (check.sequence > killed.lastAck) beyond += 1;
    if (check.sequence < killed.lastAck) inTheInstant += 1;
    promised = check.sequence;
  }
  return { name, acks, inStart, beyond, inTheInstant };
}

/** A load that has come to where the power is to go: some time after an acknowledgement, or, in a start, at any time. */
async function loadUntilCut(
  directory: string,
  plan: KillPlan,
  random: KillRandom,
  inStart: boolean,
): Promise<LoadProcess> {
  const load = new LoadProcess(directory, plan, random.from(0, 1) * 2_000);
  if (inStart && random.from(0, 1) === 0) {
    await pause(random.from(250, 900));
    return load;
  }
  await load.firstAck;
  await pause(inStart ? random.from(0, 10) : random.from(0, 250));
  return load;
}

/** Stops every thread of the load; one that is in a file call ends that first. */
async function stop(load: LoadProcess): Promise<void> {
  load.send('SIGSTOP');
  while (!isStopped(load.pid)) await pause(1);
}

/** True also where it has ended. */
function isStopped(pid: number): boolean {
  try {
    const tasks = `/proc/${pid}/task`;
    return readdirSync(tasks).every((task) => /\) T/.test(readFileSync(join(tasks, task, 'stat'), 'utf8')));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    // Of a thread that has just ended: the others are looked at next time.
    return !existsSync(`/proc/${pid}/stat`);
  }
}
