import type { BrokerAdapter } from '../../src/brokers/adapter.ts';
import { BrokerError } from '../../src/model/errors.ts';
import { decimal, decimalString } from '../../src/model/money.ts';
import type { AccountReport, PositionReport } from '../../src/model/report.ts';
import type { ReconciliationOptions } from '../../src/reconciliation/options.ts';
import type { ReconciliationPolicy, ReconciliationReport } from '../../src/reconciliation/types.ts';
import { ManualClock } from '../../src/testing/manual-clock.ts';
import { CrashDisk, Life, type MakeReconciler, Wisher } from './crash-life.ts';
import { CrashVenue } from './crash-venue.ts';
import { type Tampering, tampered } from './tampered.ts';

/** An account that holds 10 A, -4 B and 2.5 C, bought at 10, with an order for 3 D that is live; the books hold the same. */
export interface EvidenceScene {
  readonly venue: CrashVenue;
  readonly life: Life;
}

export interface EvidenceCase {
  readonly what: string;
  readonly tampering: (scene: () => EvidenceScene) => Tampering;
  /** What a run says of it: bad evidence is not known to be a difference. */
  readonly outcome: 'inconclusive' | 'ok';
}

const once = (call: number): boolean => call === 1;
const without = (positions: readonly PositionReport[], ...assets: string[]): PositionReport[] =>
  positions.filter(({ asset }) => !assets.includes(asset));
const priced = (positions: readonly PositionReport[]): PositionReport[] =>
  positions.map((position) => ({ ...position, last_price: '10' }));
/** With the equity that the venue's true holdings have. */
const withEquity = async (truth: BrokerAdapter['fetchAccount'], scene: EvidenceScene): Promise<AccountReport> => {
  const account = await truth();
  const worth = ['A', 'B', 'C'].reduce(
    (sum, asset) => sum.plus(decimal(scene.venue.position(asset)).times(10)),
    decimal('0'),
  );
  return { ...account, equity: decimalString(worth.plus(account.cash['USD'] ?? '0')) };
};
const failing =
  (code: string, details = {}): (() => Promise<never>) =>
  async () => {
    throw new BrokerError(code, 'as the test says', { retryable: true, details });
  };

export const evidenceCases: readonly EvidenceCase[] = [
  {
    what: 'an empty list of positions',
    outcome: 'inconclusive',
    tampering: () => ({ fetchPositions: () => async () => [] }),
  },
  {
    what: 'an empty list of positions, once',
    outcome: 'ok',
    tampering: () => ({ fetchPositions: (truth, call) => (once(call) ? async () => [] : truth) }),
  },
  {
    what: 'an empty list beside an equity that counts the positions',
    outcome: 'inconclusive',
    tampering: (scene) => ({
      fetchAccount: (truth) => () => withEquity(truth, scene()),
      fetchPositions: () => async () => [],
    }),
  },
  {
    what: 'the first page of two',
    outcome: 'inconclusive',
    tampering: () => ({ fetchPositions: (truth) => async () => (await truth()).slice(0, 1) }),
  },
  {
    what: 'the first page again in place of the second',
    outcome: 'inconclusive',
    tampering: () => ({
      fetchPositions: (truth) => async () => {
        const first = (await truth()).slice(0, 2);
        return [...first, ...first];
      },
    }),
  },
  {
    what: 'one symbol left out',
    outcome: 'inconclusive',
    tampering: () => ({ fetchPositions: (truth) => async () => without(await truth(), 'B') }),
  },
  {
    what: 'one symbol left out, beside an equity that counts it',
    outcome: 'inconclusive',
    tampering: (scene) => ({
      fetchAccount: (truth) => () => withEquity(truth, scene()),
      fetchPositions: (truth) => async () => priced(without(await truth(), 'A')),
    }),
  },
  {
    what: 'positions from before the last trade, once',
    outcome: 'ok',
    tampering: () => ({
      fetchPositions: (truth, call) => async () =>
        (await truth()).map((position) =>
          once(call) && position.asset === 'A' ? { ...position, amount: '6' } : position,
        ),
    }),
  },
  {
    what: 'positions from before the last trade, for good',
    outcome: 'inconclusive',
    tampering: (scene) => ({
      fetchAccount: (truth) => () => withEquity(truth, scene()),
      fetchPositions: (truth) => async () =>
        priced(await truth()).map((position) => (position.asset === 'A' ? { ...position, amount: '6' } : position)),
    }),
  },
  {
    what: 'cash from before the last trade, for good',
    outcome: 'inconclusive',
    tampering: (scene) => ({
      fetchAccount: (truth) => async () => ({
        ...(await withEquity(truth, scene())),
        cash: { USD: decimalString(scene().venue.cash.plus(40)) },
      }),
      fetchPositions: (truth) => async () => priced(await truth()),
    }),
  },
  {
    what: 'no cash figure',
    outcome: 'inconclusive',
    tampering: () => ({ fetchAccount: (truth) => async () => ({ ...(await truth()), cash: {} }) }),
  },
  {
    what: 'another account',
    outcome: 'inconclusive',
    tampering: () => ({
      fetchAccount: (truth, call) => async () => ({
        ...(await truth()),
        account_id: `account-${call}`,
        cash: { USD: '7' },
      }),
    }),
  },
  {
    what: 'an error',
    outcome: 'inconclusive',
    tampering: () => ({ fetchPositions: () => failing('BROKER_UNAVAILABLE') }),
  },
  {
    what: 'too many requests',
    outcome: 'inconclusive',
    tampering: () => ({ fetchAccount: () => failing('BROKER_RATE_LIMITED', { retry_after_ms: 1000 }) }),
  },
  {
    what: 'an answer that does not parse',
    outcome: 'inconclusive',
    tampering: () => ({
      fetchPositions: (truth) => async () => (await truth()).map((position) => ({ ...position, amount: '1e3x' })),
    }),
  },
  {
    what: 'an older answer that arrives late',
    outcome: 'inconclusive',
    tampering: () => ({
      fetchFills: (truth, call) => async (cursor) =>
        call % 2 === 0 ? { fills: [], cursor: { activity_id: '1', at: '2025-10-02T14:30:00.000000Z' } } : truth(cursor),
      fetchPositions: () => async () => [],
    }),
  },
  {
    what: 'an account that moves in each read',
    outcome: 'inconclusive',
    tampering: (scene) => ({
      fetchOpenOrders: (truth) => async () => {
        const { venue } = scene();
        const order = venue.placed.findLast(({ report }) => report.asset === 'D');
        if (order !== undefined) venue.execute(order, '0.1', '10', '0');
        return truth();
      },
      fetchAccount: (truth) => async () => ({ ...(await truth()), cash: { USD: '7' } }),
    }),
  },
  {
    what: 'an order that is filled further than its executions',
    outcome: 'inconclusive',
    tampering: (scene) => ({
      fetchOpenOrders: (truth) => async () => {
        const told = { filled_amount: '1', status: 'partially_filled' as const, updated_at: scene().venue.now() };
        return (await truth()).map((order) => ({ ...order, ...told }));
      },
    }),
  },
  {
    what: 'no open order, and by its id it is there',
    outcome: 'ok',
    tampering: () => ({ fetchOpenOrders: () => async () => [] }),
  },
];

/** Makes the account, by real orders and executions, all of them booked. */
export async function evidenceScene(
  policy: ReconciliationPolicy,
  tampering: (scene: () => EvidenceScene) => Tampering = () => ({}),
  reconciliation: ReconciliationOptions = {},
  reconciler?: MakeReconciler,
): Promise<EvidenceScene> {
  const clock = new ManualClock('2025-10-02T14:30:00Z');
  const venue = new CrashVenue({
    clock,
    ids: 'enforced',
    windowMs: 0,
    tellsWindow: false,
    settleMs: 5000,
    lagMs: () => 0,
    failsRead: () => false,
  });
  let isLying = false;
  const lie: Tampering = tampering(() => scene);
  const life = new Life({
    disk: new CrashDisk(),
    venue,
    clock,
    policy,
    reconciliation,
    ...(reconciler === undefined ? {} : { reconciler }),
    strategies: [
      new Wisher(
        'wisher',
        new Map([
          ['A', '10'],
          ['B', '-4'],
          ['C', '2.5'],
          ['D', '3'],
        ]),
      ),
    ],
    wrapReads: (broker) => {
      const liar = tampered(broker, lie);
      return new Proxy(broker, { get: (target, name) => Reflect.get(isLying ? liar : honest(target), name) });
    },
  });
  const scene: EvidenceScene = { venue, life };
  await life.start();
  await life.price('A');
  for (const order of venue.live()) {
    if (order.report.asset === 'D') continue;
    const fill = venue.execute(order, order.report.amount, '10', '0');
    life.session.tell(order.report, fill);
  }
  await life.pass(1000);
  // What happened is old enough that the venue's answers have nothing to lag behind.
  clock.advance(20_000);
  isLying = true;
  return scene;
}

function honest(broker: BrokerAdapter): BrokerAdapter {
  return tampered(broker, {});
}

/** What a run on bad evidence did that it must not do. */
export function misled(scene: EvidenceScene, report: ReconciliationReport | null, expected: EvidenceCase): string[] {
  const { venue, life } = scene;
  const wrong = [...life.faults];
  if (report === null) return [...wrong, 'no report'];
  if (report.plan.actions.length > 0) wrong.push(`a plan of ${report.plan.actions.length} actions`);
  if (life.isHalted) wrong.push(`halted: ${life.haltReason}`);
  const books = life.state.strategies().map((name) => life.state.register(name));
  for (const asset of ['A', 'B', 'C', 'D']) {
    const ours = books.reduce((sum, book) => sum.plus(book.position(asset)?.amount ?? '0'), decimal('0'));
    if (decimalString(ours) !== venue.position(asset))
      wrong.push(`${asset}: ${ours} here, ${venue.position(asset)} there`);
  }
  const cash = books.reduce((sum, book) => sum.plus(book.cash()), decimal('0'));
  if (!cash.eq(venue.cash)) wrong.push(`cash: ${cash} here, ${venue.cash} there`);
  // What changes nothing and stops nobody is told after one read; that it may be wrong is why it is only told.
  const isTold = report.policy === 'WARN_ONLY' && report.outcome === 'discrepancies';
  if (report.outcome !== expected.outcome && !isTold) wrong.push(`${report.outcome}: ${report.why_inconclusive}`);
  return wrong;
}
