import { expect, it } from 'vitest';
import { decodeCheckpoint, encodeCheckpoint } from '../../src/persistence/checkpoint-codec.ts';
import { seededRandom } from '../../src/testing/model-disk.ts';
import { at, snapshotOf } from '../support/checkpoint-fixtures.ts';
import { printRow } from '../support/fault-row.ts';
import { checkpoint, commit, delta, MemoryFiles, open, restored, stateOf } from './journal-fixtures.ts';

// Row 8 of the fault matrix.

const seed = Number(process.env['HOLDFAST_FLIP_SEED'] ?? 8);
const randomFiles = 10_000;

it('a changed checkpoint is detected, said, kept aside, and made up for by an older one and the journal', () => {
  const both = ['alpha', 'beta'];
  const session = open(new MemoryFiles(), 1);
  commit(session, delta(0, 1, both));
  checkpoint(session, 1);
  commit(session, delta(1, 2, both));
  checkpoint(session, 1);
  commit(session, delta(2, 3, both));
  const truth = stateOf(session.mirror);
  const file = 'alpha_checkpoint.json';
  const bytes = session.fs.get(file);
  for (let index = 0; index < bytes.length; index += 1) {
    const fs = session.fs.copy();
    const flipped = Buffer.from(bytes);
    flipped[index] = (bytes[index] ?? 0) ^ (1 << (index % 8));
    fs.put(file, flipped);
    const { mirror, recovery } = restored(fs);
    expect(recovery.lost, `byte ${index}`).toMatchObject([{ what: 'damaged_checkpoint', file, acknowledged: false }]);
    expect(recovery.used.find(({ strategy }) => strategy === 'alpha')?.file).toBe('alpha_checkpoint.1-1.json');
    expect(fs.get(String(recovery.quarantined[0]))).toEqual(flipped);
    expect(stateOf(mirror)).toEqual(truth);
  }

  const random = seededRandom(seed);
  const below = (most: number) => Math.floor(random() * most);
  let undetected = 0;
  for (let number = 0; number < randomFiles; number += 1) {
    const cash = `${below(1e9)}.${below(100)}`;
    const place = { epoch: below(1e6), sequence: below(1e9), timestamp: at };
    const state = { text: 'x'.repeat(below(40)), number: below(1e6) };
    const written = Buffer.from(
      encodeCheckpoint(snapshotOf('alpha', { cash_balance: cash, strategy_state: state }), place).bytes,
    );
    const whole = Buffer.from(written);
    for (let flips = 1 + below(8); flips > 0; flips -= 1) {
      const where = below(written.length);
      written[where] = (written[where] ?? 0) ^ (1 << below(8));
    }
    if (!written.equals(whole) && decodeCheckpoint(written, { strategy: 'alpha', file }).kind === 'ok') undetected += 1;
  }
  expect(undetected, `seed ${seed}`).toBe(0);
  printRow(
    8,
    `every one of ${bytes.length} bytes, and ${randomFiles} random files (seed ${seed}), ${undetected} undetected, 0 lost`,
  );
});
