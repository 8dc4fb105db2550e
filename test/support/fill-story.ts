import { decimal, decimalString, zero } from '../../src/model/money.ts';
import { isFinal } from '../../src/model/order.ts';
import type { FillReport, OrderReport } from '../../src/model/report.ts';
import { ManualClock } from '../../src/testing/manual-clock.ts';
import { CrashDisk, Life, Wisher, type WrapState } from './crash-life.ts';
import { CrashVenue, type Placed } from './crash-venue.ts';
import { Seeded } from './seeded.ts';

export interface FillCounts {
  fills: number;
  partial: number;
  duplicate: number;
  reordered: number;
  late: number;
  down: number;
}

export interface FillStory {
  /** What is not exact. */
  readonly wrong: string[];
  readonly counts: FillCounts;
}

/** Asset → amount, of the strategy of each number: nobody shares an asset, so that each book can be checked alone. */
const wishes = [
  new Map([
    ['A', '10'],
    ['B', '-7.5'],
  ]),
  new Map([['C', '0.1234567']]),
];

/**
 * Row 23: one story. Orders are executed in parts; the stream tells each part at once, late, twice, in another order, or never; it breaks
 * and comes back; the process is killed and starts again. At the end every book has exactly its own executions.
 */
export async function fillStory(seed: number, wrapState?: WrapState): Promise<FillStory> {
  const random = new Seeded(seed);
  const clock = new ManualClock('2025-10-02T14:30:00Z');
  const settleMs = random.one([0, 1000]);
  const venue = new CrashVenue({
    clock,
    ids: 'enforced',
    windowMs: 0,
    tellsWindow: false,
    settleMs,
    lagMs: () => 0,
    listLagMs: () => random.below(settleMs + 1),
    failsRead: () => random.chance(0.1),
  });
  const disk = new CrashDisk();
  const counts: FillCounts = { fills: 0, partial: 0, duplicate: 0, reordered: 0, late: 0, down: 0 };
  const wrong: string[] = [];
  const born = async (): Promise<Life> => {
    const life = new Life({
      disk,
      venue,
      clock,
      strategies: wishes.map((some, index) => new Wisher(`wisher_${index}`, some)),
      ...(wrapState === undefined ? {} : { wrapState }),
    });
    await life.start();
    if (life.faults.length > 0) wrong.push(...life.faults);
    return life;
  };
  let life = await born();
  await life.price('A');
  await life.pass(1000);
  let untold: [OrderReport, FillReport][] = [];
  for (let step = 0; step < 10; step += 1) {
    const order = executable(venue, random);
    clock.advance(random.one([0, 1, 300]));
    switch (random.below(6)) {
      case 0:
      case 1:
      case 2: {
        if (order === undefined) break;
        const told = executed(venue, order, random, counts);
        if (random.chance(0.3)) untold.push(told);
        else life.session.tell(...told);
        if (random.chance(0.2)) {
          counts.duplicate += 1;
          life.session.tell({ ...told[0], status: 'open', filled_amount: '0' }, told[1]);
        }
        break;
      }
      case 3:
        if (untold.length > 1) counts.reordered += untold.length;
        else counts.late += untold.length;
        for (const told of random.shuffled(untold)) life.session.tell(...told);
        untold = [];
        break;
      case 4:
        life.session.reconnect();
        await life.pass(random.one([0, 1000]));
        break;
      case 5:
        if (!random.chance(0.4)) break;
        // What is committed and not durable is gone, and what happens meanwhile nobody is told.
        if (random.chance(0.5)) life.state.setAutoDurable(false);
        if (order !== undefined) life.session.tell(...executed(venue, order, random, counts));
        life.kill();
        for (let times = random.below(3); times > 0; times -= 1) {
          const other = executable(venue, random);
          if (other === undefined) break;
          counts.down += 1;
          executed(venue, other, random, counts);
        }
        if (random.chance(0.2)) for (const open of venue.live()) venue.cancel(open);
        clock.advance(random.one([0, 5000]));
        life = await born();
        break;
    }
  }
  for (const told of untold.slice(random.below(untold.length + 1))) {
    counts.late += 1;
    life.session.tell(...told);
  }
  await life.pass(2000);
  life.session.reconnect();
  await life.pass(8000);
  return { wrong: [...wrong, ...inexact(venue, life)], counts };
}

function executable(venue: CrashVenue, random: Seeded): Placed | undefined {
  const live = venue.live();
  return live.length === 0 ? undefined : random.one(live);
}

function executed(venue: CrashVenue, order: Placed, random: Seeded, counts: FillCounts): [OrderReport, FillReport] {
  const left = decimal(order.report.amount).minus(order.report.filled_amount);
  const amount = random.chance(0.4) ? left : left.div(random.one([2, 3, 7])).toDecimalPlaces(7);
  counts.fills += 1;
  if (!amount.eq(left)) counts.partial += 1;
  const fill = venue.execute(
    order,
    decimalString(amount.isZero() ? left : amount),
    random.one(['10', '9.99', '10.1234567', '0.0003']),
    random.one(['0', '0.35', '-0.01']),
  );
  return [order.report, fill];
}

/** Each book against the sum of its own executions, to the last digit. */
function inexact(venue: CrashVenue, life: Life): string[] {
  const wrong = [...life.faults];
  if (life.isHalted) wrong.push(`halted: ${life.haltReason}`);
  for (const [index, some] of wishes.entries()) {
    const book = life.state.register(`wisher_${index}`);
    let cash = decimal('1000');
    for (const asset of some.keys()) {
      const fills = venue.fills.filter((fill) => fill.asset === asset);
      const amount = fills.reduce((sum, fill) => sum.plus(fill.amount), zero);
      cash = fills.reduce((sum, fill) => sum.minus(decimal(fill.amount).times(fill.price)).minus(fill.fee), cash);
      const held = book.position(asset)?.amount ?? '0';
      if (held !== decimalString(amount)) wrong.push(`${asset}: ${held} here, ${decimalString(amount)} executed`);
      const order = book.orders().find((open) => open.asset === asset);
      const there = venue.placed.findLast(({ report }) => report.asset === asset)?.report;
      if ((order === undefined) !== (there === undefined || isFinal(there.status))) {
        wrong.push(`${asset}: order ${order?.status ?? 'none'} here, ${there?.status ?? 'none'} there`);
      }
      if (order !== undefined && order.filled_amount !== there?.filled_amount) {
        wrong.push(`${asset}: order filled ${order.filled_amount} here, ${there?.filled_amount} there`);
      }
    }
    if (book.cash() !== decimalString(cash)) wrong.push(`cash of ${book.name}: ${book.cash()}, expected ${cash}`);
  }
  const rest = life.state.register('UNASSIGNED').positions();
  if (rest.length > 0) wrong.push(`UNASSIGNED holds ${rest.map(({ asset }) => asset).join(', ')}`);
  return wrong;
}
