import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { checkLoad } from '../../src/cli/load/check.ts';
import { printRow } from '../support/fault-row.ts';
import { LoadProcess, smallPlan } from '../support/kill-load.ts';
import { KillRandom } from '../support/kill-random.ts';

// Row 16 of the fault matrix: a host that is told to stop, at random moments.

const signals = Number(process.env['HOLDFAST_SIGNALS'] ?? 50);
const seed = Number(process.env['HOLDFAST_KILL_SEED'] ?? Date.now() % 1_000_000_007);
const lanes = 2;
let home: string;

beforeAll(() => {
  home = mkdtempSync(join(tmpdir(), 'holdfast-signals-'));
});
afterAll(() => rmSync(home, { recursive: true, force: true }));

/** One directory that is loaded and told to stop again and again. Returns how many commits were acknowledged in all. */
async function lane(number: number): Promise<number> {
  const random = new KillRandom(seed + number);
  const plan = smallPlan(random);
  const directory = join(home, `lane-${number}`);
  let acks = 0;
  for (let stop = number; stop < signals; stop += lanes) {
    const load = new LoadProcess(directory, plan, stop % 4 < 2 ? 2_000 : 0);
    await load.firstAck;
    await pause(random.from(0, 100));
    load.send(stop % 3 === 0 ? 'SIGINT' : 'SIGTERM');
    const ended = await load.ended;
    const told = `signal ${stop}, plan ${JSON.stringify(plan)}, seed ${seed}: ${ended.stderr}`;
    expect(ended.code, told).toBe(0);
    const check = checkLoad(directory);
    expect(check, told).toMatchObject({ ok: true, sequence: ended.lastAck, lost: [] });
    // All of it stands in a final checkpoint.
    for (const use of Object.values(check.used))
      expect(use, told).toMatchObject({ sequence: ended.lastAck, records: 0 });
    acks += ended.acks;
  }
  return acks;
}

it(
  'ends with everything committed in an acknowledged final checkpoint, whenever the signal comes',
  async () => {
    const acks = await Promise.all(Array.from({ length: lanes }, (_, number) => lane(number)));
    printRow(
      16,
      `${signals} signals (SIGTERM, SIGINT) at random moments, ${acks.reduce((a, b) => a + b)} acks, 0 lost; seed ${seed}`,
    );
  },
  120_000 + signals * 10_000,
);
