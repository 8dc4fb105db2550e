import { afterAll, describe, expect, it } from 'vitest';
import { micros } from '../../src/model/time.ts';
import { printRow } from '../support/fault-row.ts';
import { seed } from './damage-cases.ts';
import { at, checkpoint, commit, delta, MemoryFiles, open, restored, start } from './journal-fixtures.ts';
import { makeStateDirectory, delta as posted, startService, unwrap } from './service-harness.ts';

// Row 25 of the fault matrix. A state is as old as now minus its newest sign of life, whatever zone either was written in.

const hour = 3_600_000;
let cases = 0;

afterAll(() => {
  printRow(
    25,
    `${cases} clocks (an hour back and ahead, from the future, other zones, jumps while running), all classified right`,
  );
});

/** A state whose newest sign of life is `at(2)`. */
function state(): MemoryFiles {
  const session = open(new MemoryFiles(), 1);
  commit(session, delta(0, 1));
  checkpoint(session, 1);
  commit(session, delta(1, 2));
  return session.fs;
}

describe('the age of a state', () => {
  it.each([
    ['is nothing right after', 0, false],
    ['is an hour and no more where the clock was set ahead by an hour', hour, false],
    ['is too much a moment later', hour + 1, true],
    ['is negative where the clock went back by a minute, as clocks do', -60_000, false],
    ['says that a clock is wrong where it went back by more', -60_001, true],
    ['says that a clock is wrong where it went back by an hour', -hour, true],
    ['says that a clock is wrong where the checkpoint is from next year', -365 * 24 * hour, true],
    ['is too much after a day', 24 * hour, true],
  ])('%s', (_what, ageMs, stale) => {
    const now = start + 2_000_000 + ageMs * 1000;
    expect(restored(state(), { now }).recovery).toMatchObject({ timestamp: at(2), age_ms: ageMs, stale, sequence: 2 });
    cases += 1;
  });

  it.each([
    ['2025-10-02T14:30:00Z', 0],
    ['2025-10-02T16:30:00+02:00', 0],
    ['2025-10-02T09:00:00-05:30', 0],
    ['2025-10-03T04:30:00+14:00', 0],
    ['2025-10-02T16:30:00Z', -2 * hour],
    ['2025-10-02T14:30:00+02:00', 2 * hour],
  ])('counts in UTC where a file says %s', (timestamp, ageMs) => {
    const files = new MemoryFiles();
    files.put('alpha_checkpoint.json', Buffer.from(seed('alpha', { timestamp })));
    const stale = ageMs !== 0;
    const { recovery } = restored(files, { now: micros('2025-10-02T14:30:00Z') });
    expect(recovery).toMatchObject({ age_ms: ageMs, stale });
    expect(recovery.timestamp).toMatch(/^2025-10-02T\d\d:30:00\.000000Z$/);
    cases += 1;
  });

  it.each(['UTC', 'America/New_York', 'Pacific/Kiritimati'])('is the same where the machine is in zone %s', (zone) => {
    const before = process.env['TZ'];
    process.env['TZ'] = zone;
    try {
      expect(restored(state(), { now: start + 2_000_000 }).recovery).toMatchObject({ age_ms: 0, stale: false });
    } finally {
      if (before === undefined) delete process.env['TZ'];
      else process.env['TZ'] = before;
    }
    cases += 1;
  });
});

it.each([-hour, hour])('heartbeats and retries keep their time where the wall jumps by %i ms', async (jumpMs) => {
  const { directory, remove } = makeStateDirectory();
  try {
    const { engine, begin, clock, fs, service } = startService(directory, { heartbeatMs: 60_000 });
    await begin();
    engine.post(posted(1));
    await engine.acknowledgedThrough(1);
    clock.jumpWall(jumpMs);
    const synced = () => fs.calls.filter(({ call }) => call === 'fdatasync').length;
    const before = synced();
    clock.advance(59_000);
    expect(synced()).toBe(before);
    clock.advance(2_000);
    expect(synced()).toBe(before + 1);
    fs.setRules([{ call: 'fdatasync', errno: 'EIO' }]);
    const failed = engine.next('write_failed');
    engine.post(posted(2));
    await failed;
    clock.jumpWall(-jumpMs);
    clock.advance(50);
    await engine.acknowledgedThrough(2);
    await unwrap(service.close({ sequence: 2, checkpoint: false }));
    engine.close();
    cases += 1;
  } finally {
    remove();
  }
});
