import { hash } from 'node:crypto';
import { performance } from 'node:perf_hooks';
import { strategyAt } from '../../../src/cli/load/base.ts';
import { probeReplace } from '../../../src/cli/load/disk.ts';
import { lastWriters, positionAt, strategyName } from '../../../src/cli/load/plan.ts';
import { systemClock, timestamp } from '../../../src/model/time.ts';
import { encodeCheckpoint } from '../../../src/persistence/checkpoint-codec.ts';
import { CheckpointEncoder } from '../../../src/persistence/checkpoint-encoder.ts';
import { type CheckpointItem, CheckpointStore } from '../../../src/persistence/checkpoint-store.ts';
import { Mirror } from '../../../src/persistence/mirror.ts';
import { nodeFileSystem } from '../../../src/persistence/node-file-system.ts';
import { StateManager } from '../../../src/state/state-manager.ts';
import { type Bench, type Figure, type FigureGroup, figure } from '../figure.ts';
import { logger } from '../scratch.ts';
import { median, timed, timedAsync } from '../stats.ts';

/** Checkpoints beside the bare replacement of a file, one by one and many at once, and what a small change costs. */
export const checkpoints: FigureGroup = {
  key: 'checkpoints',
  what: 'checkpoints: the protocol, batches, and a small change of a large state',
  measure: async (bench) => [await oneOverBare(bench), batchOverSingle(bench), changeOverStringify(bench)],
};

const at = { epoch: 1, timestamp: timestamp(systemClock.nowMicros()) };

async function oneOverBare({ scratch, quick }: Bench): Promise<Figure> {
  const plan = { strategies: 1, positions: 100, changes: 1, seed: 1, passed_over: 0 };
  const directory = scratch.directory('checkpoint');
  const state = await StateManager.open({ directory, logger, force: true, checkpointIntervalMs: 0 });
  const values: number[] = [];
  try {
    const book = state.register(strategyName(0));
    for (let index = 0; index < plan.positions; index += 1) book.setPosition(positionAt(plan, 0, 0, index));
    await state.checkpoint();
    const snapshot = strategyAt(plan, 0, lastWriters(plan, 0));
    const size = encodeCheckpoint(snapshot, { ...at, sequence: 1_000_000 }).bytes.length;
    let commit = 0;
    const checkpointsMs = async (times: number): Promise<readonly number[]> => {
      const took: number[] = [];
      while (took.length < times) {
        commit += 1;
        book.setPosition(positionAt(plan, 0, commit, commit % plan.positions));
        state.commit();
        await state.durable();
        took.push(await timedAsync(() => state.checkpoint()));
      }
      return took;
    };
    // As the bare replacement they are measured with warm code.
    await checkpointsMs(quick ? 20 : 500);
    for (let round = 0; round < (quick ? 3 : 9); round += 1) {
      const took = await checkpointsMs(quick ? 20 : 60);
      const bare = probeReplace(directory, size, quick ? 100 : 300).percentileMs(50);
      values.push(median(took) / (bare ?? Number.NaN));
    }
  } finally {
    await state.close();
  }
  const how =
    'p50, one strategy × 100 positions, from the engine asking until it hears, its commit being durable already';
  return figure({ name: 'one checkpoint over the bare replacement of a file', values, atMost: 1.3, how });
}

function batchOverSingle({ scratch, quick }: Bench): Figure {
  const strategies = quick ? 100 : 1000;
  const plan = { strategies, positions: 100, changes: 1, seed: 1, passed_over: 0 };
  const writers = lastWriters(plan, 0);
  const store = new CheckpointStore(nodeFileSystem, scratch.directory('batch'), { generations: 3 });
  const hooks = { between: () => {}, beforeRename: () => {} };
  let sequence = 0;
  const items = (): readonly CheckpointItem[] => {
    sequence += 1;
    return Array.from({ length: strategies }, (_, index) => {
      const snapshot = strategyAt(plan, index, writers);
      const { bytes } = encodeCheckpoint(snapshot, { ...at, sequence });
      return { strategy: snapshot.strategy_name, epoch: 1, sequence, bytes };
    });
  };
  // What comes after has older files to keep and to prune, as in a run.
  const save = (batch: readonly CheckpointItem[]): void => {
    store.writeBatch(batch, hooks);
    store.prune(hooks.between);
  };
  for (let generation = 0; generation < 3; generation += 1) save(items());
  const values: number[] = [];
  for (let round = 0; round < (quick ? 2 : 3); round += 1) {
    const [one, other] = [items(), items()];
    const batch = (): number => timed(() => save(one));
    const single = (): number =>
      timed(() => {
        for (const item of other) save([item]);
      });
    const batchMs = batch();
    values.push(single() / batchMs);
  }
  const how = `${strategies} strategies × 100 positions, bytes made before, the store’s own calls`;
  return figure({ name: 'checkpoints at once over one by one: throughput', values, atLeast: 3, how });
}

function changeOverStringify({ quick }: Bench): Figure {
  const plan = { strategies: 1, positions: 10_000, changes: 1, seed: 1, passed_over: 0 };
  const mirror = new Mirror({ currency: 'USD' });
  mirror.load(strategyAt(plan, 0, lastWriters(plan, 0)));
  const encoder = new CheckpointEncoder();
  const name = strategyName(0);
  let sequence = 0;
  const change = (): Uint8Array => {
    sequence += 1;
    const position = positionAt(plan, 0, sequence, sequence % plan.positions);
    const strategies = [{ strategy: name, positions: [position] }];
    mirror.apply({ previous: sequence - 1, through: sequence, at: at.timestamp, strategies });
    return encoder.encode(mirror.snapshot(name), { ...at, sequence }).bytes;
  };
  let bytes = change();
  const values: number[] = [];
  const checksums: number[] = [];
  for (let round = 0; round < (quick ? 5 : 15); round += 1) {
    const [ours, whole, checksum]: [number[], number[], number[]] = [[], [], []];
    const untilMs = performance.now() + 200;
    while (performance.now() < untilMs) {
      ours.push(
        timed(() => {
          bytes = change();
        }),
      );
      checksum.push(timed(() => void hash('sha256', bytes, 'hex')));
      const snapshot = mirror.snapshot(name);
      whole.push(timed(() => void JSON.stringify(snapshot)));
    }
    values.push(median(ours) / median(whole));
    checksums.push(median(checksum) / median(whole));
  }
  const how = `the mirror’s change and snapshot, and the bytes as the service has them made, without the file; p50 of each round; SHA-256 over all of them alone ${median(checksums).toFixed(2)} ×`;
  return figure({ name: '1 change in 10,000 positions over JSON.stringify of all', values, atMost: 0.25, how });
}
