import { describe, expect, it } from 'vitest';
import type { ReconcileRequest, Reconciler } from '../../src/engine/reconciler-port.ts';
import { isFinal } from '../../src/model/order.ts';
import { type Timestamp, timestamp } from '../../src/model/time.ts';
import { localBooks } from '../../src/reconciliation/books.ts';
import { compare } from '../../src/reconciliation/compare.ts';
import { plan } from '../../src/reconciliation/plan.ts';
import type { ReconciliationReport } from '../../src/reconciliation/types.ts';
import type { HostState } from '../../src/state/host-state.ts';
import { Puppet, type Rig, reborn, rig } from '../support/engine-rig.ts';
import { FakeBroker } from '../support/fake-broker.ts';

/** Compares and plans with the real kernels, in process, on evidence that is taken to be good. */
class InProcess implements Reconciler {
  readonly reports: ReconciliationReport[] = [];
  readonly #broker: FakeBroker;
  readonly #state: () => HostState;
  /** Far ahead: the figures hold whatever happened. */
  readAt: Timestamp = '2025-12-31T00:00:00Z';

  constructor(broker: FakeBroker, state: () => HostState) {
    this.#broker = broker;
    this.#state = state;
  }

  async reconcile({ trigger, policy }: ReconcileRequest): Promise<ReconciliationReport> {
    const { sequence, timestamp, strategies } = this.#state().snapshot();
    const local = localBooks(strategies, { sequence, timestamp, currency: 'USD' });
    const known = new Set(strategies.flatMap(({ broker_cursor }) => broker_cursor.recent_execution_ids));
    const last = this.#broker.fills.at(-1);
    const cursor = { activity_id: last?.activity_id ?? null, at: last?.at ?? null };
    const open = [...this.#broker.orders.values()].filter(({ status }) => !isFinal(status));
    const missing = local.strategies
      .flatMap(({ orders }) => orders)
      .filter(({ order_id }) => !this.#broker.orders.has(order_id));
    const broker = {
      account: await this.#broker.fetchAccount(),
      positions: await this.#broker.fetchPositions(),
      orders: open,
      fills: this.#broker.fills.filter(({ execution_id }) => !known.has(execution_id)),
      absent: missing.map(({ order_id }) => order_id),
      before: cursor,
      after: cursor,
      read_at: this.readAt,
    };
    const discrepancies = compare(local, broker, { costBasisTolerance: '0.0001' });
    const planned = plan(local, broker, discrepancies, policy, { assessment: { ok: true, confirmed: true }, trigger });
    const report: ReconciliationReport = {
      report_id: `r-${this.reports.length + 1}`,
      at: timestamp,
      trigger,
      policy,
      sequence,
      outcome: discrepancies.length === 0 ? 'ok' : 'discrepancies',
      why_inconclusive: null,
      discrepancies,
      plan: planned,
      compared: { positions: 0, orders: 0, currencies: 0 },
      broker,
      duration_ms: 0,
    };
    this.reports.push(report);
    return report;
  }
}

async function synced(): Promise<{ made: Rig; reconciler: InProcess; puppet: Puppet }> {
  const broker = new FakeBroker({ cash: { USD: '5000' } });
  const puppet = new Puppet('alpha', { initialCash: { USD: '1000' } });
  let made: Rig | null = null;
  const reconciler = new InProcess(broker, () => {
    if (made === null) throw new Error('not made yet');
    return made.state;
  });
  made = rig({ broker, reconciler, policy: 'SYNC_TO_BROKER', strategies: [puppet] });
  await made.start();
  return { made, reconciler, puppet };
}

async function submitted(made: Rig, puppet: Puppet): Promise<string> {
  let orderId = '';
  puppet.next((context) => {
    orderId = context.submit({ asset: 'AAPL', amount: '10' });
  });
  await made.trade('AAPL', '100');
  return orderId;
}

describe('a plan, made and applied', () => {
  it('has nothing to do where the account was opened here', async () => {
    const { reconciler } = await synced();
    expect(reconciler.reports.map(({ outcome }) => outcome)).toEqual(['ok']);
  });

  it('makes positions, cash and orders equal to the broker’s, and leaves nothing for a second run', async () => {
    const { made, reconciler, puppet } = await synced();
    const gone = await submitted(made, puppet);
    const ahead = await submitted(made, puppet);
    const { broker } = made;
    broker.orders.delete(gone);
    const { broker_order_id, ...report } = broker.orders.get(ahead) ?? { broker_order_id: '' };
    // Executions that the broker counts and does not list.
    if ('order_id' in report)
      broker.orders.set(ahead, { ...report, broker_order_id, status: 'partially_filled', filled_amount: '4' });
    broker.setPosition('AAPL', '4', '99');
    broker.setPosition('MSFT', '3', '250');
    broker.cash.set('USD', '4321');
    const foreign = broker.placeElsewhere('TSLA', '1');
    const last = await made.engine.reconcile();
    expect(last).toMatchObject({ outcome: 'ok', discrepancies: [], plan: { actions: [] } });
    expect(
      reconciler.reports
        .at(-2)
        ?.plan.actions.map(({ kind }) => kind)
        .sort(),
    ).toEqual(['adopt_order', 'set_cash', 'set_order', 'set_order', 'set_position', 'set_position']);
    expect(made.order('alpha', gone)).toBeUndefined();
    expect(made.order('alpha', ahead)).toMatchObject({ status: 'partially_filled', filled_amount: '4' });
    expect(made.order('UNASSIGNED', foreign.order_id ?? '')).toMatchObject({ status: 'open' });
    expect(made.position('UNASSIGNED', 'MSFT')).toBe('3');
  });

  it('books the executions that it read, once, and adjusts nothing for them', async () => {
    const { made, reconciler, puppet } = await synced();
    const orderId = await submitted(made, puppet);
    made.broker.holdStream();
    made.broker.fill(orderId, { amount: '4', price: '100', fee: '1' });
    await made.engine.reconcile();
    expect(made.position('alpha', 'AAPL')).toBe('4');
    made.broker.releaseStream();
    await made.idle();
    expect(made.position('alpha', 'AAPL')).toBe('4');
    expect(made.state.register('alpha').cash()).toBe('599');
    expect(reconciler.reports.flatMap(({ plan: { actions } }) => actions)).toEqual([]);
    expect(puppet.heard).toContain('fill 4 at 100');
  });

  it('does not take an execution of an order that was made later for one that it holds, although our clock is an hour ahead', async () => {
    const { made, reconciler, puppet } = await synced();
    const { broker, clock } = made;
    await made.pass(3_600_000);
    reconciler.readAt = timestamp(clock.nowMicros());
    broker.setPosition('AAPL', '7');
    await made.engine.reconcile();
    expect(made.position('UNASSIGNED', 'AAPL')).toBe('7');
    await made.pass(1000);
    broker.fill(await submitted(made, puppet), { price: '100' });
    await made.idle();
    expect([made.position('alpha', 'AAPL'), made.state.register('alpha').cash()]).toEqual(['10', '0']);
    expect(await made.engine.reconcile()).toMatchObject({ outcome: 'ok' });
  });

  it('is remembered over a restart: an execution that it covers counts for nothing then', async () => {
    const { made, puppet } = await synced();
    const orderId = await submitted(made, puppet);
    const { broker } = made;
    const other = broker.placeElsewhere('MSFT', '1').order_id ?? '';
    broker.holdStream();
    const late = broker.fill(orderId, { amount: '4' });
    broker.fill(other);
    // The list lacks the first of the two, the figures have both.
    broker.fills.splice(0, 1);
    await made.engine.reconcile();
    // No book held any, so that nobody's book has the difference.
    expect(made.position('UNASSIGNED', 'AAPL')).toBe('4');
    broker.crashEngine();
    const second = rig({ broker, state: reborn(made.engine.snapshot()) });
    await second.start();
    const report = broker.orders.get(orderId);
    if (report !== undefined) broker.tell(report, late);
    await second.idle();
    expect([second.position('alpha', 'AAPL'), second.position('UNASSIGNED', 'AAPL')]).toEqual(['0', '4']);
    expect(second.state.register('alpha').hasExecution(late.execution_id)).toBe(true);
    const sum = ['alpha', 'UNASSIGNED'].map((name) => Number(second.state.register(name).cash()));
    expect(sum.reduce((a, b) => a + b)).toBe(Number(broker.cash.get('USD')));
  });
});
