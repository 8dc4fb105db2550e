import { afterAll, describe, expect, it } from 'vitest';
import { explore } from '../support/crash-exploration.ts';
import { countsLine, type ExplorerCounts, noCounts } from '../support/crash-explorer.ts';
import { crashPrograms } from '../support/crash-programs.ts';
import { printRow } from '../support/fault-row.ts';

// Rows 1, 5 and 11 of the fault matrix: every crash of each program, and of the start that follows.

/** How many of the disks and moments found get a second crash, of each kind and program; "all" for a long run. */
const asked = process.env['HOLDFAST_CRASH_RESTARTS'] ?? '7';
const restartsEach = asked === 'all' ? Number.POSITIVE_INFINITY : Number(asked);

const failing = crashPrograms.filter(({ name }) => name.includes('fsync') && name.includes('fails'));
const first: ExplorerCounts = { ...noCounts };
const second: ExplorerCounts = { ...noCounts };
let restarts = 0;
let bad = 0;

afterAll(() => {
  printRow(1, `every crash of ${crashPrograms.length} programs: ${countsLine(first, bad)}; 0 lost, 0 mixed`);
  printRow(5, `crashed again in the next start, ${restarts} of them: ${countsLine(second, bad)}; 0 lost, 0 mixed`);
  printRow(
    11,
    `${failing.length} programs with failing fsyncs of journal and checkpoint, among those of rows 1 and 5: bad = ${bad}; 0 lost`,
  );
});

describe('a crash at any step, with any part of what was not synced', () => {
  it.each(crashPrograms)('loses nothing acknowledged and mixes nothing: $name', async (program) => {
    const { explorer, second: again } = await explore(program, restartsEach);
    add(first, explorer.counts);
    add(second, again.counts);
    restarts += again.restarts;
    bad += explorer.bad.length;
    expect(explorer.bad.slice(0, 3)).toEqual([]);
  });

  it('does so where names reach the disk in their order, as on ext4 and XFS', async () => {
    for (const program of crashPrograms.slice(0, 4)) {
      const { explorer } = await explore(program, 1, { disk: { order: 'prefix' } });
      expect(explorer.bad.slice(0, 3)).toEqual([]);
    }
  });

  it('explores enough to mean something', () => {
    expect(first.crashPoints).toBeGreaterThan(1_000);
    expect(first.states).toBeGreaterThan(20_000);
    expect(restarts).toBeGreaterThanOrEqual(200);
    expect(failing).toHaveLength(4);
  });
});

function add(sum: ExplorerCounts, counts: ExplorerCounts): void {
  for (const name of Object.keys(sum) as (keyof ExplorerCounts)[]) sum[name] += counts[name];
}
