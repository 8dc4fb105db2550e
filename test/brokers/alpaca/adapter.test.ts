import { AlpacaBroker } from '../../../src/brokers/alpaca/adapter.ts';
import { BrokerKeys } from '../../../src/brokers/alpaca/keys.ts';
import { parseAlpacaOptions } from '../../../src/brokers/alpaca/options.ts';
import { PaperExchange } from '../../../src/brokers/paper/exchange.ts';
import { startPaperServer } from '../../../src/brokers/paper/server.ts';
import { describeBroker } from '../../contract/broker-contract.ts';
import { describeMisbehavior } from '../../contract/broker-contract-faults.ts';
import type { BrokerHarness } from '../../contract/broker-requests.ts';

const keys = { keyId: 'PKTESTKEYID', secretKey: 'canary-secret-0123456789' };

for (const binaryFrames of [true, false]) {
  const name = `alpaca, against the paper server, ${binaryFrames ? 'binary' : 'text'} frames`;
  const open = async (): Promise<BrokerHarness> => {
    const exchange = new PaperExchange({ assets: { AAPL: 'USD', MSFT: 'USD' }, cash: { USD: '10000' }, seed: 1 });
    const server = await startPaperServer({ exchange, keys, binaryFrames });
    const adapter = new AlpacaBroker(
      'alpaca',
      parseAlpacaOptions({ url: server.url, reconnectMsMin: 1, reconnectMsMax: 20 }),
      new BrokerKeys(keys.keyId, keys.secretKey),
    );
    return {
      adapter,
      market: (event) => exchange.onMarket(event),
      misbehave: (fault) => exchange.misbehave(fault),
      async close() {
        await adapter.close();
        await server.close();
      },
    };
  };
  describeBroker(name, open);
  describeMisbehavior(name, open);
}
