import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { inspect } from '../../src/cli/inspect.ts';
import { status } from '../../src/cli/status.ts';
import { verifyDirectory } from '../../src/cli/verify.ts';
import { decimalSchema } from '../../src/model/money.ts';
import { timestampSchema } from '../../src/model/time.ts';
import type { StateManager } from '../../src/state/state-manager.ts';
import { checkpointFiles, copyOf, damage, journalFiles, openState, tradeSome } from './state-directories.ts';
import { captured, Scratch } from './support.ts';

// status, inspect and verify on everything that a state directory may be.

const count = z.int().nonnegative();
const lost = z.array(
  z.strictObject({ what: z.string(), file: z.string(), why: z.string(), acknowledged: z.boolean() }),
);
const halt = z.strictObject({ reason: z.string(), source: z.string(), at: timestampSchema });

const statusSchema = z.strictObject({
  directory: z.string(),
  running: z.boolean(),
  pid: count.nullable(),
  since: timestampSchema.nullable(),
  epoch: count,
  phase: z.string().nullable(),
  last_phase: z.string().nullable(),
  durable_sequence: count,
  durable_lag_ms: z.number().nullable(),
  last_error: z.string().nullable(),
  status_age_ms: z.number().nullable(),
  timestamp: timestampSchema.nullable(),
  age_ms: z.number().nullable(),
  stale: z.boolean(),
  halted: z.boolean(),
  lost,
  at: timestampSchema,
  strategies: z.array(
    z.strictObject({
      strategy: z.string(),
      sequence: count,
      checkpoint_sequence: count.nullable(),
      age_ms: z.number().nullable(),
      positions: count,
      open_orders: count,
      cash_balance: decimalSchema,
      currency: z.string(),
      other_cash: z.record(z.string(), decimalSchema),
      stale: z.boolean(),
      halt: halt.nullable(),
    }),
  ),
});

const strategySchema = z.strictObject({
  strategy_name: z.string(),
  timestamp: timestampSchema.nullable(),
  epoch: count,
  sequence: count,
  strategy_state: z.record(z.string(), z.unknown()),
  positions: z.array(z.looseObject({ asset: z.string(), amount: decimalSchema, cost_basis: decimalSchema })),
  pending_orders: z.array(z.looseObject({ order_id: z.string(), amount: decimalSchema, status: z.string() })),
  cash_balance: decimalSchema,
  currency: z.string(),
  other_cash: z.record(z.string(), decimalSchema),
  broker_cursor: z.strictObject({
    activity_id: z.string().nullable(),
    at: timestampSchema.nullable(),
    recent_execution_ids: z.array(z.string()),
  }),
  halt: halt.nullable(),
});

const inspectSchema = z.strictObject({
  directory: z.string(),
  epoch: count,
  sequence: count,
  timestamp: timestampSchema.nullable(),
  age_ms: z.number().nullable(),
  stale: z.boolean(),
  used: z.array(
    z.strictObject({
      strategy: z.string(),
      source: z.enum(['checkpoint', 'journal', 'seed_checkpoint']),
      file: z.string(),
      epoch: count,
      sequence: count,
      records: count,
    }),
  ),
  lost,
  strategies: z.array(strategySchema),
});

const verifySchema = z.strictObject({
  directory: z.string(),
  ok: z.boolean(),
  restorable: z.boolean(),
  generations: z.array(
    z.strictObject({
      file: z.string(),
      strategy: z.string(),
      epoch: count.nullable(),
      sequence: count.nullable(),
      timestamp: timestampSchema.nullable(),
      valid: z.boolean(),
      problem: z.enum(['damaged', 'foreign', 'newer_format']).nullable(),
      why: z.string().nullable(),
    }),
  ),
  segments: z.array(
    z.strictObject({
      file: z.string(),
      segment: count.nullable(),
      epoch: count,
      groups: count,
      first_sequence: count,
      last_sequence: count,
      bytes: count,
      valid: z.boolean(),
      damages: z.array(z.strictObject({ offset: count, bytes: count, why: z.string(), torn_tail: z.boolean() })),
    }),
  ),
  would_use: z
    .strictObject({
      epoch: count,
      sequence: count,
      timestamp: timestampSchema.nullable(),
      age_ms: z.number().nullable(),
      stale: z.boolean(),
      strategies: inspectSchema.shape.used,
    })
    .nullable(),
  would_lose: lost,
  error: z.strictObject({ code: z.string(), message: z.string() }).nullable(),
});

async function statusOf(directory: string) {
  const ran = await captured(() => status(directory, { json: true }));
  return { ...ran, document: ran.stdout === '' ? null : statusSchema.parse(JSON.parse(ran.stdout)) };
}

async function inspectionOf(directory: string) {
  const ran = await captured(() => inspect(directory, undefined, { json: true }));
  return { ...ran, document: ran.stdout === '' ? null : inspectSchema.parse(JSON.parse(ran.stdout)) };
}

async function verificationOf(directory: string) {
  const ran = await captured(() => verifyDirectory(directory, { json: true }));
  return { ...ran, document: ran.stdout === '' ? null : verifySchema.parse(JSON.parse(ran.stdout)) };
}

const looks = [
  ['status', statusOf],
  ['inspect', inspectionOf],
  ['verify', verificationOf],
] as const;

describe('a state directory', () => {
  const scratch = new Scratch();
  const live = scratch.at('live');
  const killed = scratch.at('killed');
  const stopped = scratch.at('stopped');
  let state: StateManager;
  let copies = 0;
  const copy = (directory: string) => copyOf(directory, scratch.at(`copy-${++copies}`));

  beforeAll(async () => {
    state = await openState(live);
    await tradeSome(state);
    copyOf(live, killed);
  });
  afterAll(async () => {
    await state.close();
    scratch[Symbol.dispose]();
  });

  describe('that an engine holds', () => {
    it('is running, with the holder, and as durable as its last commit', async () => {
      const { code, document } = await statusOf(live);
      expect(code).toBe(0);
      expect(document).toMatchObject({
        directory: live,
        running: true,
        pid: process.pid,
        epoch: 1,
        durable_sequence: state.durableSequence,
        stale: false,
        halted: false,
        lost: [],
      });
      expect(document?.since).not.toBeNull();
      expect(document?.strategies.map(({ strategy }) => strategy)).toEqual(['alpha', 'beta']);
    });

    it('tells for each strategy what it holds; a position of nothing is none', async () => {
      const { document } = await statusOf(live);
      expect(document?.strategies[0]).toMatchObject({
        positions: 1,
        open_orders: 1,
        cash_balance: '25000.00',
        currency: 'USD',
        halt: null,
        sequence: state.durableSequence,
      });
      expect(document?.strategies[1]).toMatchObject({ cash_balance: '1000', other_cash: { EUR: '10' } });
    });

    it('has no phase where only an earlier holder has told one', async () => {
      const path = join(live, 'status.json');
      const told = readFileSync(path, 'utf8');
      writeFileSync(path, JSON.stringify({ ...JSON.parse(told), pid: 1, phase: 'trading' }));
      const { document } = await statusOf(live);
      writeFileSync(path, told);
      expect(document).toMatchObject({ running: true, phase: null, durable_lag_ms: null, status_age_ms: null });
    });

    it('is inspected at the last durable commit, also past the checkpoints', async () => {
      const { code, document } = await inspectionOf(live);
      expect(code).toBe(0);
      expect(document?.sequence).toBe(state.durableSequence);
      expect(document?.strategies[1]?.strategy_state).toEqual({ note: 'after the checkpoint' });
      expect(document?.strategies[0]?.positions[0]).toMatchObject({ asset: 'AAPL', amount: '100' });
    });

    it('verifies', async () => {
      const { code, document } = await verificationOf(live);
      expect(code).toBe(0);
      expect(document).toMatchObject({ ok: true, restorable: true, would_lose: [], error: null });
      expect(document?.generations.length).toBe(4);
    });

    it('does not take the end that is being written for damage', async () => {
      const [segment = ''] = journalFiles(live);
      const before = readFileSync(segment);
      const end = before.toString('latin1').lastIndexOf('}\n') + 2;
      const torn = Buffer.from(before).fill(0, end - 10, end);
      const half = copy(live);
      writeFileSync(journalFiles(half)[0] as string, torn);
      const dead = await statusOf(half);
      expect(dead).toMatchObject({ code: 1, document: { running: false } });
      expect(dead.document?.lost).toMatchObject([{ what: 'torn_tail', acknowledged: false }]);
      writeFileSync(segment, torn);
      try {
        expect(await statusOf(live)).toMatchObject({ code: 0, document: { running: true, lost: [] } });
        expect(await inspectionOf(live)).toMatchObject({ code: 0 });
        expect(await verificationOf(live)).toMatchObject({ code: 0 });
      } finally {
        writeFileSync(segment, before);
      }
    });
  });

  describe('after a kill -9', () => {
    it.each(looks)('gives %s all that was acknowledged', async (_, look) => {
      const { code, document } = await look(killed);
      expect(code).toBe(0);
      expect(JSON.stringify(document)).toContain(`equence":${state.durableSequence}`);
    });

    it('is not running, and says so although the holder file is still there', async () => {
      const { document } = await statusOf(killed);
      expect(document).toMatchObject({ running: false, pid: null, since: null, phase: null, durable_lag_ms: null });
    });

    it('tells a person in which phase the engine ended', async () => {
      const told = JSON.parse(readFileSync(join(killed, 'status.json'), 'utf8'));
      const left = copy(killed);
      writeFileSync(join(left, 'status.json'), JSON.stringify({ ...told, phase: 'trading' }));
      expect((await captured(() => status(left, {}))).stdout).toContain(
        'not running  the last engine ended without stopping, in phase trading',
      );
      writeFileSync(join(left, 'status.json'), JSON.stringify({ ...told, phase: 'stopped' }));
      expect((await captured(() => status(left, {}))).stdout).toContain('the last engine stopped in order');
    });
  });

  describe('with a damaged newest checkpoint', () => {
    let damaged: string;
    beforeAll(() => {
      damaged = copy(killed);
      damage(join(damaged, 'alpha_checkpoint.json'));
    });

    it.each(looks)('is whole from an older one and the journal; %s names the file and exits 1', async (_, look) => {
      const { code, stdout } = await look(damaged);
      expect(code).toBe(1);
      expect(stdout).toContain('damaged_checkpoint');
      expect(stdout).toContain('alpha_checkpoint.json');
      expect(stdout).toContain(`equence": ${state.durableSequence}`);
    });

    it('is told to a person too', async () => {
      for (const run of [status, (path: string) => inspect(path, undefined, {}), verifyDirectory]) {
        const { stdout, code } = await captured(() => run(damaged, {}));
        expect(code).toBe(1);
        expect(stdout).toContain('damaged_checkpoint: alpha_checkpoint.json');
      }
    });

    it('tells what was found beside the document of one strategy', async () => {
      const { code, stdout, stderr } = await captured(() => inspect(damaged, 'beta', { json: true }));
      expect(code).toBe(1);
      expect(strategySchema.parse(JSON.parse(stdout)).strategy_name).toBe('beta');
      expect(stderr).toContain('damaged_checkpoint: alpha_checkpoint.json');
    });

    it('changes nothing on disk', async () => {
      const before = checkpointFiles(damaged);
      for (const [, look] of looks) await look(damaged);
      expect(checkpointFiles(damaged)).toEqual(before);
    });
  });

  describe('with everything damaged', () => {
    let ruined: string;
    beforeAll(() => {
      ruined = copy(killed);
      for (const file of [...checkpointFiles(ruined), ...journalFiles(ruined)]) {
        writeFileSync(file, readFileSync(file).fill(0x20, 10));
      }
    });

    it('is refused by status and inspect, naming each file', async () => {
      for (const look of [statusOf, inspectionOf]) {
        const { error, stdout } = await look(ruined);
        expect(stdout).toBe('');
        expect(error?.message).toContain(ruined);
        expect(error?.message).toContain('alpha_checkpoint.json');
        expect(error?.message).toContain('Nothing was changed');
      }
    });

    it('has a verification that says why it cannot be restored, and exits 2', async () => {
      const { code, document, stderr } = await verificationOf(ruined);
      expect(code).toBe(2);
      expect(document).toMatchObject({ ok: false, restorable: false, would_use: null });
      expect(document?.error?.code).toMatch(/CORRUPTED|DAMAGED|MISSING/);
      expect(stderr.trimEnd().split('\n')).toHaveLength(1);
      const told = await captured(() => verifyDirectory(ruined, {}));
      expect(told.stdout).toContain('NOT RESTORABLE');
      expect(told.stdout).toContain('DAMAGED');
    });
  });

  describe('that has stood for long', () => {
    it.each(looks)('is stale to %s, which is no error', async (_, look) => {
      // A file of the seed's format has no checksum, so that its time can be written by hand.
      const bare = scratch.at(`seed-${++copies}`);
      mkdirSync(bare, { mode: 0o700 });
      writeFileSync(
        join(bare, 'alpha_checkpoint.json'),
        JSON.stringify({
          strategy_name: 'alpha',
          timestamp: '2025-10-02T14:30:00Z',
          strategy_state: {},
          positions: [],
          pending_orders: [],
          cash_balance: '1',
        }),
        { mode: 0o600 },
      );
      const { code, stdout } = await look(bare);
      expect(code).toBe(0);
      expect(stdout).toContain('"stale": true');
    });
  });

  describe('with a halt', () => {
    it('is reported, and exits 0', async () => {
      const alpha = state.register('alpha');
      alpha.setHalt({
        reason: 'books and broker disagree',
        source: 'reconciliation',
        at: '2025-10-02T14:30:00.000000Z',
      });
      state.commit();
      await state.durable();
      try {
        const { code, document } = await statusOf(live);
        expect(code).toBe(0);
        expect(document).toMatchObject({ halted: true });
        expect(document?.strategies[0]?.halt).toMatchObject({ source: 'reconciliation' });
        for (const run of [status, (path: string) => inspect(path, undefined, {})]) {
          const told = await captured(() => run(live, {}));
          expect(told.stdout).toContain(
            'halted by reconciliation since 2025-10-02T14:30:00.000000Z: books and broker disagree',
          );
        }
      } finally {
        alpha.setHalt(null);
        state.commit();
        await state.durable();
      }
    });
  });

  it('of a host with another base currency is shown in that', async () => {
    const other = await openState(stopped, { currency: 'USDT' });
    other.register('gamma').setCash('7', 'USDT');
    other.commit();
    await other.durable();
    const journalOnly = copy(stopped);
    await other.close();
    for (const directory of [journalOnly, stopped]) {
      const { document } = await statusOf(directory);
      expect(document?.strategies).toMatchObject([{ cash_balance: '7', currency: 'USDT', other_cash: {} }]);
      expect(await verificationOf(directory)).toMatchObject({ code: 0 });
    }
  });

  it('tells a person all of it in lines', async () => {
    const told = await captured(() => inspect(killed, undefined, {}));
    expect(told.code).toBe(0);
    expect(told.stdout).toContain(
      `a restore gives epoch 1, sequence ${JSON.parse((await inspectionOf(killed)).stdout).sequence}`,
    );
    expect(told.stdout).toMatch(/AAPL\s+100\s+150\.25\s+155\.50/);
    expect(told.stdout).toMatch(/o-1\s+AAPL\s+limit\s+10\s+0\s+150\s+pending/);
    expect(told.stdout).toContain('cash 1000 USD, 10 EUR');
    expect(told.stdout).toContain('last_signal: "buy"');
    const verified = await captured(() => verifyDirectory(killed, {}));
    expect(verified.stdout).toMatch(/alpha: checkpoint alpha_checkpoint\.json, then \d+ journal record/);
    expect(verified.stdout).toContain('valid: a restore gives epoch 1');
    // Nothing is coloured where there is no terminal.
    expect(told.stdout + verified.stdout).not.toContain('\u001b[');
  });

  describe('one generation', () => {
    it('is printed as it stands in the file, the newest first', async () => {
      const newest = await captured(() => inspect(killed, 'alpha', { generation: 1 }));
      const older = await captured(() => inspect(killed, 'alpha', { generation: 2 }));
      expect(newest.code).toBe(0);
      expect(newest.stderr).toBe('alpha_checkpoint.json: valid\n');
      expect(JSON.parse(newest.stdout)).toEqual(
        JSON.parse(readFileSync(join(killed, 'alpha_checkpoint.json'), 'utf8')),
      );
      expect(JSON.parse(older.stdout).sequence).toBeLessThan(JSON.parse(newest.stdout).sequence);
    });

    it.each([
      ['a strategy is not named', undefined, 1, 'STRATEGY_NEEDED', 'alpha, beta'],
      ['there are not so many', 'alpha', 9, 'GENERATION_MISSING', 'there are 2'],
    ])('is refused where %s', async (_, strategy, generation, code, told) => {
      const { error, stdout } = await captured(() => inspect(killed, strategy, { generation }));
      expect(stdout).toBe('');
      expect(error).toMatchObject({ code, message: expect.stringContaining(told) });
    });

    it('is refused where it is damaged', async () => {
      const damaged = copy(killed);
      damage(join(damaged, 'alpha_checkpoint.json'));
      const { error } = await captured(() => inspect(damaged, 'alpha', { generation: 1 }));
      expect(error).toMatchObject({
        code: 'CHECKPOINT_UNREADABLE',
        message: expect.stringContaining('alpha_checkpoint.json'),
      });
    });
  });

  it('of an unknown strategy names those that there are', async () => {
    const { error } = await captured(() => inspect(killed, 'gamma', {}));
    expect(error).toMatchObject({ code: 'STRATEGY_UNKNOWN', message: expect.stringContaining('alpha, beta') });
  });
});

describe('a directory that', () => {
  const scratch = new Scratch();
  afterAll(() => scratch[Symbol.dispose]());

  it.each(looks)('is empty gives %s nothing, at sequence 0', async (name, look) => {
    const empty = scratch.at(`empty-${name}`);
    mkdirSync(empty);
    const { code, stdout } = await look(empty);
    expect(code).toBe(0);
    expect(stdout).toMatch(/equence": 0/);
  });

  it('is empty is said to be so', async () => {
    const empty = scratch.at('empty');
    mkdirSync(empty);
    expect((await captured(() => status(empty, {}))).stdout).toContain('nothing has been kept here yet');
    expect((await captured(() => inspect(empty, undefined, {}))).stdout).toContain('nothing has been kept here yet');
    expect((await captured(() => verifyDirectory(empty, {}))).stdout).toContain('no checkpoint and no journal');
  });

  it.each(looks)('does not exist is refused by %s', async (_, look) => {
    const { error, stdout } = await look(scratch.at('nowhere'));
    expect(stdout).toBe('');
    expect(error).toMatchObject({ code: 'STATE_DIRECTORY_MISSING', message: expect.stringContaining('nowhere') });
  });

  it.each(looks)('is a file is refused by %s', async (_, look) => {
    const { error } = await look(scratch.file('file', 'text'));
    expect(error).toMatchObject({
      code: 'STATE_DIRECTORY_MISSING',
      message: expect.stringContaining('not a directory'),
    });
  });

  it.each(looks)('never was a state directory is refused by %s', async (name, look) => {
    const foreign = scratch.at(`foreign-${name}`);
    mkdirSync(foreign);
    writeFileSync(join(foreign, 'README.md'), 'mine');
    const { error, stdout } = await look(foreign);
    expect(stdout).toBe('');
    expect(error).toMatchObject({ code: 'STATE_DIRECTORY_FOREIGN', message: expect.stringContaining(foreign) });
  });

  it.each(looks)('is an empty text, as of a variable that is not set, is refused by %s', async (_, look) => {
    expect((await look('')).error).toMatchObject({ code: 'USAGE' });
  });

  it('was left in order is said to be so', async () => {
    const left = scratch.at('left');
    const state = await openState(left);
    state.register('alpha').setCash('1', state.currency);
    state.commit();
    await state.close();
    expect((await captured(() => status(left, {}))).stdout).toContain('the last engine stopped in order');
  });

  it('is of a newer format is refused, and not called damaged', async () => {
    const newer = scratch.at('newer');
    mkdirSync(newer);
    const text = JSON.stringify({ format: 'holdfast-checkpoint', format_version: 99, strategy_name: 'alpha' });
    writeFileSync(join(newer, 'alpha_checkpoint.json'), text);
    expect((await statusOf(newer)).error).toMatchObject({
      code: 'FORMAT_NEWER',
      message: expect.stringContaining(newer),
    });
    expect((await verificationOf(newer)).document?.generations).toMatchObject([
      { valid: false, problem: 'newer_format' },
    ]);
    const told = await captured(() => verifyDirectory(newer, {}));
    expect(told.stdout).toMatch(/NEWER FORMAT: it has format_version 99/);
    expect(told.stdout).not.toContain('DAMAGED');
    expect(readFileSync(join(newer, 'alpha_checkpoint.json'), 'utf8')).toBe(text);
  });

  it('holds a halt says how to lift it', async () => {
    const halted = scratch.at('halted');
    const state = await openState(halted);
    state
      .register('alpha')
      .setHalt({ reason: 'the daily loss', source: 'strategy', at: '2025-10-02T14:30:00.000000Z' });
    state.commit();
    await state.durable();
    const told = async () => (await captured(() => status(halted, {}))).stdout;
    expect(await told()).toContain('and the engine is stopped: holdfast resume');
    await state.close();
    expect(await told()).toContain(`once the reason is gone: holdfast resume ${halted} --reason`);
  });

  it('is above a state directory leads there', async () => {
    const above = scratch.at('above');
    mkdirSync(join(above, 'state'), { recursive: true });
    writeFileSync(join(above, 'state', 'lock.db'), '');
    const { error } = await statusOf(above);
    expect(error?.message).toContain(`Did you mean ${join(above, 'state')}?`);
  });
});
