import type { OrderRequest } from '../../../src/brokers/adapter.ts';
import { PaperExchange } from '../../../src/brokers/paper/exchange.ts';
import type { PaperExchangeOptions } from '../../../src/brokers/paper/options.ts';
import type { MarketEvent } from '../../../src/model/market.ts';
import { market } from '../../contract/broker-requests.ts';

export const at = '2025-10-02T14:30:00.000000Z';

/** An exchange of three assets in two currencies, with ids that follow from a seed. */
export function exchange(options: Partial<PaperExchangeOptions> = {}): PaperExchange {
  return new PaperExchange({
    assets: { AAPL: 'USD', MSFT: 'USD', BTCUSDT: 'USDT' },
    cash: { USD: '10000', USDT: '5000' },
    seed: 7,
    ...options,
  });
}

export function bar(open: string, high: string, low: string, close: string, when: string = at): MarketEvent {
  return { kind: 'bar', asset: 'AAPL', open, high, low, close, volume: '1', at: when };
}

export function stop(id: string, amount: string, price: string): OrderRequest {
  return { ...market(id, 'AAPL', amount), order_type: 'stop', stop_price: price };
}

/** What was filled: order, amount and price of each execution. */
export function prices(paper: PaperExchange): string[][] {
  return paper.fills().map(({ order_id, amount, price }) => [order_id, amount, price]);
}
