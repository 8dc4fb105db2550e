import { createServer, type IncomingHttpHeaders, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Alert } from '../../src/engine/alert.ts';
import { type AlertMessage, type AlertWebhookOptions, alertWebhook } from '../../src/engine/alert-webhook.ts';
import { StateError } from '../../src/model/errors.ts';

const secret = 'canary-webhook-51c9';

interface Heard {
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: AlertMessage;
}

let server: Server;
let heard: Heard[];
/** What is answered, in turn; 200 after the last. 0: nothing at all. */
let answers: number[];
let logged: string[];

beforeEach(async () => {
  heard = [];
  answers = [];
  logged = [];
  server = createServer((request, response) => {
    let text = '';
    request.on('data', (part) => {
      text += String(part);
    });
    request.on('end', () => {
      heard.push({ path: request.url ?? '', headers: request.headers, body: JSON.parse(text) });
      const status = answers.shift() ?? 200;
      if (status === 0) return;
      response.writeHead(status, status === 302 ? { location: '/elsewhere' } : {}).end('thank you');
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
});

afterEach(async () => {
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
});

const port = (): number => (server.address() as AddressInfo).port;

function webhook(options: Partial<AlertWebhookOptions> = {}) {
  const log = (fields: object, message: string) => logged.push(`${JSON.stringify(fields)} ${message}`);
  return alertWebhook({
    url: `http://127.0.0.1:${port()}/hook/${secret}`,
    backoffMs: 1,
    logger: { info: log, warn: log, error: log, debug: log } as never,
    ...options,
  });
}

function alert(message: string, more: Partial<Alert> = {}): Alert {
  const at = '2025-10-02T14:30:00.000000Z';
  return { level: 'error', code: 'HALTED', message, strategy: null, at, details: { a: 1 }, error: null, ...more };
}

describe('an alert webhook', () => {
  it('posts each alert as JSON, in their order, with what caused it', async () => {
    const hook = webhook({ host: 'alpha-host' });
    hook.alert(alert('first', { strategy: 'alpha', error: new StateError('WRITE_FAILED', 'disk full') }));
    hook.alert(alert('second'));
    await hook.close(20_000);
    expect(heard.map(({ body }) => body.message)).toEqual(['first', 'second']);
    expect(heard[0]?.headers['content-type']).toBe('application/json');
    expect(heard[0]?.path).toBe(`/hook/${secret}`);
    expect(heard[0]?.body).toEqual({
      format: 'holdfast-alert',
      format_version: 1,
      host: 'alpha-host',
      level: 'error',
      code: 'HALTED',
      message: 'first',
      strategy: 'alpha',
      at: '2025-10-02T14:30:00.000000Z',
      details: { a: 1 },
      error: { code: 'WRITE_FAILED', message: 'disk full' },
      dropped: 0,
    });
  });

  it('sends nothing below its level, and nothing after it was closed', async () => {
    const hook = webhook({ level: 'warn' });
    hook.alert(alert('info', { level: 'info' }));
    hook.alert(alert('warn', { level: 'warn' }));
    await hook.close(20_000);
    hook.alert(alert('late'));
    await hook.close(20_000);
    expect(heard.map(({ body }) => body.message)).toEqual(['warn']);
  });

  it.each([500, 503, 429, 408])('tries again after %i', async (status) => {
    answers = [status, status];
    const hook = webhook();
    hook.alert(alert('it'));
    await hook.close(20_000);
    expect(heard).toHaveLength(3);
    expect(logged).toEqual([]);
  });

  it.each([400, 404, 302])(
    'takes %i for an answer, and says in the next alert that one was not taken',
    async (status) => {
      answers = [status];
      const hook = webhook();
      hook.alert(alert('it'));
      hook.alert(alert('next'));
      hook.alert(alert('after'));
      await hook.close(20_000);
      expect(heard.map(({ body }) => [body.message, body.dropped])).toEqual([
        ['it', 0],
        ['next', 1],
        ['after', 0],
      ]);
      expect(logged).toHaveLength(2);
      expect(logged[0]).toContain(`it answered ${status}`);
    },
  );

  it('gives an alert up after so many attempts, waiting longer from one to the next, with jitter', async () => {
    answers = [500, 500, 500, 500];
    const waits: number[] = [];
    const hook = webhook({
      attemptsMax: 4,
      backoffMs: 100,
      random: () => 0.5,
      after: (ms, run) => {
        // Deadlines of requests are not waited for.
        if (ms >= 5_000) return () => {};
        waits.push(ms);
        const soon = setImmediate(run);
        return () => clearImmediate(soon);
      },
    });
    hook.alert(alert('it'));
    await hook.close(20_000);
    expect(heard).toHaveLength(4);
    expect(waits).toEqual([75, 150, 300]);
  });

  it('does not wait for ever for an answer', async () => {
    let attempts = 0;
    const silentOnce: typeof fetch = (_url, init) => {
      attempts += 1;
      if (attempts > 1) return Promise.resolve(new Response(null, { status: 204 }));
      return new Promise((_resolve, reject) => {
        init?.signal?.addEventListener('abort', () => reject(init.signal?.reason));
      });
    };
    const hook = webhook({ timeoutMs: 20, attemptsMax: 2, fetch: silentOnce });
    hook.alert(alert('it'));
    await hook.close(20_000);
    expect(attempts).toBe(2);
  });

  it('gives way to newer alerts when too many wait, and says how many were dropped', async () => {
    const hook = webhook({ queueMax: 2 });
    for (const message of ['a', 'b', 'c', 'd', 'e']) hook.alert(alert(message));
    await hook.close(20_000);
    expect(heard.map(({ body }) => [body.message, body.dropped])).toEqual([
      ['d', 3],
      ['e', 0],
    ]);
  });

  it('ends within its time where nobody answers', async () => {
    answers = [0, 0];
    const hook = webhook();
    hook.alert(alert('it'));
    hook.alert(alert('next'));
    await hook.close(1);
    expect(logged.join()).toContain('could not be sent');
  });

  it('says its secrets nowhere, whatever fails', async () => {
    const errors: unknown[] = [];
    for (const url of [`nonsense ${secret}`, `ftp://user:${secret}@host/`, `http://[${secret}]/`]) {
      try {
        alertWebhook({ url });
      } catch (error) {
        errors.push(error);
      }
    }
    expect(errors).toHaveLength(3);
    const dead = [`http://127.0.0.1:1/${secret}`, `http://u:${secret}@127.0.0.1:1/`, `http://localhost:1/?${secret}`];
    const sockets = dead.map((url) => webhook({ url, attemptsMax: 1 }));
    for (const hook of sockets) hook.alert(alert('it'));
    for (const hook of sockets) await hook.close(20_000);
    const failing = webhook({
      attemptsMax: 1,
      fetch: () => Promise.reject(new TypeError(`could not fetch http://x/${secret}`)),
    });
    failing.alert(alert('it'));
    await failing.close(20_000);
    expect(logged).toHaveLength(4);
    expect(`${logged.join()} ${errors.map((error) => JSON.stringify(error) + String(error)).join()}`).not.toContain(
      secret,
    );
  });

  it('sends a user and a password of the URL as basic authorization', async () => {
    const hook = webhook({ url: `http://me:pa%20ss@127.0.0.1:${port()}/hook` });
    hook.alert(alert('it'));
    await hook.close(20_000);
    expect(heard[0]?.headers.authorization).toBe(`Basic ${Buffer.from('me:pa ss').toString('base64')}`);
  });

  it('goes on where the logger throws', async () => {
    answers = [400];
    const throws = (): never => {
      throw new Error('the log is full');
    };
    const hook = webhook({ logger: { info: throws, warn: throws, error: throws, debug: throws } as never });
    hook.alert(alert('it'));
    hook.alert(alert('next'));
    await hook.close(20_000);
    expect(heard).toHaveLength(2);
  });
});
