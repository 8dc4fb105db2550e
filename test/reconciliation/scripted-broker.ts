import type { ActivityCursor, BrokerAdapter, BrokerCapabilities, FillPage } from '../../src/brokers/adapter.ts';
import { BrokerError } from '../../src/model/errors.ts';
import type { AccountReport, FillReport, OrderReport, PositionReport } from '../../src/model/report.ts';
import { at } from './scene.ts';

/** What the broker has at one moment. */
export interface Scripted {
  account: AccountReport;
  positions: readonly PositionReport[];
  orders: readonly OrderReport[];
  /** Those that are not open, found by id only. */
  closed: readonly OrderReport[];
  activities: readonly FillReport[];
}

/** A broker whose answers a test sets, also in the middle of a read: `before(what)` runs ahead of each answer. */
export class ScriptedBroker implements BrokerAdapter {
  readonly name = 'scripted';
  readonly capabilities: BrokerCapabilities;
  readonly calls: string[] = [];
  now: Scripted;
  before: (what: string, call: number) => void | Promise<void> = () => {};

  constructor(now: Partial<Scripted> = {}, capabilities: Partial<BrokerCapabilities> = {}) {
    this.capabilities = { clientOrderIds: 'enforced', settleMs: 0, replace: true, shorts: true, ...capabilities };
    const account = {
      account_id: 'account-1',
      currency: 'USD',
      cash: { USD: '0' },
      equity: null,
      buying_power: null,
      blocked: false,
    };
    this.now = { account, positions: [], orders: [], closed: [], activities: [], ...now };
  }

  async fetchAccount(): Promise<AccountReport> {
    await this.#answer('account');
    return this.now.account;
  }

  async fetchPositions(): Promise<readonly PositionReport[]> {
    await this.#answer('positions');
    return this.now.positions;
  }

  async fetchOpenOrders(): Promise<readonly OrderReport[]> {
    await this.#answer('orders');
    return this.now.orders;
  }

  async fetchOrder(orderId: string): Promise<OrderReport | null> {
    await this.#answer(`order ${orderId}`);
    return [...this.now.orders, ...this.now.closed].find(({ order_id }) => order_id === orderId) ?? null;
  }

  async fetchFills(cursor: ActivityCursor): Promise<FillPage> {
    await this.#answer('fills');
    const { activities } = this.now;
    const from = activities.findIndex(({ activity_id }) => activity_id === cursor.activity_id) + 1;
    const fills = activities.slice(from).filter((each) => cursor.activity_id !== null || each.at > (cursor.at ?? ''));
    const last = fills.at(-1);
    return { fills, cursor: last === undefined ? cursor : { activity_id: last.activity_id, at: last.at } };
  }

  submitOrder(): never {
    throw new BrokerError('BROKER_REJECTED', 'a reconciliation sends no order');
  }

  cancelOrder(): never {
    throw new BrokerError('BROKER_REJECTED', 'a reconciliation cancels no order');
  }

  replaceOrder(): never {
    throw new BrokerError('BROKER_REJECTED', 'a reconciliation replaces no order');
  }

  connect(): never {
    throw new BrokerError('BROKER_REJECTED', 'a reconciliation opens no stream');
  }

  async close(): Promise<void> {
    this.calls.push('close');
  }

  async #answer(what: string): Promise<void> {
    this.calls.push(what);
    await this.before(what, this.calls.filter((each) => each === what).length);
  }
}

export const start: ActivityCursor = { activity_id: null, at: at(0) };
