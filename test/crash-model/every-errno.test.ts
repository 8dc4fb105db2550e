import { afterAll, describe, expect, it } from 'vitest';
import { decodeError, type HoldfastError } from '../../src/model/errors.ts';
import { type FaultRule, type FaultyFileSystem, type FileCall, faulty } from '../../src/testing/faulty-file-system.ts';
import type { ModelDisk } from '../../src/testing/model-disk.ts';
import { Explorer } from '../support/crash-explorer.ts';
import { CrashRig } from '../support/crash-rig.ts';
import { printRow } from '../support/fault-row.ts';

// Rows 10 and 12 of the fault matrix, through the seam: an errno at each call, once and for as long as it lasts, and a disk that is
// full after k bytes. Every crash on the way is explored too, one disk for each by chance.

const both = ['alpha', 'beta'];
const errnos = ['EIO', 'ENOSPC', 'EDQUOT', 'EROFS', 'EACCES', 'EMFILE', 'EINTR'];
const always = Number.POSITIVE_INFINITY;

/** Every call that writes, by what it is for. */
const calls: readonly (readonly [what: string, call: FileCall, path: RegExp, tells: 'error' | 'notice'])[] = [
  ['a segment', 'create', /\.journal$/, 'error'],
  ['a segment', 'write', /\.journal$/, 'error'],
  ['a segment', 'fdatasync', /\.journal$/, 'error'],
  ['a segment', 'close', /\.journal$/, 'error'],
  ['a segment', 'unlink', /\.journal$/, 'notice'],
  ['the journal', 'directoryOpen', /journal$/, 'error'],
  ['the journal', 'directoryFsync', /journal$/, 'error'],
  ['a checkpoint', 'create', /\.(alpha|beta)\..*\.tmp$/, 'error'],
  ['a checkpoint', 'write', /\.(alpha|beta)\..*\.tmp$/, 'error'],
  ['a checkpoint', 'fsync', /\.(alpha|beta)\..*\.tmp$/, 'error'],
  ['a checkpoint', 'close', /\.(alpha|beta)\..*\.tmp$/, 'error'],
  ['a checkpoint', 'link', /_checkpoint\.json$/, 'error'],
  ['a checkpoint', 'rename', /_checkpoint\.json$/, 'error'],
  ['a checkpoint', 'unlink', /_checkpoint\.\d/, 'notice'],
  ['the state directory', 'directoryOpen', /^\/state$/, 'error'],
  ['the state directory', 'directoryFsync', /^\/state$/, 'error'],
];

let cases = 0;
let crashPoints = 0;
let shortWrites = 0;

afterAll(() => {
  printRow(
    10,
    `seam: ${cases} cases (${calls.length} calls × ${errnos.length} errnos, once and persistent), each told with its errno, ` +
      `works when the fault is gone; ${crashPoints} crashes on the way, 0 lost`,
  );
  printRow(12, `seam: a journal group cut after each of ${shortWrites} bytes, whole group or error, 0 lost`);
});

/** A rig on a disk that fails as it is told. */
async function failingRig(
  name: string,
  chance = 0.05,
): Promise<{ rig: CrashRig; explorer: Explorer; fail(rules: readonly FaultRule[]): void }> {
  const layers = new Map<ModelDisk, FaultyFileSystem[]>();
  const explorer = new Explorer({
    wrap: (disk) => {
      const layer = faulty(disk);
      layers.set(disk, [...(layers.get(disk) ?? []), layer]);
      return layer;
    },
    // A segment for each group, so that every call is made each time.
    host: { segmentBytesMax: 1 },
    chance,
    badMax: 3,
  });
  const rig = await CrashRig.start(explorer, name);
  return {
    rig,
    explorer,
    fail: (rules) => {
      for (const layer of layers.get(rig.disk) ?? []) layer.setRules(rules);
    },
  };
}

/** A checkpoint, with time passing while it waits for the journal. Resolves with its error, if it had one. */
async function saved(rig: CrashRig): Promise<HoldfastError | null> {
  let settled = false;
  const saving = rig
    .checkpoint()
    .then(
      () => null,
      (error: HoldfastError) => error,
    )
    .finally(() => {
      settled = true;
    });
  for (let turns = 0; turns < 20 && !settled; turns += 1) {
    await rig.settle();
    if (!settled) rig.wait(2_000);
  }
  return await saving;
}

/** Every error and notice that the service told. */
function told(rig: CrashRig): readonly string[] {
  return rig.host.replies.flatMap((reply) => {
    if (reply.kind === 'write_failed') return [String(decodeError(reply.error).details['errno'])];
    return reply.kind === 'notice' ? [reply.message] : [];
  });
}

async function expectWell(rig: CrashRig, explorer: Explorer): Promise<void> {
  for (let retries = 0; retries < 3; retries += 1) rig.wait(2_000);
  rig.commit(both);
  expect(await saved(rig)).toBeNull();
  expect(rig.host.acknowledged).toBe(rig.committed);
  await rig.cutPower(cases);
  rig.finish();
  expect(explorer.bad).toEqual([]);
  crashPoints += explorer.counts.crashPoints;
}

describe.each([
  ['once', 1],
  ['for as long as it lasts', always],
])('an errno %s', (_when, times) => {
  it.each(calls)('of %s at %s loses nothing, is told, and passes', async (what, call, path, tells) => {
    for (const errno of errnos) {
      const { rig, explorer, fail } = await failingRig(`${errno} at ${call} of ${what}`);
      for (let sound = 0; sound < 3; sound += 1) {
        rig.commit(both);
        await rig.checkpoint();
      }
      fail([{ call, path, errno, times }]);
      rig.commit(both);
      const during = await saved(rig);
      rig.commit(['alpha']);
      const words = [...told(rig), String(during?.details['errno'] ?? '')];
      expect(
        words.some((word) => word.includes(errno)),
        `${errno}: ${words}`,
      ).toBe(true);
      if (tells === 'notice') expect(during).toBeNull();
      fail([]);
      await expectWell(rig, explorer);
      cases += 1;
    }
  });
});

it('a disk that is full after k bytes of a group takes it whole later, for every k', async () => {
  let { rig, explorer, fail } = await failingRig('full after k bytes', 0.02);
  for (let count = 1; ; count += 1) {
    rig.commit(both);
    const durable = rig.host.acknowledged;
    let written = 0;
    fail([
      { call: 'write', path: /\.journal$/, count, before: () => (written += 1) },
      { call: 'write', path: /\.journal$/, nth: 2, errno: 'ENOSPC', times: always },
    ]);
    rig.commit(both);
    expect(written).toBe(1);
    // The whole group was taken at once.
    if (rig.host.acknowledged !== durable) break;
    expect(told(rig)).toContain('ENOSPC');
    fail([]);
    rig.wait(2_000);
    const { committed } = rig;
    expect(rig.host.acknowledged).toBe(committed);
    shortWrites += 1;
    if (count % 10 !== 0) continue;
    await rig.cutPower(count);
    expect(rig.committed).toBe(committed);
    expect(explorer.bad).toEqual([]);
    ({ rig, explorer, fail } = await failingRig('full after k bytes', 0.02));
  }
  expect(shortWrites).toBeGreaterThan(200);
});
