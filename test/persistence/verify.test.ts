import { describe, expect, it } from 'vitest';
import { errnoError } from '../../src/persistence/errno.ts';
import { type VerifyReport, verify } from '../../src/persistence/verify.ts';
import {
  at,
  checkpoint,
  commit,
  delta,
  directory,
  groupOffsets,
  MemoryFiles,
  open,
  restoring,
  type Session,
} from './journal-fixtures.ts';

function report(fs: MemoryFiles, lockHeld = false): VerifyReport {
  return verify(fs, directory, { currency: 'USD', staleAfterMs: restoring.staleAfterMs, now: restoring.now, lockHeld });
}

function usual(): Session {
  const session = open(new MemoryFiles(), 1);
  commit(session, delta(0, 1));
  checkpoint(session, 1);
  commit(session, delta(1, 2));
  checkpoint(session, 1);
  commit(session, delta(2, 3));
  return session;
}

describe('verify', () => {
  it('lists what is there and what a restore would use, and writes nothing', () => {
    const { fs } = usual();
    fs.calls = [];
    expect(report(fs)).toEqual({
      directory,
      ok: true,
      restorable: true,
      generations: [
        {
          file: 'alpha_checkpoint.json',
          strategy: 'alpha',
          epoch: 1,
          sequence: 2,
          timestamp: at(2),
          valid: true,
          problem: null,
          why: null,
        },
        {
          file: 'alpha_checkpoint.1-1.json',
          strategy: 'alpha',
          epoch: 1,
          sequence: 1,
          timestamp: at(1),
          valid: true,
          problem: null,
          why: null,
        },
      ],
      segments: [
        {
          file: 'journal/1-0.journal',
          segment: 1,
          epoch: 1,
          groups: 4,
          first_sequence: 0,
          last_sequence: 3,
          bytes: fs.get('journal/1-0.journal').length,
          valid: true,
          damages: [],
        },
      ],
      would_use: {
        epoch: 1,
        sequence: 3,
        timestamp: at(3),
        age_ms: -3000,
        stale: false,
        strategies: [
          { strategy: 'alpha', source: 'checkpoint', file: 'alpha_checkpoint.json', epoch: 1, sequence: 2, records: 1 },
        ],
      },
      would_lose: [],
      error: null,
    });
    expect(fs.calls.filter((call) => /^(create|write|link|rename|unlink|mkdir|fsync)/.test(call))).toEqual([]);
  });

  it('finds nothing wrong where nothing is', () => {
    expect(report(new MemoryFiles())).toMatchObject({
      ok: true,
      restorable: true,
      generations: [],
      segments: [],
      error: null,
    });
  });

  it('tells a torn end from damage, and from what an engine is writing now', () => {
    const { fs } = usual();
    const bytes = fs.get('journal/1-0.journal');
    fs.put('journal/1-0.journal', bytes.subarray(0, -3));
    const torn = report(fs);
    expect(torn).toMatchObject({
      ok: false,
      restorable: true,
      would_use: { sequence: 2 },
      would_lose: [{ what: 'torn_tail' }],
    });
    expect(torn.segments[0]).toMatchObject({ valid: true, damages: [{ torn_tail: true, why: 'group 4 is cut off' }] });
    expect(report(fs, true)).toMatchObject({ ok: true, would_lose: [] });

    const flipped = Buffer.from(bytes);
    const second = groupOffsets(bytes)[1] ?? 0;
    flipped[second + 200] = 0;
    fs.put('journal/1-0.journal', flipped);
    const damaged = report(fs);
    expect(damaged).toMatchObject({
      ok: false,
      restorable: true,
      would_use: { sequence: 3 },
      would_lose: [{ what: 'damaged_journal' }],
    });
    expect(damaged.segments[0]).toMatchObject({
      valid: false,
      damages: [{ offset: second, torn_tail: false, why: 'group 2: its CRC does not match' }],
    });
  });

  it('says why a restore would be refused', () => {
    const { fs } = usual();
    for (const file of ['alpha_checkpoint.json', 'alpha_checkpoint.1-1.json']) fs.put(file, Buffer.from('{}'));
    fs.put('journal/1-0.journal', Buffer.alloc(100));
    const refused = report(fs);
    expect(refused).toMatchObject({
      ok: false,
      restorable: false,
      would_use: null,
      error: { code: 'CHECKPOINT_CORRUPTED' },
    });
    expect(refused.generations.map(({ valid }) => valid)).toEqual([false, false]);
    expect(refused.segments).toMatchObject([{ segment: null, groups: 0, valid: true }]);
  });

  it('reports a journal that cannot be read', () => {
    const { fs } = usual();
    fs.before = (call, path) => {
      if (call === 'read' && path.endsWith('.journal')) throw errnoError('EIO', call, path);
    };
    expect(report(fs)).toMatchObject({ ok: false, restorable: false, segments: [], error: { code: 'READ_FAILED' } });
  });
});
