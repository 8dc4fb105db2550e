import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { root } from '../support/documents.ts';
import { configFor, market } from './exchange.ts';
import { openState, tradeSome } from './state-directories.ts';
import { holdfast, Process, Scratch } from './support.ts';

// What only a process of its own can show: exit codes, one line for each error, pipes, terminals.

describe('a mistake in the command line', () => {
  it.each([
    ['no command', [], 'no command: give one of demo, run'],
    ['an unknown command', ['stats', 'x'], "unknown command 'stats' (Did you mean status?)"],
    ['an unknown option', ['status', '--foo', 'x'], "unknown option '--foo'; see holdfast status --help"],
    ['help of an unknown command', ['help', 'stats'], "unknown command 'stats': give one of demo, run"],
    ['a missing argument', ['inspect'], "missing required argument 'dir'"],
    ['an argument too many', ['verify', 'a', 'b'], 'too many arguments'],
    ['a wrong choice', ['reconcile', 'x', '--policy', 'FOO'], 'WARN_ONLY, SYNC_TO_BROKER, HALT_AND_ALERT'],
    ['a wrong number', ['inspect', 'x', '--generation', '0'], 'expected a whole number from 1'],
  ])('%s exits 2 with one line that says what is expected', async (_, args, told) => {
    const { code, stdout, stderr } = await holdfast(args);
    expect(code).toBe(2);
    expect(stdout).toBe('');
    expect(stderr).toMatch(/^holdfast: USAGE: [^\n]+--help\n$/);
    expect(stderr).toContain(told);
  });
});

describe('the command line', () => {
  it('helps, and tells its version', async () => {
    const [help, version] = await Promise.all([holdfast(['--help']), holdfast(['--version'])]);
    expect(help).toMatchObject({ code: 0, stderr: '' });
    for (const name of [
      'demo',
      'run',
      'status',
      'inspect',
      'verify',
      'audit',
      'resume',
      'reconcile',
      'paper-broker',
      'load',
    ]) {
      expect(help.stdout).toContain(`  ${name} `);
    }
    const [status, same] = await Promise.all([holdfast(['status', '--help']), holdfast(['help', 'status'])]);
    expect(status.stdout).toContain('HOLDFAST_STATE_DIR');
    expect(status.stdout).toContain('Example: holdfast status state\n');
    expect(status.stdout).toContain('Exit codes: 0 fine');
    expect(same).toEqual(status);
    expect(version.stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
  });

  it('says what is missing where an option stands alone, and not the help', async () => {
    const { code, stdout, stderr } = await holdfast(['--verbose']);
    expect([code, stdout]).toEqual([2, '']);
    expect(stderr).toMatch(/^holdfast: USAGE: no command: give one of demo, run, [^\n]+\n/);
    expect(stderr).not.toContain('Usage:');
  });

  it('shows stacks under --verbose only, which may stand before and after the command', async () => {
    using scratch = new Scratch();
    const args = ['status', scratch.at('none')];
    const [plain, before, after] = await Promise.all([
      holdfast(args),
      holdfast(['--verbose', ...args]),
      holdfast([...args, '--verbose']),
    ]);
    expect(plain.stderr).toMatch(/^holdfast: STATE_DIRECTORY_MISSING: [^\n]+\n$/);
    for (const { code, stderr } of [plain, before, after])
      expect([code, stderr.includes('    at ')]).toEqual([2, stderr !== plain.stderr]);
    expect(before.stderr).toContain('read-state.ts');
  });

  it('exits as what it found: 0, 1, 2; with one JSON document, or none', async () => {
    using scratch = new Scratch();
    const state = await openState(scratch.at('state'));
    await tradeSome(state);
    await state.close();
    const [fine, none] = await Promise.all([
      holdfast(['inspect', scratch.at('state'), '--json']),
      holdfast(['inspect', scratch.at('state'), 'gamma', '--json']),
    ]);
    expect(fine).toMatchObject({ code: 0, stderr: '' });
    expect(JSON.parse(fine.stdout).strategies).toHaveLength(2);
    expect(none).toMatchObject({ code: 2, stdout: '' });
  });

  it('is no crash when its reader has seen enough', async () => {
    using scratch = new Scratch();
    const state = await openState(scratch.at('state'));
    for (let i = 0; i < 3000; i += 1) state.register('alpha').set(`key_${i}`, 'x'.repeat(60));
    state.commit();
    await state.close();
    // The pipe's own buffer is far smaller than the document.
    const script = `"${process.execPath}" "${join(root, 'src/cli/main.ts')}" inspect "${scratch.at('state')}" --json | head -1; echo "\${PIPESTATUS[0]}"`;
    const { stdout, stderr } = await promisify(execFile)('bash', ['-c', script]);
    expect(stdout).toBe('{\n0\n');
    expect(stderr).toBe('');
  });

  it('says in one line what nobody foresaw, with its place', async () => {
    using scratch = new Scratch();
    await using at = await market();
    const strategy = scratch.file(
      'leaky.ts',
      `export const createStrategy = ({ name }) => ({ name, onStart() { setTimeout(() => { throw new Error('forgotten promise'); }, 1); } });`,
    );
    const config = configFor(at.url, { strategies: [{ name: 'leaky', module: strategy }], log_level: 'silent' });
    const { code, stderr } = await holdfast(['run', scratch.file('engine.json', config)]);
    expect(code).toBe(2);
    expect(stderr).toMatch(/^holdfast: UNEXPECTED: forgotten promise \(.*leaky\.ts:1:\d+\)?.*\n$/);
  });
});

describe('the paper broker', () => {
  const tape = 'date,open,high,low,close,volume\n2020-01-02,100,101,99,100,5\n2020-01-03,100,101,99,100,5\n';

  it('serves a tape, whose asset can be traded before its first event, until it is told to end', async () => {
    using scratch = new Scratch();
    const file = scratch.file('aapl.csv', tape);
    const args = ['paper-broker', '--tape', file, '--speed', '0', '--paused', '--json', '--cash', '5000:USDT'];
    await using broker = new Process(args, { APCA_API_KEY_ID: undefined, APCA_API_SECRET_KEY: '' });
    const said = JSON.parse(await broker.says('}\n'));
    const headers = { 'APCA-API-KEY-ID': said.key_id, 'APCA-API-SECRET-KEY': said.secret_key };
    const get = async (path: string) => (await fetch(`${said.url}${path}`, { headers })).json();
    expect(await get('/v2/account')).toMatchObject({ cash: '5000', currency: 'USDT' });
    expect(await get('/v2/assets/AAPL')).toMatchObject({ symbol: 'AAPL', tradable: true });
    await fetch(`${said.url}/paper/play`, { method: 'POST', headers });
    await broker.says('the tape is at its end after 2 events');
    expect(await get('/paper/status')).toMatchObject({ tape_position: 2, ended: true });
    broker.kill('SIGTERM');
    expect(await broker.ended).toMatchObject({ code: 0 });
  });

  it('tells a person its address and the keys that it made, and names what bars are of', async () => {
    using scratch = new Scratch();
    const args = ['paper-broker', '--tape', `BRK/B=${scratch.file('x.csv', tape)}`];
    await using broker = new Process(args, { APCA_API_KEY_ID: undefined, APCA_API_SECRET_KEY: undefined });
    const told = await broker.says('Ctrl-C ends it.');
    const [, url] = /paper broker at (\S+)/.exec(told) ?? [];
    const [, keyId = ''] = /export APCA_API_KEY_ID=(\S+)/.exec(told) ?? [];
    const [, secretKey = ''] = /export APCA_API_SECRET_KEY=(\S+)/.exec(told) ?? [];
    const headers = { 'APCA-API-KEY-ID': keyId, 'APCA-API-SECRET-KEY': secretKey };
    expect((await fetch(`${url}/v2/assets/BRK%2FB`, { headers })).status).toBe(200);
    expect((await fetch(`${url}/v2/account`)).status).toBe(401);
    broker.kill('SIGINT');
    expect(await broker.ended).toMatchObject({ code: 0 });
  });

  it.each([
    ['a tape that is not there', ['--tape', 'none.csv'], {}, 'FEED_UNREADABLE'],
    ['cash that is none', ['--cash', '5e3'], {}, 'USAGE: --cash 5e3'],
    ['cash below nothing', ['--cash=-5'], {}, 'USAGE: --cash -5'],
    ['two amounts of one currency', ['--cash', '5', '--cash', '6:USD'], {}, 'USAGE: --cash 6:USD: there is'],
    ['a time that is none', ['--from', 'yesterday'], {}, 'USAGE: --from yesterday'],
    [
      'an end before the beginning',
      ['--from', '2015-01-01', '--to', '2014-01-01'],
      {},
      'USAGE: --from 2015-01-01 is after',
    ],
    ['a port that is none', ['--port', '99999'], {}, 'USAGE: .*from 0 to 65535'],
    [
      'one key of two',
      [],
      { APCA_API_SECRET_KEY: undefined },
      'USAGE: of APCA_API_KEY_ID and APCA_API_SECRET_KEY only one',
    ],
  ])('is refused %s', async (_, args, env, told) => {
    const { code, stdout, stderr } = await holdfast(['paper-broker', ...args], env);
    expect(code).toBe(2);
    expect(stdout).toBe('');
    expect(stderr).toMatch(new RegExp(`^holdfast: ${told}[^\\n]*\\n$`));
  });

  it('ends with its parent where that was asked for', async () => {
    // Standard input is at its end from the beginning, as it is when a parent has gone.
    const { signal } = await holdfast(['paper-broker'], { HOLDFAST_END_WITH_PARENT: '1' });
    expect(signal).toBe('SIGKILL');
  });

  it('is refused a port that is taken', async () => {
    await using at = await market();
    const { code, stderr } = await holdfast(['paper-broker', '--port', String(at.server.port)]);
    expect(code).toBe(2);
    expect(stderr).toMatch(/^holdfast: PAPER_SERVER_NOT_STARTED: [^\n]*\n$/);
  });
});
