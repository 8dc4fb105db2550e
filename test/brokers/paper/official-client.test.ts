/** The broker's own client, as it is published, against the paper broker: only the address is another. */
import {
  Alpaca,
  AuthError,
  NotFoundError,
  PermissionError,
  RateLimitError,
  streaming,
  trading,
  ValidationError,
} from '@alpacahq/alpaca-trade-api';
import { afterEach, describe, expect, it } from 'vitest';
import { limit, market, trade } from '../../contract/broker-requests.ts';
import { keys, serveEach } from '../support/served.ts';

const at = serveEach();
const streams: streaming.TradingStream[] = [];
afterEach(() => {
  for (const stream of streams.splice(0)) stream.disconnect();
});

/** Its facade has no option for the address of the REST API, but one for how requests are made. */
function client(secret: string = keys.secretKey): Alpaca {
  const fetchApi = (input: string | URL | Request, init?: RequestInit): Promise<Response> => {
    const { pathname, search, origin } = new URL(input instanceof Request ? input.url : input);
    expect(origin).toBe('https://paper-api.alpaca.markets');
    return fetch(`${at.server.url}${pathname}${search}`, init);
  };
  const options = { keyId: keys.keyId, secret, rateLimit: false as const, retry: false as const };
  return new Alpaca({ ...options, fetchApi: fetchApi as never });
}

/** A connected stream of order updates, and what it told. */
async function listening(alpaca: Alpaca) {
  const stream = alpaca.trading.stream({ url: `${at.server.url.replace('http', 'ws')}/stream`, initialReconnectMs: 1 });
  streams.push(stream);
  const told: streaming.TradeUpdate[] = [];
  const waiting = new Set<() => void>();
  let subscriptions = 0;
  stream.onTradeUpdate((update) => {
    told.push(update);
    for (const look of waiting) look();
  });
  stream.on(streaming.EVENT.SUBSCRIPTION, () => {
    subscriptions += 1;
    for (const look of waiting) look();
  });
  const until = (condition: () => boolean) =>
    new Promise<void>((resolve) => {
      const look = () => {
        if (!condition()) return;
        waiting.delete(look);
        resolve();
      };
      waiting.add(look);
      look();
    });
  stream.subscribeTradeUpdates();
  stream.connect();
  await until(() => subscriptions === 1);
  return { stream, told, until, subscriptions: () => subscriptions };
}

describe('the official client', () => {
  it('checks its keys, and reads the account', async () => {
    const check = await client().trading.validateConnection();
    expect(check).toMatchObject({ ok: true, account: { cash: '10000', currency: 'USD', status: 'ACTIVE' } });
    expect(await client('wrong').trading.validateConnection()).toMatchObject({
      ok: false,
      status: 401,
      code: 40110000,
    });
    await expect(client('wrong').trading.orders.getAllOrders()).rejects.toBeInstanceOf(AuthError);
  });

  it('places, reads, lists, replaces and cancels orders of every type that the paper broker takes', async () => {
    const { orders } = client().trading;
    const base = { symbol: 'AAPL', qty: 2, side: 'buy' } as const;
    const bought = await orders.market({ ...base, clientOrderId: 'm', timeInForce: 'gtc' });
    expect(bought).toMatchObject({ clientOrderId: 'm', status: 'new', type: 'market', qty: '2' });
    at.exchange.onMarket(trade('AAPL', '100', '2'));
    const filled = await orders.getOrderByOrderID({ orderId: bought.id ?? '' });
    expect(filled).toMatchObject({ status: 'filled', filledQty: '2', filledAvgPrice: '100' });
    expect(filled.filledAt).toBeInstanceOf(Date);

    const low = await orders.limit({ ...base, limitPrice: '90', clientOrderId: 'l' });
    const stop = await orders.stop({ ...base, symbol: 'MSFT', stopPrice: 60, clientOrderId: 's' });
    await orders.stopLimit({ ...base, symbol: 'MSFT', stopPrice: 61, limitPrice: 62, clientOrderId: 'sl' });
    expect((await orders.getAllOrders()).map((order) => order.clientOrderId)).toEqual(['sl', 's', 'l']);
    expect(await orders.getAllOrders({ symbols: ['AAPL'], status: 'closed' })).toMatchObject([{ clientOrderId: 'm' }]);
    expect(await orders.getOrderByClientOrderId({ clientOrderId: 's' })).toMatchObject({
      id: stop.id,
      stopPrice: '60',
    });

    const replaced = await orders.patchOrderByOrderId({
      orderId: low.id ?? '',
      patchOrderRequest: { qty: '3', limitPrice: '91', timeInForce: 'gtc', clientOrderId: 'l2' },
    });
    expect(replaced).toMatchObject({ clientOrderId: 'l2', replaces: low.id, qty: '3', timeInForce: 'gtc' });
    expect(replaced.id).not.toBe(low.id);
    expect(await orders.getOrderByOrderID({ orderId: low.id ?? '' })).toMatchObject({
      status: 'replaced',
      replacedBy: replaced.id,
      clientOrderId: 'l',
    });
    await orders.deleteOrderByOrderID({ orderId: stop.id ?? '' });
    expect(await orders.deleteAllOrders()).toHaveLength(2);
    expect(await orders.getAllOrders()).toEqual([]);
  });

  it('reads positions on both sides, and coins by their older name', async () => {
    at.exchange.submit(market('a', 'MSFT', '-2'));
    at.exchange.submit(market('b', 'BTC/USD', '0.01'));
    at.exchange.onMarket(trade('MSFT', '50', '2'));
    at.exchange.onMarket(trade('BTC/USD', '60000', '2'));
    const { positions } = client().trading;
    expect(await positions.getAllOpenPositions()).toMatchObject([
      { symbol: 'BTCUSD', qty: '0.01', side: 'long', assetClass: 'crypto' },
      { symbol: 'MSFT', qty: '-2', side: 'short', marketValue: '-100' },
    ]);
    expect(await positions.getOpenPosition({ symbolOrAssetId: 'BTCUSD' })).toMatchObject({ avgEntryPrice: '60000' });
    await expect(positions.getOpenPosition({ symbolOrAssetId: 'AAPL' })).rejects.toBeInstanceOf(NotFoundError);
  });

  it('follows activities through all pages, trades and others, all of them or one type', async () => {
    at.exchange.submit(limit('a', 'AAPL', '26', '100'));
    for (let count = 0; count < 25; count += 1) at.exchange.onMarket(trade('AAPL', '100', '1'));
    at.exchange.bookActivity({ type: 'DIV', asset: 'AAPL', cash: '6.25' });
    at.exchange.onMarket(trade('AAPL', '100', '1'));
    const api = client().trading;
    const all = await api.collectActivities({ direction: 'asc', pageSize: 10 });
    expect(all).toHaveLength(27);
    expect(new Set(all.map((one) => one.id)).size).toBe(27);
    expect(all[25]).toMatchObject({ activityType: 'DIV', netAmount: '6.25', qty: '25', symbol: 'AAPL' });
    const fills = await api.collectActivitiesByType({ activityType: 'FILL', pageSize: 10 });
    expect(fills).toHaveLength(26);
    const others = await api.collectActivities({ category: 'non_trade_activity' });
    expect(others.map((one) => one.activityType)).toEqual(['DIV']);
  });

  it('reads clock, calendar and assets', async () => {
    const { clock, calendar, assets } = client().trading;
    expect(await clock.legacyClock()).toMatchObject({ isOpen: true });
    const days = await calendar.legacyCalendar({ start: new Date('2025-10-01'), end: new Date('2025-10-03') });
    expect(days).toHaveLength(3);
    expect((await assets.getV2Assets()).map((asset) => asset.symbol)).toContain('BTC/USD');
    expect(await assets.getV2AssetsSymbolOrAssetId({ symbolOrAssetId: 'AAPL' })).toMatchObject({
      _class: 'us_equity',
      tradable: true,
    });
  });

  it('hears of orders on the stream, and hears on after a cut', async () => {
    const alpaca = client();
    const { told, until, subscriptions } = await listening(alpaca);
    await alpaca.trading.orders.limit({ symbol: 'AAPL', qty: 3, side: 'buy', limitPrice: 100, clientOrderId: 'a' });
    at.exchange.onMarket(trade('AAPL', '100', '1'));
    await until(() => told.length === 2);
    at.exchange.misbehave({ kind: 'disconnect' });
    await until(() => subscriptions() === 2);
    at.exchange.onMarket(trade('AAPL', '100', '2'));
    await until(() => told.length === 3);
    expect(told.map(({ event, order }) => [event, order.filledQty])).toEqual([
      ['new', '0'],
      ['partial_fill', '1'],
      ['fill', '3'],
    ]);
    expect(told[2]).toMatchObject({ qty: '2', price: '100', positionQty: '3' });
  });

  it('submits an order and waits for its end', async () => {
    const alpaca = client();
    const { stream, until, told } = await listening(alpaca);
    const done = alpaca.trading.submitAndWait(
      { type: 'market', symbol: 'AAPL', qty: 1, side: 'buy', clientOrderId: 'w' },
      { stream, timeoutMs: 25_000 },
    );
    await until(() => told.some(({ order }) => order.clientOrderId === 'w'));
    at.exchange.onMarket(trade('AAPL', '100', '1'));
    expect(await done).toMatchObject({ clientOrderId: 'w', status: 'filled' });
  });

  it('is told by the stream, too, that its keys are wrong', async () => {
    const url = `${at.server.url.replace('http', 'ws')}/stream`;
    const stream = client('wrong').trading.stream({ url, reconnect: false });
    streams.push(stream);
    stream.connect();
    expect(await stream.waitForAuthentication(25_000)).toBe(false);
  });

  it('gets its own classes of errors', async () => {
    const { orders } = client().trading;
    const base = { symbol: 'AAPL', qty: 2, side: 'buy', limitPrice: 90, clientOrderId: 'a' } as const;
    await orders.limit(base);
    const refused = (work: Promise<unknown>) => work.then(() => null).catch((error: unknown) => error);
    const duplicate = await refused(orders.limit(base));
    expect(duplicate).toBeInstanceOf(ValidationError);
    expect(duplicate).toMatchObject({
      status: 422,
      code: 40010001,
      message: expect.stringContaining('must be unique'),
    });
    const poor = await refused(orders.limit({ ...base, qty: 2000, clientOrderId: 'b' }));
    expect(poor).toBeInstanceOf(PermissionError);
    expect(poor).toMatchObject({ status: 403, code: 40310000 });
    const unknown = await refused(orders.limit({ ...base, symbol: 'NOPE', clientOrderId: 'c' }));
    expect(unknown).toMatchObject({ status: 422, code: 42210000 });
    const missing = await refused(orders.getOrderByClientOrderId({ clientOrderId: 'never' }));
    expect(missing).toBeInstanceOf(NotFoundError);
    at.exchange.misbehave({ kind: 'http_429', ms: 2_000 });
    const limited = await refused(orders.getAllOrders());
    expect(limited).toBeInstanceOf(RateLimitError);
    expect(limited).toMatchObject({ retryAfterMs: 2_000, rateLimit: { limit: 200, remaining: 0 } });
  });

  it('runs by its generated classes as well, which take the address as an option', async () => {
    const configuration = new trading.Configuration({
      basePath: at.server.url,
      keyId: keys.keyId,
      secret: keys.secretKey,
    });
    expect(await new trading.AccountsApi(configuration).getAccount()).toMatchObject({ buyingPower: '10000' });
    const orders = new trading.OrdersApi(configuration);
    const order = await orders.postOrder({
      postOrderRequest: { symbol: 'AAPL', qty: '1', side: 'buy', type: 'market', timeInForce: 'day' },
    });
    expect(order.clientOrderId).toMatch(/^[0-9a-f-]{36}$/);
  });
});
