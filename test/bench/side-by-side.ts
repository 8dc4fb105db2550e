import { performance } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { type LoadPlan, positionAt, replacedBy } from '../../src/cli/load/plan.ts';
import type { Contender, RunningContender } from './contender.ts';
import { bareAppend } from './contenders/bare-append.ts';
import { holdfast } from './contenders/holdfast.ts';
import { lmdb } from './contenders/lmdb.ts';
import { piscina } from './contenders/piscina.ts';
import { snapshotWorker } from './contenders/snapshot-worker.ts';
import { sqlite } from './contenders/sqlite.ts';
import { stringifyMain } from './contenders/stringify-main.ts';
import { atomicPackage } from './contenders/write-file-atomic.ts';
import { note, type Scratch } from './scratch.ts';
import { percentile, type Spread, spreadOf } from './stats.ts';

export const contenders: readonly Contender[] = [
  holdfast,
  stringifyMain,
  atomicPackage,
  snapshotWorker,
  sqlite,
  lmdb,
  piscina,
  bareAppend,
];

/** One contender at one size: medians over rounds of the medians of each round. */
export interface Row {
  readonly contender: string;
  readonly key: string;
  readonly positions: number;
  readonly changes: number;
  /** For how long the calling thread was taken. */
  readonly engineUs: Spread;
  /** From the first change until it was durable. */
  readonly durableUs: Spread;
  /** Its engine time over ours, round by round. */
  readonly engineOverOurs: Spread;
  readonly durableOverOurs: Spread;
}

export interface SideBySideOptions {
  readonly sizes: readonly number[];
  readonly changes: readonly number[];
  readonly rounds: number;
  /** For each contender in each round. */
  readonly ms: number;
}

/** Same state, same disk, one contender after the other in each round, each round beginning with another one. */
export async function sideBySide(scratch: Scratch, options: SideBySideOptions): Promise<readonly Row[]> {
  const rows: Row[] = [];
  for (const positions of options.sizes) {
    for (const changes of options.changes) {
      if (changes > positions) continue;
      note(`side by side: ${positions} positions, ${changes} changed in a commit`);
      rows.push(...(await atSize(scratch, { strategies: 1, positions, changes, seed: 1 }, options)));
    }
  }
  return rows;
}

async function atSize(scratch: Scratch, plan: LoadPlan, options: SideBySideOptions): Promise<readonly Row[]> {
  const base = Array.from({ length: plan.positions }, (_, index) => positionAt(plan, 0, 0, index));
  const running: { readonly contender: Contender; readonly it: RunningContender; commits: number }[] = [];
  const engine = new Map<Contender, number[]>();
  const durable = new Map<Contender, number[]>();
  try {
    for (const contender of contenders) {
      const directory = scratch.directory(contender.key);
      running.push({ contender, it: await contender.start(directory, base), commits: 0 });
      engine.set(contender, []);
      durable.set(contender, []);
    }
    // The first round warms up the code, and is thrown away.
    for (let round = 0; round <= options.rounds; round += 1) {
      for (let turn = 0; turn < running.length; turn += 1) {
        const one = running[(turn + round) % running.length];
        if (one === undefined) continue;
        const took = { engine: [] as number[], durable: [] as number[] };
        const startMs = performance.now();
        while (took.engine.length < commitsMin || performance.now() - startMs < options.ms) {
          one.commits += 1;
          const number = one.commits;
          const changed = Array.from({ length: plan.changes }, (_, k) =>
            positionAt(plan, 0, number, replacedBy(plan, number, k)),
          );
          const beforeMs = performance.now();
          took.engine.push(await one.it.commit(changed));
          took.durable.push(performance.now() - beforeMs);
        }
        if (round > 0) {
          engine.get(one.contender)?.push(middleUs(took.engine));
          durable.get(one.contender)?.push(middleUs(took.durable));
        }
        // Threads that still work for the last one must not take from the next.
        await sleep(5);
      }
    }
  } finally {
    for (const { it } of running) await it.close();
  }
  const [ours] = contenders;
  const over = (values: readonly number[], base: readonly number[]): Spread =>
    spreadOf(values.map((value, round) => value / (base[round] ?? Number.NaN)));
  return running.map(({ contender }) => {
    const [engineUs, durableUs] = [engine.get(contender) ?? [], durable.get(contender) ?? []];
    const [oursEngine, oursDurable] = ours === undefined ? [[], []] : [engine.get(ours) ?? [], durable.get(ours) ?? []];
    return {
      contender: contender.name,
      key: contender.key,
      positions: plan.positions,
      changes: plan.changes,
      engineUs: spreadOf(engineUs),
      durableUs: spreadOf(durableUs),
      engineOverOurs: over(engineUs, oursEngine),
      durableOverOurs: over(durableUs, oursDurable),
    };
  });
}

const commitsMin = 5;

function middleUs(valuesMs: readonly number[]): number {
  return (
    1000 *
    percentile(
      valuesMs.toSorted((a, b) => a - b),
      50,
    )
  );
}
