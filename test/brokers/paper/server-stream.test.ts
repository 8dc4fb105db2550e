import { once } from 'node:events';
import { connect } from 'node:net';
import { describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { market, trade } from '../../contract/broker-requests.ts';
import { headers, keys, serveEach } from '../support/served.ts';

const at = serveEach();

describe('the account’s stream', () => {
  async function open(path = '/stream', sent?: Record<string, string>) {
    const socket = new WebSocket(
      `${at.server.url.replace('http', 'ws')}${path}`,
      sent === undefined ? {} : { headers: sent },
    );
    const messages: { readonly text: string; readonly binary: boolean }[] = [];
    const waiting: (() => void)[] = [];
    socket.on('message', (data, binary) => {
      messages.push({ text: String(data), binary });
      for (const wake of waiting.splice(0)) wake();
    });
    const closed = new Promise<number>((resolve) => socket.once('close', resolve));
    await new Promise((resolve, reject) => {
      socket.once('open', resolve);
      socket.once('error', reject);
    });
    return {
      socket,
      closed,
      send: (message: unknown) => socket.send(typeof message === 'string' ? message : JSON.stringify(message)),
      async next() {
        while (messages.length === 0) await new Promise<void>((resolve) => waiting.push(resolve));
        const message = messages.shift();
        return { ...JSON.parse(message?.text ?? ''), binary: message?.binary };
      },
    };
  }
  const authorized = { stream: 'authorization', data: { action: 'authenticate', status: 'authorized' }, binary: true };

  it('speaks the real one’s words, in binary frames', async () => {
    const stream = await open();
    stream.send({ action: 'auth', key: keys.keyId, secret: keys.secretKey });
    expect(await stream.next()).toEqual(authorized);
    stream.send({ action: 'listen', data: { streams: ['trade_updates', 'account_updates'] } });
    expect(await stream.next()).toMatchObject({ stream: 'listening', data: { streams: ['trade_updates'] } });
    at.exchange.submit(market('a', 'MSFT', '-2'));
    at.exchange.onMarket(trade('MSFT', '50', '2'));
    expect(await stream.next()).toMatchObject({
      stream: 'trade_updates',
      data: { event: 'new', execution_id: null, order: { status: 'new', client_order_id: 'a', qty: '2' } },
    });
    expect(await stream.next()).toMatchObject({
      stream: 'trade_updates',
      data: {
        event: 'fill',
        qty: '2',
        price: '50',
        position_qty: '-2',
        execution_id: at.exchange.fills()[0]?.execution_id,
        order: { status: 'filled', filled_qty: '2', side: 'sell' },
      },
    });
    stream.send({ action: 'listen', data: { streams: [] } });
    expect(await stream.next()).toMatchObject({ stream: 'listening', data: { streams: [] } });
    stream.send('nonsense');
    expect(await stream.next()).toMatchObject({ stream: 'error' });
    stream.socket.terminate();
  });

  it('takes the older form of authentication', async () => {
    const stream = await open();
    stream.send({ action: 'authenticate', data: { key_id: keys.keyId, secret_key: keys.secretKey } });
    expect(await stream.next()).toEqual(authorized);
    stream.socket.terminate();
  });

  it.each([
    ['wrong keys', { action: 'auth', key: keys.keyId, secret: 'wrong' }],
    ['listening before', { action: 'listen', data: { streams: ['trade_updates'] } }],
  ])('closes on %s', async (_, message) => {
    const stream = await open();
    stream.send(message);
    expect(await stream.next()).toMatchObject({ data: { status: 'unauthorized' } });
    await stream.closed;
  });

  it('lets whoever asks for another path go away in the middle, or ask for what is no path', async () => {
    const upgrade = (path: string) =>
      `GET ${path} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n`;
    for (let count = 0; count < 20; count += 1) {
      const socket = connect(at.server.port, '127.0.0.1');
      await once(socket, 'connect');
      socket.write(upgrade('/elsewhere'));
      setImmediate(() => socket.resetAndDestroy());
      await once(socket, 'close');
    }
    const socket = connect(at.server.port, '127.0.0.1');
    socket.write(upgrade('//'));
    expect(String((await once(socket, 'data'))[0])).toContain('404');
    socket.destroy();
    expect((await at.call('GET', '/v2/account')).status).toBe(200);
  });

  it('is at no other path, and the market asks for the keys', async () => {
    await expect(open('/elsewhere')).rejects.toThrow('404');
    await expect(open('/stream/market')).rejects.toThrow('401');
    const follower = await open('/stream/market', headers);
    follower.socket.terminate();
  });
});
