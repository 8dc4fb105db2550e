import { describe, expect, it } from 'vitest';
import type { JournalRecord } from '../../src/persistence/records.ts';
import { ServiceGroups } from '../../src/persistence/service-groups.ts';
import { ManualClock } from '../../src/testing/manual-clock.ts';

const at = '2025-10-02T14:30:00.000000Z';
const delta = (through: number): JournalRecord => ({
  kind: 'delta',
  previous: through - 1,
  through,
  at,
  strategies: [],
});

function setUp(base = 0): {
  readonly groups: ServiceGroups;
  readonly clock: ManualClock;
  /** What happened, in order: an append as the sequences in it, an acknowledgement, a failure. */
  readonly log: string[];
  failWith(error: Error | null): void;
} {
  const clock = new ManualClock();
  const log: string[] = [];
  let failure: Error | null = null;
  const groups = new ServiceGroups(base, {
    append(records) {
      const what = records.map((record) => (record.kind === 'delta' ? record.through : record.kind)).join(' ');
      log.push(`append ${what}${failure === null ? '' : ' failed'}`);
      if (failure !== null) throw failure;
    },
    onDurable: (sequence) => log.push(`durable ${sequence}`),
    onFailed: ({ through, error, retryInMs }) => log.push(`${(error as Error).message} ${through} ${retryInMs}`),
    monotonicMs: () => clock.monotonicMs(),
    after: clock.after,
  });
  return {
    groups,
    clock,
    log,
    failWith(error) {
      failure = error;
    },
  };
}

describe('groups', () => {
  it('write everything that waits as one, and announce its last sequence afterwards', () => {
    const { groups, log } = setUp();
    groups.add(delta(1));
    groups.add(delta(2));
    expect(groups.durable).toBe(0);
    groups.flush();
    groups.flush();
    expect(log).toEqual(['append 1 2', 'durable 2']);
    expect(groups.durable).toBe(2);
  });

  it('announce nothing for records that are no commits', () => {
    const { groups, log } = setUp(5);
    groups.add({ kind: 'heartbeat', at });
    groups.flush();
    expect(log).toEqual(['append heartbeat']);
    expect(groups.durable).toBe(5);
  });

  it('keep what failed and write it again with what came meanwhile, waiting twice as long each time up to two seconds', () => {
    const { groups, clock, log, failWith } = setUp();
    failWith(new Error('EIO'));
    groups.add(delta(1));
    groups.flush();
    groups.add(delta(2));
    groups.flush();
    expect(log).toEqual(['append 1 failed', 'EIO 1 50']);
    log.length = 0;
    clock.advance(49);
    expect(log).toEqual([]);
    clock.advance(1);
    expect(log).toEqual(['append 1 2 failed', 'EIO 2 100']);
    clock.advance(100 + 200 + 400 + 800 + 1600);
    expect(log.filter((line) => line.startsWith('EIO'))).toEqual(
      ['100', '200', '400', '800', '1600', '2000'].map((wait) => `EIO 2 ${wait}`),
    );
    expect(groups.failing?.error).toMatchObject({ message: 'EIO' });
    log.length = 0;
    failWith(null);
    clock.advance(1999);
    expect(log).toEqual([]);
    expect(groups.durable).toBe(0);
    clock.advance(1);
    expect(log).toEqual(['append 1 2', 'durable 2']);
    expect(groups.failing).toBeNull();
    clock.advance(60_000);
    expect(log).toHaveLength(2);
  });

  it('begin with the shortest wait again after a success', () => {
    const { groups, clock, log, failWith } = setUp();
    failWith(new Error('EIO'));
    groups.add(delta(1));
    groups.flush();
    clock.advance(50);
    failWith(null);
    clock.advance(100);
    failWith(new Error('ENOSPC'));
    groups.add(delta(2));
    groups.flush();
    expect(log.at(-1)).toBe('ENOSPC 2 50');
  });

  it('throw the last error to who needs everything durable now, without another attempt', () => {
    const { groups, log, failWith } = setUp();
    groups.flushOrThrow();
    failWith(new Error('EIO'));
    groups.add(delta(1));
    expect(() => groups.flushOrThrow()).toThrow('EIO');
    expect(() => groups.flushOrThrow()).toThrow('EIO');
    expect(log.filter((line) => line.startsWith('append'))).toHaveLength(1);
  });

  it('tell how old the oldest commit is that is not durable, and since when nothing was written', () => {
    const { groups, clock } = setUp();
    clock.advance(10);
    expect(groups.idleMs).toBe(10);
    groups.add({ kind: 'heartbeat', at });
    expect(groups.lagMs).toBe(0);
    groups.add(delta(1));
    clock.advance(5);
    groups.add(delta(2));
    clock.advance(2);
    expect(groups.lagMs).toBe(7);
    groups.flush();
    expect(groups.lagMs).toBe(0);
    expect(groups.idleMs).toBe(0);
  });

  it('attempt nothing after close', () => {
    const { groups, clock, log, failWith } = setUp();
    failWith(new Error('EIO'));
    groups.add(delta(1));
    groups.flush();
    groups.close();
    clock.advance(60_000);
    groups.add(delta(2));
    groups.flush();
    expect(log).toEqual(['append 1 failed', 'EIO 1 50']);
    expect(clock.pendingTimers).toBe(0);
  });
});
