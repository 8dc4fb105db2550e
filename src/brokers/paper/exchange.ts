import { randomInt } from 'node:crypto';
import type { MarketEvent } from '../../model/market.ts';
import { type Decimal, type DecimalString, decimal, decimalString, isDecimalString, zero } from '../../model/money.ts';
import type { AccountReport, PositionReport } from '../../model/report.ts';
import { type Clock, micros, systemClock, type Timestamp, timestamp } from '../../model/time.ts';
import type { ActivityCursor, OrderReference, OrderRequest, ReplaceRequest } from '../adapter.ts';
import { averageCost, PaperAccount } from './accounts.ts';
import { type Book, buyingPower, checkFunds, closes, feeOf, heldForOrders } from './buying-power.ts';
import { type CheckedRequest, checkRequest } from './checks.ts';
import { Faults, type Misbehavior } from './faults.ts';
import { type PaperIds, paperIds, uuidOf } from './ids.ts';
import { type Execution, lastPrice, marketPrice, match } from './matching.ts';
import { type CheckedOptions, checkOptions, type ListedAsset, type PaperExchangeOptions } from './options.ts';
import {
  isLive,
  type LiveOrder,
  type PaperFill,
  type PaperOrder,
  type PaperOrderStatus,
  type PaperUpdate,
  remaining,
  reportOrder,
  signed,
} from './orders.ts';
import { refuse } from './refusals.ts';

/** What listens to an exchange. Called synchronously, in order, while the exchange is in a consistent state. */
export interface PaperListener {
  update(update: PaperUpdate): void;
  /** Streams are to be cut. */
  disconnect(): void;
}

/**
 * An exchange in memory with one account: it takes orders, fills them against market events (see matching.ts for how), and keeps
 * cash and positions exactly. Every call either changes everything it says or, on an error, nothing. Errors are those of a
 * BrokerAdapter.
 */
export class PaperExchange {
  readonly accountId: string;
  readonly currency: string;
  readonly shorts: boolean;
  readonly faults: Faults = new Faults();

  readonly #assets: Map<string, ListedAsset>;
  readonly #list: CheckedOptions['list'];
  readonly #listFromTape: boolean;
  readonly #account: PaperAccount;
  readonly #ids: PaperIds;
  readonly #clock: Clock;
  readonly #timeOfEvents: boolean;
  readonly #orders = new Map<string, LiveOrder>();
  readonly #byClientId = new Map<string, LiveOrder>();
  readonly #live = new Map<string, Set<LiveOrder>>();
  readonly #fills: PaperFill[] = [];
  readonly #prices = new Map<string, DecimalString>();
  readonly #listeners = new Set<PaperListener>();
  readonly #book: Book;
  #eventTime: Timestamp | null = null;
  #stalePositions: readonly PositionReport[] = [];

  /** @throws ConfigError PAPER_OPTIONS_INVALID */
  constructor(options: PaperExchangeOptions) {
    const checked = checkOptions(options);
    this.#ids = paperIds(options.seed ?? randomInt(2 ** 32));
    this.#clock = options.clock ?? systemClock;
    this.#timeOfEvents = options.time === 'event';
    this.#assets = new Map(checked.assets);
    this.#list = checked.list;
    this.#listFromTape = options.listFromTape ?? false;
    this.#account = new PaperAccount(checked.cash);
    this.accountId = uuidOf('paper account');
    this.currency = checked.currency;
    this.shorts = options.shorts ?? true;
    this.#book = {
      account: this.#account,
      shorts: this.shorts,
      asset: (name) => this.#assets.get(name),
      liveOrders: (asset) => this.#liveOrders(asset),
      price: (asset) => this.#price(asset),
    };
  }

  /** Accepts an order; it takes part from the next market event of its asset on. */
  submit(request: OrderRequest): PaperOrder {
    const checked = checkRequest(request);
    this.#refuseKnown(checked.orderId);
    const asset = this.#listed(request.asset);
    checkFunds(this.#book, asset, checked);
    const order = this.#place(asset, checked, null);
    this.#tell('new', order, null);
    return reportOrder(order);
  }

  /** Ends a live order at once. @throws BrokerError BROKER_NOT_FOUND, or BROKER_REJECTED where it is final already */
  cancel(reference: OrderReference): PaperOrder {
    const order = this.#find(reference);
    this.#refuseFinal(order);
    this.#end(order, 'canceled', null);
    return reportOrder(order);
  }

  /**
   * Puts a new order, with an id of its own, in place of a live one. The new order's amount is its own: what the old one has filled
   * is not part of it, and where no amount is given it is what the old one had left. An amount's sign must be the old one's.
   */
  replace(reference: OrderReference, request: ReplaceRequest): PaperOrder {
    const old = this.#find(reference);
    this.#refuseFinal(old);
    const checked = checkRequest({
      order_id: request.order_id,
      asset: old.asset,
      amount: request.amount ?? decimalString(signed(old.side, remaining(old))),
      order_type: old.type,
      limit_price: request.limit_price ?? (old.limit === null ? null : decimalString(old.limit)),
      stop_price: request.stop_price ?? (old.stop === null ? null : decimalString(old.stop)),
      time_in_force: old.timeInForce,
    });
    this.#refuseKnown(checked.orderId);
    if (checked.side !== old.side) throw refuse('invalid_request', 'a replacement cannot change the side');
    if (request.amount === undefined && request.limit_price === undefined && request.stop_price === undefined) {
      throw refuse('nothing_changed', 'order parameters are not changed');
    }
    const asset = this.#listed(old.asset);
    checkFunds(this.#book, asset, checked, old);
    const order = this.#place(asset, checked, old.id);
    old.replacedBy = order.id;
    this.#end(old, 'replaced', null);
    this.#tell('new', order, null);
    return reportOrder(order);
  }

  /**
   * Lets the market move: triggers, fills, expires. Events of assets that are not listed change nothing.
   * @throws StateError DECIMAL_INVALID or TIMESTAMP_INVALID, FeedError FEED_PRICE_TOO_FINE, for a malformed event: nothing changed
   */
  onMarket(event: MarketEvent): void {
    const listed = this.#assets.get(event.asset);
    if (listed === undefined && !this.#listFromTape) return;
    const live = [...(this.#live.get(event.asset) ?? [])];
    const day = event.at.slice(0, 10);
    const dead = live.filter((order) => order.timeInForce === 'day' && order.day !== null && order.day < day);
    const taking = live.filter((order) => !dead.includes(order));
    if (this.#timeOfEvents) micros(event.at);
    const price = event.kind === 'quote' ? null : lastPrice(event);
    if (price !== null) marketPrice(price, `${event.asset} price`);
    const { executions, triggered } = match(event, taking);

    if (listed === undefined) this.#assets.set(event.asset, this.#list(event.asset));
    if (price !== null) this.#prices.set(event.asset, price);
    if (this.#eventTime === null || event.at > this.#eventTime) this.#eventTime = event.at;
    for (const order of dead) this.#end(order, 'expired', 'the day of the order is over');
    for (const execution of executions) this.#execute(execution);
    for (const order of taking) {
      order.day ??= day;
      const once = order.timeInForce === 'ioc' || order.timeInForce === 'fok';
      if (order.triggered && once && isLive(order))
        this.#end(order, 'canceled', `${order.timeInForce} not filled at once`);
      order.seen = order.triggered;
    }
    for (const order of triggered) order.triggered = true;
  }

  account(): AccountReport {
    const cash = [...this.#account.allCash()].map(([currency, amount]) => [currency, decimalString(amount)]);
    return Object.freeze({
      account_id: this.accountId,
      currency: this.currency,
      cash: Object.freeze(Object.fromEntries(cash)),
      equity: decimalString(this.#equity()),
      buying_power: decimalString(buyingPower(this.#book, this.currency)),
      blocked: false,
    });
  }

  /** Sorted by asset. */
  positions(): readonly PositionReport[] {
    return [...this.#account.holdings()]
      .map(([asset, holding]) =>
        Object.freeze({
          asset,
          amount: decimalString(holding.amount),
          cost_basis: decimalString(averageCost(holding)),
          last_price: this.#prices.get(asset) ?? null,
          currency: this.#assets.get(asset)?.currency ?? this.currency,
        }),
      )
      .toSorted((a, b) => (a.asset < b.asset ? -1 : 1));
  }

  /** What of a position open orders do not hold; signed like the position. */
  availableAmount(asset: string): DecimalString {
    const held = this.#account.holding(asset);
    const side = held.amount.isNegative() ? 'buy' : 'sell';
    return decimalString(
      signed(side === 'sell' ? 'buy' : 'sell', held.amount.abs().minus(heldForOrders(this.#book, asset, side))),
    );
  }

  /** Positions as a read tells them, which may be told to lie. */
  readPositions(): readonly PositionReport[] {
    if (this.faults.take('empty_positions') !== undefined) return [];
    if (this.faults.take('stale_positions') !== undefined) return this.#stalePositions;
    return this.positions();
  }

  /** Every order there ever was, oldest first. */
  orders(): readonly PaperOrder[] {
    return [...this.#orders.values()].map(reportOrder);
  }

  openOrders(): readonly PaperOrder[] {
    return [...this.#liveOrders()].toSorted((a, b) => a.sequence - b.sequence).map(reportOrder);
  }

  /** By the id that the client chose. */
  order(orderId: string): PaperOrder | null {
    const order = this.#byClientId.get(orderId);
    return order === undefined ? null : reportOrder(order);
  }

  orderByBrokerId(brokerOrderId: string): PaperOrder | null {
    const order = this.#orders.get(brokerOrderId);
    return order === undefined ? null : reportOrder(order);
  }

  /** Executions after the cursor, oldest first. */
  fills(cursor: ActivityCursor = { activity_id: null, at: null }): readonly PaperFill[] {
    const { activity_id, at } = cursor;
    if (activity_id !== null) return this.#fills.filter((fill) => fill.activity_id > activity_id);
    if (at === null) return [...this.#fills];
    const from = micros(at);
    return this.#fills.filter((fill) => micros(fill.at) >= from);
  }

  asset(name: string): ListedAsset | undefined {
    return this.#assets.get(name);
  }

  assets(): readonly ListedAsset[] {
    return [...this.#assets.values()];
  }

  /** What orders and fills are dated with now. */
  now(): Timestamp {
    if (this.#timeOfEvents && this.#eventTime !== null) return timestamp(micros(this.#eventTime));
    return timestamp(this.#clock.nowMicros());
  }

  /**
   * Adds `amount` (signed) to a position without an order, a fill or cash, as if somebody else had traded or moved it: what an
   * engine finds at its next reconciliation.
   */
  adjustPosition(asset: string, amount: DecimalString): void {
    this.#listed(asset);
    if (!isDecimalString(amount)) throw refuse('invalid_request', 'amount must be a decimal string');
    this.#account.adjust(asset, decimal(amount), this.#price(asset) ?? zero);
  }

  misbehave(fault: Misbehavior): void {
    if (fault.kind === 'disconnect') {
      for (const listener of [...this.#listeners]) listener.disconnect();
      return;
    }
    if (fault.kind === 'stale_positions') this.#stalePositions = this.positions();
    this.faults.arm(fault);
  }

  /** Returns what ends the subscription. */
  subscribe(listener: PaperListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  #place(asset: ListedAsset, request: CheckedRequest, replaces: string | null): LiveOrder {
    const now = this.now();
    const order: LiveOrder = {
      id: this.#ids.uuid(),
      clientId: request.orderId,
      asset: asset.name,
      side: request.side,
      amount: request.amount,
      type: request.type,
      limit: request.limit,
      stop: request.stop,
      timeInForce: request.timeInForce,
      sequence: this.#orders.size + 1,
      createdAt: now,
      replaces,
      replacedBy: null,
      status: 'open',
      filled: zero,
      paid: zero,
      triggered: request.stop === null,
      seen: false,
      day: null,
      updatedAt: now,
      reason: null,
    };
    this.#orders.set(order.id, order);
    this.#byClientId.set(order.clientId, order);
    const live = this.#live.get(order.asset) ?? new Set();
    this.#live.set(order.asset, live.add(order));
    return order;
  }

  #execute({ order, amount, price }: Execution): void {
    // A listener may have ended it since it was matched.
    if (!isLive(order)) return;
    const asset = this.#listed(order.asset);
    const notional = amount.times(price);
    const fee = feeOf(asset, notional);
    const opens = !closes(this.#account.holding(order.asset), order.side);
    if (order.side === 'buy' && opens && notional.plus(fee).gt(this.#account.cash(asset.currency))) {
      this.#end(order, 'canceled', 'insufficient buying power when it was to be filled');
      return;
    }
    this.#account.book(order.asset, asset.currency, signed(order.side, amount), price, fee);
    order.filled = order.filled.plus(amount);
    order.paid = order.paid.plus(notional);
    const complete = order.filled.eq(order.amount);
    order.status = complete ? 'filled' : 'partially_filled';
    order.updatedAt = this.now();
    if (complete) this.#live.get(order.asset)?.delete(order);
    const fill: PaperFill = Object.freeze({
      ...this.#ids.execution(micros(order.updatedAt)),
      order_id: order.clientId,
      broker_order_id: order.id,
      asset: order.asset,
      amount: decimalString(signed(order.side, amount)),
      price: decimalString(price),
      currency: asset.currency,
      fee: decimalString(fee),
      fee_currency: asset.currency,
      at: order.updatedAt,
      cumulative_amount: decimalString(signed(order.side, order.filled)),
      leaves_amount: decimalString(signed(order.side, remaining(order))),
      order_status: order.status,
    });
    this.#fills.push(fill);
    this.#tell(complete ? 'fill' : 'partial_fill', order, fill);
    if (this.faults.take('duplicate_stream_event') !== undefined)
      this.#tell(complete ? 'fill' : 'partial_fill', order, fill);
  }

  #end(order: LiveOrder, status: PaperOrderStatus & PaperUpdate['event'], reason: string | null): void {
    order.status = status;
    order.reason = reason;
    order.updatedAt = this.now();
    this.#live.get(order.asset)?.delete(order);
    this.#tell(status, order, null);
  }

  #tell(event: PaperUpdate['event'], order: LiveOrder, fill: PaperFill | null): void {
    const update: PaperUpdate = Object.freeze({
      event,
      order: reportOrder(order),
      fill,
      position_amount: decimalString(this.#account.holding(order.asset).amount),
      at: order.updatedAt,
    });
    for (const listener of [...this.#listeners]) listener.update(update);
  }

  *#liveOrders(asset?: string): Iterable<LiveOrder> {
    if (asset !== undefined) yield* this.#live.get(asset) ?? [];
    else for (const orders of this.#live.values()) yield* orders;
  }

  #find({ order_id, broker_order_id }: OrderReference): LiveOrder {
    const order = broker_order_id === null ? this.#byClientId.get(order_id) : this.#orders.get(broker_order_id);
    if (order === undefined) throw refuse('order_not_found', `order not found for ${broker_order_id ?? order_id}`);
    return order;
  }

  #listed(name: string): ListedAsset {
    const asset = this.#assets.get(name);
    if (asset === undefined)
      throw refuse('unknown_asset', `asset "${name}" not found`, { symbol: String(name).slice(0, 64) });
    return asset;
  }

  #refuseKnown(orderId: string): void {
    if (this.#byClientId.has(orderId)) throw refuse('duplicate_order_id', 'client_order_id must be unique');
  }

  #refuseFinal(order: LiveOrder): void {
    if (!isLive(order)) throw refuse('order_not_live', `order is already in "${order.status}" state`);
  }

  #price(asset: string): Decimal | null {
    const price = this.#prices.get(asset);
    return price === undefined ? null : decimal(price);
  }

  /** Cash and positions of the account's own currency; the exchange knows no rates between currencies. */
  #equity(): Decimal {
    let equity = this.#account.cash(this.currency);
    for (const [name, holding] of this.#account.holdings()) {
      if (this.#assets.get(name)?.currency !== this.currency) continue;
      equity = equity.plus(holding.amount.times(this.#price(name) ?? averageCost(holding)));
    }
    return equity;
  }
}
