import type { ExplorerOptions } from './crash-explorer.ts';
import type { CrashRig } from './crash-rig.ts';

/** What an engine does, on a disk that is crashed at every step of it. */
export interface CrashProgram {
  readonly name: string;
  readonly options?: ExplorerOptions;
  /** Where a second crash costs much: at most so many. */
  readonly restartsMax?: number;
  run(rig: CrashRig): Promise<void>;
}

const both: readonly string[] = ['alpha', 'beta'];
const isCheckpoint = (path: string): boolean => path.endsWith('.tmp');
const isJournal = (path: string): boolean => path.endsWith('.journal');

export const crashPrograms: readonly CrashProgram[] = [
  {
    name: 'four saves of one strategy',
    async run(rig) {
      for (let save = 0; save < 4; save += 1) {
        rig.commit(['alpha']);
        await rig.checkpoint(['alpha']);
      }
    },
  },
  {
    name: 'five batches of two strategies, older generations pruned',
    async run(rig) {
      for (let save = 0; save < 5; save += 1) {
        rig.commit(both);
        rig.commit([String(both[save % 2])], 2);
        await rig.checkpoint();
      }
    },
  },
  {
    name: 'segments rotated and deleted behind checkpoints',
    options: { host: { segmentBytesMax: 600 } },
    async run(rig) {
      for (let save = 0; save < 4; save += 1) {
        for (let commits = 0; commits < 3; commits += 1) rig.commit(both);
        await rig.checkpoint();
      }
    },
  },
  {
    name: 'strategies saved by turns, so that one holds the journal back',
    options: { host: { segmentBytesMax: 400, generations: 3 } },
    async run(rig) {
      rig.commit(both);
      for (let save = 0; save < 6; save += 1) {
        await rig.checkpoint([save < 4 ? 'alpha' : 'beta']);
        rig.commit(both);
      }
      await rig.checkpoint();
    },
  },
  {
    name: 'the service saves by itself to keep the bound of the journal',
    options: { host: { segmentBytesMax: 500, journalBytesMax: 1_500 } },
    async run(rig) {
      for (let commits = 0; commits < 8; commits += 1) {
        rig.commit(both);
        await rig.settle();
      }
    },
  },
  {
    name: 'groups of several blocks',
    async run(rig) {
      rig.commit(both);
      rig.padding = 700;
      for (let commits = 0; commits < 3; commits += 1) rig.commit(['alpha']);
      await rig.checkpoint();
      rig.commit(['beta']);
    },
  },
  {
    name: 'commits that share a group, and heartbeats',
    async run(rig) {
      for (let turns = 0; turns < 3; turns += 1) {
        rig.post(['alpha']);
        rig.post(['beta'], 3);
        rig.post(both);
        rig.host.turn();
        rig.wait(60_000);
      }
      await rig.checkpoint();
    },
  },
  {
    name: 'commits that arrive while a batch is written',
    async run(rig) {
      rig.commit(both);
      for (const call of ['write', 'fsync', 'rename'] as const) {
        rig.postDuring(call, /alpha.*\.tmp$/, both);
        await rig.checkpoint();
        rig.postDuring(call, /beta.*\.tmp$/, ['alpha']);
        await rig.checkpoint();
      }
    },
  },
  {
    name: 'orderly ends',
    async run(rig) {
      for (let lives = 0; lives < 3; lives += 1) {
        rig.commit(both);
        await rig.closeAndStart();
      }
    },
  },
  {
    name: 'kills, and workers replaced',
    async run(rig) {
      for (const again of ['kill', 'replaceWorker', 'replaceWorker', 'kill'] as const) {
        rig.commit(both);
        await rig.checkpoint([String(both[rig.life % 2])]);
        rig.commit(['beta']);
        await rig[again]();
      }
      rig.commit(both);
      await rig.checkpoint();
    },
  },
  {
    name: 'power cuts',
    async run(rig) {
      for (let cut = 1; cut <= 4; cut += 1) {
        rig.commit(both);
        await rig.checkpoint();
        rig.commit(['alpha']);
        await rig.cutPower(cut);
      }
      rig.commit(both);
      await rig.checkpoint();
      await rig.checkpoint();
    },
  },
  {
    name: 'writes that take 100 bytes at a time',
    options: { disk: { writeBytesMax: 100 }, statesMax: 512 },
    restartsMax: 2,
    async run(rig) {
      rig.commit(both);
      await rig.checkpoint();
      rig.commit(['alpha']);
    },
  },
  {
    name: 'the fsync of the journal fails, and is well again',
    async run(rig) {
      rig.commit(both);
      rig.disk.failSyncs(isJournal, 2);
      rig.commit(['alpha']);
      rig.post(both);
      rig.wait(50);
      rig.wait(100);
      rig.commit(['beta']);
      await rig.checkpoint();
      rig.commit(['alpha']);
      await rig.kill();
      rig.commit(both);
    },
  },
  {
    name: 'the fsync of the journal fails, and the process is killed',
    async run(rig) {
      rig.commit(both);
      await rig.checkpoint(['alpha']);
      rig.disk.failSyncs(isJournal);
      rig.commit(['alpha']);
      await rig.kill();
      rig.commit(['beta']);
      rig.disk.failSyncs(isJournal);
      rig.commit(['alpha']);
      await rig.replaceWorker();
      rig.commit(both);
      await rig.checkpoint();
    },
  },
  {
    name: 'the fsync of a checkpoint fails, and is well again',
    async run(rig) {
      rig.commit(both);
      await rig.checkpoint();
      rig.commit(both);
      rig.disk.failSyncs(isCheckpoint);
      await rig.failingCheckpoint();
      await rig.checkpoint();
      rig.commit(['alpha']);
      rig.disk.failSyncs((path) => isCheckpoint(path) && path.includes('beta'));
      await rig.failingCheckpoint();
      await rig.kill();
      rig.commit(both);
      await rig.checkpoint();
    },
  },
  {
    name: 'the fsync of the journal fails while a batch is written',
    async run(rig) {
      rig.commit(both);
      await rig.checkpoint();
      rig.disk.failSyncs(isJournal);
      rig.postDuring('fsync', /alpha.*\.tmp$/, both);
      await rig.failingCheckpoint();
      rig.wait(50);
      await rig.checkpoint();
      rig.disk.failSyncs(isJournal);
      rig.postDuring('write', /alpha.*\.tmp$/, both);
      await rig.failingCheckpoint();
      await rig.kill();
      rig.commit(both);
    },
  },
];
