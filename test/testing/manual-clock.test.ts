import { describe, expect, test } from 'vitest';
import { timestamp } from '../../src/model/time.ts';
import { ManualClock } from '../../src/testing/manual-clock.ts';

describe('a manual clock', () => {
  test('stands still until it is moved', () => {
    const clock = new ManualClock('2025-10-02T14:30:00.000001Z');
    expect(timestamp(clock.nowMicros())).toBe('2025-10-02T14:30:00.000001Z');
    expect(clock.monotonicMs()).toBe(0);
    clock.advance(1500.25);
    expect(timestamp(clock.nowMicros())).toBe('2025-10-02T14:30:01.500251Z');
    expect(clock.monotonicMs()).toBe(1500.25);
  });

  test('sets the wall back and forth without letting time pass', () => {
    const clock = new ManualClock();
    clock.advance(10);
    clock.setWall('2020-01-01T00:00:00Z');
    expect(timestamp(clock.nowMicros())).toBe('2020-01-01T00:00:00.000000Z');
    clock.jumpWall(-1000);
    expect(timestamp(clock.nowMicros())).toBe('2019-12-31T23:59:59.000000Z');
    expect(clock.monotonicMs()).toBe(10);
  });

  test('runs timers at their own moment, also those that a timer sets', () => {
    const clock = new ManualClock();
    const ran: string[] = [];
    clock.after(20, () => ran.push(`b@${clock.monotonicMs()}`));
    clock.after(10, () => {
      ran.push(`a@${clock.monotonicMs()}`);
      clock.after(5, () => ran.push(`c@${clock.monotonicMs()}`));
      clock.after(-1, () => ran.push(`now@${clock.monotonicMs()}`));
    });
    clock.after(20, () => ran.push(`b2@${clock.monotonicMs()}`));
    const cancel = clock.after(1, () => ran.push('never'));
    cancel();
    clock.advance(30);
    expect(ran).toEqual(['a@10', 'now@10', 'c@15', 'b@20', 'b2@20']);
    expect(clock.monotonicMs()).toBe(30);
    expect(clock.pendingTimers).toBe(0);
  });

  test('lets promises go on between timers when it advances in turns', async () => {
    const clock = new ManualClock();
    const wait = (ms: number) => new Promise<void>((resolve) => clock.after(ms, resolve));
    const moments: number[] = [];
    const loop = (async () => {
      for (let count = 0; count < 3; count += 1) {
        await wait(10);
        moments.push(clock.monotonicMs());
      }
    })();
    await clock.advanceInTurns(35);
    await loop;
    expect(moments).toEqual([10, 20, 30]);
    expect(clock.monotonicMs()).toBe(35);
  });

  test('does not go back', () => {
    expect(() => new ManualClock().advance(-1)).toThrow(/jumpWall/);
    expect(() => new ManualClock().advance(Number.NaN)).toThrow(RangeError);
  });
});
