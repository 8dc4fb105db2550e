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

describe('the paper broker as a module', () => {
  it('asks for the url of a server, since an exchange of its own would be another one on each thread', () => {
    expect(() => createBroker({})).toThrow(expect.objectContaining({ code: 'BROKER_OPTIONS_INVALID' }));
  });
});
