import type { After } from '../actor/timers.ts';
import type { ActivityCursor, BrokerAdapter, FillPage } from '../brokers/adapter.ts';
import { StateError } from '../model/errors.ts';
import { decimal, decimalString } from '../model/money.ts';
import type { OrderReport } from '../model/report.ts';
import { micros } from '../model/time.ts';
import { Backoff, pause } from './backoff.ts';
import type { OrderManager } from './order-manager.ts';
import type { TradingCore } from './trading-core.ts';

/** What the broker told about the time in which nobody listened. */
export interface CaughtUp {
  /** Reports of orders that are open here or there. */
  readonly reports: readonly OrderReport[];
  readonly page: FillPage;
  /** Where the page begins. */
  readonly from: ActivityCursor;
}

/**
 * Reads what was missed: first the orders, then the executions after the cursor, so that every execution that a report counts is among
 * those read after it. Only reads; rejects with the adapter's error when one of them fails.
 */
export async function readMissed(
  broker: BrokerAdapter,
  orders: OrderManager,
  cursor: ActivityCursor,
): Promise<CaughtUp> {
  const reports = [...(await broker.fetchOpenOrders())];
  const shown = new Set(reports.map(({ order_id }) => order_id));
  // An order that was live and is not among the open ones has ended meanwhile; how is told by its own report. What was never shown to
  // us (pending, unknown) is for the look-up by id, which knows what a missing order proves.
  for (const order of orders.open()) {
    if (order.broker_order_id === null || shown.has(order.order_id)) continue;
    const report = await broker.fetchOrder(order.order_id);
    if (report !== null) reports.push(report);
  }
  const page = await broker.fetchFills(cursor);
  return { reports: [...reports, ...(await readOwners(broker, orders, page, reports))], page, from: cursor };
}

/**
 * An execution may name only the broker's order id, which nobody here has seen when the answer to the order was lost. It belongs to
 * one of the orders without a broker's id, if to any, and these are asked for before it could be booked as nobody's.
 */
async function readOwners(
  broker: BrokerAdapter,
  orders: OrderManager,
  page: FillPage,
  reports: readonly OrderReport[],
): Promise<OrderReport[]> {
  const named = new Set(reports.map(({ broker_order_id }) => broker_order_id));
  const assets = new Set<string>();
  for (const fill of page.fills) {
    if (fill.order_id !== null || named.has(fill.broker_order_id)) continue;
    if (orders.orderIdOf(null, fill.broker_order_id) === undefined) assets.add(fill.asset);
  }
  const found: OrderReport[] = [];
  if (assets.size === 0 || broker.capabilities.clientOrderIds === 'none') return found;
  for (const order of orders.open()) {
    if (order.broker_order_id !== null || !assets.has(order.asset)) continue;
    const report = await broker.fetchOrder(order.order_id);
    if (report !== null) found.push(report);
  }
  return found;
}

/** How many executions are booked in one commit. */
const commitFillsMax = 200;

export interface Booked {
  readonly fills: number;
  /** False where something could not be booked: the engine is halted then, and the cursor stands before it. */
  readonly complete: boolean;
}

/**
 * Books what was missed: reports, then executions in commits of a bounded size, each with the cursor that it reaches.
 * @param settleMs how late the broker may list an execution
 */
export function bookMissed(core: TradingCore, { reports, page, from: begin }: CaughtUp, settleMs: number): Booked {
  const reported = core.transact(() => {
    for (const report of reports) core.orders.report(asBooked(core, report, page), true);
    // Books that had no cursor were read from where they were saved, and never again from the account's beginning.
    if (core.isWithoutCursor) core.moveCursor(begin);
  });
  let booked = 0;
  if (!reported) return { fills: booked, complete: false };
  for (let from = 0; from < page.fills.length; from += commitFillsMax) {
    const fills = page.fills.slice(from, from + commitFillsMax);
    let inThisCommit = 0;
    const committed = core.transact(() => {
      for (const fill of fills) if (core.orders.fill(fill)) inThisCommit += 1;
      // A long page must not forget its first execution ids before the cursor is past them.
      const reached = settledCursor(page, from + fills.length, settleMs);
      if (reached !== null) core.moveCursor(reached);
    });
    if (!committed) return { fills: booked, complete: false };
    booked += inThisCommit;
  }
  return { fills: booked, complete: true };
}

/**
 * How far the cursor may go after the first `count` executions of a page: a broker that lists some of them late would list one before
 * the newest after it was read, so that what is not older than the newest by its settling time is read again. Null: not at all.
 */
function settledCursor({ fills, cursor }: FillPage, count: number, settleMs: number): ActivityCursor | null {
  const newest = fills.at(-1);
  if (newest === undefined) return null;
  if (count === fills.length && (settleMs === 0 || count > unsettledMax)) return cursor;
  const settled = micros(newest.at) - settleMs * 1000;
  for (let index = count - 1; index >= 0; index -= 1) {
    const fill = fills[index];
    if (fill?.activity_id == null) continue;
    if (micros(fill.at) <= settled || index >= unsettledMax) return { activity_id: fill.activity_id, at: fill.at };
  }
  return null;
}

/** Of a page longer than this the cursor passes the first ones: their ids are not remembered for ever. */
const unsettledMax = 900;

/**
 * The report of an order that nobody here has, as it was before the executions of this page: they are booked after it, and each would
 * count twice in an order that is taken over with all of them.
 */
function asBooked({ orders, books }: TradingCore, report: OrderReport, { fills }: FillPage): OrderReport {
  if (orders.orderIdOf(report.order_id, report.broker_order_id) !== undefined) return report;
  const told = micros(report.updated_at);
  let filled = decimal(report.filled_amount);
  for (const fill of fills) {
    if (fill.broker_order_id !== report.broker_order_id || micros(fill.at) > told) continue;
    if (!books.haveExecution(fill.execution_id)) filled = filled.minus(fill.amount);
  }
  return { ...report, filled_amount: decimalString(filled) };
}

export interface CatchUpOptions {
  readonly core: TradingCore;
  readonly broker: BrokerAdapter;
  readonly after: After;
  readonly random?: () => number;
  readonly signal: AbortSignal;
  /** Runs `work` after the events that wait; resolves when it has run. */
  readonly inTurn: (work: () => void) => Promise<void>;
  readonly failed: (error: unknown, attempt: number) => void;
}

/**
 * Catching up while the engine runs: one read at a time, tried again with backoff until it succeeds, and as long as reports tell of
 * executions that are not booked. Asking while one runs makes for one more after it.
 */
export class CatchUp {
  readonly #options: CatchUpOptions;
  #running: Promise<void> | null = null;
  #again = false;

  constructor(options: CatchUpOptions) {
    this.#options = options;
  }

  get isRunning(): boolean {
    return this.#running !== null;
  }

  request(): void {
    this.#again = true;
    this.#running ??= this.#run().finally(() => {
      this.#running = null;
      if (this.#again && !this.#options.signal.aborted) this.request();
    });
  }

  /** After a time in which nobody listened: reads now, and {@link onceSettled}. */
  afterGap(): void {
    this.request();
    this.onceSettled();
  }

  /** Reads when the broker's answers have caught up with what happened before the stream was there, since the stream does not tell it. */
  onceSettled(): void {
    const { after, broker, signal } = this.#options;
    const { settleMs } = broker.capabilities;
    if (settleMs === 0) return;
    void pause(after, settleMs, signal).then(() => {
      if (!signal.aborted) this.request();
    });
  }

  /** One last read before the engine stops, without a second try: what cannot be read now is read at the next start. */
  async last(): Promise<void> {
    const { core, broker, inTurn, failed } = this.#options;
    try {
      const missed = await readMissed(broker, core.orders, core.books.unassigned.cursor());
      await inTurn(() => {
        bookMissed(core, missed, broker.capabilities.settleMs);
      });
    } catch (error) {
      failed(error, 1);
    }
  }

  async #run(): Promise<void> {
    const { core, broker, after, random, signal, inTurn } = this.#options;
    const backoff = new Backoff(random === undefined ? {} : { random });
    let failures = 0;
    while (this.#again && !signal.aborted) {
      this.#again = false;
      try {
        const missed = await readMissed(broker, core.orders, core.books.unassigned.cursor());
        let complete = false;
        await inTurn(() => {
          complete = bookMissed(core, missed, broker.capabilities.settleMs).complete;
        });
        if (!complete) throw new StateError('NOT_BOOKED', 'what was missed could not be booked');
        failures = 0;
        if (core.orders.behind) await this.#wait(backoff.nextMs());
      } catch (error) {
        failures += 1;
        this.#options.failed(error, failures);
        await pause(after, backoff.nextMs(error), signal);
        this.#again = true;
      }
    }
  }

  /** Executions may be listed a moment later than they are told. */
  async #wait(ms: number): Promise<void> {
    await pause(this.#options.after, ms, this.#options.signal);
    if (this.#options.core.orders.behind) this.#again = true;
  }
}
