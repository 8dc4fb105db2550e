import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { tellRow, whyNot } from '../support/fault-gates.ts';
import { brokenPromise, type Saved, type SaveError, Victim, type VictimSays } from '../support/fault-process.ts';
import { Strace } from '../support/fault-strace.ts';

/*
 * Row 10 on the real path: every call of a save fails with every errno, once and for as long as the fault lasts, in the kernel's
 * place, by strace. What fails is told with its stage and errno, is not acknowledged, and leaves the earlier state; when the fault
 * is gone the next save works. The same table in process, behind the file-system seam, is test/persistence.
 *
 * EINTR is no failure: libuv calls again, and takes a close that was interrupted for done.
 */

const skipped = whyNot(10, 'linux', 'strace');
const plan = { strategies: 2, positions: 3, changes: 1, seed: 10 };
const errnos = ['EIO', 'ENOSPC', 'EDQUOT', 'EROFS', 'EACCES', 'EMFILE', 'EINTR'];

interface Stage {
  readonly name: string;
  /** The call, and which of its kind in a save. */
  readonly call: string;
  readonly nth: number;
  /** As the error names it. */
  readonly stage: string;
  /** Only calls on the state directory itself. */
  readonly onDirectory?: true;
  /** What must fail first, so that the call is made at all. */
  readonly first?: string;
  /** Who hears of it: the commits, only the checkpoint, or nobody but the log. */
  readonly fails: 'commits' | 'checkpoint' | 'nothing';
}

// A write to the journal is the first of a save; where its fdatasync fails a new segment is opened for the next attempt.
const newSegment = 'fdatasync:error=EIO:when=1';
const stages: readonly Stage[] = [
  { name: 'journal write', call: 'pwrite64', nth: 1, stage: 'write', fails: 'commits' },
  { name: 'journal fdatasync', call: 'fdatasync', nth: 1, stage: 'fsync', fails: 'commits' },
  { name: 'journal open', call: 'openat', nth: 1, stage: 'open', first: newSegment, fails: 'commits' },
  {
    name: 'journal directory open',
    call: 'openat',
    nth: 2,
    stage: 'directory open',
    first: newSegment,
    fails: 'commits',
  },
  {
    name: 'journal directory fsync',
    call: 'fsync',
    nth: 1,
    stage: 'directory fsync',
    first: newSegment,
    fails: 'commits',
  },
  { name: 'checkpoint open', call: 'openat', nth: 1, stage: 'open', fails: 'checkpoint' },
  { name: 'checkpoint write', call: 'pwrite64', nth: 2, stage: 'write', fails: 'checkpoint' },
  { name: 'checkpoint fsync', call: 'fsync', nth: 1, stage: 'fsync', fails: 'checkpoint' },
  { name: 'checkpoint close', call: 'close', nth: 1, stage: 'close', fails: 'checkpoint' },
  { name: 'checkpoint link', call: 'link', nth: 1, stage: 'link', fails: 'checkpoint' },
  { name: 'checkpoint rename', call: 'rename', nth: 1, stage: 'rename', fails: 'checkpoint' },
  { name: 'directory open', call: 'openat', nth: 1, stage: 'directory open', onDirectory: true, fails: 'checkpoint' },
  { name: 'directory fsync', call: 'fsync', nth: 1, stage: 'directory fsync', onDirectory: true, fails: 'checkpoint' },
  { name: 'unlink of an old generation', call: 'unlink', nth: 1, stage: 'unlink', fails: 'nothing' },
];

let home: string;
let directory: string;
let victim: Victim;
let restarts = 0;
let cases = 0;
let rejected = 0;
const saved = { durable: null, checkpoint: null };

beforeAll(() => {
  home = mkdtempSync(join(tmpdir(), 'holdfast-errno-'));
  process.env['NODE_COMPILE_CACHE'] ??= join(home, 'compiled');
});

afterAll(() => {
  rmSync(home, { recursive: true, force: true });
  if (skipped !== null) return;
  tellRow(
    10,
    { done: cases, of: stages.length * errnos.length * 2 },
    `on the real path (${rejected} rejected with stage and errno, the rest retried or only told), ` +
      `${restarts} kills while a fault lasts, 0 acknowledged that was lost, 0 false successes`,
  );
});

describe.skipIf(skipped !== null)('errors of the operating system in a save', () => {
  afterEach(async () => {
    await victim.killed();
  });

  it.each(stages)('$name: told, not acknowledged, the earlier state kept, and the next save works', async (stage) => {
    directory = join(home, stage.name.replaceAll(' ', '-'));
    victim = await Victim.open({ directory, plan, lagMsMax: 100 });
    // Until every generation is there nothing is pruned.
    for (let i = 0; i < 4; i += 1) expect(await victim.save(plan.strategies)).toMatchObject(saved);
    for (const errno of errnos) {
      for (const lasts of [false, true]) {
        await failing(stage, errno, lasts);
        cases += 1;
        expect(await victim.save(plan.strategies), `after ${stage.name} ${errno}`).toMatchObject(saved);
        expect(victim.temporaryFiles()).toEqual([]);
        expect(restored(victim.committed)).toBe(victim.committed);
      }
    }
    await killedWhileItFails(stage);
  });
});

/** One save with the fault, looked at while the fault lasts. */
async function failing(stage: Stage, errno: string, lasts: boolean): Promise<void> {
  const told = `${stage.name}, ${errno}, ${lasts ? 'lasting' : 'once'}`;
  for (let attempt = 1; ; attempt += 1) {
    const before = { sequence: victim.committed, said: victim.said.length };
    const strace = await attach(stage, errno, lasts);
    const interrupted = errno === 'EINTR';
    const patienceMs = interrupted && lasts ? 300 : undefined;
    let answer = await victim.save(plan.strategies, true, patienceMs);
    const { committed } = victim;
    if (stage.fails === 'nothing') {
      // It comes after the answer, and mostly before what is committed then becomes durable.
      expect(answer, told).toMatchObject(saved);
      answer = await victim.save(plan.strategies, false, patienceMs === undefined ? undefined : 1_000);
      // A sequence is known to be durable before its message is taken, and so before a notice that came first.
      if (!interrupted) await victim.heard((say) => tells(say, errno), before.said);
    }
    const injected = strace.injected().filter((line) => line.startsWith(`${stage.call}(`) && line.includes(errno));
    // The calls of status.json, about once a second, may take the place of the one that is meant: then it is done again.
    const calls = strace.lines().filter((line) => line.startsWith(`${stage.call}(`));
    const upToFault = calls.slice(0, calls.findIndex((line) => injected.includes(line)) + 1);
    // And while it writes that file, a commit may become durable before the call that nobody waits for.
    const early = stage.fails === 'nothing' && injected.length === 0;
    const astray = early || upToFault.some((line) => line.includes('status.json'));
    if (!astray) {
      expect(injected.length, told).toBeGreaterThan(0);
      expect(injected[0]?.includes('/journal'), `${told}: ${injected[0]}`).toBe(stage.name.startsWith('journal'));
      const { acknowledged } = victim;
      restored(acknowledged);
      const failed = stage.fails !== 'nothing' && !(interrupted && (!lasts || stage.call === 'close'));
      if (interrupted && stage.first === undefined) {
        // Called again and again: no answer before the fault is gone, and nothing acknowledged that depends on it.
        if (!lasts || stage.call === 'close') expect(answer, told).toMatchObject(saved);
        else if (stage.fails !== 'nothing') expect(answer, told).toBeNull();
      } else if (!interrupted) expectTold({ stage, errno, lasts, answer, from: before.said, told });
      if (stage.fails === 'commits' && lasts && failed) expect(acknowledged, told).toBe(before.sequence);
      if (stage.fails !== 'commits') {
        await victim.acknowledges(committed);
      }
      if (stage.fails !== 'nothing' && !interrupted) expect(victim.temporaryFiles(), told).toEqual([]);
    }
    await strace.detach();
    // What waited for the fault to go gets its answer then, and what is committed becomes durable without being asked for.
    if (answer === null) {
      await victim.heard((say) => say.is === 'saved' && say.sequence === victim.committed, before.said);
    }
    await victim.acknowledges(victim.committed);
    if (!astray) return;
    expect(attempt, `${told}: never met the call that was meant`).toBeLessThan(5);
  }
}

interface Looked {
  readonly stage: Stage;
  readonly errno: string;
  readonly lasts: boolean;
  readonly answer: Saved | null;
  /** What the victim had said before the save. */
  readonly from: number;
  readonly told: string;
}

function expectTold({ stage, errno, lasts, answer, from, told }: Looked): void {
  const { durable = null, checkpoint = null } = answer ?? {};
  expect(answer, told).not.toBeNull();
  if (stage.fails === 'nothing') {
    expect({ durable, checkpoint }, told).toEqual(saved);
    expect(
      victim.said.slice(from).some((say) => tells(say, errno)),
      told,
    ).toBe(true);
    return;
  }
  rejected += 1;
  if (stage.first !== undefined) {
    // The call that had to fail first is told of first. This one fails the next attempt, which the checkpoint waits for, unless it was
    // asked for after that.
    expect(durable?.details, told).toMatchObject({ stage: 'fsync', errno: 'EIO' });
    if (lasts || checkpoint !== null) expectRejected(stage, errno, checkpoint, told);
  } else if (stage.fails === 'commits') {
    expectRejected(stage, errno, durable, told);
    expect(checkpoint === null || checkpoint.code === 'WRITE_FAILED', told).toBe(true);
  } else {
    expect(durable, told).toBeNull();
    expectRejected(stage, errno, checkpoint, told);
  }
}

function tells(say: VictimSays, errno: string): boolean {
  return say.is === 'notice' && say.message.includes(errno);
}

function expectRejected(stage: Stage, errno: string, error: SaveError | null, told: string): void {
  expect(error?.code, told).toBe('WRITE_FAILED');
  expect(error?.details, told).toMatchObject({ stage: stage.stage, errno });
  expect(String(error?.details['path']).startsWith(directory), told).toBe(true);
  expect(error?.message, told).toContain(errno);
}

async function killedWhileItFails(stage: Stage): Promise<void> {
  const strace = await attach(stage, 'EIO', true);
  const answer = await victim.save(plan.strategies);
  if (stage.fails !== 'nothing') expect(answer).not.toMatchObject(saved);
  const { acknowledged, committed } = victim;
  await victim.killed();
  await strace.detach();
  restored(acknowledged, committed);
  victim = await Victim.open({ directory, plan });
  expect(victim.acknowledged).toBeGreaterThanOrEqual(acknowledged);
  expect(victim.temporaryFiles()).toEqual([]);
  expect(await victim.save(plan.strategies)).toMatchObject(saved);
  restarts += 1;
}

/** Asserts the promise and gives the sequence that a restore gives now, while the victim goes on. */
function restored(acknowledged: number, committed = victim.committed): number {
  const { problem, check } = brokenPromise(directory, acknowledged, committed);
  expect(problem).toBeNull();
  return check.sequence;
}

async function attach(stage: Stage, errno: string, lasts: boolean): Promise<Strace> {
  const inject = [`${stage.call}:error=${errno}:when=${stage.nth}${lasts ? '+' : ''}`];
  if (stage.first !== undefined) inject.unshift(stage.first);
  return await Strace.attach({
    thread: victim.thread,
    log: join(home, 'strace.log'),
    inject,
    ...(stage.onDirectory ? { paths: [directory] } : {}),
  });
}
