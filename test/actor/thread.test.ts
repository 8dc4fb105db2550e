import { existsSync } from 'node:fs';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { type Thread, threadEnv } from '../../src/actor/thread.ts';
import { threadUrl } from '../../src/actor/thread-url.ts';
import { startAnswering } from './fixtures/start-answering.ts';

const started: Thread[] = [];
afterEach(async () => {
  vi.unstubAllEnvs();
  await Promise.all(started.splice(0).map((thread) => thread.terminate()));
});

describe('a thread', () => {
  it('sees only the environment that it was given', async () => {
    vi.stubEnv('HOLDFAST_TEST_SECRET', 'canary');
    const { thread, asker } = startAnswering({ env: { GIVEN: 'yes' } });
    started.push(thread);
    expect(await asker.ask('env')).toEqual({ GIVEN: 'yes' });
  });

  it('tells each listener of its end once, late ones at once, and not those that left', async () => {
    const { thread, asker } = startAnswering({ incarnation: 4 });
    await asker.ask('add', 1, 1);
    const causes: Error[] = [];
    const left: Error[] = [];
    thread.onEnd((cause) => causes.push(cause));
    thread.onEnd((cause) => left.push(cause))();
    await thread.terminate();
    thread.onEnd((cause) => causes.push(cause));
    expect(causes).toEqual([thread.cause, thread.cause]);
    expect(left).toEqual([]);
    expect(thread.cause).toMatchObject({
      code: 'WORKER_ENDED',
      message: 'thread answering (incarnation 4) ended with exit code 1',
      details: { thread: 'answering', incarnation: 4, exit_code: 1 },
    });
  });

  it('has not ended while it only said that it failed', async () => {
    const { thread, asker } = startAnswering();
    const atError = new Promise((resolve) => thread.worker.once('error', () => resolve(thread.cause)));
    await expect(asker.ask('crash')).rejects.toMatchObject({ code: 'WORKER_ENDED' });
    expect(await atError).toBeNull();
  });

  it('ends with the reason when it runs out of the memory that it was given', async () => {
    const { thread, asker } = startAnswering({ resourceLimits: { maxOldGenerationSizeMb: 24 } });
    await expect(asker.ask('fill')).rejects.toMatchObject({
      code: 'WORKER_ENDED',
      cause: { code: 'ERR_WORKER_OUT_OF_MEMORY' },
    });
    expect(thread.cause).not.toBeNull();
  });
});

describe('the environment of a thread', () => {
  it('holds the names asked for, where they are set, and nothing else', () => {
    vi.stubEnv('NODE_V8_COVERAGE', undefined);
    vi.stubEnv('WANTED', '1');
    vi.stubEnv('OTHER', '2');
    expect(threadEnv(['WANTED', 'MISSING'])).toEqual({ WANTED: '1' });
  });
});

describe('the address of a thread', () => {
  it('is beside the sources while they run unbuilt', () => {
    const url = threadUrl('persistence');
    expect(url.pathname).toMatch(/\/workers\/persistence\.ts$/);
    expect(existsSync(new URL('../package.json', url))).toBe(true);
  });
});
