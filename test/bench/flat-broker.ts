import type { BrokerAdapter } from '../../src/brokers/adapter.ts';

/** A broker without positions, orders or fills, for the thread that reconciles: each position of the books is a difference. */
export function createBroker(): BrokerAdapter {
  const nothing = (): never => {
    throw new Error('a benchmark of reconciliation sends no order');
  };
  return {
    name: 'flat',
    capabilities: { clientOrderIds: 'enforced', settleMs: 0, replace: false, shorts: true },
    submitOrder: async () => nothing(),
    cancelOrder: async () => nothing(),
    replaceOrder: async () => nothing(),
    fetchAccount: async () => ({
      account_id: 'flat',
      currency: 'USD',
      cash: { USD: '0' },
      equity: null,
      buying_power: null,
      blocked: false,
    }),
    fetchPositions: async () => [],
    fetchOpenOrders: async () => [],
    fetchOrder: async () => null,
    fetchFills: async (cursor) => ({ fills: [], cursor }),
    connect: async () => ({ close: async () => {} }),
    close: async () => {},
  };
}
