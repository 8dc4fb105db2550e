import { existsSync, readdirSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type AuditDocument, audit } from '../../src/cli/audit.ts';
import { resume } from '../../src/cli/resume.ts';
import { reconciliationReportNote } from '../../src/model/event.ts';
import { UNASSIGNED } from '../../src/model/names.ts';
import { readAudit } from '../../src/persistence/audit-reader.ts';
import { nodeFileSystem } from '../../src/persistence/node-file-system.ts';
import { StateManager } from '../../src/state/state-manager.ts';
import type { StateManagerOptions } from '../../src/state/state-options.ts';
import { auditedLog } from '../support/audited.ts';
import { fill, order } from '../support/state-fixtures.ts';
import { copyOf } from './state-directories.ts';
import { captured, Scratch } from './support.ts';

let scratch: Scratch;
let directory: string;
let opened: StateManager[];

beforeEach(() => {
  scratch = new Scratch();
  directory = scratch.at('state');
  opened = [];
});

/** A directory in which trade() happened, made once. */
let template: Scratch;

beforeAll(async () => {
  template = new Scratch();
  scratch = template;
  directory = template.at('state');
  opened = [];
  const state = await open();
  await trade(state);
  await state.close();
});

afterAll(() => template[Symbol.dispose]());

afterEach(async () => {
  for (const state of opened) await state.close({ checkpoint: false }).catch(() => undefined);
  scratch[Symbol.dispose]();
});

async function open(options: StateManagerOptions = {}): Promise<StateManager> {
  const logger = { info: () => {}, warn: () => {}, error: () => {} };
  const state = await StateManager.open({
    directory,
    force: true,
    logger,
    checkpointIntervalMs: 0,
    audit: { finishMs: 50_000 },
    ...options,
  });
  opened.push(state);
  return state;
}

const at = (second: number): string => `2025-10-02T14:30:${String(second).padStart(2, '0')}.000000Z`;

/** One order from its intent to its last fill, one that waits for an answer, and a report. */
async function trade(state: StateManager): Promise<void> {
  const alpha = state.register('alpha');
  alpha.addEvent({ kind: 'order_intent', order: order('o-1'), at: at(1) });
  state.register('beta').addEvent({ kind: 'order_intent', order: order('o-2', { amount: '-5' }), at: at(2) });
  state.commit();
  await state.durable();
  const outcome = { kind: 'order_outcome', order_id: 'o-1', broker_order_id: 'b-1', reason: null } as const;
  alpha.addEvent({ ...outcome, status: 'open', at: at(3) });
  alpha.addEvent({ ...fill('e1', { order_id: 'o-1', amount: '3', price: '149.5' }), at: at(4) });
  alpha.addEvent({ ...fill('e2', { order_id: 'o-1', amount: '7', price: '149.4' }), at: at(5) });
  alpha.addEvent({ ...outcome, status: 'filled', at: at(5) });
  state.register(UNASSIGNED).addEvent({
    kind: 'note',
    name: reconciliationReportNote,
    at: at(6),
    data: { report_id: 'r-1', at: at(6), trigger: 'interval', policy: 'WARN_ONLY', outcome: 'ok', discrepancies: [] },
  });
  state.commit();
  await state.durable();
}

async function json(options: Parameters<typeof audit>[1] = {}, from = directory): Promise<AuditDocument> {
  const { stdout, error } = await captured(() => audit(from, { ...options, json: true }));
  if (error !== null) throw error;
  return JSON.parse(stdout) as AuditDocument;
}

/** What the journal's bound does to one that is held back too long. */
function forgetJournal(): void {
  rmSync(join(directory, 'journal'), { recursive: true });
}

describe('holdfast audit', () => {
  it("prints an order's life from its intent to its last fill", async () => {
    copyOf(template.at('state'), directory);
    const { code, stdout } = await captured(() => audit(directory, { order: 'o-1' }));
    expect(code).toBe(0);
    const lines = stdout.split('\n').map((line) => line.replaceAll(/ +/g, ' ').trim());
    expect(lines).toContain('order o-1 of alpha: 10 AAPL, b-1');
    const table = lines.filter((line) => line.startsWith('2025-'));
    expect(table.map((line) => line.split(' ').slice(2).join(' '))).toEqual([
      'order_intent pending 10 150',
      'order_outcome open',
      'fill 3 149.5 3 e1',
      'fill 7 149.4 10 e2',
      'order_outcome filled',
    ]);
    expect(stdout).toContain('filled: 10 filled in 2 executions, 0 left');
    const document = await json({ order: 'o-1' });
    expect(document.order).toMatchObject({ status: 'filled', filled_amount: '10', begins_with: 'intent' });
    expect(document.order?.events).toHaveLength(5);
    expect(document.order?.events[2]).toMatchObject({ kind: 'fill', fill: { execution_id: 'e1' } });
  });

  it('lists the orders, and the reports, by strategy and by time', async () => {
    copyOf(template.at('state'), directory);
    const ids = (document: AuditDocument) => document.orders?.map(({ order_id }) => order_id);
    expect(ids(await json())).toEqual(['o-1', 'o-2']);
    expect(ids(await json({ strategy: 'beta' }))).toEqual(['o-2']);
    expect(ids(await json({ since: at(2) }))).toEqual(['o-2', 'o-1']);
    expect((await json({ since: at(3) })).orders?.[0]).toMatchObject({ order_id: 'o-1', begins_with: 'missing' });
    expect(ids(await json({ since: '2025-10-03' }))).toEqual([]);
    expect((await json({ reports: true })).reports).toMatchObject([{ report_id: 'r-1', outcome: 'ok' }]);
    const { stdout } = await captured(() => audit(directory, {}));
    expect(stdout).toContain('2 orders');
    const reports = await captured(() => audit(directory, { reports: true }));
    expect(reports.stdout).toContain('r-1');
    expect((await captured(() => audit(directory, { strategy: 'nobody' }))).stdout).toContain('no orders');
  });

  it('tells the same while an engine runs, after a kill, and where the audit never ran', async () => {
    const state = await open();
    await trade(state);
    const running = await json({ order: 'o-1' });
    // As a kill leaves it: perhaps the audit was behind.
    const killed = copyOf(directory, scratch.at('killed'));
    for (const name of readdirSync(killed).filter((each) => each.startsWith('audit.db'))) rmSync(join(killed, name));
    await state.close();
    const stopped = await json({ order: 'o-1' });
    const without = await json({ order: 'o-1' }, killed);
    expect(running.order).toEqual(stopped.order);
    expect(without.order).toEqual(stopped.order);
    expect(without.audited).toBeNull();
    expect(stopped.audited).toEqual(stopped.through);
    expect(existsSync(join(killed, 'audit.db'))).toBe(false);
    const { stdout } = await captured(() => audit(killed, {}));
    expect(stdout).toContain('from the journal alone');
  });

  it('looks again where segments went away while it read them, beside an engine that never had an audit', async () => {
    const state = await open({ audit: false });
    await trade(state);
    let readings = 0;
    const readdir = (path: string): string[] => {
      readings += 1;
      return readings === 1 ? [] : nodeFileSystem.readdir(path);
    };
    const racing = new Proxy(nodeFileSystem, {
      get: (target, name) => (name === 'readdir' ? readdir : Reflect.get(target, name, target)),
    });
    const { through, log } = readAudit(racing, directory, { orderId: 'o-1' });
    expect(through).toEqual({ epoch: state.epoch, sequence: state.durableSequence });
    expect(log.length).toBeGreaterThan(0);
  });

  it('marks orders that were open when the audit began', async () => {
    const before = await open({ audit: false });
    before.register('alpha').setOrder(order('o-0', { status: 'open', broker_order_id: 'b-0' }));
    before.commit();
    await before.close();
    forgetJournal();
    await (await open()).close();
    expect((await json()).orders).toMatchObject([{ order_id: 'o-0', begins_with: 'found', status: 'open' }]);
    expect((await captured(() => audit(directory, {}))).stdout).toContain('(open when the audit began)');
  });

  it('exits 1 where a stretch is missing, and says which', async () => {
    const first = await open();
    first.register('alpha').set('n', 0);
    first.commit();
    await first.close();
    const without = await open({ audit: false });
    without.register('alpha').set('n', 1);
    without.commit();
    await without.close();
    forgetJournal();
    await (await open()).close();
    const { code, stdout } = await captured(() => audit(directory, {}));
    expect(code).toBe(1);
    expect(stdout).toContain('gap, told');
  });

  it.each([
    [{ order: 'nobody' }, 'ORDER_NOT_AUDITED'],
    [{ since: 'yesterday' }, 'USAGE'],
    [{ reports: true, order: 'o-1' }, 'USAGE'],
  ])('refuses %j with %s', async (options, code) => {
    copyOf(template.at('state'), directory);
    expect((await captured(() => audit(directory, options))).error?.code).toBe(code);
  });

  it('says so where nothing was kept yet, and refuses what is no state directory', async () => {
    await (await open({ audit: false })).close();
    expect((await captured(() => audit(directory, {}))).code).toBe(0);
    expect((await captured(() => audit(scratch.at('nowhere'), {}))).error?.code).toBe('STATE_DIRECTORY_MISSING');
  });
});

describe('holdfast resume', () => {
  const halt = { reason: 'daily loss limit', source: 'strategy', at: at(9) };
  const named = (...strategy: string[]) => ({ reason: 'checked with the broker', strategy, force: true });

  async function halted(options: StateManagerOptions = {}): Promise<void> {
    const state = await open(options);
    for (const name of ['alpha', 'beta', UNASSIGNED]) {
      const book = state.register(name);
      book.set('daily_loss', '-1250.50');
      if (name !== 'beta') book.setHalt(halt);
    }
    state.commit();
    await state.close();
  }

  it('lifts every halt, durably, with the reason in the audit, and then has nothing to do', async () => {
    await halted();
    const { code, stdout } = await captured(() => resume(directory, named()));
    expect(code).toBe(0);
    expect(stdout).toContain('resumed  alpha, halted by strategy');
    expect(stdout).toContain('(the whole account)');
    const told = auditedLog(directory).filter(({ kind }) => kind === 'resume');
    expect(told.map(({ strategy, reason }) => [strategy, reason])).toEqual([
      [UNASSIGNED, 'checked with the broker'],
      ['alpha', 'checked with the broker'],
    ]);
    const before = readdirSync(join(directory, 'journal'));
    const again = await captured(() => resume(directory, { ...named(), json: true }));
    expect(again.code).toBe(0);
    expect(JSON.parse(again.stdout)).toMatchObject({ resumed: [], halted: [], sequence: null });
    expect(readdirSync(join(directory, 'journal'))).toEqual(before);
    const state = await open();
    expect(state.register('alpha').halt).toBeNull();
    // What a strategy keeps beside its halt is the strategy's to reset.
    expect(state.register('alpha').get('daily_loss')).toBe('-1250.50');
  });

  it('lifts that of one strategy, and says what is still halted', async () => {
    await halted({ audit: false });
    const { code, stdout } = await captured(() => resume(directory, named('alpha')));
    expect(code).toBe(0);
    expect(stdout).toContain('still halted: UNASSIGNED');
    // Nobody asked for an audit of this directory.
    expect(existsSync(join(directory, 'audit.db'))).toBe(false);
    const none = await captured(() => resume(directory, named('beta')));
    expect(none.stdout).toContain('nothing that you named is halted');
    const state = await open({ audit: false });
    expect(state.register('alpha').halt).toBeNull();
    expect(state.register(UNASSIGNED).halt).toEqual(halt);
  });

  it('lifts halts of a host with another base currency', async () => {
    await halted({ currency: 'EUR' });
    expect((await captured(() => resume(directory, named()))).code).toBe(0);
    const state = await open({ currency: 'EUR' });
    expect(state.register('alpha').halt).toBeNull();
  });

  it('is refused while an engine holds the directory, whether or not anything is halted', async () => {
    await halted();
    const state = await open();
    const { error } = await captured(() => resume(directory, named()));
    expect(error?.code).toBe('STATE_DIRECTORY_LOCKED');
    expect(state.register('alpha').halt).toEqual(halt);
  });

  it('is refused for a strategy that is not there, and without a reason', async () => {
    await halted();
    expect((await captured(() => resume(directory, named('nobody')))).error?.code).toBe('STRATEGY_UNKNOWN');
    const empty = { ...named(), reason: '  ' };
    expect((await captured(() => resume(directory, empty))).error?.code).toBe('USAGE');
    expect((await captured(() => resume(directory, { ...named(), reason: 'x'.repeat(2001) }))).error?.code).toBe(
      'USAGE',
    );
    expect(statSync(directory).mode & 0o777).toBe(0o700);
  });
});
