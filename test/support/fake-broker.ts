import type {
  ActivityCursor,
  BrokerAdapter,
  BrokerCapabilities,
  FillPage,
  OrderReference,
  OrderRequest,
  ReplaceRequest,
  StreamConnection,
  StreamListener,
} from '../../src/brokers/adapter.ts';
import { BrokerError } from '../../src/model/errors.ts';
import { decimal, decimalString, zero } from '../../src/model/money.ts';
import { isFinal, type OrderStatus } from '../../src/model/order.ts';
import type { AccountReport, FillReport, OrderReport, PositionReport } from '../../src/model/report.ts';
import { type Timestamp, timestamp } from '../../src/model/time.ts';

export type FakeCallName =
  | 'submitOrder'
  | 'cancelOrder'
  | 'replaceOrder'
  | 'fetchAccount'
  | 'fetchPositions'
  | 'fetchOpenOrders'
  | 'fetchOrder'
  | 'fetchFills'
  | 'connect';

/**
 * What becomes of one call. hold: it is taken only when release() is called, and answered then, or refused with `error`. slow: it is
 * taken at once, and what was true then is answered when release() is called. lost: it is taken, and the answer is
 * an error. fail: it is not taken. hang: it is taken and never answered.
 */
export type FakeOutcome =
  | { readonly kind: 'hold'; readonly error?: Error }
  | { readonly kind: 'slow' }
  | { readonly kind: 'lost'; readonly error?: Error }
  | { readonly kind: 'fail'; readonly error: Error }
  | { readonly kind: 'hang' };

export const unreachable = (): BrokerError =>
  new BrokerError('BROKER_UNREACHABLE', 'the fake broker was told not to answer', { retryable: true });
export const rejected = (reason = 'no buying power'): BrokerError => new BrokerError('BROKER_REJECTED', reason);

/**
 * A broker in memory that does exactly what a test says: nothing is filled, held or lost unless told. It outlives engines, as a
 * broker does: an engine that crashes leaves it as it is.
 */
export class FakeBroker implements BrokerAdapter {
  readonly name = 'fake';
  readonly capabilities: BrokerCapabilities;
  readonly calls: { readonly name: FakeCallName; readonly id: string | null }[] = [];
  readonly orders = new Map<string, OrderReport>();
  readonly fills: FillReport[] = [];
  readonly cash = new Map<string, string>();
  readonly #positions = new Map<string, PositionReport>();
  readonly #script = new Map<FakeCallName, FakeOutcome[]>();
  readonly #held: (() => void)[] = [];
  readonly #listeners = new Set<StreamListener>();
  readonly #waiting = new Set<() => boolean>();
  #connected = true;
  #streamHeld: [OrderReport, FillReport | null][] | null = null;
  #count = 0;

  constructor(
    options: {
      readonly capabilities?: Partial<BrokerCapabilities>;
      readonly cash?: Readonly<Record<string, string>>;
    } = {},
  ) {
    this.capabilities = {
      clientOrderIds: 'enforced',
      settleMs: 0,
      replace: true,
      shorts: true,
      ...options.capabilities,
    };
    for (const [currency, amount] of Object.entries(options.cash ?? { USD: '0' })) this.cash.set(currency, amount);
  }

  // What the test says.

  /** Scripts the next calls of that name, one outcome each; calls beyond the script succeed at once. */
  next(name: FakeCallName, ...outcomes: readonly FakeOutcome[]): void {
    this.#script.set(name, [...(this.#script.get(name) ?? []), ...outcomes]);
  }

  /** Takes and answers everything that is held. */
  release(): void {
    for (const take of this.#held.splice(0)) take();
  }

  /** How many streams are open. */
  get listening(): number {
    return this.#listeners.size;
  }

  called(name: FakeCallName): number {
    return this.calls.filter((call) => call.name === name).length;
  }

  /** Resolves once a call of that name was made `times` times in all. */
  async until(name: FakeCallName, times = 1): Promise<void> {
    if (this.called(name) >= times) return;
    await new Promise<void>((resolve) => {
      this.#waiting.add(() => {
        if (this.called(name) < times) return false;
        resolve();
        return true;
      });
    });
  }

  /** Executes a part of an order (all that is left of it where no amount is given) and tells the stream unless silent. */
  fill(
    orderId: string,
    options: {
      readonly amount?: string;
      readonly price?: string;
      readonly fee?: string;
      readonly silent?: boolean;
    } = {},
  ): FillReport {
    const order = this.#order(orderId);
    const amount = decimal(options.amount ?? decimalString(decimal(order.amount).minus(order.filled_amount)));
    const price = options.price ?? order.limit_price ?? '100';
    const filled = decimal(order.filled_amount).plus(amount);
    const report = this.#change(orderId, {
      filled_amount: decimalString(filled),
      average_fill_price: price,
      status: filled.eq(order.amount) ? 'filled' : isFinal(order.status) ? order.status : 'partially_filled',
    });
    const fill = this.#book(
      orderId,
      order.broker_order_id,
      order.asset,
      decimalString(amount),
      price,
      options.fee ?? '0',
    );
    if (options.silent !== true) this.tell(report, fill);
    return fill;
  }

  /** Ends an order in any way but by filling it, and tells the stream unless silent. */
  end(
    orderId: string,
    status: OrderStatus,
    options: { readonly silent?: boolean; readonly reason?: string } = {},
  ): OrderReport {
    const report = this.#change(orderId, { status, reason: options.reason ?? null });
    if (options.silent !== true) this.tell(report, null);
    return report;
  }

  /** An order that somebody places by other means. */
  placeElsewhere(asset: string, amount: string, orderId: string | null = null): OrderReport {
    return this.#accept({
      order_id: orderId ?? `elsewhere-${this.#count + 1}`,
      asset,
      amount,
      order_type: 'market',
      limit_price: null,
      stop_price: null,
      time_in_force: 'gtc',
    });
  }

  setPosition(asset: string, amount: string, costBasis: string | null = null): void {
    this.#positions.set(asset, { asset, amount, cost_basis: costBasis, last_price: null, currency: null });
  }

  /** Tells the stream something, true or not, as often as called. */
  tell(report: OrderReport, fill: FillReport | null): void {
    if (!this.#connected) return;
    if (this.#streamHeld !== null) this.#streamHeld.push([report, fill]);
    else for (const listener of this.#listeners) listener.update(report, fill);
  }

  /** Keeps what the stream would tell until told in an order of the test's choosing. */
  holdStream(): void {
    this.#streamHeld ??= [];
  }

  releaseStream(
    arrange: (held: [OrderReport, FillReport | null][]) => [OrderReport, FillReport | null][] = (held) => held,
  ): void {
    const held = arrange(this.#streamHeld ?? []);
    this.#streamHeld = null;
    for (const [report, fill] of held) this.tell(report, fill);
  }

  disconnect(): void {
    this.#connected = false;
    for (const listener of this.#listeners) listener.disconnected('the fake broker was told to');
  }

  reconnect(): void {
    this.#connected = true;
    for (const listener of this.#listeners) listener.connected();
  }

  /** The engine is gone without a word: nobody listens any more, and what is held never comes. */
  crashEngine(): void {
    this.#listeners.clear();
    this.#held.length = 0;
    this.#streamHeld = null;
    this.#script.clear();
  }

  // BrokerAdapter.

  submitOrder(request: OrderRequest): Promise<OrderReport> {
    return this.#call('submitOrder', request.order_id, () => {
      if (this.orders.has(request.order_id) && this.capabilities.clientOrderIds !== 'none') {
        throw new BrokerError('BROKER_DUPLICATE_ORDER_ID', `order ${request.order_id} exists`);
      }
      return this.#accept(request);
    });
  }

  cancelOrder(reference: OrderReference): Promise<void> {
    return this.#call('cancelOrder', reference.order_id, () => {
      const order = this.#order(reference.order_id);
      if (isFinal(order.status)) throw rejected(`order ${reference.order_id} is ${order.status}`);
      this.end(reference.order_id, 'canceled');
    });
  }

  replaceOrder(reference: OrderReference, request: ReplaceRequest): Promise<OrderReport> {
    return this.#call('replaceOrder', request.order_id, () => {
      const old = this.#order(reference.order_id);
      if (isFinal(old.status)) throw rejected(`order ${reference.order_id} is ${old.status}`);
      const report = this.#accept({
        ...old,
        order_id: request.order_id,
        amount: request.amount ?? old.amount,
        limit_price: request.limit_price ?? old.limit_price,
        stop_price: request.stop_price ?? old.stop_price,
      });
      this.end(reference.order_id, 'replaced');
      return report;
    });
  }

  fetchAccount(): Promise<AccountReport> {
    return this.#call('fetchAccount', null, () => ({
      account_id: 'fake',
      currency: 'USD',
      cash: Object.fromEntries(this.cash),
      equity: null,
      buying_power: null,
      blocked: false,
    }));
  }

  fetchPositions(): Promise<readonly PositionReport[]> {
    return this.#call('fetchPositions', null, () =>
      [...this.#positions.values()].filter((position) => !decimal(position.amount).isZero()),
    );
  }

  fetchOpenOrders(): Promise<readonly OrderReport[]> {
    return this.#call('fetchOpenOrders', null, () =>
      [...this.orders.values()].filter((order) => !isFinal(order.status)),
    );
  }

  fetchOrder(orderId: string): Promise<OrderReport | null> {
    return this.#call('fetchOrder', orderId, () => this.orders.get(orderId) ?? null);
  }

  fetchFills(cursor: ActivityCursor): Promise<FillPage> {
    return this.#call('fetchFills', cursor.activity_id, () => {
      const fills = this.fills.filter((fill) =>
        cursor.activity_id === null
          ? cursor.at === null || fill.at >= cursor.at
          : Number(fill.activity_id) > Number(cursor.activity_id),
      );
      const last = fills.at(-1);
      return { fills, cursor: last === undefined ? cursor : { activity_id: last.activity_id, at: last.at } };
    });
  }

  async connect(listener: StreamListener): Promise<StreamConnection> {
    await this.#call('connect', null, () => undefined);
    this.#listeners.add(listener);
    if (this.#connected) listener.connected();
    return {
      close: async () => {
        this.#listeners.delete(listener);
      },
    };
  }

  async close(): Promise<void> {
    this.#listeners.clear();
  }

  #call<T>(name: FakeCallName, id: string | null, take: () => T): Promise<T> {
    this.calls.push({ name, id });
    for (const ready of this.#waiting) if (ready()) this.#waiting.delete(ready);
    const outcome = this.#script.get(name)?.shift();
    return new Promise<T>((resolve, reject) => {
      const answer = (): void => {
        try {
          resolve(take());
        } catch (error) {
          reject(error);
        }
      };
      if (outcome === undefined) return answer();
      if (outcome.kind === 'hold') {
        const { error } = outcome;
        this.#held.push(error === undefined ? answer : () => reject(error));
        return;
      }
      if (outcome.kind === 'fail') return reject(outcome.error);
      const taken = take();
      if (outcome.kind === 'slow') this.#held.push(() => resolve(taken));
      if (outcome.kind === 'lost') reject(outcome.error ?? unreachable());
    });
  }

  #accept(request: OrderRequest): OrderReport {
    const at = this.#now();
    const report: OrderReport = {
      order_id: request.order_id,
      broker_order_id: `b-${this.#count}`,
      asset: request.asset,
      amount: request.amount,
      order_type: request.order_type,
      limit_price: request.limit_price,
      stop_price: request.stop_price,
      time_in_force: request.time_in_force,
      status: 'open',
      filled_amount: '0',
      average_fill_price: null,
      reason: null,
      created_at: at,
      updated_at: at,
    };
    this.orders.set(request.order_id, report);
    return report;
  }

  #order(orderId: string): OrderReport {
    const order = this.orders.get(orderId);
    if (order === undefined) throw new BrokerError('BROKER_NOT_FOUND', `the fake broker has no order ${orderId}`);
    return order;
  }

  #change(orderId: string, change: Partial<OrderReport>): OrderReport {
    const report = { ...this.#order(orderId), ...change, updated_at: this.#now() };
    this.orders.set(orderId, report);
    return report;
  }

  #book(orderId: string, brokerOrderId: string, asset: string, amount: string, price: string, fee: string): FillReport {
    const at = this.#now();
    const fill: FillReport = {
      execution_id: `x-${this.fills.length + 1}`,
      activity_id: String(this.fills.length + 1),
      order_id: orderId,
      broker_order_id: brokerOrderId,
      asset,
      amount,
      price,
      currency: null,
      fee,
      fee_currency: null,
      at,
    };
    this.fills.push(fill);
    const cash = decimal(this.cash.get('USD') ?? '0')
      .minus(decimal(amount).times(price))
      .minus(fee);
    this.cash.set('USD', decimalString(cash));
    const held = decimal(this.#positions.get(asset)?.amount ?? '0').plus(amount);
    this.setPosition(asset, decimalString(held.isZero() ? zero : held), price);
    return fill;
  }

  /** A clock of its own, a millisecond for each thing that happens. */
  #now(): Timestamp {
    this.#count += 1;
    return timestamp(Date.UTC(2025, 9, 2, 14, 30) * 1000 + this.#count * 1000);
  }
}
