import { cpSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import { beginDirectory, strategyAt } from '../../../src/cli/load/base.ts';
import {
  type LoadPlan,
  lastWriters,
  positionAt,
  replacedBy,
  strategyName,
  strategyOf,
} from '../../../src/cli/load/plan.ts';
import { systemClock } from '../../../src/model/time.ts';
import { nodeFileSystem } from '../../../src/persistence/node-file-system.ts';
import { restore } from '../../../src/persistence/restore.ts';
import { StateManager } from '../../../src/state/state-manager.ts';
import { type FigureGroup, figure } from '../figure.ts';
import { logger, note, type Scratch } from '../scratch.ts';
import { timed, timedAsync } from '../stats.ts';

/** A restore beside the parsing of the bytes that it reads. */
export const restoring: FigureGroup = {
  key: 'restore',
  what: 'restoring checkpoints and a long journal',
  async measure({ scratch, quick }) {
    const plan = { strategies: quick ? 100 : 1000, positions: 100, changes: 1, seed: 1 };
    const records = quick ? 5000 : 100_000;
    note(`  making ${plan.strategies} checkpoints and ${records} journal records`);
    const directory = await makeDirectory(scratch, plan, records);
    const texts = readTexts(directory);
    const [worker, ready, readyMs]: [number[], number[], number[]] = [[], [], []];
    for (let round = 0; round < (quick ? 3 : 7); round += 1) {
      const parseMs = timed(() => {
        for (const text of texts) JSON.parse(text);
      });
      const options = {
        currency: 'USD',
        staleAfterMs: Number.MAX_SAFE_INTEGER,
        now: systemClock.nowMicros(),
        readOnly: true,
      };
      worker.push(timed(() => restore(nodeFileSystem, directory, options)) / parseMs);
      // What opening writes must not be read again by the next round.
      const copy = scratch.directory('copy');
      cpSync(directory, copy, { recursive: true });
      let state: StateManager | null = null;
      const openMs = await timedAsync(async () => {
        state = await StateManager.open({ directory: copy, logger, force: true, currency: 'USD' });
        for (const name of state.strategies()) state.register(name);
      });
      await (state as StateManager | null)?.close({ checkpoint: false });
      ready.push(openMs / parseMs);
      readyMs.push(openMs);
    }
    const how = `${plan.strategies} strategies × 100 positions, ${records} journal records of one change`;
    return [
      figure({ name: 'restore in the worker over JSON.parse of the same bytes', values: worker, atMost: 2, how }),
      figure({
        name: 'state ready on the engine’s thread over JSON.parse of the same bytes',
        values: ready,
        atMost: 5,
        how: `${how}; lock, restore, hand-over, and the new epoch’s first records durable; the broker’s part is not in it`,
      }),
      figure({ name: 'state ready on the engine’s thread', unit: 'ms', values: readyMs, atMost: 2000, how }),
    ];
  },
};

/** Through a state of its own, a record for each commit, and no checkpoint after the base. */
async function makeDirectory(scratch: Scratch, plan: LoadPlan, records: number): Promise<string> {
  const directory = scratch.directory('restore');
  beginDirectory(directory, plan);
  const never = { checkpointIntervalMs: 0, significantChange: { journalBytes: 0 } };
  const state = await StateManager.open({ directory, logger, force: true, currency: 'USD', ...never });
  const books = Array.from({ length: plan.strategies }, (_, index) => state.register(strategyName(index)));
  const first = state.sequence;
  for (let commit = 1; commit <= records; commit += 1) {
    const strategy = strategyOf(plan, commit);
    books[strategy]?.setPosition(positionAt(plan, strategy, commit, replacedBy(plan, commit, 0)));
    state.commit();
    // A post leaves at the end of the turn, and none may wait for room.
    await turn();
    if (state.sequence - state.durableSequence > 200) await state.durable();
  }
  await state.close({ checkpoint: false });
  if (state.sequence - first !== records) throw new Error(`made ${state.sequence - first} records, not ${records}`);
  const last = strategyAt({ ...plan, passed_over: 0 }, 1, lastWriters(plan, records));
  const check = {
    currency: 'USD',
    staleAfterMs: Number.MAX_SAFE_INTEGER,
    now: systemClock.nowMicros(),
    readOnly: true,
  };
  const found = restore(nodeFileSystem, directory, check).mirror.snapshot(last.strategy_name);
  if (JSON.stringify(found.positions) !== JSON.stringify(last.positions))
    throw new Error('the state to restore is not the one that was made');
  return directory;
}

/** Everything in it that a restore parses: the newest checkpoints, and the journal line by line. */
function readTexts(directory: string): readonly string[] {
  const checkpoints = readdirSync(directory).filter((name) => name.endsWith('_checkpoint.json'));
  const segments = readdirSync(join(directory, 'journal'));
  const lines = segments.flatMap((name) => readFileSync(join(directory, 'journal', name), 'utf8').split('\n'));
  return [
    ...checkpoints.map((name) => readFileSync(join(directory, name), 'utf8')),
    // A segment may end in bytes that were set aside for it.
    ...lines.filter((line) => line.startsWith('{')),
  ];
}
