import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeEach, describe, expect, it } from 'vitest';
import { StateError } from '../../src/model/errors.ts';
import { nodeFileSystem } from '../../src/persistence/node-file-system.ts';
import { type Restored, restore } from '../../src/persistence/restore.ts';
import { prepareStateDirectory } from '../../src/persistence/state-directory.ts';
import { printRow } from '../support/fault-row.ts';
import { beginnings, type DamageCase, damageCases, lay } from './damage-cases.ts';
import { delta, reference, restored, restoring, stateOf } from './journal-fixtures.ts';

// Rows 7, 9, 19 and 27 of the fault matrix, on real files.

const records = [delta(0, 1, ['alpha', 'beta']), delta(1, 3, ['alpha']), delta(3, 4, ['beta'])];
const isRoot = process.getuid?.() === 0;
const counts = new Map<number, { cases: number; refused: number; cut: number; skipped: number }>();
let home: string;

beforeEach(() => {
  home = join(fs.mkdtempSync(join(tmpdir(), 'holdfast-damage-')), 'state');
  fs.mkdirSync(home, { mode: 0o700 });
});
afterEach(() => fs.rmSync(join(home, '..'), { recursive: true, force: true }));
afterAll(() => {
  for (const [row, { cases, refused, cut, skipped }] of counts) {
    const root = skipped === 0 ? '' : `; ${skipped} more need root`;
    const ended = cut === 0 ? '' : `, of them ${cut} without the end of the journal that was taken away`;
    printRow(
      row,
      `${cases} kinds of damage: ${cases - refused} restored${ended}, ${refused} refused${root}; 0 mixed, 0 undetected`,
    );
  }
});

/** As a start does it. */
function start(): Restored {
  prepareStateDirectory(nodeFileSystem, home, { force: true });
  return restore(nodeFileSystem, home, restoring);
}

/** Every name below the state directory, with what it is and what is in it. */
function everything(): Record<string, string> {
  const found: Record<string, string> = {};
  for (const name of fs.readdirSync(home, { recursive: true, encoding: 'utf8' })) {
    const stat = fs.lstatSync(join(home, name));
    found[name] = stat.isFile() ? fs.readFileSync(join(home, name), 'latin1') : `${stat.mode}`;
  }
  return found;
}

function expectedAt(sequence: number, onDisk: DamageCase['onDisk']): Record<string, unknown> {
  if (sequence === 0) return stateOf(restored(beginnings[onDisk]()).mirror);
  return stateOf(reference(records.filter((record) => record.kind === 'delta' && record.through <= sequence)));
}

function said({ recovery }: Restored): string {
  return recovery.lost.map(({ what, file, why }) => `${what} in ${file}: ${why}`).join('; ');
}

describe.each([7, 9, 19, 27] as const)('row %i', (row) => {
  const cases = damageCases.filter((each) => each.row === row);
  const count = { cases: 0, refused: 0, cut: 0, skipped: 0 };
  counts.set(row, count);

  it.each(cases)('$onDisk; $done: gives $gives', async ({ onDisk, damage, gives, says, onlyRoot }) => {
    if (onlyRoot === true && !isRoot) {
      count.skipped += 1;
      return;
    }
    lay(home, onDisk);
    await damage(home);
    const before = everything();
    if (typeof gives === 'string') {
      let error: unknown = null;
      try {
        start();
      } catch (thrown) {
        error = thrown;
      }
      expect(error).toBeInstanceOf(StateError);
      expect(error).toMatchObject({ code: gives });
      expect((error as StateError).message).toMatch(says ?? /^/);
      expect(everything()).toEqual(before);
      count.refused += 1;
    } else {
      const result = start();
      expect(result.recovery.sequence).toBe(gives);
      expect(stateOf(result.mirror)).toMatchObject(expectedAt(gives, onDisk));
      if (says === null) expect(result.recovery.lost).toEqual([]);
      else expect(said(result)).toMatch(says);
      expect(result.recovery.lost.filter(({ acknowledged }) => acknowledged)).toEqual([]);
      // What was damaged is kept under another name, and the next start gives the same.
      const after = everything();
      const kept = Object.values(after);
      for (const file of result.recovery.quarantined) expect(Object.keys(after)).toContain(file);
      for (const [name, content] of Object.entries(before)) {
        const isCut = /torn_tail/.test(said(result)) && name.endsWith('.journal');
        if (!isCut) expect(kept.includes(content), name).toBe(true);
      }
      if (gives === 3) count.cut += 1;
      const again = start();
      expect(again.recovery.sequence).toBe(gives);
      expect(stateOf(again.mirror)).toEqual(stateOf(result.mirror));
    }
    count.cases += 1;
  });
});
