import { describe, expect, it } from 'vitest';
import { startPaperServer } from '../../../src/brokers/paper/server.ts';
import { headers, keys, serveEach } from '../support/served.ts';

const at = serveEach();

describe('keys', () => {
  it.each([
    ['no keys', {}],
    ['a wrong secret', { ...headers, 'APCA-API-SECRET-KEY': 'wrong' }],
    ['a wrong key id', { ...headers, 'APCA-API-KEY-ID': 'wrong' }],
  ])('answers 401 to %s, on the control paths too', async (_, sent) => {
    for (const path of ['/v2/account', '/paper/status']) {
      expect(await at.call('GET', path, undefined, sent as Record<string, string>)).toMatchObject({
        status: 401,
        body: { code: 40110000, message: 'request is not authorized' },
      });
    }
  });

  it('must not be empty', async () => {
    await expect(startPaperServer({ exchange: at.exchange, keys: { keyId: '', secretKey: '' } })).rejects.toMatchObject(
      {
        code: 'PAPER_OPTIONS_INVALID',
      },
    );
  });
});

describe('the control paths', () => {
  it('change a position behind everybody’s back', async () => {
    expect(await at.call('POST', '/paper/positions/AAPL', { amount: '-2.5' })).toMatchObject({
      body: { asset: 'AAPL', amount: '-2.5' },
    });
    expect(at.exchange.positions()).toMatchObject([{ asset: 'AAPL', amount: '-2.5' }]);
    expect((await at.call('POST', '/paper/positions/NOPE', { amount: '1' })).status).toBe(422);
    expect((await at.call('POST', '/paper/positions/AAPL', { amount: 1 })).status).toBe(422);
  });

  it('make it misbehave, as often as asked', async () => {
    await at.call('POST', '/paper/misbehave', { kind: 'http_429', times: 2, ms: 1500, on: 'fetchAccount' });
    expect((await at.call('GET', '/v2/positions')).status).toBe(200);
    const limited = await at.call('GET', '/v2/account');
    expect(limited).toMatchObject({ status: 429, body: { code: 42910000 } });
    expect(limited.headers.get('retry-after')).toBe('1.5');
    expect((await at.call('GET', '/v2/account')).status).toBe(429);
    expect((await at.call('GET', '/v2/account')).status).toBe(200);
    expect((await at.call('POST', '/paper/misbehave', { kind: 'explode' })).status).toBe(422);
  });
});

describe('starting', () => {
  it('says when the port is taken', async () => {
    await expect(startPaperServer({ exchange: at.exchange, keys, port: at.server.port })).rejects.toMatchObject({
      code: 'PAPER_SERVER_NOT_STARTED',
    });
  });

  it('refuses a speed that is none', async () => {
    await expect(startPaperServer({ exchange: at.exchange, keys, speed: 0 })).rejects.toMatchObject({
      code: 'PAPER_OPTIONS_INVALID',
    });
  });
});
