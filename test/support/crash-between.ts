import { decimal, decimalString, zero } from '../../src/model/money.ts';
import { isFinal } from '../../src/model/order.ts';
import { ManualClock } from '../../src/testing/manual-clock.ts';
import { CrashDisk, Life, Wisher, type WrapState } from './crash-life.ts';
import { CrashVenue } from './crash-venue.ts';
import { Seeded } from './seeded.ts';

export const crashPoints = ['intent durable', 'sent', 'accepted', 'answered', 'outcome durable'] as const;
export type CrashPoint = (typeof crashPoints)[number];
export const idKinds = ['enforced', 'window', 'none'] as const;

export interface CrashResult {
  readonly duplicated: string[];
  readonly lost: string[];
  /** Anything else that must not be. */
  readonly wrong: string[];
  readonly crashed: boolean;
  readonly resolved: boolean;
  readonly halted: boolean;
}

/**
 * Row 22: one story. Two strategies wish for some orders; the process is killed at the given point of one of them, and perhaps again while
 * it starts; meanwhile the venue goes on. Then the last life runs until nothing happens any more, and everything is counted.
 */
export async function crashBetween(
  point: CrashPoint,
  ids: (typeof idKinds)[number],
  seed: number,
  wrapState?: WrapState,
): Promise<CrashResult> {
  const random = new Seeded(seed * 31 + crashPoints.indexOf(point) * 7 + idKinds.indexOf(ids));
  const clock = new ManualClock('2025-10-02T14:30:00Z');
  const settleMs = random.one([0, 500, 3000]);
  const venue = new CrashVenue({
    clock,
    ids,
    windowMs: 60_000,
    tellsWindow: random.chance(0.5),
    settleMs,
    lagMs: () => random.below(settleMs / 2 + 1),
    failsRead: () => random.chance(0.1),
  });
  const disk = new CrashDisk();
  const wishes = [amounts(random, 'A'), amounts(random, 'B')];
  const all = wishes.flatMap((some) => [...some.keys()]);
  const life = (): Life =>
    new Life({
      disk,
      venue,
      clock,
      strategies: wishes.map((some, index) => new Wisher(`wisher_${index}`, some)),
      ...(wrapState === undefined ? {} : { wrapState }),
    });

  const first = life();
  const faults = [first.faults];
  await first.start();
  const at = { point, random, settleMs, count: random.below(all.length) + 1 };
  armKill(venue, first, at);
  await first.price('A0');
  if (random.chance(0.5)) await first.price('A0');
  await first.pass(random.below(500));
  const crashed = first.isDead;
  first.kill();
  disarm(venue);
  await whileDown(venue, clock, random);

  // A second crash, at some call of the start.
  if (random.chance(0.4)) {
    const second = life();
    faults.push(second.faults);
    let calls = random.below(8) + 1;
    venue.onCall = () => {
      calls -= 1;
      if (calls === 0) second.kill();
    };
    await second.start();
    second.kill();
    disarm(venue);
    await whileDown(venue, clock, random);
  }

  const last = life();
  faults.push(last.faults);
  const unknown = disk.mirror.strategies().flatMap((name) => disk.mirror.snapshot(name).pending_orders);
  const waiting = unknown
    .filter(({ status }) => status === 'pending' || status === 'unknown')
    .map(({ order_id }) => order_id);
  await last.start();
  await last.price('A0');
  for (const order of venue.live()) {
    if (!random.chance(0.5)) continue;
    const fill = venue.execute(order, part(order.report, random), price(random), random.one(['0', '0.07']));
    last.session.tell(order.report, fill);
    if (random.chance(0.3)) last.session.tell(order.report, fill);
  }
  await last.pass(6000);
  await last.price('A0');
  last.session.reconnect();
  await last.pass(6000);
  await last.reconcile();
  return {
    ...counted(venue, last, all, ids),
    crashed,
    resolved: waiting.length > 0 && noneUnknown(last),
    wrong: [...faults.flat(), ...wrongs(venue, last, ids)],
  };
}

interface Kill {
  readonly point: CrashPoint;
  readonly random: Seeded;
  readonly settleMs: number;
  /** At which order. */
  count: number;
}

function armKill(venue: CrashVenue, life: Life, kill: Kill): void {
  const { point, random, settleMs } = kill;
  const isTheOne = (): boolean => {
    kill.count -= 1;
    return kill.count === 0;
  };
  if (point === 'intent durable' || point === 'sent') {
    venue.onSubmit = (_request, session) => {
      if (session !== life.session || !isTheOne()) return { kind: 'taken' };
      life.kill();
      // A venue says how long what is on its way may still turn up: it is not later than that.
      if (point === 'intent durable' || random.chance(0.4)) return { kind: 'lost' };
      return random.chance(0.3) ? { kind: 'taken' } : { kind: 'late', ms: random.below(settleMs / 2 + 1) };
    };
    return;
  }
  venue.onTaken = (_request, session) => {
    if (session !== life.session || !isTheOne()) return;
    if (point === 'accepted') life.kill();
    else {
      // The answer is booked; `answered` dies before that is durable.
      if (point === 'answered') life.state.setAutoDurable(false);
      let turns = 4;
      const later = (): void => {
        turns -= 1;
        if (turns === 0) life.kill();
        else setImmediate(later);
      };
      setImmediate(later);
    }
  };
}

function disarm(venue: CrashVenue): void {
  venue.onSubmit = () => ({ kind: 'taken' });
  venue.onTaken = () => {};
  venue.onCall = () => {};
}

/** Time passes, long enough for ids to be forgotten or not, and orders fill and end. */
async function whileDown(venue: CrashVenue, clock: ManualClock, random: Seeded): Promise<void> {
  clock.advance(random.one([0, 200, 1000, 20_000, 90_000]));
  for (const order of venue.live()) {
    if (random.chance(0.4))
      venue.execute(order, part(order.report, random), price(random), random.one(['0', '0.07', '-0.01']));
    if (!isFinal(order.report.status) && random.chance(0.2)) venue.cancel(order);
  }
  clock.advance(random.below(3));
}

function amounts(random: Seeded, prefix: string): ReadonlyMap<string, string> {
  const count = 1 + random.below(2);
  return new Map(
    Array.from({ length: count }, (_, index) => [
      `${prefix}${index}`,
      random.one(['10', '-7', '2.5', '0.1234567', '-1000.000001']),
    ]),
  );
}

function part(report: { readonly amount: string; readonly filled_amount: string }, random: Seeded): string {
  const left = decimal(report.amount).minus(report.filled_amount);
  return decimalString(random.chance(0.5) ? left : left.div(3).toDecimalPlaces(7));
}

function price(random: Seeded): string {
  return random.one(['10', '9.99', '10.125', '0.0003']);
}

function noneUnknown(life: Life): boolean {
  return life.state.strategies().every((name) =>
    life.state
      .register(name)
      .orders()
      .every(({ status }) => status !== 'unknown'),
  );
}

function counted(
  venue: CrashVenue,
  life: Life,
  assets: readonly string[],
  ids: (typeof idKinds)[number],
): Pick<CrashResult, 'duplicated' | 'lost' | 'halted'> {
  const duplicated = assets.filter((asset) => venue.effective(asset).length > 1);
  for (const [orderId, times] of venue.submits) if (times > 1) duplicated.push(`${orderId} was sent ${times} times`);
  const books = life.state.strategies().map((name) => life.state.register(name));
  const open = books.flatMap((book) => book.orders());
  const known = (brokerOrderId: string): boolean => open.some((order) => order.broker_order_id === brokerOrderId);
  const lost = venue
    .live()
    .flatMap(({ report }) =>
      known(report.broker_order_id) ? [] : [`order ${report.broker_order_id} lives and nobody has it`],
    );
  for (const order of open) {
    const there = venue.placed.find(({ report }) => report.broker_order_id === order.broker_order_id);
    // Where the venue forgets ids nobody can be asked how an order ended: that it is gone is found by comparing, and halts.
    const differs = order.status === 'unknown' || there === undefined || isFinal(there.report.status);
    if (differs && (ids === 'enforced' || !life.isHalted)) {
      lost.push(`order ${order.order_id} is ${order.status} here and ${there?.report.status ?? 'not'} there`);
    }
    if (there !== undefined && !decimal(there.report.filled_amount).eq(order.filled_amount)) {
      lost.push(`order ${order.order_id} is filled ${order.filled_amount}, in truth ${there.report.filled_amount}`);
    }
  }
  for (const asset of assets) {
    const ours = books.reduce((sum, book) => sum.plus(book.position(asset)?.amount ?? '0'), zero);
    if (decimalString(ours) !== venue.position(asset))
      lost.push(`${asset}: ${ours} here, ${venue.position(asset)} there`);
  }
  const cash = books.reduce((sum, book) => sum.plus(book.cash()), zero);
  if (!cash.eq(venue.cash)) lost.push(`cash ${cash} here, ${venue.cash} there`);
  if (ids !== 'none' && life.state.register('UNASSIGNED').positions().length > 0)
    lost.push('a fill of ours went to UNASSIGNED');
  return { duplicated, lost, halted: life.isHalted };
}

/** The venue's own kind decides what may be: one that does not know our ids may halt us, one that enforces them may not. */
function wrongs(venue: CrashVenue, life: Life, ids: (typeof idKinds)[number]): string[] {
  const wrong: string[] = [];
  if (ids === 'enforced' && life.isHalted) wrong.push(`halted though the venue enforces ids: ${life.haltReason}`);
  if (ids === 'enforced' && !noneUnknown(life)) wrong.push('unknown though the venue enforces ids');
  const carriedOut = venue.placed.length > 0;
  if (!carriedOut && !life.isHalted && ids === 'enforced') wrong.push('no wish was carried out');
  return wrong;
}
