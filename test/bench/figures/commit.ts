import { positionAt } from '../../../src/cli/load/plan.ts';
import type { Contender } from '../contender.ts';
import { snapshotWorker } from '../contenders/snapshot-worker.ts';
import { stringifyMain } from '../contenders/stringify-main.ts';
import { type FigureGroup, figure } from '../figure.ts';
import { loadOnce, type Scratch } from '../scratch.ts';
import { median } from '../stats.ts';

/** What a commit costs the engine's thread, in the load test's own way of measuring it. */
export const commitCost: FigureGroup = {
  key: 'commit',
  what: 'cost of a commit on the engine’s thread',
  async measure({ scratch, quick }) {
    const rounds = quick ? 2 : 5;
    const durationMs = quick ? 500 : 4000;
    const directory = scratch.directory('commit');
    const sizes = [10, 10_000, 100_000].map((positions) => ({ positions, directory: scratch.directory('size') }));
    const p50: number[] = [];
    const shared: number[] = [];
    const p999: number[] = [];
    const large: number[] = [];
    const overStringify: number[] = [];
    const overSnapshot: number[] = [];
    for (let round = 0; round < rounds; round += 1) {
      const { report } = await loadOnce({ directory, durationMs });
      p50.push(Number(report.commit_us.p50));
      p999.push(Number(report.commit_us.p999));
      const fast = await loadOnce({ directory: scratch.directory('fast'), strategies: 100, rate: 100_000, durationMs });
      shared.push(Number(fast.report.commit_us.p50));
      const at = new Map<number, number>();
      for (const size of round % 2 === 0 ? sizes : sizes.toReversed()) {
        const one = await loadOnce({ ...size, strategies: 1, durationMs, checkpointIntervalMs: 0 });
        at.set(size.positions, Number(one.report.commit_us.p50));
      }
      large.push((at.get(100_000) ?? Number.NaN) / (at.get(10) ?? Number.NaN));
      const ours = at.get(10_000) ?? Number.NaN;
      overStringify.push((await engineUs(stringifyMain, scratch)) / ours);
      overSnapshot.push((await engineUs(snapshotWorker, scratch)) / ours);
    }
    const how = '10,000 commits/s, 10 strategies × 100 positions, one change, share of the post included';
    return [
      figure({ name: 'commit, p50', unit: 'µs', values: p50, atMost: 2, how }),
      figure({
        name: 'commit, p50, where commits share a post',
        unit: 'µs',
        values: shared,
        atMost: 2,
        how: '100,000 commits/s, 100 strategies × 100 positions, one change, share of the post included',
      }),
      figure({ name: 'commit, p99.9', unit: 'µs', values: p999, atMost: 100, how }),
      figure({ name: 'commit at 100,000 positions over 10', values: large, atMost: 1.2, how: 'p50, 10,000 commits/s' }),
      figure({
        name: '(a) stringify + fsync + rename over ours',
        values: overStringify,
        atLeast: 1000,
        how: 'engine thread at 10,000 positions, p50',
      }),
      figure({
        name: '(c) full snapshot to a worker over ours',
        values: overSnapshot,
        atLeast: 1000,
        how: 'engine thread at 10,000 positions, p50',
      }),
    ];
  },
};

async function engineUs(contender: Contender, scratch: Scratch): Promise<number> {
  const plan = { strategies: 1, positions: 10_000, changes: 1, seed: 1 };
  const base = Array.from({ length: plan.positions }, (_, index) => positionAt(plan, 0, 0, index));
  const running = await contender.start(scratch.directory(contender.key), base);
  const took: number[] = [];
  try {
    for (let commit = 1; commit <= 40; commit += 1) {
      const taken = await running.commit([positionAt(plan, 0, commit, commit)]);
      if (commit > 10) took.push(taken * 1000);
    }
  } finally {
    await running.close();
  }
  return median(took);
}
