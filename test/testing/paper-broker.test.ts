import { readFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { BrokerAdapter } from '../../src/brokers/adapter.ts';
import { createBroker } from '../../src/brokers/alpaca/adapter.ts';
import {
  type Misbehavior,
  type MisbehaviorKind,
  misbehaviorKinds,
  type RunningPaperBroker,
  startPaperBroker,
} from '../../src/testing/index.ts';
import { failure, limit, listen, market, trade } from '../contract/broker-requests.ts';

const start = { activity_id: null, at: null };
let paper: RunningPaperBroker;
let broker: BrokerAdapter;
beforeEach(async () => {
  paper = await startPaperBroker({ assets: { AAPL: 'USD', MSFT: 'USD' }, cash: { USD: '10000' }, seed: 5 });
  broker = paper.adapter({ reconnectMsMin: 1, reconnectMsMax: 20 });
});
afterEach(async () => {
  await broker.close();
  await paper.close();
});

function control(method: string, path: string, body?: object): Promise<Response> {
  return fetch(`${paper.url}${path}`, {
    method,
    headers: { 'APCA-API-KEY-ID': paper.keys.keyId, 'APCA-API-SECRET-KEY': paper.keys.secretKey },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
}

/** One share of each, bought. */
async function hold(): Promise<void> {
  for (const asset of ['AAPL', 'MSFT']) {
    await broker.submitOrder(market(`hold-${asset}`, asset, '1'));
    paper.market(trade(asset, '100', '1'));
  }
}

const assets = async () => (await broker.fetchPositions()).map(({ asset }) => asset);

/** What each does to the adapter, armed in either way. */
const cases: Readonly<Record<MisbehaviorKind, (arm: (fault: Misbehavior) => Promise<void>) => Promise<void>>> = {
  async delay(arm) {
    await arm({ kind: 'delay', ms: 30_000, on: 'submitOrder' });
    const error = await failure(broker.submitOrder(limit('a', 'AAPL', '1', '90'), { timeoutMs: 1_000 }));
    expect(error.code).toBe('BROKER_TIMEOUT');
    expect(await broker.fetchOrder('a')).toMatchObject({ status: 'open' });
    // An answer that comes late tells what was, and not what is by then.
    await hold();
    await arm({ kind: 'delay', ms: 300, on: 'fetchPositions' });
    const late = broker.fetchPositions();
    await expect.poll(() => paper.exchange.faults.armed(), { timeout: 20_000 }).toEqual([]);
    paper.exchange.adjustPosition('AAPL', '1');
    expect(await broker.fetchPositions()).toMatchObject([{ amount: '2' }, { amount: '1' }]);
    expect(await late).toMatchObject([{ amount: '1' }, { amount: '1' }]);
  },
  async drop_answer_after_accept(arm) {
    await arm({ kind: 'drop_answer_after_accept' });
    expect((await failure(broker.submitOrder(limit('a', 'AAPL', '1', '90')))).code).toBe('BROKER_UNREACHABLE');
    expect(await broker.fetchOrder('a')).toMatchObject({ status: 'open' });
    await arm({ kind: 'drop_answer_after_accept', on: 'replaceOrder' });
    const a = { order_id: 'a', broker_order_id: null };
    expect((await failure(broker.replaceOrder(a, { order_id: 'b', limit_price: '91' }))).code).toBe(
      'BROKER_UNREACHABLE',
    );
    expect(await broker.fetchOrder('b')).toMatchObject({ status: 'open', limit_price: '91' });
    await arm({ kind: 'drop_answer_after_accept', on: 'cancelOrder' });
    const b = { order_id: 'b', broker_order_id: null };
    expect((await failure(broker.cancelOrder(b))).code).toBe('BROKER_UNREACHABLE');
    expect(await broker.fetchOrder('b')).toMatchObject({ status: 'canceled' });
  },
  async duplicate_stream_event(arm) {
    const stream = await listen(broker);
    await arm({ kind: 'duplicate_stream_event' });
    await hold();
    await stream.until(() => stream.updates.filter(({ fill }) => fill !== null).length === 3);
    const ids = stream.updates.flatMap(({ fill }) => (fill === null ? [] : [fill.execution_id]));
    expect(ids[0]).toBe(ids[1]);
    expect(new Set(ids).size).toBe(2);
  },
  async reorder_stream_events(arm) {
    const stream = await listen(broker);
    await arm({ kind: 'reorder_stream_events' });
    await broker.submitOrder(limit('a', 'AAPL', '3', '100'));
    paper.market(trade('AAPL', '100', '1'));
    paper.market(trade('AAPL', '100', '2'));
    await stream.until(() => stream.updates.length === 3);
    expect(stream.updates.map(({ report }) => [report.status, report.filled_amount])).toEqual([
      ['partially_filled', '1'],
      ['open', '0'],
      ['filled', '3'],
    ]);
  },
  async stale_positions(arm) {
    await hold();
    await arm({ kind: 'stale_positions', on: 'fetchPositions' });
    paper.exchange.adjustPosition('AAPL', '4');
    expect(await broker.fetchPositions()).toMatchObject([{ amount: '1' }, { amount: '1' }]);
    expect(await broker.fetchPositions()).toMatchObject([{ amount: '5' }, { amount: '1' }]);
  },
  async empty_positions(arm) {
    await hold();
    await arm({ kind: 'empty_positions', on: 'fetchPositions' });
    expect(await assets()).toEqual([]);
    expect(await assets()).toEqual(['AAPL', 'MSFT']);
  },
  async empty_page(arm) {
    await hold();
    await broker.submitOrder(limit('a', 'AAPL', '1', '90'));
    await arm({ kind: 'empty_page', on: 'fetchOpenOrders' });
    expect(await broker.fetchOpenOrders()).toEqual([]);
    expect(await broker.fetchOpenOrders()).toHaveLength(1);
    // The end came too early: the cursor stays, and the next read has what this one had not.
    await arm({ kind: 'empty_page', on: 'fetchFills' });
    expect(await broker.fetchFills(start)).toEqual({ fills: [], cursor: start });
    expect((await broker.fetchFills(start)).fills).toHaveLength(2);
    await arm({ kind: 'empty_page', on: 'fetchPositions' });
    expect(await assets()).toEqual([]);
  },
  async partial_page(arm) {
    await hold();
    for (const id of ['a', 'b', 'c', 'd']) await broker.submitOrder(limit(id, 'AAPL', '1', '90'));
    // What has pages is followed to its end, so that a page that is too short leaves nothing out.
    await arm({ kind: 'partial_page', on: 'fetchOpenOrders', times: 2 });
    expect((await broker.fetchOpenOrders()).map(({ order_id }) => order_id)).toEqual(['a', 'b', 'c', 'd']);
    await arm({ kind: 'partial_page', on: 'fetchFills' });
    expect((await broker.fetchFills(start)).fills).toHaveLength(2);
    await arm({ kind: 'partial_page', on: 'fetchPositions' });
    expect(await assets()).toEqual(['AAPL']);
  },
  async omit_symbol(arm) {
    await hold();
    await broker.submitOrder(limit('a', 'MSFT', '1', '90'));
    await arm({ kind: 'omit_symbol', asset: 'MSFT', on: 'fetchPositions' });
    expect(await assets()).toEqual(['AAPL']);
    await arm({ kind: 'omit_symbol', on: 'fetchPositions' });
    expect(await assets()).toEqual(['MSFT']);
    await arm({ kind: 'omit_symbol', asset: 'MSFT', on: 'fetchOpenOrders' });
    expect(await broker.fetchOpenOrders()).toEqual([]);
  },
  async http_429(arm) {
    await arm({ kind: 'http_429', ms: 1_500, on: 'submitOrder' });
    const error = await failure(broker.submitOrder(limit('a', 'AAPL', '1', '90')));
    expect(error).toMatchObject({ code: 'BROKER_RATE_LIMITED', retryable: true, details: { retry_after_ms: 1_500 } });
    expect(await broker.fetchOrder('a')).toBeNull();
    await arm({ kind: 'http_429', ms: 1, on: 'fetchAccount' });
    expect((await broker.fetchAccount()).cash).toEqual({ USD: '10000' });
  },
  async http_500(arm) {
    await arm({ kind: 'http_500', on: 'submitOrder' });
    const error = await failure(broker.submitOrder(limit('a', 'AAPL', '1', '90')));
    expect(error).toMatchObject({ code: 'BROKER_UNAVAILABLE', retryable: true });
    expect(await broker.fetchOrder('a')).toBeNull();
    await arm({ kind: 'http_500', on: 'fetchAccount', times: 2 });
    expect((await broker.fetchAccount()).cash).toEqual({ USD: '10000' });
  },
  async disconnect(arm) {
    const stream = await listen(broker);
    await arm({ kind: 'disconnect' });
    await stream.until(() => stream.connects === 2);
    expect(stream.disconnects).toHaveLength(1);
    await hold();
    await stream.until(() => stream.updates.filter(({ fill }) => fill !== null).length === 2);
  },
};

describe.each(['in code', 'by the control path'])('a paper broker told %s', (way) => {
  const arm = async (fault: Misbehavior) => {
    if (way === 'in code') paper.misbehave(fault);
    else expect((await control('POST', '/paper/misbehave', fault)).status).toBe(200);
  };
  it.each(misbehaviorKinds)('misbehaves: %s', (kind) => cases[kind](arm));
});

describe('a paper broker for tests', () => {
  it('has every way of misbehaving in its documentation', () => {
    const page = readFileSync(new URL('../../docs/internals/paper-broker.md', import.meta.url), 'utf8');
    expect(misbehaviorKinds.filter((kind) => !page.includes(`| \`${kind}\` |`))).toEqual([]);
  });

  it('tells what is still armed, and forgets it', async () => {
    paper.misbehave({ kind: 'http_500', times: 3, on: 'fetchAccount' });
    paper.misbehave({ kind: 'partial_page' });
    expect(await (await control('GET', '/paper/misbehave')).json()).toEqual([
      { kind: 'http_500', times: 3, on: 'fetchAccount' },
      { kind: 'partial_page', times: 1 },
    ]);
    expect((await control('DELETE', '/paper/misbehave')).status).toBe(204);
    expect(paper.exchange.faults.armed()).toEqual([]);
    paper.misbehave({ kind: 'http_500', times: 3 });
    paper.behave();
    expect((await broker.fetchAccount()).currency).toBe('USD');
  });

  it('books what is no trade, also by the control path', async () => {
    await hold();
    const answer = await control('POST', '/paper/activities', { type: 'SPLIT', asset: 'AAPL', amount: '1' });
    expect(await answer.json()).toMatchObject({ type: 'SPLIT', amount: '1', cash: '0', asset: 'AAPL' });
    paper.bookActivity({ type: 'CSD', cash: '5' });
    expect((await broker.fetchActivities?.(start))?.activities).toMatchObject([
      { type: 'SPLIT', amount: '1' },
      { type: 'CSD', cash: '5', amount: '0' },
    ]);
    for (const wrong of [
      { type: 'SPLIT' },
      { type: 'DIV', asset: 'AAPL', amount: '1' },
      { type: 'SPLIT', amount: '1' },
      { type: 'INT', cash: '1e2' },
      { type: 'DIV', asset: 'NOPE', cash: '1' },
      { type: 'GIFT', cash: '1' },
    ]) {
      expect((await control('POST', '/paper/activities', wrong)).status, JSON.stringify(wrong)).toBe(422);
    }
    expect(paper.exchange.activities()).toHaveLength(2);
  });

  it('has keys of its own, which the broker modules take from the environment', async () => {
    const other = await startPaperBroker();
    expect(other.keys).not.toEqual(paper.keys);
    const before = { ...process.env };
    Object.assign(process.env, paper.env);
    const here = createBroker({ url: paper.url });
    const there = createBroker({ url: other.url });
    try {
      expect((await here.fetchAccount()).cash).toEqual({ USD: '10000' });
      expect(await failure(there.fetchAccount())).toMatchObject({ code: 'BROKER_UNAUTHORIZED' });
    } finally {
      for (const name of Object.keys(paper.env)) {
        if (before[name] === undefined) delete process.env[name];
        else process.env[name] = before[name];
      }
      await here.close();
      await there.close();
      await other.close();
      await other.close();
    }
  });

  it('lists what the market names where nobody says what can be traded', async () => {
    await using open = await startPaperBroker();
    open.market(trade('TSLA', '10', '1'));
    expect(open.exchange.asset('TSLA')).toMatchObject({ currency: 'USD' });
    expect(open.exchange.account().cash).toEqual({ USD: '100000' });
  });
});
