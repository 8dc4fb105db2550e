import { BrokerError } from '../../model/errors.ts';

/** The paper broker as anybody sees it, over its HTTP interface: the demo's view of the broker does not pass through the engine. */
export class BrokerClient {
  readonly #url: string;
  readonly #headers: Readonly<Record<string, string>>;

  constructor(url: string, keys: { readonly keyId: string; readonly secretKey: string }) {
    this.#url = url;
    this.#headers = { 'APCA-API-KEY-ID': keys.keyId, 'APCA-API-SECRET-KEY': keys.secretKey };
  }

  account(): Promise<{ readonly cash: string; readonly currency: string }> {
    return this.#call('GET', '/v2/account');
  }

  positions(): Promise<readonly { readonly symbol: string; readonly qty: string; readonly avg_entry_price: string }[]> {
    return this.#call('GET', '/v2/positions');
  }

  /** The newest, at most 500. */
  orders(status: 'open' | 'closed'): Promise<readonly BrokerOrder[]> {
    return this.#call('GET', `/v2/orders?status=${status}&limit=500`);
  }

  /** Every order there ever was, page by page. */
  async allOrders(): Promise<readonly BrokerOrder[]> {
    const all: BrokerOrder[] = [];
    for (;;) {
      const last = all.at(-1);
      const after = last === undefined ? '' : `&after_order_id=${last.id}`;
      const page: readonly BrokerOrder[] = await this.#call(
        'GET',
        `/v2/orders?status=all&limit=500&direction=asc${after}`,
      );
      all.push(...page);
      if (page.length < 500) return all;
    }
  }

  status(): Promise<TapeStatus> {
    return this.#call('GET', '/paper/status');
  }

  pause(): Promise<unknown> {
    return this.#call('POST', '/paper/pause', {});
  }

  play(): Promise<unknown> {
    return this.#call('POST', '/paper/play', {});
  }

  /** Moves a position as if somebody else had traded it. */
  movePosition(asset: string, amount: string): Promise<unknown> {
    return this.#call('POST', `/paper/positions/${encodeURIComponent(asset)}`, { amount });
  }

  async #call<T>(method: string, path: string, body?: unknown): Promise<T> {
    const response = await fetch(`${this.#url}${path}`, {
      method,
      headers: { ...this.#headers, ...(body === undefined ? {} : { 'Content-Type': 'application/json' }) },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      signal: AbortSignal.timeout(10_000),
    });
    if (!response.ok) {
      const text = (await response.text()).slice(0, 300);
      throw new BrokerError(
        'DEMO_BROKER_FAILED',
        `${method} ${path}: the paper broker answered ${response.status}: ${text}`,
      );
    }
    return (await response.json()) as T;
  }
}

export interface TapeStatus {
  readonly tape_position: number;
  readonly tape_time: string | null;
  readonly ended: boolean;
  readonly error: string | null;
}

export interface BrokerOrder {
  readonly id: string;
  readonly client_order_id: string;
  readonly symbol: string;
  readonly qty: string;
  readonly filled_qty: string;
  readonly side: 'buy' | 'sell';
  readonly type: string;
  readonly limit_price: string | null;
  readonly status: string;
}
