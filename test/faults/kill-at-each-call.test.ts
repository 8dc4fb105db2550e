import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { tell, whyNot } from '../support/fault-gates.ts';
import { brokenPromise, Victim } from '../support/fault-process.ts';
import { Strace } from '../support/fault-strace.ts';

/*
 * Row 3: the process is killed before each of the file calls that the persistence thread makes in three saves, one kill each. What
 * a restore gives then lies between the last acknowledged and the last committed sequence, and the next start, which is the next
 * victim, leaves no temporary file.
 */

const skipped = whyNot(3, 'linux', 'strace');
const plan = { strategies: 2, positions: 3, changes: 1, seed: 3 };
const saves = 3;
/** What a save is made of. Calls that wake threads and watch descriptors are none of it, and differ from run to run. */
const fileCalls = [
  'openat',
  'pwrite64',
  'ftruncate',
  'fdatasync',
  'fsync',
  'close',
  'link',
  'rename',
  'unlink',
  'statx',
  'newfstatat',
  'getdents64',
];
const lanes = 2;

interface Point {
  readonly call: string;
  readonly nth: number;
}

let home: string;

beforeAll(() => {
  home = mkdtempSync(join(tmpdir(), 'holdfast-calls-'));
  process.env['NODE_COMPILE_CACHE'] ??= join(home, 'compiled');
});

afterAll(() => {
  rmSync(home, { recursive: true, force: true });
});

it.skipIf(skipped !== null)(
  'a kill before any file call of three saves leaves a restore point, and temporary files go at the next start',
  async () => {
    const points = await callsOfSaves();
    expect(points.length).toBeGreaterThanOrEqual(30);
    const results = await Promise.all(Array.from({ length: lanes }, (_, lane) => killAtEach(points, lane)));
    const sum = (of: (result: LaneResult) => number) => results.reduce((total, result) => total + of(result), 0);
    const left = sum(({ temporary }) => temporary);
    const late = sum(({ missed }) => missed);
    tell(
      `row 3: ${points.length} cases (${points.length - late} killed at the call itself), 0 lost, 0 mixed; ` +
        `${left} temporary files left behind, all swept`,
    );
    expect(points.length - late).toBeGreaterThanOrEqual(30);
    // Else nothing here would notice a sweep that does not sweep.
    expect(left).toBeGreaterThan(0);
  },
  1_800_000,
);

/** The calls of three saves, by looking: each is a point. */
async function callsOfSaves(): Promise<readonly Point[]> {
  const directory = join(home, 'look');
  const victim = await Victim.open({ directory, plan });
  // Until every generation is there, saves have fewer calls than later ones.
  for (let i = 0; i < 3; i += 1) await victim.save(plan.strategies);
  const strace = await Strace.attach({ thread: victim.thread, log: join(home, 'look.log'), trace: fileCalls });
  for (let i = 0; i < saves; i += 1) expect(await victim.save(plan.strategies)).toMatchObject(done);
  await strace.detach();
  await victim.killed();
  const counts = new Map<string, number>();
  for (const line of strace.lines()) {
    const call = /^(\w+)\(/.exec(line)?.[1];
    // status.json has its own time.
    if (call === undefined || line.includes('status.json')) continue;
    counts.set(call, (counts.get(call) ?? 0) + 1);
  }
  return [...counts].flatMap(([call, count]) =>
    Array.from({ length: count }, (_, index) => ({ call, nth: index + 1 })),
  );
}

const done = { durable: null, checkpoint: null };

interface LaneResult {
  readonly temporary: number;
  /** Points that the kill did not come to, because calls for status.json had moved them. */
  readonly missed: number;
}

async function killAtEach(points: readonly Point[], lane: number): Promise<LaneResult> {
  const directory = join(home, `lane-${lane}`);
  mkdirSync(directory, { mode: 0o700 });
  let temporary = 0;
  let missed = 0;
  for (let index = lane; index < points.length; index += lanes) {
    const { call, nth } = points[index] as Point;
    const victim = await Victim.open({ directory, plan });
    expect(victim.temporaryFiles()).toEqual([]);
    const strace = await Strace.attach({
      thread: victim.thread,
      log: join(home, `lane-${lane}.log`),
      inject: [`${call}:signal=KILL:when=${nth}`],
    });
    for (let save = 0; save < 2 * saves && !victim.isOver; save += 1) await victim.save(plan.strategies);
    if (!victim.isOver) {
      missed += 1;
      await strace.detach();
    }
    await victim.killed();
    await strace.detach();
    temporary += victim.temporaryFiles().length;
    const told = `killed before ${call} number ${nth}`;
    const { problem } = brokenPromise(directory, victim.acknowledged, victim.committed);
    expect(problem, told).toBeNull();
  }
  const last = await Victim.open({ directory, plan });
  expect(last.temporaryFiles()).toEqual([]);
  await last.killed();
  return { temporary, missed };
}
