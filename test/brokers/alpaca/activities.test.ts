import { afterEach, describe, expect, it } from 'vitest';
import { activitiesSchema, positionsSchema } from '../../../src/brokers/alpaca/schemas.ts';
import { activityReport, positionReport } from '../../../src/brokers/alpaca/translate.ts';
import { failure } from '../../contract/broker-requests.ts';
import { against, answer, closeAll } from '../support/alpaca-server.ts';

afterEach(closeAll);

const start = { activity_id: null, at: null };
const fill = {
  id: '20251002143000000::f1',
  activity_type: 'FILL',
  order_id: 'o',
  symbol: 'AAPL',
  side: 'buy',
  qty: '1',
  price: '2',
  transaction_time: '2025-10-02T14:30:00Z',
};
const dividend = {
  id: '20251003000000000::d1',
  activity_type: 'DIV',
  activity_sub_type: 'CDIV',
  symbol: 'AAPL',
  qty: '4',
  per_share_amount: '0.24',
  net_amount: '0.96',
  currency: 'USD',
  status: 'executed',
  created_at: '2025-10-03T06:00:00Z',
  date: '2025-10-03',
};

function told(change: object) {
  const [entry] = activitiesSchema.parse([{ ...dividend, ...change }]);
  if (entry?.kind !== 'other') throw new Error('taken for a fill');
  return activityReport(entry.other, { MSFT: 'MSFT.US' });
}

describe('what is no trade', () => {
  it.each<[string, object, object]>([
    ['a dividend', {}, { type: 'DIV', sub_type: 'CDIV', cash: '0.96', amount: '0', asset: 'AAPL' }],
    ['a stock dividend, whose quantity may be either', { activity_sub_type: 'SDIV' }, { amount: null }],
    ['withheld tax', { activity_type: 'DIVNRA', net_amount: '-0.1' }, { cash: '-0.1', amount: '0' }],
    ['interest', { activity_type: 'INT', symbol: null, qty: null }, { asset: null, amount: '0' }],
    ['a fee', { activity_type: 'FEE', net_amount: '-0.02', qty: undefined }, { cash: '-0.02', amount: '0' }],
    ['a split', { activity_type: 'SPLIT', qty: '12', net_amount: '0' }, { cash: '0', amount: '12' }],
    ['a reverse split', { activity_type: 'SPLIT', qty: '-12' }, { amount: '-12' }],
    [
      'a fee on a coin',
      { activity_type: 'CFEE', symbol: 'ETHUSD', qty: '-0.0001950', net_amount: '0' },
      { asset: 'ETH/USD', amount: '-0.000195', cash: '0' },
    ],
    ['what nobody has heard of', { activity_type: 'GIFT' }, { type: 'GIFT', amount: null }],
    ['what was taken back', { status: 'canceled' }, { canceled: true }],
    ['what was booked on a day', { created_at: null }, { at: '2025-10-03T00:00:00.000000Z' }],
    ['an asset that has another name here', { symbol: 'MSFT' }, { asset: 'MSFT.US' }],
    ['a currency that is empty', { currency: '' }, { currency: null }],
  ])('is reported as what it changed: %s', (_, change, expected) => {
    expect(told(change)).toMatchObject(expected);
  });

  it.each([
    ['without a time', { created_at: null, date: null }],
    ['with a date that is none', { created_at: null, date: 'soon' }],
  ])('is no evidence %s', (_, change) => {
    expect(told(change)).toBeNull();
  });

  it('is no fill, wherever the broker tells it', async () => {
    const pages = [JSON.stringify([fill, dividend]), '[]'];
    const { broker, requests } = await against((received, response) => {
      answer(200, pages[received.url?.includes('page_token') ? 1 : 0] ?? '[]')(received, response);
    });
    const { fills, cursor } = await broker.fetchFills(start);
    expect(fills.map(({ execution_id }) => execution_id)).toEqual(['f1']);
    expect(cursor.activity_id).toBe(fill.id);
    // The page ended with what is no fill, and the next one begins after it.
    expect(requests[1]).toContain(encodeURIComponent(dividend.id));
    const { activities } = await broker.fetchActivities(start);
    expect(activities.map(({ type }) => type)).toEqual(['DIV']);
    expect(requests.at(-2)).toContain('category=non_trade_activity');
  });

  it.each(['trade_bust', 'trade_correct'])('is no fill where a trade is told again as a %s', async (type) => {
    const again = { ...fill, id: '20251002150000000::f2', type };
    const { broker } = await against((received, response) => {
      const page = received.url?.includes('page_token') === true ? [] : [{ ...fill, type: 'fill' }, again];
      answer(200, JSON.stringify(page))(received, response);
    });
    const { fills } = await broker.fetchFills(start);
    expect(fills.map(({ execution_id }) => execution_id)).toEqual(['f1']);
  });

  it('is read from a time on, that instant included', async () => {
    const early = { ...dividend, id: '1::a', created_at: '2025-10-03T05:59:59.999999Z' };
    const { broker } = await against((received, response) => {
      const again = received.url?.includes('page_token') === true;
      answer(200, JSON.stringify(again ? [] : [early, dividend]))(received, response);
    });
    const { activities, cursor } = await broker.fetchActivities({
      activity_id: null,
      at: '2025-10-03T06:00:00.000000Z',
    });
    expect(activities.map(({ activity_id }) => activity_id)).toEqual([dividend.id]);
    expect(cursor).toEqual({ activity_id: dividend.id, at: '2025-10-03T06:00:00.000000Z' });
  });

  it.each<[string, object]>([
    ['a fill without a price', { ...fill, price: undefined }],
    ['a fill without an order', { ...fill, order_id: null }],
    ['an activity whose money was a float', { ...dividend, net_amount: 0.96 }],
    ['an activity without an id', { ...dividend, id: '' }],
  ])('makes no evidence of a page with %s in it', async (_, broken) => {
    const { broker } = await against(answer(200, JSON.stringify([fill, broken])));
    expect(await failure(broker.fetchFills(start))).toMatchObject({
      code: 'BROKER_ANSWER_INVALID',
      details: { excerpt: expect.stringContaining('20251002143000000::f1') },
    });
  });

  it('makes no evidence of an activity that has no time', async () => {
    const page = JSON.stringify([{ ...dividend, created_at: null, date: null }]);
    const { broker } = await against((received, response) =>
      answer(200, received.url?.includes('page_token') === true ? '[]' : page)(received, response),
    );
    expect(await failure(broker.fetchActivities(start))).toMatchObject({ code: 'BROKER_ANSWER_INVALID' });
  });
});

describe('the name of a coin', () => {
  const position = { qty: '1', side: 'long', asset_class: 'crypto' };
  const named = (symbol: string, change: object = {}, names = {}) =>
    positionReport(positionsSchema.parse([{ ...position, symbol, ...change }])[0] as never, names).asset;

  it.each([
    ['BTCUSD', 'BTC/USD'],
    ['BTCUSDT', 'BTC/USDT'],
    ['ETHBTC', 'ETH/BTC'],
    ['USDTUSD', 'USDT/USD'],
    ['USDCUSD', 'USDC/USD'],
    ['SHIBUSDC', 'SHIB/USDC'],
    ['BTC/USD', 'BTC/USD'],
    ['USD', 'USD'],
    ['DOGEEUR', 'DOGEEUR'],
  ])('%s among positions is %s', (symbol, asset) => {
    expect(named(symbol)).toBe(asset);
  });

  it('is what the options say, and shares keep theirs', () => {
    expect(named('BTCUSD', {}, { BTCUSD: 'BTCUSD.spot' })).toBe('BTCUSD.spot');
    expect(named('BTCUSD', {}, { 'BTC/USD': 'bitcoin' })).toBe('bitcoin');
    expect(named('BTCUSD', { asset_class: 'us_equity' })).toBe('BTCUSD');
    expect(named('BTCUSD', { asset_class: undefined })).toBe('BTCUSD');
  });
});
