import { mkdtempSync, rmSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { checkLoad } from '../../src/cli/load/check.ts';
import { tell } from '../support/fault-gates.ts';
import { brokenPromise } from '../support/fault-process.ts';
import { LoadProcess, smallPlan } from '../support/kill-load.ts';
import { KillRandom } from '../support/kill-random.ts';

/*
 * Row 4 at length: loads that are killed with kill -9 at random moments and started again on what they left, several side by side,
 * because most of the time a process starts. test/crash has the short loop, and what a check says by the command line.
 *
 * HOLDFAST_KILL_CYCLES sets how many kills there are, HOLDFAST_KILL_SEED repeats those of an earlier run as far as time lets it.
 */

const cycles = Number(process.env['HOLDFAST_KILL_CYCLES'] ?? 1_000);
const seed = Number(process.env['HOLDFAST_KILL_SEED'] ?? Date.now() % 1_000_000_007);
const cyclesOfADirectory = 10;
/** Of a load that is not killed in its start, at most. */
const acksOfACycle = 50;
const lanes = 2 * availableParallelism();

let home: string;

beforeAll(() => {
  home = mkdtempSync(join(tmpdir(), 'holdfast-kills-'));
  process.env['NODE_COMPILE_CACHE'] ??= join(home, 'compiled');
});

afterAll(() => {
  rmSync(home, { recursive: true, force: true });
});

it(
  'a kill -9 at any moment leaves one restore point with everything that was acknowledged',
  async () => {
    const sum = { cycles: 0, acks: 0, inStart: 0 };
    const lane = async (number: number): Promise<void> => {
      const random = new KillRandom(seed + number);
      let plan = smallPlan(random);
      let promised = 0;
      for (let cycle = 0; sum.cycles < cycles; cycle += 1) {
        sum.cycles += 1;
        const directory = join(home, `lane-${number}-${Math.floor(cycle / cyclesOfADirectory)}`);
        if (cycle > 0 && cycle % cyclesOfADirectory === 0) {
          rmSync(join(home, `lane-${number}-${Math.floor(cycle / cyclesOfADirectory) - 1}`), { recursive: true });
          plan = smallPlan(random);
          promised = 0;
        }
        const load = new LoadProcess(directory, plan, cycle % 2 === 0 ? 0 : 2_000);
        const atStart = random.from(0, 3) === 0;
        await (atStart ? pause(random.from(200, 1_500)) : acknowledged(load, random.from(1, acksOfACycle), random));
        load.send('SIGKILL');
        const killed = await load.ended;
        const told = `lane ${number}, cycle ${cycle}, seed ${seed}, plan ${JSON.stringify(plan)}: ${killed.stderr}`;
        expect(killed.signal, told).toBe('SIGKILL');
        sum.acks += killed.acks;
        if (killed.acks === 0) sum.inStart += 1;
        const atLeast = Math.max(promised, killed.lastAck);
        const { problem, check } = brokenPromise(directory, atLeast, Number.POSITIVE_INFINITY);
        expect(problem, told).toBeNull();
        // A second restore gives the same.
        expect(checkLoad(directory), told).toEqual(check);
        promised = check.sequence;
      }
    };
    await Promise.all(Array.from({ length: lanes }, (_, number) => lane(number)));
    tell(
      `row 4: ${sum.cycles} cases (${sum.inStart} before the first acknowledgement), ${sum.acks} acks, 0 lost, 0 mixed; seed ${seed}`,
    );
    expect(sum.acks).toBeGreaterThanOrEqual(cycles * 10);
  },
  300_000 + cycles * 5_000,
);

/** Waits for so many acknowledgements, and then for an instant more, so that the kill may hit anything. */
async function acknowledged(load: LoadProcess, acks: number, random: KillRandom): Promise<void> {
  await load.firstAck;
  const endMs = performance.now() + 30_000;
  while (load.acks < acks && performance.now() < endMs) await pause(1);
  await pause(random.from(0, 5));
}
