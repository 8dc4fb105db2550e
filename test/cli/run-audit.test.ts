import { existsSync, readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, expect, it } from 'vitest';
import { type AuditDocument, audit } from '../../src/cli/audit.ts';
import { readState } from '../../src/cli/read-state.ts';
import type { AlertMessage } from '../../src/engine/alert-webhook.ts';
import { query } from '../support/audited.ts';
import { configFor, market } from './exchange.ts';
import { barTape, captured, holdfast, Scratch } from './support.ts';

const secret = 'canary-webhook-path-88d1';

/** A receiver of alerts. */
async function receiver() {
  const heard: AlertMessage[] = [];
  const server = createServer((request, response) => {
    let text = '';
    request.on('data', (part) => {
      text += String(part);
    });
    request.on('end', () => {
      heard.push(JSON.parse(text));
      response.end();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    heard,
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/${secret}`,
    [Symbol.asyncDispose]: () => new Promise<void>((resolve) => server.close(() => resolve())),
  };
}

describe('holdfast run', () => {
  it('audits every order and every report, and posts alerts to the webhook whose URL it never tells', async () => {
    using scratch = new Scratch();
    await using at = await market();
    await using hook = await receiver();
    const feed = { kind: 'tape', tapes: [{ path: scratch.file('aapl.csv', barTape(40)), asset: 'AAPL' }] };
    const alerts = { webhook: { url_env: 'TEST_ALERT_URL', level: 'info' } };
    const config = scratch.file('engine.json', configFor(at.url, { feed, alerts, host: 'audited-host' }));
    const { code, stdout, stderr } = await holdfast(['run', config], { TEST_ALERT_URL: hook.url });
    expect(code, stderr).toBe(0);
    expect(hook.heard.map(({ code: told }) => told)).toContain('ACCOUNT_OPENED');
    expect(hook.heard.every(({ host }) => host === 'audited-host')).toBe(true);

    const directory = scratch.at('state');
    const { sequence } = readState(directory).restored.recovery;
    expect(query(directory, 'SELECT sequence FROM audit_cursor')).toEqual([{ sequence }]);
    const told = await captured(() => audit(directory, { json: true }));
    const { orders, gaps } = JSON.parse(told.stdout) as AuditDocument;
    // A tape that is played at once may end before the first order; each order that there is begins with its intent.
    expect(orders?.every(({ begins_with }) => begins_with === 'intent')).toBe(true);
    expect(gaps).toEqual([]);
    const reports = stderr.split('\n').filter((line) => line.includes('"event":"reconciliation"'));
    expect(reports.length).toBeGreaterThan(0);
    expect(query(directory, 'SELECT report_id FROM reconciliation_report')).toHaveLength(reports.length);
    expect(stdout + stderr + readFileSync(config, 'utf8')).not.toContain(secret);
  });

  it('keeps no audit where the configuration says so', async () => {
    using scratch = new Scratch();
    await using at = await market();
    const feed = { kind: 'tape', tapes: [{ path: scratch.file('aapl.csv', barTape(3)), asset: 'AAPL' }] };
    const config = scratch.file('engine.json', configFor(at.url, { feed, audit: false }));
    const { code, stderr } = await holdfast(['run', config]);
    expect(code, stderr).toBe(0);
    expect(existsSync(scratch.at('state/audit.db'))).toBe(false);
  });

  it.each([
    [undefined, 'TEST_ALERT_URL is not set'],
    [`ftp://user:${secret}@somewhere/`, 'expected an http: or https: URL'],
  ])('does not start with a webhook that cannot be, and does not repeat it', async (url, why) => {
    using scratch = new Scratch();
    const alerts = { webhook: { url_env: 'TEST_ALERT_URL' } };
    const config = scratch.file('engine.json', configFor('http://127.0.0.1:9', { alerts }));
    const { code, stderr } = await holdfast(['run', config], { TEST_ALERT_URL: url });
    expect(code).toBe(2);
    expect(stderr).toContain('WEBHOOK_INVALID');
    expect(stderr).toContain(why);
    expect(stderr).not.toContain(secret);
    expect(existsSync(scratch.at('state'))).toBe(false);
  });
});
