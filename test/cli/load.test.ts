import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { beginDirectory } from '../../src/cli/load/base.ts';
import { checkLoad, type Mismatch } from '../../src/cli/load/check.ts';
import { Measures } from '../../src/cli/load/measures.ts';
import { PersistenceTap } from '../../src/cli/load/persistence-tap.ts';
import { positionAt, replacedBy, strategyOf } from '../../src/cli/load/plan.ts';
import { loadReport } from '../../src/cli/load/report.ts';
import { type LoadRunOptions, runLoad } from '../../src/cli/load/run.ts';
import { PersistedSide } from '../../src/cli/load/sides.ts';
import { StateManager } from '../../src/state/state-manager.ts';
import { root } from '../support/documents.ts';

let directory: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'holdfast-load-'));
});

afterEach(() => {
  rmSync(directory, { recursive: true, force: true });
});

const quiet = { info: () => {}, warn: () => {}, error: () => {} };
const plan = { strategies: 3, positions: 5, changes: 2, seed: 7 };

function options(more: Partial<LoadRunOptions> = {}): LoadRunOptions {
  return {
    ...plan,
    directory,
    rate: 1_000,
    durationMs: 100,
    checkpointIntervalMs: 30,
    acks: null,
    compares: false,
    signal: new AbortController().signal,
    logger: quiet,
    ...more,
  };
}

function acksOf(path: string): number[] {
  return readFileSync(path, 'utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => Number(/^ack (\d+)$/.exec(line)?.[1]));
}

async function open(): Promise<StateManager> {
  return await StateManager.open({ directory, force: true, logger: quiet, checkpointIntervalMs: 0 });
}

describe('a run of load', () => {
  it('makes every commit that is due, and no other, and they are what a restore gives', async () => {
    const { commits, sequence } = await runLoad(options());
    expect({ commits, sequence }).toEqual({ commits: 100, sequence: 100 });
    expect(checkLoad(directory)).toMatchObject({ sequence: 100, strategies: 3, mismatches: 0, ok: true, lost: [] });
  });

  it('gives commit i the sequence i, in the strategy (i - 1) mod N', async () => {
    await runLoad(options({ rate: 50 }));
    const state = await open();
    expect(state.recovery.sequence).toBe(5);
    for (const commit of [3, 4, 5]) {
      const book = state.register(`load_000${(commit - 1) % 3}`);
      const amounts = book.positions().map(({ amount }) => amount);
      const expected = [0, 1, 2, 3, 4].map((index) => positionAt(plan, 0, commit, index).amount);
      expect(amounts.filter((amount, index) => amount === expected[index])).toHaveLength(plan.changes);
    }
    await state.close();
  });

  it('goes on from the restored sequence of a directory that it has used', async () => {
    await runLoad(options());
    const second = await runLoad(options());
    expect(second).toMatchObject({ commits: 100, sequence: 200 });
    expect(checkLoad(directory)).toMatchObject({ sequence: 200, ok: true });
  });

  it('has the base at sequence 0 where nothing was committed', async () => {
    expect(await runLoad(options({ durationMs: 0 }))).toMatchObject({ commits: 0, sequence: 0 });
    expect(checkLoad(directory)).toMatchObject({ sequence: 0, strategies: 3, mismatches: 0, ok: true });
  });

  it('acknowledges sequences that grow, the last commit too', async () => {
    const acks = join(directory, 'acks');
    await runLoad(options({ acks }));
    const told = acksOf(acks);
    expect(told.at(-1)).toBe(100);
    expect(told).toEqual([...new Set(told)].sort((a, b) => a - b));
  });

  it('goes as fast as acknowledgements allow with many commits in a post, one of each strategy', async () => {
    const many = { ...options({ rate: 0, durationMs: 200, changes: 1 }), strategies: 50 };
    const run = await runLoad(many);
    expect(run.conflated).toBe(0);
    expect(run.commits).toBeGreaterThan(5 * run.measures.flush.count);
    expect(checkLoad(directory)).toMatchObject({ sequence: run.commits, ok: true });
  });

  it('waits for room, and conflates nothing, where it goes as fast as acknowledgements allow', async () => {
    const run = await runLoad(options({ rate: 0, durationMs: 200, changes: 5 }));
    expect(run.commits).toBeGreaterThan(50);
    expect(run.conflated).toBe(0);
    expect(run.measures.durable.count).toBe(run.commits);
    expect(checkLoad(directory)).toMatchObject({ sequence: run.commits, ok: true });
  });

  it('has as many entries conflated as its posts did not carry', async () => {
    // All commits of a turn replace all positions of the one strategy, so that only the last of them is posted.
    const busy = { ...options({ rate: 50_000, durationMs: 100 }), strategies: 1, positions: 2, changes: 2 };
    const run = await runLoad(busy);
    expect(run.commits).toBe(5_000);
    expect(run.conflated).toBeGreaterThan(0);
    expect(run.conflated).toBeLessThan(10_000);
    expect(run.conflated % 2).toBe(0);
  });

  it('leaves out nothing that is due, however late it is', async () => {
    const run = await runLoad(options({ rate: 200_000, durationMs: 100, compares: true }));
    expect(run.commits).toBe(20_000);
    expect(run.measures.dueToCommit.count).toBe(20_000);
    expect(run.loadMs).toBeGreaterThan(0);
  });

  it('measures every commit from when it was due until it was durable', async () => {
    const { measures } = await runLoad(options());
    expect(measures.commit.count).toBe(100);
    expect(measures.dueToCommit.count).toBe(100);
    expect(measures.durable.count).toBe(100);
    expect(measures.flush.count).toBeGreaterThan(0);
    expect(measures.flush.count).toBeLessThanOrEqual(100);
    expect(measures.checkpoint.count).toBeGreaterThan(0);
    expect(measures.checkpoints % plan.strategies).toBe(0);
    expect(measures.loopDelayBaseline.all.count).toBe(0);
  });

  it('reports what the contract names, beside the disk and the same load without persistence', async () => {
    const run = await runLoad(options({ compares: true, durationMs: 200 }));
    const given = { ...plan, dir: directory, rate: 1_000, duration: 0.2, checkpointInterval: 30 };
    const report = loadReport(given, run);
    const counted = ['commit_us', 'flush_us', 'due_to_commit_us', 'durable_us', 'checkpoint_ms', 'event_loop_delay_ms'];
    for (const name of [...counted, 'event_loop_delay_baseline_ms']) {
      const histogram = report[name as 'commit_us'];
      expect(Object.keys(histogram), name).toEqual(['count', 'p50', 'p90', 'p99', 'p999', 'max']);
      expect(histogram.count, name).toBeGreaterThan(0);
      expect(Number(histogram.p50), name).toBeLessThanOrEqual(Number(histogram.max));
    }
    expect(report.config).toMatchObject({ ...plan, rate: 1_000, duration_s: 0.2, checkpoint_interval_ms: 30 });
    expect(report.machine).toMatchObject({ node: process.version, platform: process.platform });
    expect(report.commits).toBe(200);
    expect(report.conflated).toBeGreaterThanOrEqual(0);
    // Slices without persistence are no gap in the load.
    expect(report.commits_per_s).toBeGreaterThan(200);
    expect(report.commits_per_s).toBeLessThan(1_100);
    expect(Number(report.fsyncs)).toBeGreaterThan(0);
    expect(Number(report.bytes_written)).toBeGreaterThan(200 * 100);
    expect(report.disk?.append_fdatasync_us.count).toBeGreaterThan(0);
    expect(report.disk?.replace_us.before.count).toBeGreaterThan(0);
    for (const value of Object.values(report.ratios)) expect(value).toBeGreaterThan(0);
    expect(report.ratios.event_loop_spread).toBeGreaterThanOrEqual(1);
    expect(report.event_loop_pairs).toBe(2);
    for (const value of Object.values(report.differences_ms)) expect(Number.isFinite(value)).toBe(true);
    for (const share of [report.processor_wait_share, report.processor_wait_baseline_share]) {
      if (existsSync('/proc/thread-self/schedstat')) expect(share).toBeGreaterThanOrEqual(0);
      else expect(share).toBeNull();
    }
    // Nothing becomes durable later than the lag tells.
    expect(report.lag_max_ms).toBeGreaterThanOrEqual(Number(report.durable_us.max) / 1000 - 0.1);
    expect(report.rss_mb.max).toBeGreaterThanOrEqual(report.rss_mb.end);
  });

  it('ends in order when it is told to stop', async () => {
    const stop = new AbortController();
    const acks = join(directory, 'acks');
    const running = runLoad(options({ durationMs: 60_000, acks, signal: stop.signal }));
    while (!existsSync(acks) || readFileSync(acks, 'utf8') === '')
      await new Promise((resolve) => setImmediate(resolve));
    stop.abort();
    const { sequence } = await running;
    expect(acksOf(acks).at(-1)).toBe(sequence);
    expect(checkLoad(directory)).toMatchObject({ sequence, ok: true });
    await (await open()).close();
  });

  it('fails, and leaves the directory free, where acknowledgements cannot be written', async () => {
    if (!existsSync('/dev/full')) return;
    await expect(runLoad(options({ acks: '/dev/full', durationMs: 60_000 }))).rejects.toMatchObject({
      code: 'ACKS_FILE',
      message: expect.stringContaining('--acks /dev/full: cannot be written: ENOSPC'),
    });
    await runLoad(options({ durationMs: 0 }));
  });
});

describe('the directory of a load', () => {
  it.each([{ strategies: 4 }, { positions: 6 }, { changes: 1 }, { seed: 8 }])(
    'is not continued with other values: %o',
    async (other) => {
      await runLoad(options({ rate: 50 }));
      const [field] = Object.keys(other);
      await expect(runLoad(options(other))).rejects.toMatchObject({
        code: 'LOAD_OTHER_VALUES',
        message: expect.stringContaining(`was given --${field} ${Object.values(other)[0]}`),
      });
      expect(checkLoad(directory)).toMatchObject({ sequence: 5, ok: true });
    },
  );

  it('is not taken from somebody else', async () => {
    const state = await open();
    state.register('alpha').setCash('1');
    state.commit();
    await state.close();
    await expect(runLoad(options())).rejects.toMatchObject({ code: 'LOAD_FOREIGN' });
    expect(() => checkLoad(directory)).toThrow(expect.objectContaining({ code: 'LOAD_FOREIGN' }));
  });

  it('gets the rest of a base whose writing was cut short', async () => {
    beginDirectory(directory, plan);
    rmSync(join(directory, 'load_0002_checkpoint.json'));
    expect(checkLoad(directory)).toMatchObject({ sequence: 0, mismatches: 0, ok: true });
    expect(() => beginDirectory(directory, { ...plan, strategies: 2 })).toThrow('--strategies 3');
    await runLoad(options());
    expect(checkLoad(directory)).toMatchObject({ sequence: 100, ok: true });
  });

  it('remembers sequences that are no commits of load', async () => {
    const { record, commits } = beginDirectory(directory, plan);
    const tap = new PersistenceTap();
    const state = await StateManager.openWith(
      { directory, force: true, logger: quiet, checkpointIntervalMs: 0 },
      tap.start,
    );
    const measures = new Measures(100);
    const side = new PersistedSide({ state, record, commits, tap, measures, checkpointIntervalMs: 0 });
    const commit = () => {
      const next = side.next();
      const index = [0, 1].map((k) => replacedBy(plan, next, k));
      for (const i of index) side.books[strategyOf(plan, next)]?.setPosition(positionAt(plan, 0, next, i));
      side.beforeCommit();
      side.commit();
      side.committed(next, 0);
    };
    commit();
    // As a start that passes over damage, or a replaced worker, moves the sequence on without a commit of load.
    for (let times = 0; times < 2; times += 1) {
      state.register('load_0001').setCash('1000000.00');
      state.commit();
    }
    commit();
    commit();
    await side.settled();
    await state.close();
    expect(side.commits).toBe(3);
    expect(checkLoad(directory)).toMatchObject({ sequence: 5, mismatches: 0, ok: true });
    expect(beginDirectory(directory, plan)).toMatchObject({ commits: 3, record: { passed_over: 2 } });
    await runLoad(options());
    expect(checkLoad(directory)).toMatchObject({ sequence: 105, mismatches: 0, ok: true });
  });
});

describe('the check of a load', () => {
  it('is ok at sequence 0 where nothing was committed, or nothing is there', () => {
    const nothing = { sequence: 0, strategies: 0, mismatches: 0, ok: true, used: {}, lost: [] };
    expect(checkLoad(directory)).toEqual(nothing);
    expect(checkLoad(join(directory, 'none'))).toEqual(nothing);
  });

  it('names each field that is not what the commits made it', async () => {
    await runLoad(options());
    const state = await open();
    const book = state.register('load_0001');
    const [first, second] = book.positions();
    if (first === undefined || second === undefined) throw new Error('two positions');
    book.setPosition({ ...first, amount: '123456789', last_price: null });
    book.removePosition(second.asset);
    book.setCash('1', 'EUR');
    book.set('more', true);
    state.register('extra');
    state.commit();
    await state.close();
    const wrong: Mismatch[] = [];
    const check = checkLoad(directory, (mismatch) => wrong.push(mismatch));
    expect(check).toMatchObject({ sequence: 101, ok: false, mismatches: wrong.length });
    const fields = wrong.map(({ strategy, field }) => `${strategy} ${field}`);
    expect(fields).toEqual(
      expect.arrayContaining([
        `load_0001 positions.${first.asset}.amount`,
        `load_0001 positions.${first.asset}.last_price`,
        `load_0001 positions.${second.asset}.asset`,
        'load_0001 other_cash',
        'load_0001 strategy_state',
        'extra ',
      ]),
    );
    expect(wrong.find(({ field }) => field.endsWith(`${first.asset}.amount`))?.restored).toBe('123456789');
  });

  it('finds the state of another sequence, a single commit earlier or later', async () => {
    await runLoad(options({ rate: 2_000 }));
    const sequence = 200;
    const name = join(directory, 'load_0000_checkpoint.json');
    expect(JSON.parse(readFileSync(name, 'utf8')).sequence).toBe(sequence);
    const state = await open();
    // A commit that changes nothing is one too many.
    const book = state.register('load_0000');
    book.setCash(book.cash());
    state.commit();
    await state.close();
    expect(checkLoad(directory)).toMatchObject({ sequence: sequence + 1, ok: false });
  });

  it('takes no lock and writes nothing, also while a load runs', async () => {
    const stop = new AbortController();
    const acks = join(directory, 'acks');
    const running = runLoad(options({ durationMs: 60_000, acks, signal: stop.signal }));
    while (!existsSync(acks) || readFileSync(acks, 'utf8') === '')
      await new Promise((resolve) => setImmediate(resolve));
    for (let times = 0; times < 20; times += 1) {
      const atLeast = acksOf(acks).at(-1) ?? 0;
      const check = checkLoad(directory);
      expect(check.ok).toBe(true);
      expect(check.sequence).toBeGreaterThanOrEqual(atLeast);
      await new Promise((resolve) => setImmediate(resolve));
    }
    stop.abort();
    await running;
    const files = readdirSync(directory).sort();
    checkLoad(directory);
    expect(readdirSync(directory).sort()).toEqual(files);
  });
});

describe('holdfast load', () => {
  function holdfast(...args: readonly string[]) {
    const { status, stdout, stderr } = spawnSync(process.execPath, [join(root, 'src/cli/main.ts'), 'load', ...args], {
      encoding: 'utf8',
    });
    return { status, stdout, stderr };
  }

  const small = ['--strategies', '2', '--positions', '3', '--duration', '0.1', '--rate', '200'];

  it('prints acknowledgements and nothing else with --acks -', () => {
    const { status, stdout, stderr } = holdfast('--dir', directory, ...small, '--acks', '-');
    expect(status, stderr).toBe(0);
    expect(stdout).toMatch(/^(ack \d+\n)+$/);
    expect(stdout.endsWith('ack 20\n')).toBe(true);
    const check = holdfast('--check', '--dir', directory, '--json');
    expect(check.status).toBe(0);
    expect(Object.keys(JSON.parse(check.stdout))).toEqual([
      'sequence',
      'strategies',
      'mismatches',
      'ok',
      'used',
      'lost',
    ]);
    expect(JSON.parse(check.stdout)).toMatchObject({ sequence: 20, strategies: 2, mismatches: 0, ok: true });
  });

  it('prints one document with --json, also with acknowledgements in a file', () => {
    const acks = join(directory, 'acks.txt');
    const dir = join(directory, 'state');
    const { status, stdout, stderr } = holdfast('--dir', dir, ...small, '--json', '--acks', acks);
    expect(status, stderr).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ commits: 20, sequence: 20, config: { directory: dir, seed: 1 } });
    expect(acksOf(acks).at(-1)).toBe(20);
  });

  it('prints a table for a person', () => {
    const { status, stdout } = holdfast('--dir', directory, ...small);
    expect(status).toBe(0);
    expect(stdout).toContain('20 commits to sequence 20, 2 strategies × 3 positions, 200 commits/s');
    expect(stdout).toMatch(/commit to durable, µs +20 /);
    const check = holdfast('--check', '--dir', directory);
    expect(check).toMatchObject({ status: 0, stderr: '' });
    expect(check.stdout).toContain('ok: sequence 20, 2 strategies, 0 mismatches');
  });

  it('exits with 2 and one line where it cannot be done', () => {
    expect(holdfast().status).toBe(2);
    expect(holdfast('--dir', directory, '--acks', '-', '--json')).toMatchObject({ status: 2, stdout: '' });
    expect(holdfast('--dir', directory, '--positions', '2', '--changes', '3').status).toBe(2);
    expect(holdfast('--dir', '', ...small).status).toBe(2);
    const begun = join(directory, 'begun');
    const acks = holdfast('--dir', begun, ...small, '--acks', join(directory, 'nowhere', 'acks'));
    expect(acks.stderr).toMatch(/^holdfast: ACKS_FILE: --acks [^\n]*\n$/);
    expect(existsSync(begun)).toBe(false);
    expect(holdfast('--dir', directory, ...small).status).toBe(0);
    const other = holdfast('--dir', directory, ...small, '--seed', '2');
    expect(other.status).toBe(2);
    expect(other.stderr).toMatch(/^holdfast: LOAD_OTHER_VALUES: [^\n]*\n$/);
  });

  it('exits with 1 where the check finds a mismatch, and with 2 where nothing can be restored', async () => {
    expect(holdfast('--dir', directory, ...small).status).toBe(0);
    const state = await open();
    state.register('load_0000').setCash('1');
    state.commit();
    await state.close();
    const mismatch = holdfast('--check', '--dir', directory, '--json');
    expect(mismatch.status).toBe(1);
    expect(JSON.parse(mismatch.stdout)).toMatchObject({ sequence: 21, ok: false });
    expect(mismatch.stderr).toContain('load_0000 cash_balance: expected "1000000.00", restored "1"');
    rmSync(join(directory, 'journal'), { recursive: true });
    for (const file of readdirSync(directory)) {
      if (file.includes('_checkpoint')) writeFileSync(join(directory, file), 'x');
    }
    expect(holdfast('--check', '--dir', directory, '--json')).toMatchObject({ status: 2, stdout: '' });
  });
});
