import { once } from 'node:events';
import { MessageChannel } from 'node:worker_threads';
import { afterEach, describe, expect, it } from 'vitest';
import { createAsker } from '../../src/actor/ask.ts';
import { exposeOn } from '../../src/actor/comlink.ts';
import type { Thread, ThreadEnd } from '../../src/actor/thread.ts';
import { StateError } from '../../src/model/errors.ts';
import { type Answering, startAnswering } from './fixtures/start-answering.ts';

const started: Thread[] = [];
function start(): ReturnType<typeof startAnswering> {
  const both = startAnswering();
  started.push(both.thread);
  return both;
}

afterEach(async () => {
  await Promise.all(started.splice(0).map((thread) => thread.terminate()));
});

describe('an ask of a thread', () => {
  it('resolves with the value that was answered', async () => {
    const { asker } = start();
    expect(await asker.ask('add', 2, 40)).toBe(42);
    expect(asker.pending).toBe(0);
  });

  it('rejects with the error that was answered: class, code, details and cause', async () => {
    const { asker } = start();
    const error = await asker.ask('refuse', '/a/b').catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(StateError);
    expect(error).toMatchObject({ code: 'REFUSED', details: { path: '/a/b' }, cause: { code: 'INNER' } });
  });

  it('rejects when the method throws in place of answering', async () => {
    const { asker } = start();
    await expect(asker.ask('unansweredThrow')).rejects.toThrow('a method that throws');
    expect(asker.pending).toBe(0);
  });

  it('moves a port to the other thread', async () => {
    const { asker } = start();
    const { port1, port2 } = new MessageChannel();
    const message = once(port1, 'message');
    await asker.ask('greet', port2);
    expect((await message)[0]).toMatch(/^hello from a thread/);
    port1.close();
  });

  it('rejects every pending call when the thread is terminated in the middle of them', async () => {
    const { asker, thread } = start();
    await asker.ask('add', 1, 1);
    const pending = [asker.ask('never'), asker.ask('never')];
    expect(asker.pending).toBe(2);
    const settled = Promise.allSettled(pending);
    await thread.terminate();
    for (const result of await settled) {
      expect(result).toMatchObject({ status: 'rejected', reason: { code: 'WORKER_ENDED', retryable: true } });
    }
    expect(asker.pending).toBe(0);
  });

  it('rejects with the cause of the crash when the thread throws', async () => {
    const { asker } = start();
    const error = await asker.ask('crash').catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({
      code: 'WORKER_ENDED',
      cause: { name: 'StateError', code: 'BROKEN_INSIDE', details: { sequence: 7 } },
    });
    expect((error as Error).cause).toBeInstanceOf(StateError);
  });

  it('rejects at once when the thread has ended before', async () => {
    const { asker, thread } = start();
    await expect(asker.ask('exit', 3)).rejects.toMatchObject({ code: 'WORKER_ENDED', details: { exit_code: 3 } });
    expect(thread.cause).not.toBeNull();
    await expect(asker.ask('add', 1, 1)).rejects.toBe(thread.cause);
  });

  it('rejects what is pending, and later calls, when it is closed', async () => {
    const { asker } = start();
    const pending = asker.ask('never');
    asker.close();
    asker.close();
    await expect(pending).rejects.toMatchObject({ code: 'ASKER_CLOSED' });
    await expect(asker.ask('add', 1, 1)).rejects.toMatchObject({ code: 'ASKER_CLOSED' });
  });
});

describe('an asker', () => {
  it('takes the answer that a thread gave before it ended, also where the end is heard first', async () => {
    const listeners = new Set<(cause: Error) => void>();
    const end: ThreadEnd = {
      cause: null,
      onEnd(listener) {
        listeners.add(listener);
        return () => listeners.delete(listener);
      },
    };
    const { port1, port2 } = new MessageChannel();
    const add = async (a: number, b: number) => {
      for (const listener of listeners) listener(new StateError('WORKER_ENDED', 'it ended'));
      return { ok: true, value: a + b };
    };
    exposeOn({ add, never: () => new Promise(() => {}) }, port2);
    const asker = createAsker<Answering>(port1, end);
    const unanswered = asker.ask('never');
    unanswered.catch(() => undefined);
    expect(await asker.ask('add', 1, 2)).toBe(3);
    await expect(unanswered).rejects.toMatchObject({ code: 'WORKER_ENDED' });
    expect(asker.pending).toBe(0);
    asker.close();
  });

  it('listens for the end of the thread only while calls are pending', async () => {
    const listeners = new Set<unknown>();
    const end: ThreadEnd = {
      cause: null,
      onEnd(listener) {
        listeners.add(listener);
        return () => listeners.delete(listener);
      },
    };
    const { port1, port2 } = new MessageChannel();
    exposeOn({ add: async (a: number, b: number) => ({ ok: true, value: a + b }) }, port2);
    const asker = createAsker<Answering>(port1, end);
    expect(listeners.size).toBe(0);
    const answer = asker.ask('add', 1, 2);
    const second = asker.ask('add', 3, 4);
    expect(listeners.size).toBe(1);
    expect(await Promise.all([answer, second])).toEqual([3, 7]);
    expect(listeners.size).toBe(0);
    asker.close();
  });
});
