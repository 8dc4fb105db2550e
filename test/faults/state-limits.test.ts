import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import type { StateEvent } from '../../src/model/event.ts';
import { StateManager } from '../../src/state/state-manager.ts';
import { note } from '../support/state-fixtures.ts';

it('as much state as a host may have, and events beside it, committed in one turn, become durable and come back', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'holdfast-limits-'));
  const quiet = { info: () => {}, warn: () => {}, error: () => {} };
  const open = (): Promise<StateManager> =>
    StateManager.open({ directory, force: true, logger: quiet, checkpointIntervalMs: 0, stallLimitMs: 600_000 });
  // With the events more than the largest record, so that posts have to be cut.
  const value = 'x'.repeat(15 * 2 ** 20);
  try {
    const first = await open();
    const failures: Error[] = [];
    first.on('lagging', ({ error }) => {
      if (error !== null) failures.push(error);
    });
    let refused = 0;
    for (let i = 0; i < 9; i += 1) {
      const book = first.register(`strategy_${i % 3}`);
      try {
        book.set(`k${i}`, value);
      } catch (error) {
        expect(error).toMatchObject({ code: 'STATE_TOO_LARGE', details: { scope: 'host' } });
        refused += 1;
      }
      for (let n = 0; n < 17; n += 1) {
        book.addEvent({ ...note(`${i} ${n}`), data: 'y'.repeat(2 ** 20 - 1_000) } as StateEvent);
      }
      first.commit();
    }
    expect(refused).toBe(1);
    await first.durable();
    await first.close({ checkpoint: false });
    expect(failures).toEqual([]);
    const second = await open();
    expect(second.recovery).toMatchObject({ sequence: 9, lost: [] });
    for (let i = 0; i < 8; i += 1) expect(second.register(`strategy_${i % 3}`).get(`k${i}`) === value).toBe(true);
    await second.close({ checkpoint: false });
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
});
