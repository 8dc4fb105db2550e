import { expect } from 'vitest';
import type { BrokerAdapter, OrderRequest, StreamListener } from '../../src/brokers/adapter.ts';
import type { Misbehavior } from '../../src/brokers/paper/faults.ts';
import { BrokerError } from '../../src/model/errors.ts';
import type { MarketEvent } from '../../src/model/market.ts';
import type { FillReport, OrderReport } from '../../src/model/report.ts';

/** One adapter and the market behind it: USD 10,000, AAPL and MSFT in USD, no fees, shorts allowed, ids enforced. */
export interface BrokerHarness {
  readonly adapter: BrokerAdapter;
  market(event: MarketEvent): void;
  misbehave(fault: Misbehavior): void;
  /** Ends what the harness opened, the adapter included. */
  close(): Promise<void>;
}

export function market(orderId: string, asset: string, amount: string): OrderRequest {
  return {
    order_id: orderId,
    asset,
    amount,
    order_type: 'market',
    limit_price: null,
    stop_price: null,
    time_in_force: 'gtc',
  };
}

export function limit(orderId: string, asset: string, amount: string, price: string): OrderRequest {
  return { ...market(orderId, asset, amount), order_type: 'limit', limit_price: price };
}

export function trade(asset: string, price: string, amount: string, at = '2025-10-02T14:30:00.000000Z'): MarketEvent {
  return { kind: 'trade', asset, price, amount, aggressor: null, at };
}

export async function failure(promise: Promise<unknown>): Promise<BrokerError> {
  const error = await promise.then(
    () => new Error('it did not fail'),
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(BrokerError);
  return error as BrokerError;
}

export interface Listening {
  connects: number;
  readonly disconnects: string[];
  readonly updates: { readonly report: OrderReport; readonly fill: FillReport | null }[];
  /** Resolves once the condition holds, which is looked at after each call of the listener. */
  until(condition: () => boolean): Promise<void>;
  close(): Promise<void>;
}

/** Connects, and resolves once the stream is. */
export async function listen(broker: BrokerAdapter): Promise<Listening> {
  const waiting: { readonly condition: () => boolean; readonly resolve: () => void }[] = [];
  const look = () => {
    for (const waiter of waiting) if (waiter.condition()) waiter.resolve();
  };
  const listening: Listening = {
    connects: 0,
    disconnects: [],
    updates: [],
    until: (condition) =>
      new Promise((resolve) => {
        waiting.push({ condition, resolve });
        look();
      }),
    close: async () => (await connection).close(),
  };
  const listener: StreamListener = {
    connected: () => {
      listening.connects += 1;
      look();
    },
    disconnected: (reason) => {
      listening.disconnects.push(reason);
      look();
    },
    update: (report, fill) => {
      listening.updates.push({ report, fill });
      look();
    },
  };
  const connection = broker.connect(listener);
  await connection;
  await listening.until(() => listening.connects > 0);
  return listening;
}
