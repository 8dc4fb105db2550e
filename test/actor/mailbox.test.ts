import { setImmediate as turn } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { Mailbox, type MailboxOptions } from '../../src/actor/mailbox.ts';

function open(options: Partial<MailboxOptions> = {}, handle: (message: number) => void = () => {}) {
  const seen: number[] = [];
  const errors: unknown[] = [];
  const mailbox = new Mailbox<number>(
    (message) => {
      seen.push(message);
      handle(message);
    },
    { capacity: 100, sliceMs: Number.POSITIVE_INFINITY, onError: (error) => errors.push(error), ...options },
  );
  return { mailbox, seen, errors };
}

describe('a mailbox', () => {
  test('hands messages over in the order in which they were posted, never inside post', async () => {
    const { mailbox, seen } = open();
    for (const message of [1, 2, 3]) expect(mailbox.post(message)).toBe(true);
    expect(seen).toEqual([]);
    expect(mailbox.size).toBe(3);
    await mailbox.drain();
    expect(seen).toEqual([1, 2, 3]);
    expect(mailbox.size).toBe(0);
  });

  test('keeps the order while its ring grows and wraps', async () => {
    const { mailbox, seen } = open({ capacity: 77, sliceCount: 5 });
    let next = 0;
    while (next < 1000) {
      for (let burst = 0; burst < 13 && next < 1000; burst += 1) if (mailbox.post(next)) next += 1;
      await turn();
    }
    await mailbox.drain();
    expect(seen).toEqual(Array.from({ length: 1000 }, (_, index) => index));
  });

  test('says no when it is full, and takes nothing', async () => {
    const { mailbox, seen } = open({ capacity: 3 });
    expect([1, 2, 3, 4, 5].map((message) => mailbox.post(message))).toEqual([true, true, true, false, false]);
    await mailbox.drain();
    expect(seen).toEqual([1, 2, 3]);
    expect(mailbox.post(6)).toBe(true);
  });

  test('ends a slice after so many messages, and lets the event loop turn', async () => {
    const { mailbox, seen } = open({ sliceCount: 2 });
    for (const message of [1, 2, 3, 4, 5]) mailbox.post(message);
    await turn();
    expect(seen).toEqual([1, 2]);
    await turn();
    expect(seen).toEqual([1, 2, 3, 4]);
    await mailbox.drain();
    expect(seen).toHaveLength(5);
  });

  test('ends a slice after so many milliseconds', async () => {
    let nowMs = 0;
    const { mailbox, seen } = open({ sliceMs: 2, monotonicMs: () => nowMs }, () => {
      nowMs += 1;
    });
    for (const message of [1, 2, 3]) mailbox.post(message);
    await turn();
    expect(seen).toEqual([1, 2]);
    await mailbox.drain();
  });

  test('reads the clock seldom while messages take no time', async () => {
    let reads = 0;
    const { mailbox, seen } = open({
      sliceMs: 2,
      monotonicMs: () => {
        reads += 1;
        return 0;
      },
    });
    for (let message = 0; message < 96; message += 1) mailbox.post(message);
    await turn();
    expect(seen).toHaveLength(96);
    expect(reads).toBeLessThan(20);
  });

  test('ends a slice at most seven messages late when they begin to take long', async () => {
    let nowMs = 0;
    const { mailbox, seen } = open({ sliceMs: 2, monotonicMs: () => nowMs }, (message) => {
      if (message >= 50) nowMs += 10;
    });
    for (let message = 0; message < 100; message += 1) mailbox.post(message);
    await turn();
    expect(seen.length).toBeGreaterThan(50);
    expect(seen.length).toBeLessThanOrEqual(58);
    const before = seen.length;
    await turn();
    // The next slice does not trust them any more.
    expect(seen).toHaveLength(before + 1);
    await mailbox.drain();
  });

  test('reads the clock after each message again where some take a part of a slice', async () => {
    let nowMs = 0;
    const { mailbox, seen } = open({ sliceMs: 2, monotonicMs: () => nowMs }, (message) => {
      // The 31st message is one after which the clock is read.
      if (message === 30) nowMs += 0.5;
      if (message > 30) nowMs += 5;
    });
    for (let message = 0; message < 100; message += 1) mailbox.post(message);
    await turn();
    expect(seen).toHaveLength(32);
    await mailbox.drain();
  });

  test('handles one message of each slice even when a slice has no time at all', async () => {
    const { mailbox, seen } = open({ sliceMs: 0 });
    mailbox.post(1);
    mailbox.post(2);
    await mailbox.drain();
    expect(seen).toEqual([1, 2]);
  });

  test('goes on after a handler that throws, and tells', async () => {
    const { mailbox, seen, errors } = open({}, (message) => {
      if (message === 2) throw new Error('no');
    });
    for (const message of [1, 2, 3]) mailbox.post(message);
    await mailbox.drain();
    expect(seen).toEqual([1, 2, 3]);
    expect(errors).toEqual([new Error('no')]);
  });

  test('takes what its own handler posts, after what was there, in a later turn', async () => {
    const { mailbox, seen } = open({}, (message) => {
      if (message < 3) mailbox.post(message + 10);
    });
    mailbox.post(1);
    mailbox.post(2);
    await turn();
    expect(seen).toEqual([1, 2]);
    await mailbox.drain();
    expect(seen).toEqual([1, 2, 11, 12]);
  });

  test('tells the end of each slice, and once when it has become idle', async () => {
    const told: string[] = [];
    const { mailbox } = open({
      sliceCount: 1,
      onSliceEnd: () => told.push('slice'),
      onIdle: () => told.push('idle'),
    });
    mailbox.post(1);
    mailbox.post(2);
    await mailbox.drain();
    expect(told).toEqual(['slice', 'slice', 'idle']);
  });

  test('a sender that waits for room goes on when half is free', async () => {
    const { mailbox, seen } = open({ capacity: 4, sliceCount: 1 });
    await expect(mailbox.room()).resolves.toBe(true);
    for (let message = 0; message < 20; message += 1) {
      while (!mailbox.post(message)) {
        expect(await mailbox.room()).toBe(true);
        expect(mailbox.size).toBe(2);
      }
    }
    await mailbox.drain();
    expect(seen).toHaveLength(20);
  });

  test('when closed takes nothing more, frees who waits, and resolves when all is handled', async () => {
    const { mailbox, seen } = open({ capacity: 2, sliceCount: 1 });
    mailbox.post(1);
    mailbox.post(2);
    const room = mailbox.room();
    const closed = mailbox.close();
    expect(mailbox.post(3)).toBe(false);
    await expect(room).resolves.toBe(false);
    await expect(mailbox.room()).resolves.toBe(false);
    await closed;
    expect(seen).toEqual([1, 2]);
    expect(mailbox.closed).toBe(true);
    await mailbox.close();
  });

  test('does not resolve drain before what the handler posted meanwhile is handled', async () => {
    const { mailbox, seen } = open({}, (message) => {
      if (message < 5) mailbox.post(message + 1);
    });
    mailbox.post(1);
    await mailbox.drain();
    expect(seen).toEqual([1, 2, 3, 4, 5]);
  });

  test('refuses a capacity that is none', () => {
    for (const capacity of [0, -1, 1.5, Number.NaN]) expect(() => open({ capacity })).toThrow(/capacity/);
  });
});
