import { describe, expect, test } from 'vitest';
import { systemAfter } from '../../src/actor/timers.ts';
import { backgroundAfter, Schedule } from '../../src/engine/schedule.ts';
import { ManualClock } from '../../src/testing/manual-clock.ts';

function open() {
  const clock = new ManualClock();
  const fired: [string, number][] = [];
  const schedule = new Schedule((name) => fired.push([name, clock.monotonicMs()]), { clock, after: clock.after });
  return { clock, fired, schedule };
}

describe('a schedule', () => {
  test('fires once, when the time has passed and not before', () => {
    const { clock, fired, schedule } = open();
    schedule.after(100, 'a');
    clock.advance(99.9);
    expect(fired).toEqual([]);
    clock.advance(0.1);
    clock.advance(1000);
    expect(fired).toEqual([['a', 100]]);
    expect(schedule.names()).toEqual([]);
  });

  test('fires repeatedly, on the beat', () => {
    const { clock, fired, schedule } = open();
    schedule.every(0.1 + 0.2 + 9.7, 'beat');
    clock.advance(1000);
    expect(fired).toHaveLength(100);
    expect(fired.at(-1)?.[1]).toBeCloseTo(1000, 6);
  });

  test('keeps the beat when it fires late, and skips the beats that were missed', () => {
    const clock = new ManualClock();
    const fired: number[] = [];
    // Timers that wake 3 ms late, as on a busy thread, and once 25 ms late.
    const lates = [3, 25, 3, 3];
    const schedule = new Schedule(() => fired.push(clock.monotonicMs()), {
      clock,
      after: (ms, run) => clock.after(ms + (lates.shift() ?? 3), run),
    });
    schedule.every(10, 'beat');
    clock.advance(73);
    expect(fired).toEqual([13, 45, 53, 63, 73]);
  });

  test('a timer that wakes early waits for the rest', () => {
    const clock = new ManualClock();
    const fired: number[] = [];
    const schedule = new Schedule(() => fired.push(clock.monotonicMs()), {
      clock,
      after: (ms, run) => clock.after(ms > 1 ? ms - 0.5 : ms, run),
    });
    schedule.after(10, 'a');
    clock.advance(9.9);
    expect(fired).toEqual([]);
    clock.advance(1);
    expect(fired).toEqual([10]);
  });

  test('a name has one timer: setting it again replaces it, clearing ends it', () => {
    const { clock, fired, schedule } = open();
    schedule.every(10, 'a');
    schedule.after(25, 'a');
    schedule.after(5, 'b');
    schedule.clear('b');
    schedule.clear('unknown');
    clock.advance(100);
    expect(fired).toEqual([['a', 25]]);
    expect(clock.pendingTimers).toBe(0);
  });

  test('a timer may set and clear timers, its own too, while it fires', () => {
    const clock = new ManualClock();
    const fired: string[] = [];
    const schedule: Schedule = new Schedule(
      (name) => {
        fired.push(`${name}@${clock.monotonicMs()}`);
        if (name === 'once') schedule.after(10, 'once');
        if (name === 'beat') schedule.clear('beat');
      },
      { clock, after: clock.after },
    );
    schedule.after(10, 'once');
    schedule.every(15, 'beat');
    clock.advance(30);
    expect(fired).toEqual(['once@10', 'beat@15', 'once@20', 'once@30']);
  });

  test('a repeated timer goes on after a callback that throws', () => {
    const clock = new ManualClock();
    let count = 0;
    const schedule = new Schedule(
      () => {
        count += 1;
        throw new Error('no');
      },
      { clock, after: clock.after },
    );
    schedule.every(10, 'a');
    expect(() => clock.advance(10)).toThrow('no');
    expect(() => clock.advance(10)).toThrow('no');
    expect(count).toBe(2);
  });

  test('does not notice when the wall clock is set', () => {
    const { clock, fired, schedule } = open();
    schedule.every(10, 'a');
    clock.jumpWall(3_600_000);
    expect(fired).toEqual([]);
    clock.jumpWall(-7_200_000);
    clock.advance(10);
    expect(fired).toHaveLength(1);
  });

  test('waits longer than a system timer can', () => {
    const clock = new ManualClock();
    const waits: number[] = [];
    let fired = 0;
    const schedule = new Schedule(
      () => {
        fired += 1;
      },
      {
        clock,
        after: (ms, run) => {
          waits.push(ms);
          return clock.after(ms, run);
        },
      },
    );
    const monthMs = 31 * 86_400_000;
    schedule.after(monthMs, 'month');
    clock.advance(monthMs - 1);
    expect(fired).toBe(0);
    expect(Math.max(...waits)).toBe(2 ** 31 - 1);
    clock.advance(1);
    expect(fired).toBe(1);
  });

  test('clears everything at once', () => {
    const { clock, fired, schedule } = open();
    schedule.every(10, 'a');
    schedule.after(10, 'b');
    schedule.clearAll();
    clock.advance(100);
    expect(fired).toEqual([]);
    expect(clock.pendingTimers).toBe(0);
  });

  test.each([-1, Number.NaN, Number.POSITIVE_INFINITY])('refuses %s milliseconds', (ms) => {
    const { schedule } = open();
    expect(() => schedule.after(ms, 'a')).toThrow(expect.objectContaining({ code: 'TIMER_INVALID' }));
    expect(() => schedule.every(ms, 'a')).toThrow(/timer "a"/);
    expect(() => schedule.every(0, 'a')).toThrow(/from 1/);
  });

  test('runs on real timers, in the background too', async () => {
    for (const after of [systemAfter, backgroundAfter]) {
      const startMs = performance.now();
      // Keeps the process alive for as long as the background timer needs.
      const alive = setInterval(() => {}, 1000);
      await new Promise<void>((resolve) => new Schedule(() => resolve(), { after }).after(5, 'a'));
      clearInterval(alive);
      expect(performance.now() - startMs).toBeGreaterThanOrEqual(4.99);
      const schedule = new Schedule(() => expect.unreachable(), { after });
      schedule.after(1, 'a');
      schedule.clear('a');
    }
  });
});
