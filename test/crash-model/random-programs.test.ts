import { describe, expect, it } from 'vitest';
import { crashMutants } from '../support/crash-mutants.ts';
import { randomRun } from '../support/crash-random.ts';
import { printRow } from '../support/fault-row.ts';

// Row 2 of the fault matrix. HOLDFAST_CRASH_PROGRAMS=20000 for a long run, HOLDFAST_CRASH_SEED=n to run one again.

const programs = Number(process.env['HOLDFAST_CRASH_PROGRAMS'] ?? 1_000);
const single = process.env['HOLDFAST_CRASH_SEED'];
const firstSeed = Number(single ?? 1);
const count = single === undefined ? programs : 1;

describe('a random program of commits, checkpoints, faults, restarts and crashes', () => {
  it('loses nothing acknowledged and mixes nothing', { timeout: 60_000 + count * 100 }, async () => {
    const sum = { crashes: 0, crashPoints: 0, disks: 0, bad: 0 };
    const started = performance.now();
    for (let seed = firstSeed; seed < firstSeed + count; seed += 1) {
      const { explorer, steps, crashes } = await randomRun(seed);
      sum.crashes += crashes;
      sum.crashPoints += explorer.counts.crashPoints;
      sum.disks += explorer.counts.disks;
      sum.bad += explorer.badCount;
      if (explorer.badCount > 0) {
        const again = `seed ${seed} (HOLDFAST_CRASH_SEED=${seed})\n${steps.join('\n')}`;
        expect.unreachable(`${again}\n${JSON.stringify(explorer.bad, null, 1)}`);
      }
    }
    printRow(
      2,
      `${count} random programs from seed ${firstSeed}, ${sum.crashes} crashes in the middle of a step, ${sum.crashPoints} calls, ` +
        `${sum.disks} disks looked at besides, ${Math.round(performance.now() - started)} ms, bad = ${sum.bad}; 0 lost, 0 mixed`,
    );
  });

  it.each(crashMutants.filter(({ name }) => /^(no|fsync retried|write in place)/.test(name)))(
    'also finds: $name',
    async (mutant) => {
      let found = 0;
      for (let seed = 1; seed <= 200 && found === 0; seed += 1)
        found = (await randomRun(seed, mutant.wrap)).explorer.badCount;
      expect(found).toBeGreaterThan(0);
    },
  );
});
