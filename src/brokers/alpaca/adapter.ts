import { BrokerError } from '../../model/errors.ts';
import { decimal, decimalString } from '../../model/money.ts';
import type { AccountReport, OrderReport, PositionReport } from '../../model/report.ts';
import { micros, type Timestamp } from '../../model/time.ts';
import type {
  ActivityCursor,
  ActivityPage,
  BrokerAdapter,
  BrokerCapabilities,
  CallOptions,
  FillPage,
  OrderReference,
  OrderRequest,
  ReplaceRequest,
  StreamConnection,
  StreamListener,
} from '../adapter.ts';
import { AlpacaClient } from './client.ts';
import { type Deadline, startDeadline } from './deadline.ts';
import { type BrokerKeys, readKeys } from './keys.ts';
import { type AlpacaOptions, parseAlpacaOptions } from './options.ts';
import { activities, type Get, openOrders } from './pages.ts';
import { type AlpacaOrder, accountSchema, orderSchema, positionsSchema } from './schemas.ts';
import { openAlpacaStream } from './stream.ts';
import { accountReport, activityFill, activityReport, orderReport, positionReport } from './translate.ts';

/**
 * The Alpaca Trading API as a broker module. Options: see AlpacaOptions; all have defaults.
 * @throws ConfigError BROKER_OPTIONS_INVALID, BROKER_KEYS_MISSING, BROKER_KEYS_FILE_UNSAFE, BROKER_KEYS_INVALID
 */
export function createBroker(options?: unknown): AlpacaBroker {
  const parsed = parseAlpacaOptions(options);
  return new AlpacaBroker('alpaca', parsed, readKeys(parsed, process.env));
}

/** Order ids by which fills are told whose they are; the oldest are forgotten beyond this. */
const knownOrdersMax = 100_000;

export class AlpacaBroker implements BrokerAdapter {
  readonly name: string;
  readonly capabilities: BrokerCapabilities;
  readonly #options: AlpacaOptions;
  readonly #keys: BrokerKeys;
  readonly #client: AlpacaClient;
  readonly #random: () => number;
  readonly #closing = new AbortController();
  readonly #streams = new Set<StreamConnection>();
  /** Client order id for each broker order id that was seen. */
  readonly #clientIds = new Map<string, string>();

  constructor(name: string, options: AlpacaOptions, keys: BrokerKeys, random: () => number = Math.random) {
    this.name = name;
    this.capabilities = {
      clientOrderIds: 'enforced',
      settleMs: options.settleMs,
      replace: true,
      shorts: true,
      crossing: 'split',
    };
    this.#options = options;
    this.#keys = keys;
    this.#random = random;
    this.#client = new AlpacaClient({ url: options.url, keys, readAttemptsMax: options.readAttemptsMax, random });
  }

  async submitOrder(request: OrderRequest, options?: CallOptions): Promise<OrderReport> {
    const amount = decimal(request.amount, `${request.asset} amount`);
    const order = await this.#client.request(
      {
        method: 'POST',
        path: '/v2/orders',
        body: {
          symbol: request.asset,
          qty: decimalString(amount.abs()),
          side: amount.isNegative() ? 'sell' : 'buy',
          type: request.order_type,
          time_in_force: request.time_in_force,
          client_order_id: request.order_id,
          ...(request.limit_price === null ? {} : { limit_price: request.limit_price }),
          ...(request.stop_price === null ? {} : { stop_price: request.stop_price }),
        },
        schema: orderSchema,
        what: `submit order ${request.order_id}`,
      },
      this.#deadline(options),
    );
    return this.#ours(order, request.order_id);
  }

  async cancelOrder(order: OrderReference, options?: CallOptions): Promise<void> {
    const deadline = this.#deadline(options);
    const id = await this.#brokerId(order, deadline);
    await this.#client.request(
      {
        method: 'DELETE',
        path: `/v2/orders/${encodeURIComponent(id)}`,
        schema: null,
        what: `cancel order ${order.order_id}`,
      },
      deadline,
    );
  }

  async replaceOrder(order: OrderReference, request: ReplaceRequest, options?: CallOptions): Promise<OrderReport> {
    const deadline = this.#deadline(options);
    const id = await this.#brokerId(order, deadline);
    const amount = request.amount === undefined ? undefined : decimal(request.amount, `${order.order_id} amount`);
    const replacement = await this.#client.request(
      {
        method: 'PATCH',
        path: `/v2/orders/${encodeURIComponent(id)}`,
        body: {
          client_order_id: request.order_id,
          ...(amount === undefined ? {} : { qty: decimalString(amount.abs()) }),
          ...(request.limit_price === undefined ? {} : { limit_price: request.limit_price }),
          ...(request.stop_price === undefined ? {} : { stop_price: request.stop_price }),
        },
        schema: orderSchema,
        what: `replace order ${order.order_id}`,
      },
      deadline,
    );
    return this.#ours(replacement, request.order_id);
  }

  async fetchAccount(options?: CallOptions): Promise<AccountReport> {
    return accountReport(await this.#get('/v2/account', {}, accountSchema, 'account', this.#deadline(options)));
  }

  async fetchPositions(options?: CallOptions): Promise<readonly PositionReport[]> {
    const positions = await this.#get('/v2/positions', {}, positionsSchema, 'positions', this.#deadline(options));
    return positions.map((position) => positionReport(position, this.#options.assets));
  }

  async fetchOpenOrders(options?: CallOptions): Promise<readonly OrderReport[]> {
    const orders = await openOrders(this.#get, this.#deadline(options));
    return orders.map((order) => this.#report(order));
  }

  async fetchOrder(orderId: string, options?: CallOptions): Promise<OrderReport | null> {
    try {
      const order = await this.#get(
        '/v2/orders:by_client_order_id',
        { client_order_id: orderId },
        orderSchema,
        `order ${orderId}`,
        this.#deadline(options),
      );
      return this.#ours(order, orderId);
    } catch (error) {
      if (error instanceof BrokerError && error.code === 'BROKER_NOT_FOUND') return null;
      throw error;
    }
  }

  async fetchFills(cursor: ActivityCursor, options?: CallOptions): Promise<FillPage> {
    const entries = await activities('fills', cursor, this.#get, this.#deadline(options));
    const fills = entries
      .flatMap((entry) => (entry.kind === 'fill' ? [entry.fill] : []))
      .map((fill) => activityFill(fill, this.#options.assets, this.#clientIds.get(fill.order_id) ?? null))
      .filter(notBefore(cursor));
    const newest = fills.at(-1);
    return { fills, cursor: newest === undefined ? cursor : { activity_id: newest.activity_id, at: newest.at } };
  }

  async fetchActivities(cursor: ActivityCursor, options?: CallOptions): Promise<ActivityPage> {
    const entries = await activities('activities', cursor, this.#get, this.#deadline(options));
    const told = entries
      .flatMap((entry) => (entry.kind === 'other' ? [entry.other] : []))
      .map((other) => activityReport(other, this.#options.assets) ?? raiseTimeless(other.id))
      .filter(notBefore(cursor));
    const newest = told.at(-1);
    return {
      activities: told,
      cursor: newest === undefined ? cursor : { activity_id: newest.activity_id, at: newest.at },
    };
  }

  async connect(listener: StreamListener): Promise<StreamConnection> {
    const { url, assets, timeoutMs, heartbeatMs, reconnectMsMin, reconnectMsMax } = this.#options;
    const stream = await openAlpacaStream(
      {
        url,
        keys: this.#keys,
        assets,
        timeoutMs,
        heartbeatMs,
        reconnectMsMin,
        reconnectMsMax,
        random: this.#random,
        closing: this.#closing.signal,
      },
      {
        connected: () => listener.connected(),
        disconnected: (reason) => listener.disconnected(reason),
        update: (report, fill) => {
          this.#remember(report);
          listener.update(report, fill);
        },
      },
    );
    this.#streams.add(stream);
    if (this.#closing.signal.aborted) await stream.close();
    return {
      close: async () => {
        this.#streams.delete(stream);
        await stream.close();
      },
    };
  }

  async close(): Promise<void> {
    this.#closing.abort();
    await Promise.all([...this.#streams].map((stream) => stream.close()));
    this.#streams.clear();
  }

  readonly #get: Get = (path, query, schema, what, deadline) =>
    this.#client.request({ method: 'GET', path, query, schema, what }, deadline);

  #deadline(options: CallOptions | undefined): Deadline {
    return startDeadline(options?.timeoutMs ?? this.#options.timeoutMs, this.#closing.signal);
  }

  /** The report of an order that we asked for by its id. An answer about another order is no answer. */
  #ours(order: AlpacaOrder, orderId: string): OrderReport {
    if (order.client_order_id !== orderId) {
      throw new BrokerError('BROKER_ANSWER_INVALID', `broker, order ${orderId}: the answer is about another order`, {
        details: { order_id: orderId },
      });
    }
    return this.#report(order);
  }

  #report(order: AlpacaOrder): OrderReport {
    const report = orderReport(order, this.#options.assets);
    this.#remember(report);
    return report;
  }

  #remember({ order_id, broker_order_id }: OrderReport): void {
    if (order_id === null || this.#clientIds.has(broker_order_id)) return;
    this.#clientIds.set(broker_order_id, order_id);
    if (this.#clientIds.size <= knownOrdersMax) return;
    const oldest = this.#clientIds.keys().next().value;
    if (oldest !== undefined) this.#clientIds.delete(oldest);
  }

  async #brokerId(order: OrderReference, deadline: Deadline): Promise<string> {
    if (order.broker_order_id !== null) return order.broker_order_id;
    const found = await this.fetchOrder(order.order_id, { timeoutMs: Math.max(1, Math.ceil(deadline.remainingMs())) });
    if (found !== null) return found.broker_order_id;
    throw new BrokerError('BROKER_NOT_FOUND', `broker, order ${order.order_id}: the broker has no such order`, {
      details: { order_id: order.order_id },
    });
  }
}

/** What asking early brought: a cursor that is a time, and no place in the list, begins at that instant. */
function notBefore(cursor: ActivityCursor): (entry: { readonly at: Timestamp }) => boolean {
  if (cursor.activity_id !== null || cursor.at === null) return () => true;
  const from = micros(cursor.at);
  return ({ at }) => micros(at) >= from;
}

function raiseTimeless(id: string): never {
  throw new BrokerError('BROKER_ANSWER_INVALID', `broker, activities: ${id.slice(0, 80)} has no time that can be read`);
}
