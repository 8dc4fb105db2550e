import type {
  ActivityCursor,
  BrokerAdapter,
  BrokerCapabilities,
  FillPage,
  OrderReference,
  OrderRequest,
  StreamConnection,
  StreamListener,
} from '../../src/brokers/adapter.ts';
import { BrokerError } from '../../src/model/errors.ts';
import { decimal, decimalString, zero } from '../../src/model/money.ts';
import { isFinal } from '../../src/model/order.ts';
import type { AccountReport, FillReport, OrderReport, PositionReport } from '../../src/model/report.ts';
import { timestamp } from '../../src/model/time.ts';
import type { ManualClock } from '../../src/testing/manual-clock.ts';
import { unreachable } from './fake-broker.ts';

/** What becomes of a request to place an order. lost: it never arrives. late: it arrives after `ms`. */
export type Transit =
  | { readonly kind: 'taken' }
  | { readonly kind: 'lost' }
  | { readonly kind: 'late'; readonly ms: number };

export interface VenueOptions {
  readonly clock: ManualClock;
  readonly ids: BrokerCapabilities['clientOrderIds'];
  /** For `window`: how long it remembers ids. */
  readonly windowMs: number;
  /** Whether it says how long. */
  readonly tellsWindow: boolean;
  readonly settleMs: number;
  /** Between 0 and settleMs: how long after it was taken an order shows in reads. */
  readonly lagMs: () => number;
  /** How long after it happened an execution shows among the activities; none where absent. */
  readonly listLagMs?: () => number;
  /** Whether a read fails. */
  readonly failsRead: () => boolean;
}

export interface Placed {
  report: OrderReport;
  /** What the request said, also where the venue does not keep it. */
  readonly requestId: string;
  readonly takenMs: number;
  readonly visibleMs: number;
}

/**
 * A venue that outlives the engines that trade there. Each life has a session of its own: what a dead one still asks is not heard, and
 * what is on its way when it dies arrives or does not, as the scenario says.
 */
export class CrashVenue {
  readonly placed: Placed[] = [];
  readonly fills: FillReport[] = [];
  cash = decimal('1000000');
  /** Called with each request to place an order, before it is taken, and with the session that asks. */
  onSubmit: (request: OrderRequest, session: VenueSession) => Transit = () => ({ kind: 'taken' });
  /** Called once an order was taken, before its answer leaves. */
  onTaken: (request: OrderRequest, session: VenueSession) => void = () => {};
  /** Called with the name of each call, before it is answered. */
  onCall: (name: string, session: VenueSession) => void = () => {};
  /** How often each id was asked to be placed. */
  readonly submits = new Map<string, number>();
  /** Whether an execution shows among the activities yet, beside `listLagMs`. */
  isListed: (fill: FillReport) => boolean = () => true;
  readonly options: VenueOptions;
  readonly #listedMs = new Map<string, number>();

  constructor(options: VenueOptions) {
    this.options = options;
  }

  get nowMs(): number {
    return this.options.clock.monotonicMs();
  }

  now(): string {
    return timestamp(this.options.clock.nowMicros());
  }

  /** What every order of an asset that lives or has executions; a wish that was carried out twice has two. */
  effective(asset: string): Placed[] {
    return this.placed.filter(
      ({ report }) => report.asset === asset && (!isFinal(report.status) || report.filled_amount !== '0'),
    );
  }

  live(): Placed[] {
    return this.placed.filter(({ report }) => !isFinal(report.status));
  }

  /** @throws BrokerError BROKER_DUPLICATE_ORDER_ID */
  take(request: OrderRequest): OrderReport {
    if (this.placed.some((order) => order.requestId === request.order_id && this.remembers(order))) {
      throw new BrokerError('BROKER_DUPLICATE_ORDER_ID', `order ${request.order_id} exists`);
    }
    const at = this.now();
    const report: OrderReport = {
      ...request,
      order_id: this.options.ids === 'none' ? null : request.order_id,
      broker_order_id: `b-${this.placed.length + 1}`,
      status: 'open',
      filled_amount: '0',
      average_fill_price: null,
      reason: null,
      created_at: at,
      updated_at: at,
    };
    const visibleMs = this.nowMs + this.options.lagMs();
    this.placed.push({ report, requestId: request.order_id, takenMs: this.nowMs, visibleMs });
    return report;
  }

  remembers({ takenMs }: Placed): boolean {
    const { ids, windowMs } = this.options;
    return ids === 'enforced' || (ids === 'window' && this.nowMs - takenMs < windowMs);
  }

  visible(order: Placed): boolean {
    return this.nowMs >= order.visibleMs;
  }

  /** Executes a part of an order. */
  execute(order: Placed, amount: string, price: string, fee: string): FillReport {
    const filled = decimal(order.report.filled_amount).plus(amount);
    const at = this.now();
    order.report = {
      ...order.report,
      filled_amount: decimalString(filled),
      average_fill_price: price,
      status: filled.eq(order.report.amount) ? 'filled' : 'partially_filled',
      updated_at: at,
    };
    const number = this.fills.length + 1;
    const fill: FillReport = {
      execution_id: `x-${number}`,
      activity_id: String(number),
      order_id: order.report.order_id,
      broker_order_id: order.report.broker_order_id,
      asset: order.report.asset,
      amount,
      price,
      currency: null,
      fee,
      fee_currency: null,
      at,
    };
    this.fills.push(fill);
    this.#listedMs.set(fill.execution_id, this.nowMs + (this.options.listLagMs?.() ?? 0));
    this.cash = this.cash.minus(decimal(amount).times(price)).minus(fee);
    return fill;
  }

  /** The executions that its activities show now. */
  listed(): FillReport[] {
    return this.fills.filter(
      (fill) => (this.#listedMs.get(fill.execution_id) ?? 0) <= this.nowMs && this.isListed(fill),
    );
  }

  cancel(order: Placed): void {
    order.report = { ...order.report, status: 'canceled', updated_at: this.now() };
  }

  position(asset: string): string {
    const sum = this.fills.filter((fill) => fill.asset === asset).reduce((all, { amount }) => all.plus(amount), zero);
    return decimalString(sum);
  }
}

/** One engine's connection. After `die()` nothing that it asked is answered any more. */
export class VenueSession implements BrokerAdapter {
  readonly name = 'venue';
  readonly capabilities: BrokerCapabilities;
  readonly #venue: CrashVenue;
  readonly #isSteady: boolean;
  #listener: StreamListener | null = null;
  #dead = false;

  /** @param isSteady no read of it fails, and none is told to `onCall` */
  constructor(venue: CrashVenue, isSteady = false) {
    const { ids, settleMs, windowMs, tellsWindow } = venue.options;
    this.#venue = venue;
    this.#isSteady = isSteady;
    this.capabilities = {
      clientOrderIds: ids,
      settleMs,
      replace: false,
      shorts: true,
      ...(ids === 'window' && tellsWindow ? { clientOrderIdWindowMs: windowMs } : {}),
    };
  }

  die(): void {
    this.#dead = true;
    this.#listener = null;
  }

  /** The stream comes back after a gap. */
  reconnect(): void {
    this.#listener?.connected();
  }

  tell(report: OrderReport, fill: FillReport | null): void {
    this.#listener?.update(report, fill);
  }

  submitOrder(request: OrderRequest): Promise<OrderReport> {
    const venue = this.#venue;
    return this.#answer('submitOrder', () => {
      venue.submits.set(request.order_id, (venue.submits.get(request.order_id) ?? 0) + 1);
      const transit = venue.onSubmit(request, this);
      if (transit.kind === 'lost') throw unreachable();
      if (transit.kind === 'late') {
        venue.options.clock.after(transit.ms, () => void venue.take(request));
        throw unreachable();
      }
      const report = venue.take(request);
      venue.onTaken(request, this);
      return report;
    });
  }

  cancelOrder(reference: OrderReference): Promise<void> {
    return this.#answer('cancelOrder', () => {
      const order = this.#venue.placed.find(({ report }) => report.broker_order_id === reference.broker_order_id);
      if (order === undefined || isFinal(order.report.status)) throw new BrokerError('BROKER_REJECTED', 'not live');
      this.#venue.cancel(order);
      this.tell(order.report, null);
    });
  }

  replaceOrder(): Promise<OrderReport> {
    return Promise.reject(new BrokerError('BROKER_REJECTED', 'the venue replaces no order'));
  }

  fetchAccount(): Promise<AccountReport> {
    return this.#read('fetchAccount', () => ({
      account_id: 'venue',
      currency: 'USD',
      cash: { USD: decimalString(this.#venue.cash) },
      equity: null,
      buying_power: null,
      blocked: false,
    }));
  }

  fetchPositions(): Promise<readonly PositionReport[]> {
    return this.#read('fetchPositions', () => {
      const assets = [...new Set(this.#venue.fills.map(({ asset }) => asset))];
      return assets
        .map((asset) => ({
          asset,
          amount: this.#venue.position(asset),
          cost_basis: null,
          last_price: null,
          currency: null,
        }))
        .filter(({ amount }) => amount !== '0');
    });
  }

  fetchOpenOrders(): Promise<readonly OrderReport[]> {
    return this.#read('fetchOpenOrders', () =>
      this.#venue
        .live()
        .filter((order) => this.#venue.visible(order))
        .map(({ report }) => report),
    );
  }

  fetchOrder(orderId: string): Promise<OrderReport | null> {
    return this.#read('fetchOrder', () => {
      const found = this.#venue.placed.find((order) => order.requestId === orderId);
      return found !== undefined && this.#venue.remembers(found) && this.#venue.visible(found) ? found.report : null;
    });
  }

  fetchFills(cursor: ActivityCursor): Promise<FillPage> {
    return this.#read('fetchFills', () => {
      const fills = this.#venue
        .listed()
        .filter((fill) =>
          cursor.activity_id === null
            ? cursor.at === null || fill.at >= cursor.at
            : Number(fill.activity_id) > Number(cursor.activity_id),
        );
      const last = fills.at(-1);
      return { fills, cursor: last === undefined ? cursor : { activity_id: last.activity_id, at: last.at } };
    });
  }

  async connect(listener: StreamListener): Promise<StreamConnection> {
    await this.#answer('connect', () => {
      this.#listener = listener;
      listener.connected();
    });
    return {
      close: async () => {
        this.#listener = null;
      },
    };
  }

  async close(): Promise<void> {
    this.#listener = null;
  }

  #read<T>(name: string, take: () => T): Promise<T> {
    return this.#answer(name, () => {
      if (!this.#isSteady && this.#venue.options.failsRead()) throw unreachable();
      return take();
    });
  }

  #answer<T>(name: string, take: () => T): Promise<T> {
    const never = new Promise<T>(() => {});
    if (this.#dead) return never;
    if (!this.#isSteady) this.#venue.onCall(name, this);
    // It may have been killed at this very call, or while the venue took it.
    if (this.#dead) return never;
    try {
      const taken = take();
      return this.#dead ? never : Promise.resolve(taken);
    } catch (error) {
      return this.#dead ? never : Promise.reject(error);
    }
  }
}
