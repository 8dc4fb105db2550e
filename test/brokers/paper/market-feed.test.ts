import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { WebSocketServer } from 'ws';
import { PaperExchange } from '../../../src/brokers/paper/exchange.ts';
import { type MarketFeedOptions, marketFeed } from '../../../src/brokers/paper/market-feed.ts';
import { type PaperServer, type PaperServerOptions, startPaperServer } from '../../../src/brokers/paper/server.ts';
import type { MarketEvent } from '../../../src/model/market.ts';
import { market, trade } from '../../contract/broker-requests.ts';

const keys = { keyId: 'PKTESTKEYID', secretKey: 'canary-secret-0123456789' };
const closing: (() => Promise<void>)[] = [];
beforeEach(() => {
  vi.stubEnv('APCA_API_KEY_ID', keys.keyId);
  vi.stubEnv('APCA_API_SECRET_KEY', keys.secretKey);
});
afterEach(async () => {
  vi.unstubAllEnvs();
  for (const close of closing.splice(0)) await close();
});

async function serve(tape: AsyncIterable<MarketEvent>, options: Partial<PaperServerOptions> = {}) {
  const exchange = new PaperExchange({ assets: { AAPL: 'USD' }, cash: { USD: '100000' }, seed: 1 });
  const server = await startPaperServer({
    exchange,
    keys,
    tape,
    speed: Number.POSITIVE_INFINITY,
    paused: true,
    ...options,
  });
  closing.push(() => server.close());
  return { exchange, server };
}

async function* tapeOf(events: readonly MarketEvent[]): AsyncGenerator<MarketEvent> {
  yield* events;
}

function second(number: number): string {
  return new Date(Date.UTC(2025, 0, 1) + number * 1000).toISOString();
}

function trades(count: number): MarketEvent[] {
  return Array.from({ length: count }, (_, index) => trade('AAPL', `${100 + (index % 7)}`, '1', second(index)));
}

async function control(server: PaperServer, method: string, path: string): Promise<unknown> {
  const response = await fetch(`${server.url}/paper/${path}`, {
    method,
    headers: { 'APCA-API-KEY-ID': keys.keyId, 'APCA-API-SECRET-KEY': keys.secretKey },
  });
  return response.json();
}

/** Starts to follow, and has the tape play once somebody does. */
async function follow(server: PaperServer, options: MarketFeedOptions = {}) {
  const feed = marketFeed(server.url, { reconnectMsMin: 1, reconnectMsMax: 10, ...options });
  const first = feed.next();
  return { feed, first };
}

async function collect(feed: AsyncGenerator<MarketEvent>, first: Promise<IteratorResult<MarketEvent, void>>) {
  const events: MarketEvent[] = [];
  for (let next = await first; next.done !== true; next = await feed.next()) events.push(next.value);
  return events;
}

describe('the market that a paper server plays', () => {
  it('reaches a follower whole and in order, moves the exchange, and ends', async () => {
    const events = trades(3_000);
    const { exchange, server } = await serve(tapeOf(events));
    exchange.submit(market('a', 'AAPL', '2'));
    const { feed, first } = await follow(server, { bufferMax: 50 });
    await playOnceFollowed(server);
    expect(await collect(feed, first)).toEqual(events);
    expect(exchange.order('a')).toMatchObject({ status: 'filled' });
    expect(await control(server, 'GET', 'status')).toEqual({
      tape_position: 3_000,
      tape_time: second(2_999),
      paused: false,
      ended: true,
      error: null,
    });
    const late = marketFeed(server.url);
    expect(await late.next()).toEqual({ done: true, value: undefined });
  });

  it('pauses and plays on', async () => {
    let pull = 0;
    const events = trades(5);
    const { server } = await serve(
      (async function* () {
        for (const event of events) {
          pull += 1;
          yield event;
        }
      })(),
      { speed: 1000 },
    );
    expect(await control(server, 'POST', 'pause')).toMatchObject({ tape_position: 0, paused: true });
    expect(pull).toBeLessThanOrEqual(1);
    const { feed, first } = await follow(server);
    await playOnceFollowed(server);
    expect(await collect(feed, first)).toEqual(events);
  });

  it('gives what is due without waiting for what a tape does not have yet', async () => {
    const gate = Promise.withResolvers<void>();
    const [one, two] = trades(2);
    if (one === undefined || two === undefined) throw new Error('no trades');
    const { server } = await serve(
      (async function* () {
        yield one;
        await gate.promise;
        yield two;
      })(),
    );
    const { feed, first } = await follow(server);
    await playOnceFollowed(server);
    expect(await first).toEqual({ done: false, value: one });
    gate.resolve();
    expect(await feed.next()).toEqual({ done: false, value: two });
    expect(await feed.next()).toEqual({ done: true, value: undefined });
  });

  it('can be stopped while its tape hangs', async () => {
    const { server } = await serve(
      (async function* (): AsyncGenerator<MarketEvent> {
        await new Promise(() => undefined);
        yield* trades(1);
      })(),
      { paused: false },
    );
    await server.close();
    closing.splice(0);
    expect(server.status()).toMatchObject({ ended: false, tape_position: 0 });
  });

  it('says when and why a tape breaks off', async () => {
    const { server } = await serve(
      (async function* () {
        yield* trades(2);
        throw new Error('line 3 is torn');
      })(),
    );
    const { feed, first } = await follow(server);
    await playOnceFollowed(server);
    await expect(collect(feed, first)).rejects.toMatchObject({
      code: 'FEED_BROKEN_OFF',
      message: expect.stringContaining('line 3 is torn'),
    });
    expect(server.status()).toMatchObject({ ended: true, error: 'line 3 is torn', tape_position: 2 });
  });

  it('breaks off at an event that the exchange cannot take, after what came before it', async () => {
    const events = [...trades(1), trade('AAPL', 'NaN', '1', second(1)), ...trades(1)];
    const { server } = await serve(tapeOf(events));
    const { feed, first } = await follow(server);
    await playOnceFollowed(server);
    expect((await first).value).toEqual(events[0]);
    await expect(feed.next()).rejects.toMatchObject({ code: 'FEED_BROKEN_OFF' });
  });

  it('ends quietly when its signal aborts', async () => {
    const { server } = await serve(tapeOf(trades(2)));
    const abort = new AbortController();
    const { first } = await follow(server, { signal: abort.signal });
    abort.abort();
    expect(await first).toEqual({ done: true, value: undefined });
  });

  it('does not try again with keys that are wrong', async () => {
    const { server } = await serve(tapeOf(trades(2)));
    vi.stubEnv('APCA_API_SECRET_KEY', 'another-secret');
    const { first } = await follow(server);
    await expect(first).rejects.toMatchObject({ code: 'BROKER_UNAUTHORIZED' });
    await expect(first).rejects.not.toThrow('another-secret');
  });

  it('waits for a server that is not there yet', async () => {
    const abort = new AbortController();
    const probe = createServer();
    await new Promise<void>((resolve) => probe.listen(0, '127.0.0.1', resolve));
    const { port } = probe.address() as AddressInfo;
    await new Promise((resolve) => probe.close(resolve));
    const feed = marketFeed(`http://127.0.0.1:${port}`, { reconnectMsMin: 1, reconnectMsMax: 5, signal: abort.signal });
    const first = feed.next();
    const { server } = await serve(tapeOf(trades(1)), { port });
    await playOnceFollowed(server);
    expect((await first).value).toEqual(trades(1)[0]);
    abort.abort();
    await feed.return();
  });

  it('comes back after its connection breaks, and refuses what is no market event', async () => {
    const http = createServer();
    const sockets = new WebSocketServer({ server: http });
    await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve));
    closing.push(async () => {
      for (const socket of sockets.clients) socket.terminate();
      await new Promise((resolve) => http.close(resolve));
    });
    const [one, two] = trades(2);
    const scripts: string[][] = [
      [JSON.stringify([one])],
      [JSON.stringify([two])],
      ['[{"kind":"trade","asset":"AAPL"}]'],
    ];
    sockets.on('connection', (socket) => {
      for (const text of scripts.shift() ?? []) socket.send(text);
      socket.close();
    });
    const feed = marketFeed(`http://127.0.0.1:${(http.address() as AddressInfo).port}`, {
      reconnectMsMin: 1,
      reconnectMsMax: 5,
    });
    expect((await feed.next()).value).toEqual(one);
    expect((await feed.next()).value).toEqual(two);
    await expect(feed.next()).rejects.toMatchObject({ code: 'FEED_INVALID' });
  });
});

async function playOnceFollowed(server: PaperServer): Promise<void> {
  await vi.waitFor(() => expect(server.followers()).toBe(1), { interval: 2 });
  await control(server, 'POST', 'play');
}
