import { once } from 'node:events';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { Worker } from 'node:worker_threads';
import { loadCurrency, strategyAt } from '../../../src/cli/load/base.ts';
import { diskSizes, probeReplace } from '../../../src/cli/load/disk.ts';
import { PersistenceTap } from '../../../src/cli/load/persistence-tap.ts';
import { type LoadPlan, lastWriters, positionAt, replacedBy, strategyName } from '../../../src/cli/load/plan.ts';
import { deltaLine } from '../../../src/model/delta.ts';
import type { PositionSnapshot } from '../../../src/model/position.ts';
import { systemClock, timestamp } from '../../../src/model/time.ts';
import { encodeCheckpoint } from '../../../src/persistence/checkpoint-codec.ts';
import { CheckpointStore } from '../../../src/persistence/checkpoint-store.ts';
import { nodeFileSystem } from '../../../src/persistence/node-file-system.ts';
import { segmentAheadBytes } from '../../../src/persistence/protocol.ts';
import { SegmentFile } from '../../../src/persistence/segment-file.ts';
import { HostBooks } from '../../../src/state/host-books.ts';
import { StateManager } from '../../../src/state/state-manager.ts';
import { type FigureGroup, figure } from '../figure.ts';
import { logger, type Scratch } from '../scratch.ts';
import { median, timed, timedAsync } from '../stats.ts';

/*
 * What a commit and a checkpoint are made of, each part by itself and at the rhythm of the figure that it is a part of: the least that
 * the figure could be on this machine.
 */

const plan: LoadPlan = { strategies: 10, positions: 100, changes: 1, seed: 1 };
const at = timestamp(systemClock.nowMicros());

export const parts: FigureGroup = {
  key: 'parts',
  what: 'what the parts of a commit and of a checkpoint take by themselves',
  async measure({ scratch, quick }) {
    const times = quick ? 300 : 3000;
    const few = quick ? 50 : 300;
    const appending = new URL('../contenders/append-thread.ts', import.meta.url);
    const all: Part[] = [
      {
        name: 'a commit in a loop without a pause',
        how: 'of a commit: set, commit, what changed, its line, one after the other: what it costs with warm caches, without the post',
        measure: () => warmCommitUs(50 * times),
      },
      {
        name: 'a look into a Map of 10 positions',
        how: 'of a commit: 10,000/s, by an asset that is there',
        measure: () => lookUs(10, 5 * times),
      },
      {
        name: 'a look into a Map of 100,000 positions',
        how: 'the same',
        measure: () => lookUs(100_000, 5 * times),
      },
      {
        name: 'a bare post, worker busy',
        how: 'of a commit: the delta of one change by postMessage, 10,000/s, to a worker that writes',
        measure: () => postUs(appending, scratch, 5 * times),
      },
      {
        name: 'a bare post, worker asleep',
        how: 'the same to a worker that waits for it',
        measure: () => postUs(echo, scratch, 5 * times),
      },
      {
        name: 'a post and its answer',
        how: 'of a commit until it is durable: 1,000/s, by a thread that sleeps between',
        measure: () => answerUs(times),
      },
      {
        name: 'append and fdatasync',
        how: 'of a commit until it is durable: the journal’s own calls, 1,000/s, by a thread that sleeps between',
        measure: () => appendUs(scratch, times),
      },
      {
        name: 'the store’s calls over the bare replacement',
        unit: '×',
        how: 'of a checkpoint: its older name, the rename and the fsyncs, bytes made before, in a loop',
        measure: () => storeOverReplace(scratch, few),
      },
      {
        name: 'a question and its answer',
        how: 'of a checkpoint: the worker asked for its status, about 200/s',
        measure: () => askUs(scratch, few),
      },
    ];
    const values = all.map((): number[] => []);
    for (let round = 0; round < (quick ? 2 : 5); round += 1) {
      for (const [index, { measure }] of all.entries()) values[index]?.push(await measure());
    }
    return all.map(({ name, unit = 'µs', how }, index) =>
      figure({ name: `part: ${name}`, unit, values: values[index] ?? [], how }),
    );
  },
};

interface Part {
  readonly name: string;
  readonly unit?: string;
  readonly how: string;
  /** One round. */
  readonly measure: () => number | Promise<number>;
}

/** Mean of a commit that comes right after the last. */
function warmCommitUs(times: number): number {
  const host = new HostBooks({ currency: loadCurrency, epoch: 1, clock: systemClock });
  host.begin(0);
  const books = Array.from({ length: plan.strategies }, (_, strategy) => host.register(strategyName(strategy)));
  // Few enough to stay in the caches, and each asset comes with two values in turn.
  const entries = Array.from({ length: 2 * plan.strategies * plan.positions }, (_, index) =>
    positionAt(plan, index % plan.strategies, index, replacedBy(plan, index + 1, 0)),
  );
  const commits = (): void => {
    for (let count = 0; count < times; count += 1) {
      const index = count % entries.length;
      books[index % plan.strategies]?.setPosition(entries[index] as PositionSnapshot);
      host.commit();
      const post = host.takePost();
      if (post !== null) deltaLine(post.delta);
    }
  };
  commits();
  return (timed(commits) / times) * 1000;
}

/** Median of finding one of so many positions, at 10,000 a second. */
async function lookUs(positions: number, times: number): Promise<number> {
  const one = { ...plan, positions };
  const map = new Map(
    Array.from({ length: positions }, (_, index) => {
      const position = positionAt(one, 0, 0, index);
      return [position.asset, position] as const;
    }),
  );
  const assets = [...map.keys()];
  const took: number[] = [];
  let found = 0;
  await paced(0.1, times, (count) => {
    const asset = assets[replacedBy(one, count, 0)] ?? '';
    took.push(
      timed(() => {
        if (map.get(asset)?.asset === asset) found += 1;
      }),
    );
  });
  if (found !== times) throw new Error(`found ${found} of ${times}`);
  return median(took) * 1000;
}

const echo = new URL(
  `data:text/javascript,${encodeURIComponent(
    "import { parentPort } from 'node:worker_threads'; parentPort.on('message', (message) => parentPort.postMessage(0));",
  )}`,
);

/** Median of posting a delta at 10,000 a second. */
async function postUs(thread: URL, scratch: Scratch, times: number): Promise<number> {
  const worker = new Worker(thread, { workerData: scratch.directory('post') });
  await once(worker, 'online');
  const took: number[] = [];
  await paced(0.1, times, (count) => {
    const strategies = [{ strategy: strategyName(0), positions: [positionAt(plan, 0, count, count % plan.positions)] }];
    const delta = { kind: 'delta', previous: count - 1, through: count, at, strategies };
    took.push(timed(() => worker.postMessage(delta)));
  });
  await worker.terminate();
  return median(took) * 1000;
}

/** Median from a post to its answer, this thread's event loop turning all the time. */
async function answerUs(times: number): Promise<number> {
  const worker = new Worker(echo);
  await once(worker, 'online');
  const took: number[] = [];
  let postedMs = 0;
  worker.on('message', () => took.push(performance.now() - postedMs));
  await paced(1, times, () => {
    postedMs = performance.now();
    worker.postMessage(0);
  });
  await worker.terminate();
  return median(took) * 1000;
}

/** Calls `run` each `everyMs`, in a loop on setImmediate as the load's. */
function paced(everyMs: number, times: number, run: (count: number) => void): Promise<void> {
  const startMs = performance.now();
  let count = 0;
  return new Promise((resolve) => {
    const turn = (): void => {
      if (performance.now() >= startMs + count * everyMs) {
        count += 1;
        run(count);
      }
      if (count < times) setImmediate(turn);
      else resolve();
    };
    turn();
  });
}

/** Median of the journal's calls for one group, on this thread, which sleeps until the next is due. */
function appendUs(scratch: Scratch, times: number): number {
  const size = diskSizes({ ...plan, passed_over: 0 }).append;
  const bytes = Buffer.alloc(size, 'x');
  const file = new SegmentFile(nodeFileSystem, join(scratch.directory('append'), 'segment'), segmentAheadBytes);
  const never = new Int32Array(new SharedArrayBuffer(4));
  const took: number[] = [];
  const startMs = performance.now();
  for (let count = 0; count < times; count += 1) {
    Atomics.wait(never, 0, 0, Math.max(0, startMs + count - performance.now()));
    took.push(timed(() => file.append(bytes, count * size)));
  }
  file.close();
  return median(took) * 1000;
}

function storeOverReplace(scratch: Scratch, times: number): number {
  const directory = scratch.directory('store');
  const store = new CheckpointStore(nodeFileSystem, directory, { generations: 3 });
  const one = { ...plan, strategies: 1, passed_over: 0 };
  const snapshot = strategyAt(one, 0, lastWriters(one, 0));
  const strategy = snapshot.strategy_name;
  const took: number[] = [];
  let size = 0;
  for (let sequence = 1; sequence <= times; sequence += 1) {
    const { bytes } = encodeCheckpoint(snapshot, { epoch: 1, sequence, timestamp: at });
    size = bytes.length;
    const hooks = { between: () => {}, beforeRename: () => {} };
    took.push(timed(() => store.writeBatch([{ strategy, epoch: 1, sequence, bytes }], hooks)));
    store.prune(hooks.between);
  }
  return median(took) / (probeReplace(directory, size, times).percentileMs(50) ?? Number.NaN);
}

/** Median of asking the persistence worker of an open state what it has done. */
async function askUs(scratch: Scratch, times: number): Promise<number> {
  const tap = new PersistenceTap();
  const state = await StateManager.openWith({ directory: scratch.directory('ask'), logger, force: true }, tap.start);
  const took: number[] = [];
  for (let count = 0; count < times; count += 1) {
    await new Promise((resolve) => setTimeout(resolve, 5));
    took.push(await timedAsync(() => tap.status()));
  }
  await state.close({ checkpoint: false });
  return median(took) * 1000;
}
