import { once } from 'node:events';
import { closeSync, existsSync, mkdtempSync, openSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { AckWriter } from '../../src/cli/acks.ts';
import { DelayMeter } from '../../src/cli/load/delays.ts';
import { probeDisk } from '../../src/cli/load/disk.ts';
import { Durations } from '../../src/cli/load/histogram.ts';
import { LoopProbe } from '../../src/cli/load/loop-probe.ts';
import { processorWaitMs } from '../../src/cli/load/processor-wait.ts';
import { TimeQueue } from '../../src/cli/load/time-queue.ts';

let directory: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'holdfast-load-'));
});

afterEach(() => {
  rmSync(directory, { recursive: true, force: true });
});

describe('durations', () => {
  it('give percentiles in the unit asked for', () => {
    const durations = new Durations();
    for (let ms = 1; ms <= 1000; ms += 1) durations.addMs(ms);
    const { count, p50, p90, p99, p999, max } = durations.in('ms');
    expect(count).toBe(1000);
    for (const [found, expected] of [
      [p50, 500],
      [p90, 900],
      [p99, 990],
      [p999, 999],
      [max, 1000],
    ]) {
      expect(Math.abs(Number(found) - Number(expected))).toBeLessThan(2);
    }
    expect(Math.abs(Number(durations.in('us').p50) - 500_000)).toBeLessThan(1_000);
  });

  it('have no percentiles where nothing was measured', () => {
    expect(new Durations().in('us')).toEqual({ count: 0, p50: null, p90: null, p99: null, p999: null, max: null });
    expect(new Durations().percentileMs(50)).toBe(null);
  });

  it('take what is too short to be told from nothing, and others', () => {
    const durations = new Durations();
    durations.addMs(0);
    const other = new Durations();
    other.addMs(2);
    durations.addAll(other);
    expect(durations.count).toBe(2);
  });
});

describe('the delay of the event loop', () => {
  it('weighs a stall by how long it lasts: everything due in it is late', () => {
    const delays = new Durations();
    const probe = new LoopProbe(delays, 0);
    for (let now = 0; now <= 100; now += 1 / 64) probe.look(now);
    expect(delays.in('ms').max).toBeLessThan(0.02);
    const before = delays.count;
    probe.look(150);
    expect(delays.count - before).toBe(200);
    expect(Number(delays.in('ms').max)).toBeGreaterThan(49);
  });
});

describe('the time for which a thread waits for a processor', () => {
  it('is a share of all slices, and unknown where it is of one of them', () => {
    const delays = new DelayMeter(() => ({ p99Ms: null, maxMs: null }));
    expect(delays.waitedShare).toBeNull();
    delays.addWait(0, 100);
    delays.addWait(30, 200);
    expect(delays.waitedShare).toBe(0.1);
    delays.addWait(null, 100);
    expect(delays.waitedShare).toBeNull();
  });

  it.runIf(existsSync('/proc/thread-self/schedstat'))(
    'grows while more threads are busy than there are processors',
    async () => {
      const before = processorWaitMs();
      const threads = Array.from({ length: availableParallelism() + 1 }, () => new Worker('for (;;);', { eval: true }));
      try {
        await Promise.all(threads.map((thread) => once(thread, 'online')));
        const untilMs = performance.now() + 10_000;
        while (Number(processorWaitMs()) <= Number(before) && performance.now() < untilMs);
        expect(processorWaitMs()).toBeGreaterThan(Number(before));
      } finally {
        await Promise.all(threads.map((thread) => thread.terminate()));
      }
    },
  );
});

describe('the commits that wait for their acknowledgement', () => {
  it('come out in order, each once, however many wait', () => {
    const steps = fc.array(fc.tuple(fc.integer({ min: 0, max: 3_000 }), fc.integer({ min: 0, max: 3_000 })), {
      maxLength: 8,
    });
    fc.assert(
      fc.property(steps, (program) => {
        const queue = new TimeQueue();
        let pushed = 0;
        const taken: number[] = [];
        for (const [more, behind] of program) {
          for (let i = 0; i < more; i += 1) queue.push(++pushed, pushed * 2);
          queue.takeThrough(pushed - behind, (time) => taken.push(time));
          expect(queue.size).toBe(pushed - taken.length);
        }
        expect(taken).toEqual(Array.from(taken, (_, i) => (i + 1) * 2));
      }),
      { numRuns: 50 },
    );
  });
});

describe('the lines of acknowledgements', () => {
  it('are added to the file, one for each advance', () => {
    const path = join(directory, 'acks');
    for (const sequences of [
      [1, 2, 2, 1],
      [5, 9],
    ]) {
      const acks = new AckWriter(path);
      for (const sequence of sequences) acks.write(sequence);
      expect(acks.error).toBe(null);
      acks.close();
    }
    expect(readFileSync(path, 'utf8')).toBe('ack 1\nack 2\nack 5\nack 9\n');
  });

  it('are with the operating system when they are written', () => {
    const path = join(directory, 'acks');
    const acks = new AckWriter(path);
    acks.write(3);
    expect(readFileSync(path, 'utf8')).toBe('ack 3\n');
    acks.close();
  });

  it('stop with the error where they cannot be written', () => {
    const full = '/dev/full';
    try {
      closeSync(openSync(full, 'a'));
    } catch {
      return;
    }
    const acks = new AckWriter(full);
    acks.write(1);
    acks.write(2);
    expect(acks.error).toMatchObject({ code: 'ACKS_FILE', cause: { code: 'ENOSPC' } });
    acks.close();
  });
});

describe('the disk by itself', () => {
  it('is measured in the directory, and nothing is left there', () => {
    const { append, replace } = probeDisk(directory, { append: 512, replace: 4096 }, 50);
    expect(append.count).toBeGreaterThan(0);
    expect(replace.count).toBeGreaterThan(0);
    expect(readdirSync(directory)).toEqual([]);
  });
});
