import { describe, expect, it } from 'vitest';
import { Supervisor, type SupervisorOptions } from '../../src/actor/supervisor.ts';
import type { ThreadEnd } from '../../src/actor/thread.ts';
import { startAnswering } from './fixtures/start-answering.ts';

class FakeThread implements ThreadEnd {
  cause: Error | null = null;
  readonly incarnation: number;
  readonly #listeners: ((cause: Error) => void)[] = [];

  constructor(incarnation: number) {
    this.incarnation = incarnation;
  }

  onEnd(listener: (cause: Error) => void): () => void {
    if (this.cause === null) this.#listeners.push(listener);
    else listener(this.cause);
    return () => {};
  }

  end(message = 'fell over'): void {
    const cause = new Error(message);
    this.cause = cause;
    for (const listener of this.#listeners) listener(cause);
  }
}

/** A supervisor of fake threads whose time moves only when told. */
function supervise(options: Partial<SupervisorOptions<FakeThread>> = {}): {
  readonly supervisor: Supervisor<FakeThread>;
  readonly threads: FakeThread[];
  readonly log: string[];
  advance(ms: number): void;
} {
  const threads: FakeThread[] = [];
  const log: string[] = [];
  let now = 0;
  let timers: { readonly at: number; readonly run: () => void }[] = [];
  const supervisor = new Supervisor<FakeThread>({
    name: 'fake',
    start(incarnation) {
      const thread = new FakeThread(incarnation);
      threads.push(thread);
      return thread;
    },
    restartsMax: 3,
    windowMs: 10_000,
    backoffMs: 100,
    backoffMsMax: 300,
    monotonicMs: () => now,
    after(ms, run) {
      const timer = { at: now + ms, run };
      timers.push(timer);
      return () => {
        timers = timers.filter((other) => other !== timer);
      };
    },
    ...options,
  });
  supervisor.on('started', (_thread, incarnation) => log.push(`started ${incarnation}`));
  supervisor.on('ended', (cause, incarnation, wait) => log.push(`ended ${incarnation}: ${cause.message}, ${wait}`));
  supervisor.on('gaveUp', (cause) => log.push(`gave up: ${(cause as Error & { code: string }).code}`));
  return {
    supervisor,
    threads,
    log,
    advance(ms) {
      now += ms;
      const due = timers.filter((timer) => timer.at <= now);
      timers = timers.filter((timer) => timer.at > now);
      for (const timer of due) timer.run();
    },
  };
}

describe('a supervisor', () => {
  it('starts a replacement with the next incarnation, after the end and the backoff', () => {
    const { supervisor, threads, log, advance } = supervise();
    supervisor.start();
    expect(supervisor.thread).toBe(threads[0]);
    threads[0]?.end();
    expect(supervisor.thread).toBeNull();
    advance(99);
    expect(threads).toHaveLength(1);
    advance(1);
    expect(supervisor.thread).toBe(threads[1]);
    expect(supervisor.incarnation).toBe(2);
    expect(log).toEqual(['started 1', 'ended 1: fell over, 100', 'started 2']);
  });

  it('doubles the backoff up to its limit, then gives up, and starts nothing more', () => {
    const { supervisor, threads, log, advance } = supervise();
    supervisor.start();
    for (const wait of [100, 200, 300]) {
      threads.at(-1)?.end();
      advance(wait - 1);
      expect(supervisor.thread).toBeNull();
      advance(1);
      expect(supervisor.thread).not.toBeNull();
    }
    threads.at(-1)?.end('for the last time');
    advance(100_000);
    expect(threads).toHaveLength(4);
    expect(log.slice(-2)).toEqual(['ended 4: for the last time, null', 'gave up: WORKER_GIVEN_UP']);
  });

  it('forgets restarts that are older than the window', () => {
    const { supervisor, threads, log, advance } = supervise();
    supervisor.start();
    for (let round = 0; round < 8; round += 1) {
      threads.at(-1)?.end();
      advance(100);
      advance(10_000);
    }
    expect(supervisor.thread).not.toBeNull();
    expect(log.filter((line) => line.startsWith('ended')).every((line) => line.endsWith(', 100'))).toBe(true);
  });

  it('counts a start that throws as an end', () => {
    let fails = true;
    const { supervisor, log, advance } = supervise({
      start(incarnation) {
        if (fails) throw new Error('no such file');
        return new FakeThread(incarnation);
      },
    });
    supervisor.start();
    expect(log[0]).toBe('ended 1: thread fake (incarnation 1) could not be started: no such file, 100');
    fails = false;
    advance(100);
    expect(log.at(-1)).toBe('started 2');
  });

  it('restarts nothing once it is told to stop, and says when the last thread has ended', async () => {
    const { supervisor, threads, log, advance } = supervise();
    supervisor.start();
    let stopped = false;
    const stopping = supervisor.stop().then(() => {
      stopped = true;
    });
    await Promise.resolve();
    expect(stopped).toBe(false);
    expect(supervisor.thread).toBe(threads[0]);
    threads[0]?.end('asked to');
    await stopping;
    advance(100_000);
    expect(threads).toHaveLength(1);
    expect(log).toEqual(['started 1', 'ended 1: asked to, null']);
    await supervisor.stop();
  });

  it('cancels a restart that waits when it is told to stop', async () => {
    const { supervisor, threads, advance } = supervise();
    supervisor.start();
    threads[0]?.end();
    await supervisor.stop();
    advance(100_000);
    expect(threads).toHaveLength(1);
  });

  it('refuses to be started twice', () => {
    const { supervisor } = supervise();
    supervisor.start();
    expect(() => supervisor.start()).toThrow(expect.objectContaining({ code: 'SUPERVISOR_STARTED' }));
  });

  it('replaces a real thread only after it has ended', async () => {
    let running = 0;
    const mostRunning: number[] = [];
    const supervisor = new Supervisor({
      name: 'answering',
      backoffMs: 1,
      start(incarnation) {
        running += 1;
        mostRunning.push(running);
        const both = startAnswering({ incarnation });
        both.thread.worker.once('exit', () => {
          running -= 1;
        });
        return Object.assign(both.thread, { asker: both.asker });
      },
    });
    const restarted = new Promise<void>((resolve) => {
      supervisor.on('started', (_thread, incarnation) => {
        if (incarnation === 3) resolve();
      });
    });
    supervisor.on('started', (thread, incarnation) => {
      if (incarnation < 3) thread.asker.ask('exit', 1).catch(() => {});
    });
    supervisor.start();
    await restarted;
    expect(await supervisor.thread?.asker.ask('add', 1, 2)).toBe(3);
    expect(mostRunning).toEqual([1, 1, 1]);
    const stopped = supervisor.stop();
    await supervisor.thread?.terminate();
    await stopped;
  });
});
