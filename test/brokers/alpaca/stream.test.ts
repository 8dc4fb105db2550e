import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { inspect } from 'node:util';
import { afterEach, describe, expect, it } from 'vitest';
import { type WebSocket, WebSocketServer } from 'ws';
import { AlpacaBroker } from '../../../src/brokers/alpaca/adapter.ts';
import { BrokerKeys } from '../../../src/brokers/alpaca/keys.ts';
import { type AlpacaOptions, parseAlpacaOptions } from '../../../src/brokers/alpaca/options.ts';
import { failure, listen } from '../../contract/broker-requests.ts';

const secretKey = 'canary-secret-0123456789';
const closing: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0)) await close();
});

interface Session {
  readonly socket: WebSocket;
  send(message: unknown): void;
  /** Authorizes and acknowledges, as the real one does. */
  accept(): void;
}

/** A stream server whose each connection does what the next script says; the last script goes for all that follow. */
async function against(scripts: ((session: Session) => void)[], options: Partial<AlpacaOptions> = {}) {
  const server = new WebSocketServer({ port: 0, host: '127.0.0.1', autoPong: options.heartbeatMs === undefined });
  await once(server, 'listening');
  let connections = 0;
  server.on('connection', (socket) => {
    const script = scripts[Math.min(connections, scripts.length - 1)];
    connections += 1;
    const send = (message: unknown) => socket.send(typeof message === 'string' ? message : JSON.stringify(message));
    script?.({
      socket,
      send,
      accept: () =>
        socket.on('message', (data) => {
          const { action } = JSON.parse(String(data));
          if (action === 'auth')
            send({ stream: 'authorization', data: { action: 'authenticate', status: 'authorized' } });
          else send({ stream: 'listening', data: { streams: ['trade_updates'] } });
        }),
    });
  });
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const broker = new AlpacaBroker(
    'alpaca',
    parseAlpacaOptions({ url, reconnectMsMin: 1, reconnectMsMax: 5, ...options }),
    new BrokerKeys('PKTESTKEYID', secretKey),
  );
  closing.push(async () => {
    await broker.close();
    for (const socket of server.clients) socket.terminate();
    await new Promise((resolve) => server.close(resolve));
  });
  return { broker, connections: () => connections };
}

const accept = (session: Session) => session.accept();
const order = {
  id: 'broker-1',
  client_order_id: 'a',
  symbol: 'AAPL',
  qty: '3',
  filled_qty: '1',
  filled_avg_price: '100',
  type: 'limit',
  side: 'sell',
  time_in_force: 'day',
  status: 'partially_filled',
  created_at: '2025-10-02T14:30:00Z',
};
const update = (data: object) => ({ stream: 'trade_updates', data: { event: 'partial_fill', order, ...data } });

/** Accepts, and once listening sends what is given. */
function thenSend(...messages: unknown[]): (session: Session) => void {
  return (session) => {
    session.accept();
    session.socket.on('message', (data) => {
      if (JSON.parse(String(data)).action === 'listen') for (const message of messages) session.send(message);
    });
  };
}

describe('the stream of order updates', () => {
  it('tells an execution with the sign of its side and the id that the broker gave it', async () => {
    const { broker } = await against([
      thenSend(update({ execution_id: 'e1', price: '100.10', qty: '1', timestamp: '2025-10-02T14:30:01.5Z' })),
    ]);
    const stream = await listen(broker);
    await stream.until(() => stream.updates.length === 1);
    expect(stream.updates[0]?.fill).toEqual({
      execution_id: 'e1',
      activity_id: null,
      order_id: 'a',
      broker_order_id: 'broker-1',
      asset: 'AAPL',
      amount: '-1',
      price: '100.1',
      currency: null,
      fee: '0',
      fee_currency: null,
      at: '2025-10-02T14:30:01.500000Z',
    });
    expect(stream.updates[0]?.report).toMatchObject({ amount: '-3', filled_amount: '-1', status: 'partially_filled' });
  });

  it.each([
    ['what is not JSON', 'nonsense'],
    ['an update without an order', { stream: 'trade_updates', data: { event: 'fill' } }],
    ['an execution without an id', update({ price: '1', qty: '1' })],
    ['an execution without a price', update({ execution_id: 'e', qty: '1' })],
  ])('takes %s for a gap: it connects anew, so that whoever listens catches up', async (_, message) => {
    const { broker } = await against([thenSend(message), accept]);
    const stream = await listen(broker);
    await stream.until(() => stream.connects === 2);
    const said = typeof message === 'string' ? message : '{"stream":"trade_updates","data":{"event":';
    expect(stream.disconnects).toEqual([expect.stringContaining(`cannot be understood: ${said}`)]);
    expect(stream.updates).toEqual([]);
  });

  it('keeps what it could not understand in the reason, and no key that is in there', async () => {
    const { broker } = await against([thenSend(`${'x'.repeat(110)}canary-secret-0123456789`), accept]);
    const stream = await listen(broker);
    await stream.until(() => stream.connects === 2);
    expect(stream.disconnects[0]).toMatch(/^a message that cannot be understood: x{110}\[key\]/);
    expect(stream.disconnects[0]).not.toContain('canary');
  });

  it('passes over messages of streams that it does not know', async () => {
    const { broker } = await against([
      thenSend({ stream: 'account_updates', data: {} }, update({ event: 'canceled' })),
    ]);
    const stream = await listen(broker);
    await stream.until(() => stream.updates.length === 1);
    expect(stream.updates[0]?.fill).toBeNull();
    expect(stream.connects).toBe(1);
  });

  it('rejects wrong keys at once, without showing them', async () => {
    const { broker, connections } = await against([
      ({ socket, send }) =>
        socket.on('message', () =>
          send({ stream: 'authorization', data: { status: 'unauthorized', action: 'authenticate' } }),
        ),
    ]);
    const error = await failure(listen(broker));
    expect(error.code).toBe('BROKER_UNAUTHORIZED');
    expect(inspect(error)).not.toContain('canary');
    expect(connections()).toBe(1);
  });

  it('goes on trying when keys that were right are refused later', async () => {
    const refuse = ({ socket, send }: Session) =>
      socket.on('message', () => send({ stream: 'authorization', data: { status: 'unauthorized' } }));
    const { broker } = await against([
      (session) => {
        session.accept();
        session.socket.once('message', () => setImmediate(() => session.socket.ping()));
        session.socket.once('pong', () => session.socket.close());
      },
      refuse,
      accept,
    ]);
    const stream = await listen(broker);
    await stream.until(() => stream.connects === 2);
    expect(stream.disconnects).toHaveLength(1);
  });

  it('does not count as connected before the listening is acknowledged with the stream in it', async () => {
    const { broker, connections } = await against([
      ({ socket, send }) =>
        socket.on('message', (data) =>
          send(
            JSON.parse(String(data)).action === 'auth'
              ? { stream: 'authorization', data: { status: 'authorized' } }
              : { stream: 'listening', data: { streams: [] } },
          ),
        ),
      accept,
    ]);
    const stream = await listen(broker);
    expect(stream.connects).toBe(1);
    expect(connections()).toBe(2);
    expect(stream.disconnects).toEqual([]);
  });

  it('drops a connection that shows no life, and comes back', async () => {
    const { broker } = await against([accept, accept], { heartbeatMs: 20 });
    const stream = await listen(broker);
    await stream.until(() => stream.connects === 2);
    expect(stream.disconnects[0]).toBe('no sign of life for 20 ms');
  });

  it('keeps a connection that answers pings', async () => {
    const pongs: number[] = [];
    const done = Promise.withResolvers<void>();
    const { broker, connections } = await against(
      [
        (session) => {
          session.accept();
          session.socket.on('ping', () => {
            session.socket.pong();
            if (pongs.push(1) === 4) done.resolve();
          });
        },
      ],
      { heartbeatMs: 50 },
    );
    const stream = await listen(broker);
    await done.promise;
    expect(connections()).toBe(1);
    expect(stream.disconnects).toEqual([]);
  });

  it('gives up on a broker that never listens, within the timeout', async () => {
    const { broker, connections } = await against([({ socket }) => socket.close(1013, 'try again later')], {
      timeoutMs: 1_500,
    });
    const error = await failure(listen(broker));
    expect(error).toMatchObject({ code: 'BROKER_UNREACHABLE', retryable: true });
    // What it said the last time, and not that the attempt under way has heard nothing yet.
    expect(error.message).toContain('closed with 1013 try again later');
    expect(connections()).toBeGreaterThan(1);
  });

  it('ends at once when the adapter closes while it connects', async () => {
    const { broker } = await against([() => void broker.close()], { timeoutMs: 60_000 });
    expect(await failure(listen(broker))).toMatchObject({ code: 'BROKER_UNREACHABLE', retryable: false });
  });
});
