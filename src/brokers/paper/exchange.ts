import { randomInt } from 'node:crypto';
import type { MarketEvent } from '../../model/market.ts';
import { type DecimalString, decimal, decimalString, isDecimalString, zero } from '../../model/money.ts';
import type { TimeInForce } from '../../model/order.ts';
import type { AccountReport, PositionReport } from '../../model/report.ts';
import { type Clock, micros, systemClock, type Timestamp, timestamp } from '../../model/time.ts';
import type { ActivityCursor, OrderReference, OrderRequest, ReplaceRequest } from '../adapter.ts';
import { PaperAccount } from './accounts.ts';
import { bookActivity, type PaperActivity, type PaperActivityRequest } from './activities.ts';
import { Announcer, type PaperListener } from './announcer.ts';
import { type Book, cashOf, checkFunds, closes, feeOf, refuseWash } from './buying-power.ts';
import { type CheckedRequest, checkAsset, checkRequest } from './checks.ts';
import { Faults, type Misbehavior } from './faults.ts';
import { type PaperIds, paperIds, uuidOf } from './ids.ts';
import { Listings } from './listings.ts';
import { type Execution, lastPrice, marketPrice, match } from './matching.ts';
import { checkOptions, type ListedAsset, type PaperExchangeOptions } from './options.ts';
import { OrderStore } from './order-store.ts';
import {
  isLive,
  type LiveOrder,
  newFill,
  newOrder,
  type PaperFill,
  type PaperOrder,
  type PaperOrderStatus,
  type PaperUpdate,
  remaining,
  reportOrder,
  signed,
} from './orders.ts';
import { refuse } from './refusals.ts';
import { availableAmount, reportAccount, reportPositions } from './reports.ts';

/** A replacement may change how long the order lives, too. */
export interface PaperReplaceRequest extends ReplaceRequest {
  readonly time_in_force?: TimeInForce;
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

  readonly #listings: Listings;
  readonly #listFromTape: boolean;
  readonly #account: PaperAccount;
  readonly #ids: PaperIds;
  readonly #clock: Clock;
  readonly #timeOfEvents: boolean;
  readonly #opposing: 'refuse' | 'accept';
  readonly #orders = new OrderStore();
  readonly #fills: PaperFill[] = [];
  readonly #activities: PaperActivity[] = [];
  readonly #announcer: Announcer = new Announcer(this.faults);
  readonly #book: Book;
  #eventTime: Timestamp | null = null;
  #stalePositions: readonly PositionReport[] = [];

  /** @throws ConfigError PAPER_OPTIONS_INVALID */
  constructor(options: PaperExchangeOptions) {
    const checked = checkOptions(options);
    this.#ids = paperIds(options.seed ?? randomInt(2 ** 32));
    this.#clock = options.clock ?? systemClock;
    this.#timeOfEvents = options.time === 'event';
    this.#listings = new Listings(checked);
    this.#listFromTape = options.listFromTape ?? false;
    this.#account = new PaperAccount(checked.cash);
    this.accountId = uuidOf('paper account');
    this.currency = checked.currency;
    this.shorts = options.shorts ?? true;
    this.#opposing = options.opposingOrders ?? 'refuse';
    this.#book = {
      account: this.#account,
      shorts: this.shorts,
      asset: (name) => this.#listings.get(name),
      liveOrders: (asset) => this.#orders.live(asset),
      price: (name) => this.#listings.price(name),
    };
  }

  /** Accepts an order; it takes part from the next market event of its asset on. */
  submit(request: OrderRequest): PaperOrder {
    const checked = checkRequest(request);
    this.#orders.refuseKnown(checked.orderId);
    const asset = this.#listings.listed(request.asset);
    this.#check(asset, checked);
    const order = this.#place(asset, checked, null);
    this.#tell('new', order, null);
    return reportOrder(order);
  }

  /** Ends a live order at once. @throws BrokerError BROKER_NOT_FOUND, or BROKER_REJECTED where it is final already */
  cancel(reference: OrderReference): PaperOrder {
    const order = this.#orders.findLive(reference);
    this.#end(order, 'canceled', null);
    return reportOrder(order);
  }

  /**
   * Puts a new order, with an id of its own, in place of a live one. The new order's amount is its own: what the old one has filled
   * is not part of it, and where no amount is given it is what the old one had left. An amount's sign must be the old one's.
   */
  replace(reference: OrderReference, request: PaperReplaceRequest): PaperOrder {
    const old = this.#orders.findLive(reference);
    const checked = checkRequest({
      order_id: request.order_id,
      asset: old.asset,
      amount: request.amount ?? decimalString(signed(old.side, remaining(old))),
      order_type: old.type,
      limit_price: request.limit_price ?? (old.limit === null ? null : decimalString(old.limit)),
      stop_price: request.stop_price ?? (old.stop === null ? null : decimalString(old.stop)),
      time_in_force: request.time_in_force ?? old.timeInForce,
    });
    this.#orders.refuseKnown(checked.orderId);
    if (checked.side !== old.side) throw refuse('invalid_request', 'a replacement cannot change the side');
    const { amount, limit_price, stop_price, time_in_force } = request;
    if ([amount, limit_price, stop_price, time_in_force].every((value) => value === undefined)) {
      throw refuse('nothing_changed', 'order parameters are not changed');
    }
    const asset = this.#listings.listed(old.asset);
    this.#check(asset, checked, old);
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
    if (this.#listings.get(event.asset) === undefined && !this.#listFromTape) return;
    const live = [...this.#orders.live(event.asset)];
    const day = event.at.slice(0, 10);
    const dead = live.filter((order) => order.timeInForce === 'day' && order.day !== null && order.day < day);
    const taking = live.filter((order) => !dead.includes(order));
    if (this.#timeOfEvents) micros(event.at);
    const price = event.kind === 'quote' ? null : lastPrice(event);
    if (price !== null) marketPrice(price, `${event.asset} price`);
    const { executions, triggered } = match(event, taking);

    this.#listings.moved(event.asset, price);
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
    return reportAccount(this.#book, this.accountId, this.currency);
  }

  /** Sorted by asset. */
  positions(): readonly PositionReport[] {
    return reportPositions(this.#book, this.currency);
  }

  /** What of a position open orders do not hold; signed like the position. */
  availableAmount(asset: string): DecimalString {
    return availableAmount(this.#book, asset);
  }

  /** Positions as a read tells them, which may be told to lie. */
  readPositions(): readonly PositionReport[] {
    if (this.faults.take('empty_positions', 'fetchPositions') !== undefined) return [];
    if (this.faults.take('stale_positions', 'fetchPositions') !== undefined) return this.#stalePositions;
    return this.faults.list('fetchPositions', this.positions(), ({ asset }) => asset);
  }

  /** Every order there ever was, oldest first. */
  orders(): readonly PaperOrder[] {
    return [...this.#orders.all()].map(reportOrder);
  }

  openOrders(): readonly PaperOrder[] {
    return [...this.#orders.live()].toSorted((a, b) => a.sequence - b.sequence).map(reportOrder);
  }

  /** By the id that the client chose. */
  order(orderId: string): PaperOrder | null {
    const order = this.#orders.byClientId(orderId);
    return order === undefined ? null : reportOrder(order);
  }

  orderByBrokerId(brokerOrderId: string): PaperOrder | null {
    const order = this.#orders.byId(brokerOrderId);
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

  /** What is no trade, oldest first. */
  activities(): readonly PaperActivity[] {
    return [...this.#activities];
  }

  asset(name: string): ListedAsset | undefined {
    return this.#listings.get(name);
  }

  /** By its name, by its id, or by a pair's name without the slash, as positions are told. */
  findAsset(symbol: string): ListedAsset | undefined {
    return this.#listings.find(symbol);
  }

  assets(): readonly ListedAsset[] {
    return this.#listings.all();
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
    this.#listings.listed(asset);
    if (!isDecimalString(amount)) throw refuse('invalid_request', 'amount must be a decimal string');
    this.#account.adjust(asset, decimal(amount), this.#listings.price(asset) ?? zero);
  }

  /**
   * Books what is no trade: a dividend, interest, a fee, a split, a transfer. It changes cash or a position, and is told among the
   * account's activities, never as a fill.
   * @throws BrokerError BROKER_REJECTED; nothing is changed then
   */
  bookActivity(request: PaperActivityRequest): PaperActivity {
    const at = this.now();
    const activity = bookActivity(request, {
      account: this.#account,
      ids: this.#ids,
      at,
      atMicros: micros(at),
      asset: request.asset === undefined ? null : this.#listings.listed(request.asset),
      currency: this.currency,
    });
    this.#activities.push(activity);
    return activity;
  }

  misbehave(fault: Misbehavior): void {
    if (fault.kind === 'disconnect') {
      this.#announcer.disconnect();
      return;
    }
    if (fault.kind === 'stale_positions') this.#stalePositions = this.positions();
    this.faults.arm(fault);
  }

  /** Returns what ends the subscription. */
  subscribe(listener: PaperListener): () => void {
    return this.#announcer.subscribe(listener);
  }

  #check(asset: ListedAsset, request: CheckedRequest, without?: LiveOrder): void {
    checkAsset(request, asset);
    if (this.#opposing === 'refuse') refuseWash(this.#book, asset.name, request);
    checkFunds(this.#book, asset, request, without);
  }

  #place(asset: ListedAsset, request: CheckedRequest, replaces: string | null): LiveOrder {
    const order = newOrder(request, {
      id: this.#ids.uuid(),
      asset: asset.name,
      sequence: this.#orders.size + 1,
      at: this.now(),
      replaces,
    });
    this.#orders.add(order);
    return order;
  }

  #execute({ order, amount, price }: Execution): void {
    // A listener may have ended it since it was matched.
    if (!isLive(order)) return;
    const asset = this.#listings.listed(order.asset);
    const notional = amount.times(price);
    const fee = feeOf(asset, order.side, amount, price);
    const opens = !closes(this.#account.holding(order.asset), order.side);
    if (order.side === 'buy' && opens && notional.plus(cashOf(fee)).gt(this.#account.cash(asset.currency))) {
      this.#end(order, 'canceled', 'insufficient buying power when it was to be filled');
      return;
    }
    this.#account.book(order.asset, asset.currency, signed(order.side, amount), price, cashOf(fee));
    if (fee.inUnits) this.#account.takeUnits(order.asset, fee.amount);
    order.filled = order.filled.plus(amount);
    order.paid = order.paid.plus(notional);
    const complete = order.filled.eq(order.amount);
    order.status = complete ? 'filled' : 'partially_filled';
    order.updatedAt = this.now();
    if (complete) this.#orders.retire(order);
    const ids = this.#ids.execution(micros(order.updatedAt));
    const fill = newFill(order, { ...ids, amount, price, currency: asset.currency, fee });
    this.#fills.push(fill);
    this.#tell(complete ? 'fill' : 'partial_fill', order, fill);
  }

  #end(order: LiveOrder, status: PaperOrderStatus & PaperUpdate['event'], reason: string | null): void {
    order.status = status;
    order.reason = reason;
    order.updatedAt = this.now();
    this.#orders.retire(order);
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
    this.#announcer.tell(update);
  }
}
