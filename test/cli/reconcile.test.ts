import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { reconcile } from '../../src/cli/reconcile.ts';
import { discrepancyKinds, reconciliationPolicies } from '../../src/reconciliation/types.ts';
import { position } from '../support/state-fixtures.ts';
import { configFor, type Market, market, silentServer } from './exchange.ts';
import { openState } from './state-directories.ts';
import { captured, keys, Scratch } from './support.ts';

const action = z.looseObject({
  kind: z.enum(['set_position', 'set_cash', 'set_order', 'adopt_order']),
  strategy: z.string(),
  reason: z.string(),
});
const reportSchema = z.strictObject({
  report_id: z.string(),
  at: z.string(),
  trigger: z.enum(['start', 'interval', 'on_demand']),
  policy: z.enum(reconciliationPolicies),
  sequence: z.int(),
  outcome: z.enum(['ok', 'discrepancies', 'inconclusive']),
  why_inconclusive: z.string().nullable(),
  discrepancies: z.array(z.looseObject({ kind: z.enum(discrepancyKinds), subject: z.string(), message: z.string() })),
  plan: z.looseObject({ actions: z.array(action), halt: z.string().nullable() }),
  compared: z.strictObject({ positions: z.int(), orders: z.int(), currencies: z.int() }),
  broker: z.looseObject({}).nullable(),
  duration_ms: z.number(),
  applied: z.boolean(),
  applied_actions: z.array(action),
});

describe('reconcile', () => {
  let at: Market;
  let scratch: Scratch;

  beforeAll(() => {
    process.env['APCA_API_KEY_ID'] = keys.keyId;
    process.env['APCA_API_SECRET_KEY'] = keys.secretKey;
  });
  afterAll(() => {
    delete process.env['APCA_API_KEY_ID'];
    delete process.env['APCA_API_SECRET_KEY'];
  });

  /** Books that equal the broker's, of an account that holds cash only. */
  async function openedBooks(): Promise<string> {
    const state = await openState(scratch.at('state'));
    const unassigned = state.register('UNASSIGNED');
    unassigned.setCash('100000');
    unassigned.set('opened', '2025-10-02T14:30:00Z');
    state.commit();
    await state.close();
    return scratch.file('engine.json', configFor(at.url));
  }

  async function reconciled(file: string, options: Parameters<typeof reconcile>[1]) {
    const ran = await captured(() => reconcile(file, { json: true, ...options }));
    return { ...ran, document: ran.stdout === '' ? null : reportSchema.parse(JSON.parse(ran.stdout)) };
  }

  beforeEach(async () => {
    at = await market();
    scratch = new Scratch();
    return async () => {
      await at[Symbol.asyncDispose]();
      scratch[Symbol.dispose]();
    };
  });

  it('finds books that agree, and exits 0', async () => {
    const file = await openedBooks();
    const { code, document } = await reconciled(file, {});
    expect(code).toBe(0);
    expect(document).toMatchObject({ outcome: 'ok', applied: false, applied_actions: [], discrepancies: [] });
    const told = await captured(() => reconcile(file, {}));
    expect(told.stdout).toContain('books and broker agree');
  });

  it('prints the plan and changes nothing, also beside an engine that holds the directory', async () => {
    const file = await openedBooks();
    at.exchange.adjustPosition('AAPL', '7');
    const holder = await openState(scratch.at('state'));
    try {
      const { code, document } = await reconciled(file, {});
      expect(code).toBe(1);
      expect(document).toMatchObject({ policy: 'SYNC_TO_BROKER', applied: false, applied_actions: [] });
      expect(document?.discrepancies).toMatchObject([{ kind: 'position_missing_locally', subject: 'AAPL' }]);
      expect(document?.plan.actions).toMatchObject([{ kind: 'set_position', asset: 'AAPL', after: '7' }]);
      expect(holder.register('UNASSIGNED').position('AAPL')).toBeUndefined();
      const told = await captured(() => reconcile(file, {}));
      expect(told.stdout).toContain('A dry run: nothing was changed. --apply applies it');
    } finally {
      await holder.close();
    }
  });

  it('reads both sides again where the engine moved on meanwhile', async () => {
    const file = await openedBooks();
    at.exchange.adjustPosition('AAPL', '7');
    const holder = await openState(scratch.at('state'));
    const pending = reconciled(file, {});
    // The books were read when the call returned; the broker was not.
    holder.register('UNASSIGNED').setPosition(position('AAPL', '7', { cost_basis: '0' }));
    holder.commit();
    const { code, document } = await pending;
    await holder.close();
    expect(document).toMatchObject({ outcome: 'ok', discrepancies: [] });
    expect(code).toBe(0);
  });

  it('takes a policy in place of the one configured', async () => {
    const file = await openedBooks();
    at.exchange.adjustPosition('AAPL', '7');
    const warned = await reconciled(file, { policy: 'WARN_ONLY' });
    expect(warned).toMatchObject({ code: 1, document: { policy: 'WARN_ONLY', plan: { actions: [], halt: null } } });
    const halted = await reconciled(file, { policy: 'HALT_AND_ALERT' });
    expect(halted).toMatchObject({ code: 1, document: { policy: 'HALT_AND_ALERT' } });
    expect(halted.document?.plan.halt).toContain('AAPL');
  });

  it('applies the plan, says what was changed, and finds nothing the next time', async () => {
    const file = await openedBooks();
    at.exchange.adjustPosition('AAPL', '7');
    const { code, document, error } = await reconciled(file, { apply: true });
    expect(error).toBeNull();
    expect(code).toBe(0);
    expect(document).toMatchObject({ outcome: 'ok', applied: true });
    expect(document?.applied_actions).toMatchObject([{ kind: 'set_position', asset: 'AAPL', after: '7' }]);
    expect(await reconciled(file, {})).toMatchObject({ code: 0, document: { outcome: 'ok' } });
    const state = await openState(scratch.at('state'));
    expect(state.register('UNASSIGNED').position('AAPL')?.amount).toBe('7');
    await state.close();
  });

  it('does not apply anything while an engine holds the directory', async () => {
    const file = await openedBooks();
    const holder = await openState(scratch.at('state'));
    const { error, stdout } = await reconciled(file, { apply: true });
    await holder.close();
    expect(stdout).toBe('');
    expect(error).toMatchObject({ code: 'STATE_DIRECTORY_LOCKED' });
  });

  it.each([false, true])('cannot be done with wrong keys (apply: %s), and names none', async (apply) => {
    const file = await openedBooks();
    process.env['APCA_API_SECRET_KEY'] = 'another-canary';
    const { error, stdout, stderr } = await reconciled(file, { apply });
    process.env['APCA_API_SECRET_KEY'] = keys.secretKey;
    expect(stdout).toBe('');
    expect(error?.message).toMatch(/authori/);
    expect(`${error?.message}${stderr}`).not.toContain('canary');
  });

  it.each([false, true])('cannot be done without the broker (apply: %s)', async (apply) => {
    await openedBooks();
    await using silent = await silentServer();
    const reconciliation = { policy: 'SYNC_TO_BROKER', interval_ms: 0, deadline_ms: 500 };
    const broker = { module: 'alpaca', options: { url: silent.url, readAttemptsMax: 1, timeoutMs: 200 } };
    const file = scratch.file('engine.json', configFor(at.url, { broker, reconciliation, log_level: 'silent' }));
    const { error, stdout } = await reconciled(file, { apply });
    expect(stdout).toBe('');
    expect(error?.message).not.toContain('\n');
    expect(error).toMatchObject({ code: apply ? 'START_DEADLINE' : 'RECONCILIATION_INCONCLUSIVE' });
  });

  it('without keys names the variables to set', async () => {
    const file = await openedBooks();
    delete process.env['APCA_API_SECRET_KEY'];
    const { error } = await reconciled(file, {});
    process.env['APCA_API_SECRET_KEY'] = keys.secretKey;
    expect(error).toMatchObject({
      code: 'BROKER_KEYS_MISSING',
      message: expect.stringContaining('APCA_API_SECRET_KEY'),
    });
  });

  it('of a state directory that is not there is refused', async () => {
    const file = scratch.file('engine.json', configFor(at.url));
    expect((await reconciled(file, {})).error).toMatchObject({ code: 'STATE_DIRECTORY_MISSING' });
  });
});
