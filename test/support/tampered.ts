import type { BrokerAdapter } from '../../src/brokers/adapter.ts';

/** An adapter of which some methods answer otherwise; each is given the true one and how often it was called. */
export type Tampering = {
  readonly [Name in 'fetchAccount' | 'fetchPositions' | 'fetchOpenOrders' | 'fetchOrder' | 'fetchFills']?: (
    truth: BrokerAdapter[Name],
    call: number,
  ) => BrokerAdapter[Name];
};

export function tampered(broker: BrokerAdapter, tampering: Tampering): BrokerAdapter {
  const calls = new Map<string | symbol, number>();
  return new Proxy(broker, {
    get(target, name) {
      const value: unknown = Reflect.get(target, name, target);
      if (typeof value !== 'function') return value;
      const truth = value.bind(target) as never;
      const other = Reflect.get(tampering, name) as ((truth: never, call: number) => unknown) | undefined;
      if (other === undefined) return truth;
      const call = (calls.get(name) ?? 0) + 1;
      calls.set(name, call);
      return other(truth, call);
    },
  });
}
