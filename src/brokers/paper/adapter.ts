import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { BrokerError, ConfigError } from '../../model/errors.ts';
import type { AccountReport, OrderReport, PositionReport } from '../../model/report.ts';
import { micros } from '../../model/time.ts';
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
import { AlpacaBroker } from '../alpaca/adapter.ts';
import { readKeys } from '../alpaca/keys.ts';
import { parseAlpacaOptions } from '../alpaca/options.ts';
import type { PaperActivity } from './activities.ts';
import type { PaperExchange } from './exchange.ts';
import type { BrokerOperation } from './faults.ts';

/**
 * A paper broker that runs as a server of its own: `url` is where. The other options are those of the Alpaca adapter, whose API it
 * speaks. An exchange inside the process is not made here, because each thread that loads the module would get one of its own:
 * use `new PaperBroker(exchange)`.
 * @throws ConfigError BROKER_OPTIONS_INVALID, and what the Alpaca adapter throws
 */
export function createBroker(options?: unknown): BrokerAdapter {
  const named = z.looseObject({ url: z.string() }).safeParse(options);
  if (!named.success) {
    throw new ConfigError(
      'BROKER_OPTIONS_INVALID',
      'paper broker option url: expected where the paper broker listens, such as "http://127.0.0.1:8080"; start one with "holdfast paper-broker"',
      { details: { path: 'url' } },
    );
  }
  const parsed = parseAlpacaOptions({ settleMs: 250, ...named.data });
  return new AlpacaBroker('paper', parsed, readKeys(parsed, process.env));
}

const timeoutMsDefault = 10_000;
const reconnectMs = 5;

/** A PaperExchange in this thread, behind the contract of every other broker: for tests and for programs of one thread. */
export class PaperBroker implements BrokerAdapter {
  readonly name = 'paper';
  readonly capabilities: BrokerCapabilities;
  readonly #exchange: PaperExchange;
  readonly #closing = new AbortController();
  readonly #streams = new Set<StreamConnection>();

  constructor(exchange: PaperExchange) {
    this.#exchange = exchange;
    this.capabilities = {
      clientOrderIds: 'enforced',
      settleMs: 0,
      replace: true,
      shorts: exchange.shorts,
      crossing: 'split',
    };
  }

  async submitOrder(request: OrderRequest, options?: CallOptions): Promise<OrderReport> {
    return this.#call('submitOrder', options, () => this.#exchange.submit(request));
  }

  async cancelOrder(order: OrderReference, options?: CallOptions): Promise<void> {
    await this.#call('cancelOrder', options, () => this.#exchange.cancel(order));
  }

  async replaceOrder(order: OrderReference, request: ReplaceRequest, options?: CallOptions): Promise<OrderReport> {
    return this.#call('replaceOrder', options, () => this.#exchange.replace(order, request));
  }

  async fetchAccount(options?: CallOptions): Promise<AccountReport> {
    return this.#call('fetchAccount', options, () => this.#exchange.account());
  }

  async fetchPositions(options?: CallOptions): Promise<readonly PositionReport[]> {
    return this.#call('fetchPositions', options, () => this.#exchange.readPositions());
  }

  async fetchOpenOrders(options?: CallOptions): Promise<readonly OrderReport[]> {
    const { faults } = this.#exchange;
    return this.#call('fetchOpenOrders', options, () =>
      faults.list('fetchOpenOrders', this.#exchange.openOrders(), ({ asset }) => asset),
    );
  }

  async fetchOrder(orderId: string, options?: CallOptions): Promise<OrderReport | null> {
    return this.#call('fetchOrder', options, () => this.#exchange.order(orderId));
  }

  async fetchFills(cursor: ActivityCursor, options?: CallOptions): Promise<FillPage> {
    return this.#call('fetchFills', options, () => {
      const { faults } = this.#exchange;
      const fills = faults.list('fetchFills', this.#exchange.fills(cursor), ({ asset }) => asset);
      const newest = fills.at(-1);
      return { fills, cursor: newest === undefined ? cursor : { activity_id: newest.activity_id, at: newest.at } };
    });
  }

  async fetchActivities(cursor: ActivityCursor, options?: CallOptions): Promise<ActivityPage> {
    return this.#call('fetchActivities', options, () => {
      const after = this.#exchange.activities().filter(isAfter(cursor));
      const newest = after.at(-1);
      return {
        activities: after.map(({ activity_id, type, sub_type, asset, cash, currency, amount, at }) => ({
          ...{ activity_id, type, sub_type, asset, cash, currency, amount, at },
          canceled: false,
        })),
        cursor: newest === undefined ? cursor : { activity_id: newest.activity_id, at: newest.at },
      };
    });
  }

  async connect(listener: StreamListener): Promise<StreamConnection> {
    if (this.#closing.signal.aborted) throw unreachable('connect', 'the adapter was closed', false);
    let connected = false;
    let closed = false;
    let timer: NodeJS.Timeout | undefined;
    // Told in turns of their own, as by a socket: whoever is told may call the exchange again.
    const tell = (what: () => void) => queueMicrotask(() => (closed ? undefined : what()));
    const open = () => {
      connected = true;
      tell(() => listener.connected());
    };
    const unsubscribe = this.#exchange.subscribe({
      update: ({ order, fill }) => {
        if (connected) tell(() => listener.update(order, fill));
      },
      disconnect: () => {
        if (!connected) return;
        connected = false;
        tell(() => listener.disconnected('the paper exchange was told to disconnect'));
        timer = setTimeout(open, reconnectMs);
      },
    });
    const stream: StreamConnection = {
      close: async () => {
        closed = true;
        clearTimeout(timer);
        unsubscribe();
        this.#streams.delete(stream);
      },
    };
    this.#streams.add(stream);
    open();
    return stream;
  }

  async close(): Promise<void> {
    this.#closing.abort();
    await Promise.all([...this.#streams].map((stream) => stream.close()));
  }

  /** Does it, and lets go wrong what was asked to go wrong, as a connection would. */
  async #call<T>(operation: BrokerOperation, options: CallOptions | undefined, act: () => T): Promise<T> {
    const timeoutMs = options?.timeoutMs ?? timeoutMsDefault;
    const { faults } = this.#exchange;
    if (this.#closing.signal.aborted) throw unreachable(operation, 'the adapter was closed', false);
    await Promise.resolve();
    const limited = faults.take('http_429', operation);
    if (limited !== undefined) {
      throw new BrokerError('BROKER_RATE_LIMITED', `broker, ${operation}: rate limit exceeded`, {
        details: { retry_after_ms: limited.ms ?? 1000 },
        retryable: true,
      });
    }
    if (faults.take('http_500', operation) !== undefined) {
      throw new BrokerError('BROKER_UNAVAILABLE', `broker, ${operation}: internal server error`, { retryable: true });
    }
    const result = act();
    if (faults.takeDroppedAnswer(operation)) {
      throw unreachable(operation, 'the answer was lost', true);
    }
    const delay = faults.take('delay', operation);
    if (delay !== undefined) await this.#delay(operation, delay.ms ?? 1000, timeoutMs);
    return result;
  }

  async #delay(operation: BrokerOperation, ms: number, timeoutMs: number): Promise<void> {
    try {
      await sleep(Math.min(ms, timeoutMs), undefined, { signal: this.#closing.signal });
    } catch {
      throw unreachable(operation, 'the adapter was closed', false);
    }
    if (ms < timeoutMs) return;
    throw new BrokerError('BROKER_TIMEOUT', `broker, ${operation}: no answer within ${timeoutMs} ms`, {
      retryable: true,
    });
  }
}

function isAfter({ activity_id, at }: ActivityCursor): (activity: PaperActivity) => boolean {
  if (activity_id !== null) return (activity) => activity.activity_id > activity_id;
  if (at === null) return () => true;
  const from = micros(at);
  return (activity) => micros(activity.at) >= from;
}

function unreachable(operation: string, reason: string, retryable: boolean): BrokerError {
  return new BrokerError('BROKER_UNREACHABLE', `broker, ${operation}: ${reason}`, { retryable });
}
