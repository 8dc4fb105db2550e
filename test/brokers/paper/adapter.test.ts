import { describe, expect, it } from 'vitest';
import { createBroker, PaperBroker } from '../../../src/brokers/paper/adapter.ts';
import { PaperExchange } from '../../../src/brokers/paper/exchange.ts';
import { describeBroker } from '../../contract/broker-contract.ts';
import { describeMisbehavior } from '../../contract/broker-contract-faults.ts';
import type { BrokerHarness } from '../../contract/broker-requests.ts';

async function open(): Promise<BrokerHarness> {
  const exchange = new PaperExchange({ assets: { AAPL: 'USD', MSFT: 'USD' }, cash: { USD: '10000' }, seed: 1 });
  const adapter = new PaperBroker(exchange);
  return {
    adapter,
    market: (event) => exchange.onMarket(event),
    misbehave: (fault) => exchange.misbehave(fault),
    close: () => adapter.close(),
  };
}

describeBroker('paper, in process', open);
describeMisbehavior('paper, in process', open);

describe('the paper broker in process', () => {
  it('tells what is no trade, after a place in the list or from a time on', async () => {
    let now = Date.parse('2025-10-02T14:30:00Z') * 1000;
    const clock = { nowMicros: () => now, monotonicMs: () => 0 };
    const exchange = new PaperExchange({ assets: { AAPL: 'USD' }, cash: { USD: '10' }, seed: 1, clock });
    const broker = new PaperBroker(exchange);
    exchange.bookActivity({ type: 'INT', cash: '0.5' });
    now += 1_000_000;
    exchange.bookActivity({ type: 'CSW', cash: '-2' });
    const all = await broker.fetchActivities({ activity_id: null, at: null });
    expect(all.activities).toMatchObject([
      { type: 'INT', cash: '0.5', amount: '0', asset: null, currency: 'USD', canceled: false },
      { type: 'CSW', cash: '-2' },
    ]);
    const [first] = all.activities;
    const after = await broker.fetchActivities({ activity_id: first?.activity_id ?? null, at: null });
    expect(after.activities.map(({ type }) => type)).toEqual(['CSW']);
    const later = await broker.fetchActivities({ activity_id: null, at: '2025-10-02T14:30:01.000000Z' });
    expect(later.activities.map(({ type }) => type)).toEqual(['CSW']);
    expect(await broker.fetchActivities(all.cursor)).toEqual({ activities: [], cursor: all.cursor });
    expect((await broker.fetchAccount()).cash).toEqual({ USD: '8.5' });
    await broker.close();
  });
});

describe('the paper broker as a module', () => {
  it('asks for the url of a server, since an exchange of its own would be another one on each thread', () => {
    expect(() => createBroker({})).toThrow(expect.objectContaining({ code: 'BROKER_OPTIONS_INVALID' }));
  });
});
