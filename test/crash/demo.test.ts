import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { decimalSchema } from '../../src/model/money.ts';
import { Process } from '../cli/support.ts';
import { root } from '../support/documents.ts';

const count = z.int().nonnegative();
const demoSchema = z.strictObject({
  ok: z.boolean(),
  seed: count,
  seconds: z.number(),
  market_events: count,
  orders: count,
  orders_filled: count,
  commits: count,
  killed_at_sequence: count,
  restored_sequence: count,
  fills_missed: count,
  discrepancies: count,
  rows: z.array(
    z.strictObject({
      what: z.string(),
      books: decimalSchema,
      broker: decimalSchema,
      equal: z.boolean(),
      parts: z.record(z.string(), decimalSchema),
    }),
  ),
  checks: z.array(z.strictObject({ what: z.string(), ok: z.boolean(), figures: z.string() })),
});

const realTape = join(root, '../shared/data/market/binance_trades_20240808.csv.gz');
const skipped = existsSync(realTape) ? '' : ` (skipped: ${realTape} is not here)`;

describe('the demo', () => {
  let temporary: string;

  beforeEach(() => {
    temporary = mkdtempSync(join(tmpdir(), 'holdfast-demo-test-'));
  });
  afterEach(() => rmSync(temporary, { recursive: true, force: true, maxRetries: 5 }));

  it('tells a newcomer the whole story, and ends with books that equal the broker', async () => {
    await using demo = new Process(['demo', '--fast'], { TMPDIR: temporary });
    const { code, stdout, stderr } = await demo.ended;
    expect(code, stdout + stderr).toBe(0);
    expect(stderr).toBe('');
    for (const step of ['plan', 'broker', 'trade', 'kill -9', 'inspect', 'meanwhile', 'restart', 'reconcile', 'stop']) {
      expect(stdout).toMatch(new RegExp(`^ +\\d+\\.\\d s {2}${step} +\\S`, 'm'));
    }
    expect(stdout).toMatch(/^engine's books .*\nbroker's .*\n( +equal)+$/m);
    expect(stdout).not.toContain('DIFFERENT');
    // Nothing is coloured or wider than a page where there is no terminal; only a path may be longer than a line.
    expect(stdout).not.toContain('\u001b');
    for (const line of stdout.split('\n')) expect(line.length <= 100 || !line.trim().includes(' ')).toBe(true);
    expect(readdirSync(temporary)).toEqual([]);
  });

  it.skipIf(skipped !== '')(`succeeds on trades of another currency too, as one JSON document${skipped}`, async () => {
    const args = ['demo', '--fast', '--json', '--seed', '7', '--tape', realTape];
    await using demo = new Process(args, { TMPDIR: temporary });
    const { code, stdout, stderr } = await demo.ended;
    expect(code, stdout + stderr).toBe(0);
    const outcome = demoSchema.parse(JSON.parse(stdout));
    expect(outcome).toMatchObject({ ok: true, seed: 7 });
    expect(outcome.restored_sequence).toBeGreaterThanOrEqual(outcome.killed_at_sequence);
    expect(outcome.rows.every(({ equal, books, broker }) => equal && books !== '' && broker !== '')).toBe(true);
    expect(outcome.rows.map(({ what }) => what)).toEqual(expect.arrayContaining(['cash USDT', 'open orders']));
    expect(outcome.market_events).toBeGreaterThan(10_000);
    expect(outcome.orders_filled).toBeGreaterThan(0);
    expect(stderr).toContain('kill -9');
  });

  it('leaves no process and no directory behind when it is told to end', async () => {
    await using demo = new Process(['demo'], { TMPDIR: temporary });
    const told = await demo.says('trades; its state is in');
    const pids = [...told.replaceAll(/\s+/g, ' ').matchAll(/process (\d+)/g)].map((match) => Number(match[1]));
    expect(pids).toHaveLength(2);
    demo.kill('SIGTERM');
    expect((await demo.ended).code).toBe(143);
    await expect.poll(() => pids.filter(isAlive), { timeout: 10_000 }).toEqual([]);
    await expect.poll(() => readdirSync(temporary), { timeout: 10_000 }).toEqual([]);
  });

  it('of a tape that is not there is refused in one line', async () => {
    await using demo = new Process(['demo', '--tape', join(temporary, 'none.csv')]);
    const { code, stdout, stderr } = await demo.ended;
    expect([code, stdout]).toEqual([2, '']);
    expect(stderr).toMatch(/^holdfast: DEMO_TAPE_MISSING: [^\n]+\n$/);
  });
});

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
