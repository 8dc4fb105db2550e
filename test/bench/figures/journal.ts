import type { SeriesBin } from '../../../src/cli/load/series.ts';
import { type FigureGroup, figure } from '../figure.ts';
import { loadOnce, note } from '../scratch.ts';
import { median } from '../stats.ts';

/** How far the journal is from the disk itself, and how much passes through it. */
export const journal: FigureGroup = {
  key: 'journal',
  what: 'the journal beside the disk itself, and at full speed',
  async measure({ scratch, quick }) {
    const overDisk: number[] = [];
    const directory = scratch.directory('journal');
    for (let round = 0; round < (quick ? 2 : 5); round += 1) {
      const durationMs = quick ? 1000 : 5000;
      const { report } = await loadOnce({ directory, rate: 1000, durationMs, checkpointIntervalMs: 0, compares: true });
      overDisk.push(Number(report.ratios.durable_p50_over_disk));
    }
    note('  sustained');
    const sustained: number[] = [];
    const growth: number[] = [];
    let conflated = 0;
    const pipe = { strategies: 1000, rate: 0, durationMs: quick ? 3000 : 60_000, checkpointIntervalMs: 0 };
    for (let round = 0; round < (quick ? 1 : 2); round += 1) {
      const { run, report } = await loadOnce({ ...pipe, directory: scratch.directory('sustained') });
      sustained.push(report.commits_per_s);
      growth.push(growthMb(run.measures.series.bins()));
      conflated += report.conflated;
    }
    const how = `1,000 strategies × 100 positions, one change, ${pipe.durationMs / 1000} s, ${conflated} conflated`;
    return [
      figure({
        name: 'commit to durable over the disk',
        values: overDisk,
        atMost: 1.3,
        how: 'p50 at 1,000 commits/s, against the journal’s own append in a bare loop before and after',
      }),
      figure({ name: 'commits durable, sustained', unit: '/s', values: sustained, atLeast: 250_000, how }),
      figure({
        name: 'memory after a third of it, and at its end: growth',
        unit: 'MiB',
        values: growth,
        atMost: 64,
        how: 'medians of the second and the last third of the sustained run',
      }),
    ];
  },
};

/** What memory grew by from the second third of a run to its last. */
export function growthMb(bins: readonly SeriesBin[]): number {
  const third = Math.floor(bins.length / 3);
  const of = (some: readonly SeriesBin[]): number =>
    median(some.flatMap(({ rssMb }) => (rssMb === null ? [] : [rssMb])));
  return of(bins.slice(2 * third)) - of(bins.slice(third, 2 * third));
}
