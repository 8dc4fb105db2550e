/**
 * What bites in practice at Alpaca, each as a case of its own: what its description says of it, or that it is silent, and what the
 * paper broker does, as the adapter and as the wire show it.
 */
import { afterEach, describe, expect, it } from 'vitest';
import { AlpacaBroker } from '../../src/brokers/alpaca/adapter.ts';
import { BrokerKeys } from '../../src/brokers/alpaca/keys.ts';
import { parseAlpacaOptions } from '../../src/brokers/alpaca/options.ts';
import { DecimalLedger, type LedgerBook } from '../../src/engine/decimal-ledger.ts';
import { Instruments } from '../../src/engine/instrument.ts';
import type { PositionSnapshot } from '../../src/model/position.ts';
import type { FillReport } from '../../src/model/report.ts';
import { readOpenApi } from '../brokers/support/open-api.ts';
import { keys, serveEach } from '../brokers/support/served.ts';
import { failure, limit, listen, market, trade } from './broker-requests.ts';

const at = serveEach();
const start = { activity_id: null, at: null };
let broker: AlpacaBroker | null = null;
afterEach(() => broker?.close());

function adapter(): AlpacaBroker {
  broker = new AlpacaBroker(
    'alpaca',
    parseAlpacaOptions({ url: at.server.url }),
    new BrokerKeys(keys.keyId, keys.secretKey),
  );
  return broker;
}

interface Case {
  readonly name: string;
  /** A phrase of the description; or, where it is silent, a word that it never uses. */
  readonly described: { readonly by: string } | { readonly silent: RegExp };
  run(): Promise<void>;
}

const cases: readonly Case[] = [
  {
    name: 'a short position has a negative quantity and the side short, and is negative here',
    // That there is a side is described; that the quantity has a sign, too, is not.
    described: { silent: /negative (qty|quantity|number of shares)/i },
    async run() {
      at.exchange.submit(market('a', 'MSFT', '-2'));
      at.exchange.onMarket(trade('MSFT', '50', '2'));
      const { body } = await at.call('GET', '/v2/positions/MSFT');
      expect(body).toMatchObject({ qty: '-2', side: 'short', market_value: '-100', cost_basis: '-100' });
      expect(await adapter().fetchPositions()).toMatchObject([{ asset: 'MSFT', amount: '-2', cost_basis: '50' }]);
    },
  },
  {
    name: 'a part of a share is traded by an order for the day only, and never sold short',
    described: { by: 'Can be fractionable for only market and day order types.' },
    async run() {
      const alpaca = adapter();
      const part = market('part', 'AAPL', '1.5');
      expect(await failure(alpaca.submitOrder(part))).toMatchObject({
        code: 'BROKER_REJECTED',
        details: { status: 422, broker_code: 42210000, broker_message: 'fractional orders must be DAY orders' },
      });
      await alpaca.submitOrder({ ...part, time_in_force: 'day' });
      at.exchange.onMarket(trade('AAPL', '100', '5'));
      await alpaca.submitOrder({ ...market('sold', 'AAPL', '-0.5'), time_in_force: 'day' });
      at.exchange.onMarket(trade('AAPL', '100', '5'));
      expect(await alpaca.fetchPositions()).toMatchObject([{ asset: 'AAPL', amount: '1' }]);
      const short = { ...market('short', 'MSFT', '-0.5'), time_in_force: 'day' } as const;
      expect(await failure(alpaca.submitOrder(short))).toMatchObject({
        details: { broker_message: 'fractional orders cannot be sold short' },
      });
    },
  },
  {
    name: 'an order that would turn a long position short is refused, and passes as two',
    described: { by: 'Buying power or shares is not sufficient.' },
    async run() {
      const alpaca = adapter();
      at.exchange.submit(market('a', 'AAPL', '5'));
      at.exchange.onMarket(trade('AAPL', '100', '5'));
      const turn = { symbol: 'AAPL', qty: '8', side: 'sell', type: 'market', time_in_force: 'day' };
      expect(await at.call('POST', '/v2/orders', turn)).toMatchObject({
        status: 403,
        body: {
          code: 40310000,
          message: 'insufficient qty available for order (requested: 8, available: 5)',
          available: '5',
          existing_qty: '5',
          held_for_orders: '0',
          symbol: 'AAPL',
        },
      });
      expect(await failure(alpaca.submitOrder(market('turn', 'AAPL', '-8')))).toMatchObject({
        code: 'BROKER_REJECTED',
        retryable: false,
      });
      await alpaca.submitOrder(market('close', 'AAPL', '-5'));
      // The second one only once the first has filled: until then its shares are held.
      expect(await failure(alpaca.submitOrder(market('early', 'AAPL', '-3')))).toMatchObject({
        code: 'BROKER_REJECTED',
      });
      at.exchange.onMarket(trade('AAPL', '100', '5'));
      await alpaca.submitOrder(market('open', 'AAPL', '-3'));
      at.exchange.onMarket(trade('AAPL', '100', '3'));
      expect(await alpaca.fetchPositions()).toMatchObject([{ asset: 'AAPL', amount: '-3' }]);
    },
  },
  {
    name: 'an order that would trade with one of the account’s own is refused, and one that would not is taken',
    described: { silent: /wash|opposite side/i },
    async run() {
      const alpaca = adapter();
      const resting = await alpaca.submitOrder(limit('buy', 'AAPL', '5', '100'));
      const sell = { symbol: 'AAPL', qty: '1', side: 'sell', type: 'market', time_in_force: 'day' };
      for (const crossing of [sell, { ...sell, type: 'limit', limit_price: '100' }]) {
        expect(await at.call('POST', '/v2/orders', crossing)).toMatchObject({
          status: 403,
          body: {
            code: 40310000,
            message: 'potential wash trade detected. use complex orders',
            existing_order_id: resting.broker_order_id,
            reject_reason: 'opposite side limit order exists',
          },
        });
      }
      // A plain refusal: wrong keys answer 403 as well, and are no refusal.
      expect(await failure(alpaca.submitOrder(market('sell', 'AAPL', '-1')))).toMatchObject({
        code: 'BROKER_REJECTED',
        details: { status: 403, broker_code: 40310000 },
      });
      await alpaca.submitOrder(limit('above', 'AAPL', '-1', '100.01'));
      await alpaca.submitOrder(market('other', 'MSFT', '-1'));
      expect(await at.call('POST', '/v2/orders', { ...sell, symbol: 'MSFT', side: 'buy' })).toMatchObject({
        status: 403,
        body: { reject_reason: 'opposite side market/stop order exists' },
      });
    },
  },
  {
    name: 'a replacement is a new order with an id of its own, and both tell of each other',
    described: { by: 'A unique identifier for the new order. Automatically generated if not sent.' },
    async run() {
      const alpaca = adapter();
      const stream = await listen(alpaca);
      const old = await alpaca.submitOrder(limit('a', 'AAPL', '5', '90'));
      const fresh = await alpaca.replaceOrder(
        { order_id: 'a', broker_order_id: old.broker_order_id },
        { order_id: 'b', limit_price: '91' },
      );
      expect(fresh).toMatchObject({ order_id: 'b', limit_price: '91', amount: '5' });
      expect((await at.call('GET', `/v2/orders/${old.broker_order_id}`)).body).toMatchObject({
        client_order_id: 'a',
        status: 'replaced',
        replaced_by: fresh.broker_order_id,
      });
      expect((await at.call('GET', `/v2/orders/${fresh.broker_order_id}`)).body).toMatchObject({
        client_order_id: 'b',
        replaces: old.broker_order_id,
      });
      await stream.until(() => stream.updates.length === 3);
      expect(stream.updates.map(({ report }) => [report.order_id, report.status])).toEqual([
        ['a', 'open'],
        ['a', 'replaced'],
        ['b', 'open'],
      ]);
      const unnamed = await at.call('PATCH', `/v2/orders/${fresh.broker_order_id}`, { limit_price: '92' });
      expect(unnamed.body.client_order_id).toMatch(/^[0-9a-f-]{36}$/);
    },
  },
  {
    name: 'a coin is BTCUSD among positions and BTC/USD among orders, and one asset here',
    // Of assets it says so; of positions it says nothing.
    described: { by: 'For crypto, the symbol has to follow old symbology, e.g. BTCUSD.' },
    async run() {
      const alpaca = adapter();
      await alpaca.submitOrder(market('a', 'BTC/USD', '0.01'));
      at.exchange.onMarket(trade('BTC/USD', '60000', '1'));
      expect((await at.call('GET', '/v2/positions')).body).toMatchObject([{ symbol: 'BTCUSD', asset_class: 'crypto' }]);
      expect((await at.call('GET', '/v2/orders?status=all')).body).toMatchObject([{ symbol: 'BTC/USD' }]);
      expect((await alpaca.fetchPositions()).map(({ asset }) => asset)).toEqual(['BTC/USD']);
      expect((await alpaca.fetchFills(start)).fills.map(({ asset }) => asset)).toEqual(['BTC/USD']);
    },
  },
  {
    name: 'a fee on coins is taken in what the trade brings, so that less is held than was bought',
    described: { by: 'Crypto fee' },
    async run() {
      const alpaca = adapter();
      await alpaca.submitOrder(market('buy', 'ETH/USD', '2'));
      at.exchange.onMarket(trade('ETH/USD', '3000', '2'));
      await alpaca.submitOrder(market('sell', 'ETH/USD', '-1'));
      at.exchange.onMarket(trade('ETH/USD', '3000', '1'));
      const { fills } = await alpaca.fetchFills(start);
      expect(fills).toMatchObject([
        { amount: '2', fee: '0.005', fee_currency: 'ETH', currency: 'USD' },
        { amount: '-1', fee: '7.5', fee_currency: 'USD', currency: 'USD' },
      ]);
      expect(await alpaca.fetchPositions()).toMatchObject([{ asset: 'ETH/USD', amount: '0.995' }]);
      expect((await alpaca.fetchAccount()).cash['USD']).toBe('6992.5');
      expect(booked(fills)).toEqual({ amount: '0.995', cash: '6992.5' });
      // What is left can be sold, and what was bought cannot.
      const sold = { symbol: 'ETH/USD', side: 'sell', type: 'market', time_in_force: 'gtc' };
      expect((await at.call('POST', '/v2/orders', { ...sold, qty: '1' })).status).toBe(403);
      expect((await at.call('POST', '/v2/orders', { ...sold, qty: '0.995' })).status).toBe(200);
    },
  },
  {
    name: 'dividends, interest, fees and splits are activities that are no trades: they explain, and are booked by nobody',
    described: { by: 'The net amount of money (positive or negative) associated with the activity.' },
    async run() {
      const alpaca = adapter();
      const stream = await listen(alpaca);
      await alpaca.submitOrder(market('a', 'AAPL', '4'));
      at.exchange.onMarket(trade('AAPL', '100', '4'));
      const before = await alpaca.fetchFills(start);
      at.exchange.bookActivity({ type: 'DIV', asset: 'AAPL', cash: '0.96' });
      at.exchange.bookActivity({ type: 'INT', cash: '-1.5' });
      at.exchange.bookActivity({ type: 'SPLIT', asset: 'AAPL', amount: '12' });
      expect(await alpaca.fetchFills(start)).toEqual(before);
      expect((await alpaca.fetchFills(before.cursor)).fills).toEqual([]);
      const { activities, cursor } = await alpaca.fetchActivities(start);
      expect(activities).toMatchObject([
        // Its quantity is what it was paid for, and no change.
        { type: 'DIV', sub_type: 'CDIV', asset: 'AAPL', cash: '0.96', amount: '0', currency: 'USD', canceled: false },
        { type: 'INT', asset: null, cash: '-1.5', amount: '0' },
        { type: 'SPLIT', sub_type: 'FSPLIT', asset: 'AAPL', cash: '0', amount: '12' },
      ]);
      expect((await alpaca.fetchActivities(cursor)).activities).toEqual([]);
      // With them, what the broker holds is what was traded.
      expect(await alpaca.fetchPositions()).toMatchObject([{ asset: 'AAPL', amount: '16', cost_basis: '25' }]);
      expect((await alpaca.fetchAccount()).cash['USD']).toBe('9599.46');
      expect(stream.updates.filter(({ fill }) => fill !== null)).toHaveLength(1);
    },
  },
  {
    name: 'coins can be held and not owed, and their orders live until canceled or at once',
    described: { by: 'Crypto trading: gtc, ioc.' },
    async run() {
      const buy = {
        symbol: 'BTC/USD',
        qty: '0.1',
        side: 'buy',
        type: 'limit',
        limit_price: '10',
        time_in_force: 'gtc',
      };
      expect(await at.call('POST', '/v2/orders', { ...buy, side: 'sell' })).toMatchObject({
        status: 403,
        body: { code: 40310000, message: 'insufficient balance for BTC (requested: 0.1, available: 0)' },
      });
      for (const time_in_force of ['day', 'fok']) {
        expect(await at.call('POST', '/v2/orders', { ...buy, time_in_force })).toMatchObject({
          status: 422,
          body: { code: 42210000, message: 'invalid crypto time_in_force' },
        });
      }
      const stop = { ...buy, type: 'stop', limit_price: undefined, stop_price: '10' };
      expect((await at.call('POST', '/v2/orders', stop)).status).toBe(422);
      expect((await at.call('POST', '/v2/orders', { ...buy, symbol: 'BTCUSD' })).body).toMatchObject({
        symbol: 'BTC/USD',
      });
    },
  },
];

/** What the engine's own ledger makes of the executions, from USD 10,000. */
function booked(fills: readonly FillReport[]): { readonly amount: string; readonly cash: string } {
  const positions = new Map<string, PositionSnapshot>();
  const cash = new Map([['USD', '10000']]);
  const book: LedgerBook = {
    name: 'test',
    position: (asset) => positions.get(asset),
    setPosition: (position) => void positions.set(position.asset, position),
    removePosition: (asset) => void positions.delete(asset),
    cash: (currency = 'USD') => cash.get(currency) ?? '0',
    setCash: (amount, currency = 'USD') => void cash.set(currency, amount),
  };
  const ledger = new DecimalLedger(new Instruments('USD'));
  for (const { currency, fee_currency, ...fill } of fills) {
    ledger.applyFill(book, {
      ...fill,
      order_id: fill.order_id ?? '',
      ...(currency === null ? {} : { currency }),
      ...(fee_currency === null ? {} : { fee_currency }),
    });
  }
  return { amount: positions.get('ETH/USD')?.amount ?? '0', cash: cash.get('USD') ?? '0' };
}

describe('what bites at Alpaca', () => {
  const api = readOpenApi();
  const text = api === null ? null : JSON.stringify(api.document);

  it.each(cases.map((one) => [one.name, one] as const))('%s', async (_, { described, run }) => {
    if (text !== null && 'by' in described) expect(text).toContain(described.by);
    if (text !== null && 'silent' in described) expect(text).not.toMatch(described.silent);
    await run();
  });
});
