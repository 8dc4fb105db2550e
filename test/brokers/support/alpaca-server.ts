import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { OrderRequest } from '../../../src/brokers/adapter.ts';
import { AlpacaBroker } from '../../../src/brokers/alpaca/adapter.ts';
import { BrokerKeys } from '../../../src/brokers/alpaca/keys.ts';
import { type AlpacaOptions, parseAlpacaOptions } from '../../../src/brokers/alpaca/options.ts';
import { limit } from '../../contract/broker-requests.ts';

export const keyId = 'PKCANARYKEYID';
export const secretKey = 'canary"secret/0123456789';

export type Handler = (request: IncomingMessage & { readonly text: string }, response: ServerResponse) => void;

/** Ended after each test by whoever calls {@link closeAll}. */
const closing: (() => Promise<void>)[] = [];
export async function closeAll(): Promise<void> {
  for (const close of closing.splice(0)) await close();
}

/** A server that answers as told, and a broker that talks to it. */
export async function against(
  handler: Handler,
  options: Partial<AlpacaOptions> = {},
): Promise<{ readonly broker: AlpacaBroker; readonly requests: readonly string[]; readonly url: string }> {
  const requests: string[] = [];
  const server = createServer(async (request, response) => {
    let text = '';
    for await (const chunk of request) text += String(chunk);
    requests.push(`${request.method} ${request.url}`);
    handler(Object.assign(request, { text }), response);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const broker = new AlpacaBroker(
    'alpaca',
    parseAlpacaOptions({ url, timeoutMs: 30_000, ...options }),
    new BrokerKeys(keyId, secretKey),
    () => 0,
  );
  closing.push(async () => {
    await broker.close();
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });
  return { broker, requests, url };
}

export function answer(status: number, body: string, headers: Record<string, string> = {}): Handler {
  return (_, response) => {
    response.writeHead(status, headers);
    response.end(body);
  };
}

export const order = {
  id: '8e1b1f0e-0000-4000-8000-000000000000',
  client_order_id: 'a',
  symbol: 'AAPL',
  qty: '1',
  filled_qty: '0',
  filled_avg_price: null,
  type: 'limit',
  side: 'buy',
  time_in_force: 'gtc',
  limit_price: '100.00',
  stop_price: null,
  status: 'accepted',
  created_at: '2025-10-02T10:30:00.123456789-04:00',
};
export const request: OrderRequest = limit('a', 'AAPL', '1', '100');
