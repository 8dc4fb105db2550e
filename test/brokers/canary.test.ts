/** A run with a canary as the broker's keys: wrong ones, right ones, and a broker that quotes them back. */
import { chmodSync, mkdirSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { WebSocketServer } from 'ws';
import { bar, configFor, market } from '../cli/exchange.ts';
import { barTape, Process, type Ran, Scratch } from '../cli/support.ts';
import { canaryEnv, canaryKeys, searchForCanary } from '../support/canary.ts';

const noKeys = { APCA_API_KEY_ID: undefined, APCA_API_SECRET_KEY: undefined };

/** Takes everybody in, and answers every request with the keys that came with it, in one form after another. */
async function quotingServer() {
  let count = 0;
  const enough = Promise.withResolvers<void>();
  const server = createServer((request, response) => {
    const { 'apca-api-key-id': id, 'apca-api-secret-key': secret } = request.headers;
    const forms: readonly (readonly [number, string])[] = [
      [502, `<html>${secret} ${encodeURIComponent(String(secret))}</html>`],
      [200, JSON.stringify({ echo: request.headers })],
      [500, JSON.stringify({ code: 50010000, message: `no: ${id} ${secret} ${JSON.stringify(secret)}` })],
      [422, `key=${encodeURIComponent(String(secret))}`],
    ];
    const [status, body] = forms[count % forms.length] ?? [500, ''];
    count += 1;
    if (count >= 2 * forms.length) enough.resolve();
    response.writeHead(status, { 'content-type': 'application/json' });
    response.end(body);
  });
  const sockets = new WebSocketServer({ server });
  sockets.on('connection', (socket) =>
    socket.on('message', (data) => {
      if (JSON.parse(String(data)).action === 'auth') {
        socket.send(JSON.stringify({ stream: 'authorization', data: { status: 'authorized' } }));
        return;
      }
      socket.send(JSON.stringify({ stream: 'listening', data: { streams: ['trade_updates'] } }));
      socket.send(`you are ${canaryKeys.keyId} ${canaryKeys.secretKey}`);
    }),
  );
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    /** Resolves once each form was answered twice. */
    enough: enough.promise,
    async close(): Promise<void> {
      for (const socket of sockets.clients) socket.terminate();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

describe('the secret of a broker', () => {
  it('is in nothing that a run writes, whatever the broker makes of it', async () => {
    using scratch = new Scratch();
    const written = scratch.at('written');
    mkdirSync(written);
    const texts: Record<string, string> = {};
    const run = async (name: string, args: readonly string[], env: Readonly<Record<string, string | undefined>>) => {
      await using process = new Process([...args, '--verbose'], {
        ...env,
        HOLDFAST_STATE_DIR: join(written, 'default'),
      });
      const ran: Ran = await process.ended;
      texts[`${name}, standard output`] = ran.stdout;
      texts[`${name}, standard error`] = ran.stderr;
      return ran;
    };
    const feed = { kind: 'tape', tapes: [{ path: scratch.file('aapl.csv', barTape(30)), asset: 'AAPL' }] };
    const config = (name: string, url: string, options: object = {}) => {
      const whole = configFor(url, { feed, state_dir: join(written, name) }) as { broker: { options: object } };
      Object.assign(whole.broker.options, options);
      return scratch.file(`written/${name}.json`, whole);
    };

    await using stranger = await market();
    await using at = await market({ keys: canaryKeys });
    for (let day = 0; day < 20; day += 1) at.give(bar(day, 100));
    const right = config('right', at.url);
    const file = (mode: number) => {
      const path = scratch.file(`keys-${mode}.json`, { key_id: canaryKeys.keyId, secret_key: canaryKeys.secretKey });
      chmodSync(path, mode);
      return { keysFile: path };
    };
    const [wrong, first, owned, open] = await Promise.all([
      // Keys that are not this broker's.
      run('wrong keys', ['run', config('wrong', stranger.url)], canaryEnv),
      // The right ones, from the environment: orders, fills, a reconciliation, a stop in order.
      run('right keys', ['run', right], canaryEnv),
      // From a file that only its owner can read; and from one that others can read, which is refused.
      run('keys in a file', ['run', config('file', stranger.url, file(0o600))], noKeys),
      run('keys for everybody', ['run', config('open', stranger.url, file(0o644))], noKeys),
    ]);
    expect(wrong.code, wrong.stderr).toBe(2);
    expect(wrong.stderr).toContain('BROKER_UNAUTHORIZED');
    expect(wrong.stderr).toContain('check the keys');
    expect(first.code, first.stderr).toBe(0);
    expect(at.exchange.orders().length).toBeGreaterThan(0);
    expect(owned.stderr).toContain('BROKER_UNAUTHORIZED');
    expect(open.code, open.stderr).toBe(2);
    expect(open.stderr).toContain('BROKER_KEYS_FILE_UNSAFE');

    // A broker that quotes what it was given, until it has done so in every form.
    const quoting = await quotingServer();
    try {
      await using engine = new Process(['run', config('quoted', quoting.url), '--verbose'], canaryEnv);
      await Promise.race([quoting.enough, engine.ended]);
      engine.kill('SIGKILL');
      const { stdout, stderr } = await engine.ended;
      texts['quoted, standard output'] = stdout;
      texts['quoted, standard error'] = stderr;
      expect(stdout + stderr).toContain('[key]');
    } finally {
      await quoting.close();
    }

    // What looks at the state and at the broker.
    const state = join(written, 'right');
    for (const args of [
      ['reconcile', right],
      ['status', state],
      ['inspect', state],
      ['verify', state],
    ]) {
      await run(args.join(' '), [...args, '--json'], canaryEnv);
    }

    const { files, bytes, found } = searchForCanary([written], texts);
    process.stdout.write(
      `row 21: ${files} files and ${Object.keys(texts).length} outputs, ${bytes} bytes searched, ${found.length} found\n`,
    );
    expect(found).toEqual([]);
    // The search has read what matters.
    expect(files).toBeGreaterThan(10);
  }, 180_000);
});
