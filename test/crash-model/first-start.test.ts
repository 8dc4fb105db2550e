import { expect, it } from 'vitest';
import { prepareStateDirectory } from '../../src/persistence/state-directory.ts';
import { ModelDisk } from '../../src/testing/model-disk.ts';
import { seed } from '../persistence/damage-cases.ts';
import { found } from '../support/crash-expectation.ts';
import { Explorer } from '../support/crash-explorer.ts';
import { directory } from '../support/crash-host.ts';
import { CrashRig } from '../support/crash-rig.ts';
import { printRow } from '../support/fault-row.ts';

// Row 27 of the fault matrix: the first start on files of the format before ours is the migration.

const names = ['alpha', 'beta'];

/** A disk with a file of each strategy in the seed's format, durable, and nothing else. */
function seededDisk(): ModelDisk {
  const disk = new ModelDisk();
  prepareStateDirectory(disk, directory, { force: false });
  for (const name of names) {
    const file = disk.create(`${directory}/${name}_checkpoint.json`);
    const bytes = Buffer.from(seed(name));
    disk.write(file, bytes, 0, bytes.length, 0);
    disk.fsync(file);
    disk.close(file);
  }
  disk.fsyncDirectory(directory);
  return disk;
}

it.each(['any', 'prefix'] as const)(
  'a migration killed at any step gives the old state or a later one (names: %s)',
  async (order) => {
    const explorer = new Explorer({ disk: { order } });
    const before = found(seededDisk());
    if (before.kind !== 'restored') throw new Error(before.why);
    const expected = { floor: 0, states: new Map([[0, before.state]]), saved: new Map<string, ReadonlySet<string>>() };
    const disk = ModelDisk.from(seededDisk().state(), { order });
    const rig = CrashRig.on(explorer, disk, 'first start on old files', {
      expected,
      life: 1,
      epoch: 1,
      incarnation: 1,
    });
    await rig.restart(true);
    rig.commit(['alpha']);
    await rig.checkpoint();
    // The old files are kept, as the oldest generation.
    expect(rig.disk.readdir(directory)).toContain('beta_checkpoint.0-0.json');
    rig.commit(names);
    await rig.kill();
    rig.commit(['beta']);
    await rig.checkpoint();
    await rig.cutPower(1);
    rig.finish();
    expect(explorer.bad).toEqual([]);
    printRow(
      27,
      `migration: ${explorer.counts.crashPoints} crash points, ${explorer.counts.states} states (names: ${order}), 0 lost`,
    );
  },
);
