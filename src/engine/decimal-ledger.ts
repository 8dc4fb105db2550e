import { StateError } from '../model/errors.ts';
import type { Fill } from '../model/fill.ts';
import { Decimal, type DecimalString, decimal, decimalString, isDecimalString, zero } from '../model/money.ts';
import { currencyPattern } from '../model/names.ts';
import type { PositionSnapshot } from '../model/position.ts';
import type { StrategyState } from '../state/host-state.ts';
import type { Instrument, Instruments } from './instrument.ts';
import { emptyHolding, type Holding, money, takeUnits, trade } from './ledger-holding.ts';

/** The part of a strategy's state that the ledger reads and writes. */
export type LedgerBook = Pick<
  StrategyState,
  'name' | 'position' | 'setPosition' | 'removePosition' | 'cash' | 'setCash'
>;

/**
 * Keeps the books of strategies exactly, at average cost. It has no state of its own beyond a cache: everything that it knows stands
 * in the book, as decimal strings, so that a book restored between any two fills goes on as if nothing had been.
 *
 * For each currency, always and to the last digit:
 *
 *     cash + Σ total_cost = what was put in + Σ realized_pnl − Σ fees
 *
 * where fees in a currency other than the price's are counted in theirs. A fee in the asset itself ("BTC" on "BTC/USD") takes units
 * at their average cost. A position that was closed stays, with amount "0", because it holds what was realized and paid in fees;
 * comparisons leave such entries out. Only a position without any history is removed.
 */
export class DecimalLedger {
  readonly instruments: Instruments;
  // Decimals are made when a position is first used: a restore of many costs nothing. A snapshot is never edited, so that what was
  // read from it stays true, also when a rollback brings it back.
  readonly #holdings = new WeakMap<PositionSnapshot, Holding>();

  constructor(instruments: Instruments) {
    this.instruments = instruments;
  }

  /**
   * Books one fill: position and cash. Whether it was booked before is for the caller to know (`hasExecution`).
   * @throws StateError FILL_INVALID, LEDGER_CURRENCY_MISMATCH or LEDGER_OVERFLOW; nothing is changed then
   */
  applyFill(book: LedgerBook, fill: Fill): PositionSnapshot {
    const instrument = this.instruments.get(fill.asset);
    const before = book.position(fill.asset);
    const currency = this.#currency(book, before, fill.currency ?? before?.currency ?? instrument.currency);
    const where = `strategy ${book.name}, fill ${fill.execution_id} of ${fill.asset}`;
    const amount = decimal(fill.amount, `${where}, amount`);
    const price = decimal(fill.price, `${where}, price`);
    const fee = decimal(fill.fee, `${where}, fee`);
    const feeCurrency = fill.fee_currency ?? currency;
    if (amount.isZero()) throw invalidFill(where, 'amount: expected other than zero');
    for (const code of [currency, feeCurrency]) {
      if (!currencyPattern.test(code))
        throw invalidFill(where, `currency ${JSON.stringify(code)}: expected one such as "USD"`);
    }

    const traded = trade(this.holding(before), amount, price.times(instrument.multiplier));
    const paid = new Map([[currency, traded.paid]]);
    let holding = traded.holding;
    if (feeCurrency === instrument.unit && feeCurrency !== currency) holding = takeUnits(holding, fee);
    else {
      paid.set(feeCurrency, (paid.get(feeCurrency) ?? zero).plus(fee));
      if (feeCurrency === currency) holding = { ...holding, fees: holding.fees.plus(fee) };
    }

    const position = this.#snapshot(book, instrument, currency, holding, fill.price);
    const cash: [string, DecimalString][] = [];
    for (const [code, sum] of paid) {
      if (!sum.isZero()) cash.push([code, this.#cashAfter(book, code, sum)]);
    }
    const kept = this.#keep(book, position, holding);
    for (const [code, balance] of cash) book.setCash(balance, code);
    return kept;
  }

  /**
   * Sets a position to what a reconciliation found; cash, realized profit and fees stay as they are. Units that leave go at
   * average cost. Without a cost basis units that come have the average cost of those held, or else the last price, or else none.
   * @throws StateError LEDGER_CURRENCY_MISMATCH or LEDGER_OVERFLOW; nothing is changed then
   * @returns the position, or null where nothing is held and nothing was before
   */
  adjustPosition(
    book: LedgerBook,
    asset: string,
    amount: DecimalString,
    costBasis: DecimalString | null,
    options: { readonly currency?: string; readonly lastPrice?: DecimalString } = {},
  ): PositionSnapshot | null {
    const instrument = this.instruments.get(asset);
    const before = book.position(asset);
    const currency = this.#currency(book, before, options.currency ?? before?.currency ?? instrument.currency);
    const held = this.holding(before);
    const wanted = decimal(amount, `strategy ${book.name}, ${asset}, amount`);
    const lastPrice = options.lastPrice ?? before?.last_price ?? null;
    const basis = costBasis ?? lastPrice ?? '0';
    const atBasis = () =>
      wanted.times(decimal(basis, `strategy ${book.name}, ${asset}, cost basis`)).times(instrument.multiplier);
    const sameSide = !held.amount.isZero() && held.amount.isNegative() === wanted.isNegative();
    const totalCost = costBasis === null && sameSide ? held.totalCost.times(wanted).div(held.amount) : atBasis();
    const holding: Holding = { ...held, amount: wanted, totalCost: money(totalCost) };
    if (wanted.isZero() && held.realized.isZero() && held.fees.isZero()) {
      book.removePosition(asset);
      return null;
    }
    return this.#keep(book, this.#snapshot(book, instrument, currency, holding, lastPrice), holding);
  }

  /** Sets a cash balance to what a reconciliation found. */
  adjustCash(book: LedgerBook, amount: DecimalString, currency: string): void {
    book.setCash(decimalString(decimal(amount, `strategy ${book.name}, cash in ${currency}`)), currency);
  }

  /** A position's exact numbers; those of nothing where there is none. */
  holding(position: PositionSnapshot | undefined): Holding {
    if (position === undefined) return emptyHolding;
    const known = this.#holdings.get(position);
    if (known !== undefined) return known;
    const where = `position ${position.asset}`;
    const amount = decimal(position.amount, `${where}, amount`);
    const totalCost =
      position.total_cost === undefined
        ? money(
            amount
              .times(decimal(position.cost_basis, `${where}, cost_basis`))
              .times(this.instruments.get(position.asset).multiplier),
          )
        : decimal(position.total_cost, `${where}, total_cost`);
    const holding: Holding = {
      amount,
      totalCost,
      realized: decimal(position.realized_pnl ?? '0', `${where}, realized_pnl`),
      fees: decimal(position.fees ?? '0', `${where}, fees`),
    };
    this.#holdings.set(position, holding);
    return holding;
  }

  #keep(book: LedgerBook, position: PositionSnapshot, holding: Holding): PositionSnapshot {
    book.setPosition(position);
    // A book may keep a copy; what it gives back is what the next fill will find.
    const kept = book.position(position.asset) ?? position;
    this.#holdings.set(kept, holding);
    return kept;
  }

  #snapshot(
    book: LedgerBook,
    instrument: Instrument,
    currency: string,
    holding: Holding,
    lastPrice: DecimalString | null,
  ): PositionSnapshot {
    const text = (value: Decimal, field: string) =>
      checked(value, `strategy ${book.name}, ${instrument.asset}, ${field}`);
    return Object.freeze({
      asset: instrument.asset,
      sid: instrument.sid,
      amount: text(holding.amount, 'amount'),
      cost_basis: text(costBasisOf(holding, instrument), 'cost_basis'),
      last_price: lastPrice,
      currency,
      total_cost: text(holding.totalCost, 'total_cost'),
      realized_pnl: text(holding.realized, 'realized_pnl'),
      fees: text(holding.fees, 'fees'),
    });
  }

  #cashAfter(book: LedgerBook, currency: string, paid: Decimal): DecimalString {
    const where = `strategy ${book.name}, cash in ${currency}`;
    return checked(decimal(book.cash(currency), where).minus(paid), where);
  }

  /** Costs in two currencies do not add up, so an asset with a history keeps its own. */
  #currency(book: LedgerBook, before: PositionSnapshot | undefined, currency: string): string {
    const own = before?.currency ?? (before === undefined ? currency : this.instruments.get(before.asset).currency);
    if (own === currency || before === undefined) return currency;
    throw new StateError(
      'LEDGER_CURRENCY_MISMATCH',
      `strategy ${book.name}, ${before.asset}: the book is kept in ${own} and cannot take a price in ${currency}; name the venue or the currency in the asset, so that each has its own book`,
      { details: { strategy: book.name, asset: before.asset, currency, expected: own } },
    );
  }
}

/** For reading only: what is exact is the total cost. */
function costBasisOf(holding: Holding, instrument: Instrument): Decimal {
  if (holding.amount.isZero()) return zero;
  return holding.totalCost
    .div(holding.amount.times(instrument.multiplier))
    .toDecimalPlaces(12, Decimal.ROUND_HALF_EVEN);
}

function checked(value: Decimal, where: string): DecimalString {
  const text = decimalString(value);
  if (isDecimalString(text)) return text;
  throw new StateError(
    'LEDGER_OVERFLOW',
    `${where}: ${String(text).slice(0, 60)} has more than 24 digits before or after the point and cannot be kept; nothing was booked`,
    { details: { where } },
  );
}

function invalidFill(where: string, why: string): StateError {
  return new StateError('FILL_INVALID', `${where}: ${why}; nothing was booked`, { details: { where } });
}
