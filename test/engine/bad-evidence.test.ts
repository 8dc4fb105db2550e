import { afterAll, describe, expect, it } from 'vitest';
import { decimal, decimalString, zero } from '../../src/model/money.ts';
import type { FillReport, OrderReport } from '../../src/model/report.ts';
import { reconciliationPolicies } from '../../src/reconciliation/types.ts';
import { evidenceCases, evidenceScene, misled } from '../support/bad-evidence.ts';
import type { Life } from '../support/crash-life.ts';
import type { Tampering } from '../support/tampered.ts';

// Row 24: what a broker says is empty, partial, stale, failed, or older than what it said before.

let runs = 0;
let synced = 0;
let countedOnce = 0;

afterAll(() => {
  process.stdout.write(
    `row 24: ${evidenceCases.length} cases × ${reconciliationPolicies.length} policies, ${runs} runs, ${synced} synced or halted on bad evidence; ${countedOnce} of ${moments.length * tellings.length} executions beside a sync counted once\n`,
  );
});

const moments = [
  'before the read',
  'long before the read and listed after it',
  'during the read',
  'after the read',
] as const;
const tellings = ['before the plan', 'after the plan', 'twice', 'never'] as const;

// Somebody else has moved 3 A into the account: true, and to be synced.
const transferred: Tampering = {
  fetchPositions: (truth) => async () =>
    (await truth()).map((each) =>
      each.asset === 'A' ? { ...each, amount: decimalString(decimal(each.amount).plus(3)) } : each,
    ),
};

function inAccount({ state }: Life, asset: string): string {
  const books = state.strategies().map((name) => state.register(name));
  return decimalString(books.reduce((sum, book) => sum.plus(book.position(asset)?.amount ?? '0'), zero));
}

describe.each(moments)('an execution %s of a sync', (moment) => {
  it.each(tellings)('counts once, where the stream tells it: %s', async (telling) => {
    let fill: (() => void) | null = null;
    const wasListed = moment !== 'long before the read and listed after it';
    let isListed = wasListed;
    const told: [OrderReport, FillReport][] = [];
    const scene = await evidenceScene('SYNC_TO_BROKER', () => ({
      ...transferred,
      fetchOpenOrders: (truth, call) => async () => {
        if (moment === 'during the read' && call === 2) fill?.();
        return truth();
      },
    }));
    const { venue, life } = scene;
    fill = () => {
      const order = venue.live().find(({ report }) => report.asset === 'D');
      if (order === undefined) throw new Error('the scene has no live order');
      told.push([order.report, venue.execute(order, '1', '12.5', '0.07')]);
      if (telling === 'before the plan' || telling === 'twice') for (const each of told) life.session.tell(...each);
    };
    venue.isListed = ({ asset }) => asset !== 'D' || isListed;
    if (moment === 'before the read') fill();
    if (!isListed) {
      fill();
      venue.options.clock.advance(20_000);
    }
    const report = await life.reconcile();
    isListed = true;
    if (moment === 'after the read') fill();
    if (telling === 'after the plan' || telling === 'twice') for (const each of told) life.session.tell(...each);
    life.session.reconnect();
    await life.pass(8000);
    expect(report?.outcome).toBe('ok');
    expect(life.faults).toEqual([]);
    const book = life.state.register('wisher');
    expect(['A', 'D'].map((asset) => inAccount(life, asset))).toEqual(['13', '1']);
    // What was set before anybody could say whose it is belongs to nobody; an execution that was listed belongs to its order.
    if (wasListed) expect([book.position('A')?.amount, book.position('D')?.amount]).toEqual(['13', '1']);
    expect(book.orders()).toMatchObject([{ asset: 'D', filled_amount: '1' }]);
    const cash = life.state.strategies().reduce((sum, name) => sum.plus(life.state.register(name).cash()), zero);
    expect(decimalString(cash)).toBe(decimalString(venue.cash));
    countedOnce += 1;
  });
});

describe.each(evidenceCases)('a broker that answers with $what', (evidence) => {
  it.each(reconciliationPolicies)('changes nothing and halts nobody while trading: %s', async (policy) => {
    const scene = await evidenceScene(policy, evidence.tampering);
    const report = await scene.life.reconcile();
    // What happened while it was read is booked, and by then the stream would have told it too.
    scene.life.session.reconnect();
    await scene.life.pass(6000);
    const wrong = misled(scene, report, evidence);
    runs += 1;
    synced += Number(wrong.length > 0);
    expect(wrong).toEqual([]);
  });
});
