import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { checkLoad, type LoadCheck, type Mismatch } from '../../src/cli/load/check.ts';
import { root } from '../support/documents.ts';
import { type Killed, type KillPlan, LoadProcess, smallPlan } from '../support/kill-load.ts';
import { KillRandom } from '../support/kill-random.ts';

/*
 * A load that is killed at random moments, started again on what it left, killed again. After each kill a restore must give exactly
 * the commits up to one sequence, for every strategy, and no less than was acknowledged on standard output.
 *
 * HOLDFAST_KILL_CYCLES sets how many kills there are, HOLDFAST_KILL_SEED repeats those of an earlier run as far as time lets it, and
 * HOLDFAST_KILL_KEEP names a directory for what a failure left.
 */

const cycles = Number(process.env['HOLDFAST_KILL_CYCLES'] ?? 50);
const seed = Number(process.env['HOLDFAST_KILL_SEED'] ?? Date.now() % 1_000_000_007);
const keep = process.env['HOLDFAST_KILL_KEEP'];
const cyclesOfADirectory = 10;
const patienceMs = 60_000 + cycles * 5_000;

let home: string;

beforeAll(() => {
  home = mkdtempSync(join(tmpdir(), 'holdfast-kill-'));
});

afterAll(() => {
  rmSync(home, { recursive: true, force: true });
});

/** What is promised of a directory at this moment. */
interface Promised {
  readonly directory: string;
  readonly what: string;
  /** Acknowledged, or restored before. */
  readonly atLeast: number;
}

/** Restores twice, as an outside process would, and holds the restore to what was promised. */
function restored({ directory, what, atLeast }: Promised, killed: Killed): LoadCheck {
  const wrong: Mismatch[] = [];
  const check = checkLoad(directory, (mismatch) => wrong.push(mismatch));
  const problem =
    wrong.length > 0 || !check.ok || check.sequence < atLeast || check.lost.some(({ acknowledged }) => acknowledged);
  if (problem && keep !== undefined) cpSync(directory, join(keep, `${seed}-${Date.now()}`), { recursive: true });
  const told = `${what}, seed ${seed}; ${killed.stderr}`;
  expect(wrong, told).toEqual([]);
  expect(check.sequence, told).toBeGreaterThanOrEqual(atLeast);
  expect(
    check.lost.filter(({ acknowledged }) => acknowledged),
    told,
  ).toEqual([]);
  expect(checkLoad(directory), told).toEqual(check);
  return check;
}

/** Kills once; a load that ended by itself is a failure, because nothing gave it a reason. */
async function killOnce(directory: string, plan: KillPlan, random: KillRandom, cycle: number): Promise<Killed> {
  const load = new LoadProcess(directory, plan, cycle % 2 === 0 ? 0 : 2_000);
  // Half of the kills hit the start: locking, restoring, writing what was restored anew.
  const atStart = random.from(0, 2) === 0;
  if (!atStart) await load.firstAck;
  await pause(atStart ? random.from(100, 700) : random.from(0, 300));
  load.send('SIGKILL');
  const killed = await load.ended;
  expect(killed.signal, `cycle ${cycle}, seed ${seed}: ${killed.stderr}`).toBe('SIGKILL');
  return killed;
}

describe('a load that is killed with kill -9', () => {
  it(
    'finds after every kill exactly one restore point, the same for all strategies, with everything acknowledged',
    async () => {
      const random = new KillRandom(seed);
      let acks = 0;
      let inStart = 0;
      for (let cycle = 0, plan = smallPlan(random), promised = 0; cycle < cycles; cycle += 1) {
        const directory = join(home, `kill-${Math.floor(cycle / cyclesOfADirectory)}`);
        if (cycle % cyclesOfADirectory === 0) {
          plan = smallPlan(random);
          promised = 0;
        }
        const killed = await killOnce(directory, plan, random, cycle);
        acks += killed.acks;
        if (killed.acks === 0) inStart += 1;
        const what = `cycle ${cycle}, plan ${JSON.stringify(plan)}`;
        const atLeast = Math.max(promised, killed.lastAck);
        promised = restored({ directory, what, atLeast }, killed).sequence;
      }
      process.stderr.write(
        `kill -9: ${cycles} cycles (${inStart} before the first acknowledgement), ${acks} acks, 0 lost; seed ${seed}\n`,
      );
      expect(acks).toBeGreaterThan(cycles);
    },
    patienceMs,
  );

  it(
    'restores the same when it is killed again and again while it starts',
    async () => {
      const random = new KillRandom(seed + 1);
      const plan = smallPlan(random);
      const directory = join(home, 'start');
      const first = new LoadProcess(directory, plan, 2_000);
      await first.firstAck;
      await pause(200);
      first.send('SIGKILL');
      const killed = await first.ended;
      let promised = restored({ directory, what: 'first kill', atLeast: killed.lastAck }, killed).sequence;
      const starts = Math.max(8, Math.floor(cycles / 5));
      for (let start = 0; start < starts; start += 1) {
        // Without commits, so that a start that gets through changes nothing either.
        const again = new LoadProcess(directory, plan, 1, ['--duration', '0']);
        await pause(random.from(50, 700));
        again.send('SIGKILL');
        const ended = await again.ended;
        if (ended.signal === null) expect(ended.code, ended.stderr).toBe(0);
        const check = restored(
          { directory, what: `start ${start}, plan ${JSON.stringify(plan)}`, atLeast: promised },
          ended,
        );
        expect(check.sequence, `start ${start}, seed ${seed}`).toBe(promised);
        promised = check.sequence;
      }
    },
    patienceMs,
  );

  it('says by the command line what the check says in this process', async () => {
    const directory = join(home, 'kill-0');
    if (!existsSync(directory)) return;
    const main = join(root, 'src/cli/main.ts');
    const asked = spawnSync(process.execPath, [main, 'load', '--check', '--dir', directory, '--json'], {
      encoding: 'utf8',
    });
    expect(asked.status, asked.stderr).toBe(0);
    expect(JSON.parse(asked.stdout)).toEqual(checkLoad(directory));
  });
});

describe('a load that is told to stop', () => {
  it(
    'ends by SIGTERM or SIGINT at any time with everything committed acknowledged, checkpointed and restored',
    async () => {
      const random = new KillRandom(seed + 2);
      const plan = smallPlan(random);
      const directory = join(home, 'stop');
      const stops = Math.max(6, Math.floor(cycles / 5));
      let promised = 0;
      for (let stop = 0; stop < stops; stop += 1) {
        const load = new LoadProcess(directory, plan, stop % 2 === 0 ? 2_000 : 0);
        await load.firstAck;
        await pause(random.from(0, 200));
        load.send(stop % 3 === 0 ? 'SIGINT' : 'SIGTERM');
        const ended = await load.ended;
        const told = `stop ${stop}, plan ${JSON.stringify(plan)}, seed ${seed}: ${ended.stderr}`;
        expect(ended.code, told).toBe(0);
        const check = restored({ directory, what: told, atLeast: promised }, ended);
        expect(check.sequence, told).toBe(ended.lastAck);
        expect(check.lost, told).toEqual([]);
        for (const use of Object.values(check.used))
          expect(use, told).toMatchObject({ sequence: ended.lastAck, records: 0 });
        promised = check.sequence;
      }
    },
    patienceMs,
  );
});
