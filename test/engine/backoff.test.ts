import { describe, expect, it } from 'vitest';
import { Backoff, pause } from '../../src/engine/backoff.ts';
import { BrokerError } from '../../src/model/errors.ts';
import { ManualClock } from '../../src/testing/manual-clock.ts';

describe('backoff', () => {
  it('doubles up to its maximum, and begins again', () => {
    const backoff = new Backoff({ firstMs: 100, maxMs: 500, random: () => 0 });
    expect([1, 2, 3, 4].map(() => backoff.nextMs())).toEqual([100, 200, 400, 500]);
    backoff.reset();
    expect(backoff.nextMs()).toBe(100);
  });

  it('takes away up to a half by chance', () => {
    expect(new Backoff({ firstMs: 100, random: () => 1 }).nextMs()).toBe(50);
  });

  it('obeys a broker that says when to come back', () => {
    const limited = new BrokerError('BROKER_RATE_LIMITED', 'slow down', { details: { retry_after_ms: 9000 } });
    expect(new Backoff({ random: () => 0 }).nextMs(limited)).toBe(9000);
  });

  it.each([
    [3_000_000_000, 3_600_000],
    [Number.POSITIVE_INFINITY, 3_600_000],
    [Number.NaN, 200],
    [-5, 200],
  ])('waits an hour at most, and never not at all, where a broker says to come back after %d ms', (asked, waits) => {
    const limited = new BrokerError('BROKER_RATE_LIMITED', 'slow down', { details: { retry_after_ms: asked } });
    expect(new Backoff({ random: () => 0 }).nextMs(limited)).toBe(waits);
  });
});

describe('a pause', () => {
  it('ends with its time, and earlier with its signal, and leaves nothing behind', async () => {
    const clock = new ManualClock();
    const first = pause(clock.after, 100, new AbortController().signal);
    clock.advance(100);
    await first;
    const control = new AbortController();
    const second = pause(clock.after, 100, control.signal);
    control.abort();
    await second;
    await pause(clock.after, 100, control.signal);
    expect(clock.pendingTimers).toBe(0);
  });
});
