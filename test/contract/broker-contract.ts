import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { ActivityCursor, BrokerAdapter } from '../../src/brokers/adapter.ts';
import {
  accountReportSchema,
  type FillReport,
  fillReportSchema,
  orderReportSchema,
  positionReportSchema,
} from '../../src/model/report.ts';
import { type BrokerHarness, failure, limit, listen, market, trade } from './broker-requests.ts';

const start: ActivityCursor = { activity_id: null, at: null };

/** What every adapter does, told as cases that run against each. */
export function describeBroker(name: string, open: () => Promise<BrokerHarness>): void {
  describe(`broker contract: ${name}`, () => {
    let harness: BrokerHarness;
    let broker: BrokerAdapter;
    beforeEach(async () => {
      harness = await open();
      broker = harness.adapter;
    });
    afterEach(() => harness.close());

    it('reports an accepted order as open, by id and in the list of open orders', async () => {
      const report = await broker.submitOrder(limit('a', 'AAPL', '10', '99.50'));
      expect(orderReportSchema.parse(plain(report))).toMatchObject({
        order_id: 'a',
        asset: 'AAPL',
        amount: '10',
        order_type: 'limit',
        limit_price: '99.5',
        stop_price: null,
        time_in_force: 'gtc',
        status: 'open',
        filled_amount: '0',
        average_fill_price: null,
      });
      expect(plain(await broker.fetchOrder('a'))).toEqual(plain(report));
      expect((await broker.fetchOpenOrders()).map(plain)).toEqual([plain(report)]);
    });

    it('fills a market order at the next price, and cash and position follow exactly', async () => {
      await broker.submitOrder(market('a', 'AAPL', '10'));
      harness.market(trade('AAPL', '100.01', '50'));
      expect(await broker.fetchOrder('a')).toMatchObject({
        status: 'filled',
        filled_amount: '10',
        average_fill_price: '100.01',
      });
      const positions = await broker.fetchPositions();
      expect(positionReportSchema.array().parse(positions)).toMatchObject([
        { asset: 'AAPL', amount: '10', cost_basis: '100.01', last_price: '100.01' },
      ]);
      const account = await broker.fetchAccount();
      expect(accountReportSchema.parse(plain(account))).toMatchObject({
        currency: 'USD',
        cash: { USD: '8999.9' },
        equity: '10000',
        blocked: false,
      });
      expect(await broker.fetchOpenOrders()).toEqual([]);
    });

    it('fills in parts, each an execution of its own', async () => {
      await broker.submitOrder(limit('a', 'AAPL', '10', '100'));
      harness.market(trade('AAPL', '100', '4'));
      expect(await broker.fetchOrder('a')).toMatchObject({ status: 'partially_filled', filled_amount: '4' });
      harness.market(trade('AAPL', '99', '6'));
      const { fills } = await broker.fetchFills(start);
      expect(fills.map(({ amount, price }) => [amount, price])).toEqual([
        ['4', '100'],
        ['6', '100'],
      ]);
      expect(new Set(fills.map((fill) => fill.execution_id)).size).toBe(2);
    });

    it('reports a sale with negative amounts and a short position as negative', async () => {
      await broker.submitOrder(market('a', 'MSFT', '-3'));
      harness.market(trade('MSFT', '50', '3'));
      expect(await broker.fetchOrder('a')).toMatchObject({ amount: '-3', filled_amount: '-3', status: 'filled' });
      expect(await broker.fetchPositions()).toMatchObject([{ asset: 'MSFT', amount: '-3', cost_basis: '50' }]);
      expect((await broker.fetchFills(start)).fills).toMatchObject([{ amount: '-3', price: '50', fee: '0' }]);
      expect((await broker.fetchAccount()).cash).toEqual({ USD: '10150' });
    });

    it('keeps amounts that no float could hold', async () => {
      await broker.submitOrder({ ...market('a', 'AAPL', '0.100000001'), time_in_force: 'day' });
      harness.market(trade('AAPL', '0.300000000003', '1'));
      expect(await broker.fetchPositions()).toMatchObject([{ amount: '0.100000001' }]);
      // 10000 − 0.100000001 × 0.300000000003
      expect((await broker.fetchAccount()).cash).toEqual({ USD: '9999.969999999699699999997' });
    });

    it('cancels, and says so on the stream', async () => {
      const stream = await listen(broker);
      await broker.submitOrder(limit('a', 'AAPL', '10', '90'));
      await broker.cancelOrder({ order_id: 'a', broker_order_id: null });
      await stream.until(() => stream.updates.some(({ report }) => report.status === 'canceled'));
      expect(await broker.fetchOrder('a')).toMatchObject({ status: 'canceled' });
      expect(await broker.fetchOpenOrders()).toEqual([]);
    });

    it('says no to canceling what is final, and that it does not know what never was', async () => {
      const report = await broker.submitOrder(market('a', 'AAPL', '1'));
      harness.market(trade('AAPL', '100', '1'));
      const again = broker.cancelOrder({ order_id: 'a', broker_order_id: report.broker_order_id });
      await expect(again).rejects.toMatchObject({ code: 'BROKER_REJECTED' });
      await expect(broker.cancelOrder({ order_id: 'x', broker_order_id: null })).rejects.toMatchObject({
        code: 'BROKER_NOT_FOUND',
      });
      await expect(
        broker.cancelOrder({ order_id: 'x', broker_order_id: '00000000-0000-4000-8000-000000000000' }),
      ).rejects.toMatchObject({ code: 'BROKER_NOT_FOUND' });
    });

    it('replaces a live order by one with an id of its own', async () => {
      const old = await broker.submitOrder(limit('a', 'AAPL', '-10', '110'));
      const fresh = await broker.replaceOrder(
        { order_id: 'a', broker_order_id: old.broker_order_id },
        { order_id: 'b', amount: '-7', limit_price: '105' },
      );
      expect(fresh).toMatchObject({ order_id: 'b', amount: '-7', limit_price: '105', status: 'open' });
      expect(fresh.broker_order_id).not.toBe(old.broker_order_id);
      expect(await broker.fetchOrder('a')).toMatchObject({ status: 'replaced' });
      expect((await broker.fetchOpenOrders()).map((order) => order.order_id)).toEqual(['b']);
    });

    it('refuses an order id that it has seen, also of an order that is final', async () => {
      await broker.submitOrder(market('a', 'AAPL', '1'));
      harness.market(trade('AAPL', '100', '1'));
      await expect(broker.submitOrder(market('a', 'AAPL', '1'))).rejects.toMatchObject({
        code: 'BROKER_DUPLICATE_ORDER_ID',
        retryable: false,
      });
      expect(await broker.fetchPositions()).toMatchObject([{ amount: '1' }]);
    });

    it.each([
      ['an asset that it does not list', market('a', 'NOPE', '1')],
      ['an order beyond buying power', limit('a', 'AAPL', '1000', '100')],
      ['a limit order without a limit', { ...limit('a', 'AAPL', '1', '1'), limit_price: null }],
      ['an amount of nothing', market('a', 'AAPL', '0')],
    ])('rejects %s, and has no such order afterwards', async (_, request) => {
      const error = await failure(broker.submitOrder(request));
      expect(error).toMatchObject({ code: 'BROKER_REJECTED', retryable: false });
      expect(await broker.fetchOrder('a')).toBeNull();
      expect((await broker.fetchAccount()).buying_power).toBe('10000');
    });

    it('rejects an order that would turn a long position short, and says beforehand that it would', async () => {
      expect(broker.capabilities.crossing).toBe('split');
      await broker.submitOrder(market('a', 'AAPL', '5'));
      harness.market(trade('AAPL', '100', '5'));
      await expect(broker.submitOrder(market('b', 'AAPL', '-6'))).rejects.toMatchObject({ code: 'BROKER_REJECTED' });
      await broker.submitOrder(market('c', 'AAPL', '-5'));
      await expect(broker.submitOrder(market('d', 'AAPL', '-1'))).rejects.toMatchObject({ code: 'BROKER_REJECTED' });
    });

    it('gives null for an order that it never had', async () => {
      expect(await broker.fetchOrder('never')).toBeNull();
    });

    it('gives executions oldest first, all of them, and after a cursor only what is newer', async () => {
      await broker.submitOrder(limit('a', 'AAPL', '60', '100'));
      await broker.submitOrder(limit('b', 'MSFT', '40', '10'));
      for (let count = 0; count < 130; count += 1) {
        harness.market(trade('AAPL', '100', '0.2'));
        harness.market(trade('MSFT', '10', '0.1'));
      }
      const all = await broker.fetchFills(start);
      expect(all.fills).toHaveLength(260);
      expect(fillReportSchema.array().parse(all.fills.map(fillOnly))).toHaveLength(260);
      const ids = all.fills.map((fill) => fill.activity_id ?? '');
      expect(ids).toEqual(ids.toSorted());
      expect(new Set(ids).size).toBe(260);
      expect(all.fills[0]).toMatchObject({ asset: 'AAPL', amount: '0.2' });
      expect(all.fills[1]).toMatchObject({ asset: 'MSFT', amount: '0.1' });
      expect(all.cursor).toEqual({ activity_id: ids.at(-1), at: all.fills.at(-1)?.at });

      const middle = await broker.fetchFills({ activity_id: ids[99] ?? null, at: all.fills[99]?.at ?? null });
      expect(middle.fills.map((fill) => fill.activity_id)).toEqual(ids.slice(100));
      expect(middle.cursor).toEqual(all.cursor);
      expect(await broker.fetchFills(all.cursor)).toEqual({ fills: [], cursor: all.cursor });
    });

    it('reads executions from a time on, that instant included', async () => {
      await broker.submitOrder(market('a', 'AAPL', '1'));
      harness.market(trade('AAPL', '100', '1'));
      const [fill] = (await broker.fetchFills(start)).fills;
      const from = await broker.fetchFills({ activity_id: null, at: fill?.at ?? null });
      expect(from.fills.map((found) => found.execution_id)).toEqual([fill?.execution_id]);
      const later = { activity_id: null, at: '2999-01-01T00:00:00.000000Z' };
      expect(await broker.fetchFills(later)).toEqual({ fills: [], cursor: later });
    });

    it('tells executions on the stream under the ids that the list has', async () => {
      const stream = await listen(broker);
      await broker.submitOrder(limit('a', 'AAPL', '5', '100'));
      harness.market(trade('AAPL', '100', '2'));
      harness.market(trade('AAPL', '100', '3'));
      await stream.until(() => stream.updates.some(({ report }) => report.status === 'filled'));
      expect(stream.updates.map(({ report }) => report.status)).toEqual(['open', 'partially_filled', 'filled']);
      const told = stream.updates.flatMap(({ fill }) => (fill === null ? [] : [fill]));
      const listed = (await broker.fetchFills(start)).fills;
      const key = ({ execution_id, amount, price, at, broker_order_id }: FillReport) => ({
        execution_id,
        amount,
        price,
        at,
        broker_order_id,
      });
      expect(told.map(key)).toEqual(listed.map(key));
      expect(told.map((fill) => fill.order_id)).toEqual(['a', 'a']);
    });

    it('tells nothing more once its stream is closed', async () => {
      const stream = await listen(broker);
      await stream.close();
      await broker.submitOrder(market('a', 'AAPL', '1'));
      harness.market(trade('AAPL', '100', '1'));
      expect(await broker.fetchOrder('a')).toMatchObject({ status: 'filled' });
      expect(stream.updates).toEqual([]);
      expect(stream.disconnects).toEqual([]);
    });

    it('can be closed twice, and answers nothing afterwards', async () => {
      await listen(broker);
      await broker.close();
      await broker.close();
      await expect(broker.fetchAccount()).rejects.toMatchObject({ code: 'BROKER_UNREACHABLE' });
      await expect(listen(broker)).rejects.toMatchObject({ code: 'BROKER_UNREACHABLE' });
    });
  });
}

/** A report with the contract's fields only: an adapter may tell more. */
function plain(report: object | null): object {
  const { sequence: _, replaces: __, replaced_by: ___, ...rest } = report as Record<string, unknown>;
  return rest;
}

function fillOnly(fill: FillReport): object {
  const {
    cumulative_amount: _,
    leaves_amount: __,
    order_status: ___,
    ...rest
  } = fill as FillReport & Record<string, unknown>;
  return rest;
}
