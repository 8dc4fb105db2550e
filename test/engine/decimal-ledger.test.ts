import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { DecimalLedger, type LedgerBook } from '../../src/engine/decimal-ledger.ts';
import { type InstrumentSettings, Instruments } from '../../src/engine/instrument.ts';
import type { Fill } from '../../src/model/fill.ts';
import { type PositionSnapshot, positionSchema } from '../../src/model/position.ts';
import { memoryHostState } from '../support/memory-host-state.ts';

/** A book that keeps copies, as the real one does, and can be written out and read back. */
class MapBook implements LedgerBook {
  readonly name = 'mean_reversion';
  readonly positions = new Map<string, PositionSnapshot>();
  readonly balances = new Map<string, string>();

  position(asset: string): PositionSnapshot | undefined {
    return this.positions.get(asset);
  }
  setPosition(position: PositionSnapshot): void {
    this.positions.set(position.asset, Object.freeze(positionSchema.parse(position)));
  }
  removePosition(asset: string): void {
    this.positions.delete(asset);
  }
  cash(currency = 'USD'): string {
    return this.balances.get(currency) ?? '0';
  }
  setCash(amount: string, currency = 'USD'): void {
    this.balances.set(currency, amount);
  }
  text(): string {
    return JSON.stringify([[...this.positions.values()], [...this.balances]]);
  }
  static read(text: string): MapBook {
    const [positions, balances] = JSON.parse(text) as [PositionSnapshot[], [string, string][]];
    const book = new MapBook();
    for (const position of positions) book.setPosition(position);
    for (const [currency, amount] of balances) book.setCash(amount, currency);
    return book;
  }
}

function open(settings: Record<string, InstrumentSettings> = {}, cash = '10000') {
  const ledger = new DecimalLedger(new Instruments('USD', settings));
  const book = new MapBook();
  book.setCash(cash);
  let count = 0;
  const fill = (asset: string, amount: string, price: string, more: Partial<Fill> = {}): PositionSnapshot => {
    count += 1;
    return ledger.applyFill(book, {
      execution_id: `e${count}`,
      order_id: 'o',
      broker_order_id: null,
      asset,
      amount,
      price,
      fee: '0',
      at: '2025-10-02T14:30:00.000000Z',
      ...more,
    });
  };
  return { ledger, book, fill };
}

describe('a fill', () => {
  test('that opens writes every field', () => {
    const { book, fill } = open();
    const position = fill('AAPL', '100', '150.25', { fee: '1.5' });
    expect(position).toEqual({
      asset: 'AAPL',
      sid: 1,
      amount: '100',
      cost_basis: '150.25',
      last_price: '150.25',
      currency: 'USD',
      total_cost: '15025',
      realized_pnl: '0',
      fees: '1.5',
    });
    expect(book.cash()).toBe('-5026.5');
    expect(book.position('AAPL')).toBe(position);
    expect(Object.isFrozen(position)).toBe(true);
  });

  test('that adds moves the average, and one that reduces leaves it', () => {
    const { book, fill } = open();
    fill('AAPL', '10', '100');
    expect(fill('AAPL', '20', '130')).toMatchObject({ amount: '30', total_cost: '3600', cost_basis: '120' });
    expect(fill('AAPL', '-12', '150')).toMatchObject({
      amount: '18',
      total_cost: '2160',
      cost_basis: '120',
      realized_pnl: '360',
    });
    expect(book.cash()).toBe('8200');
  });

  test('that closes releases everything and keeps what was realized', () => {
    const { book, fill } = open();
    fill('AAPL', '3', '10.01');
    fill('AAPL', '-1', '10.02');
    expect(fill('AAPL', '-2', '10.02', { fee: '0.5' })).toMatchObject({
      amount: '0',
      cost_basis: '0',
      total_cost: '0',
      realized_pnl: '0.03',
      fees: '0.5',
    });
    expect(book.cash()).toBe('9999.53');
    expect(fill('AAPL', '1', '10')).toMatchObject({ amount: '1', total_cost: '10', realized_pnl: '0.03' });
  });

  test('that goes short has a negative amount and a negative cost', () => {
    const { book, fill } = open();
    expect(fill('AAPL', '-10', '100')).toMatchObject({ amount: '-10', total_cost: '-1000', cost_basis: '100' });
    expect(book.cash()).toBe('11000');
    expect(fill('AAPL', '4', '80')).toMatchObject({ amount: '-6', total_cost: '-600', realized_pnl: '80' });
  });

  test.each([
    [
      'long to short',
      '4',
      '100',
      '-10',
      '110',
      { amount: '-6', total_cost: '-660', cost_basis: '110', realized_pnl: '40' },
    ],
    [
      'short to long',
      '-4',
      '100',
      '10',
      '110',
      { amount: '6', total_cost: '660', cost_basis: '110', realized_pnl: '-40' },
    ],
  ])('that crosses zero closes and then opens: %s', (_, first, at, second, then, expected) => {
    const { fill } = open();
    fill('AAPL', first, at);
    expect(fill('AAPL', second, then)).toMatchObject(expected);
  });

  test('whose share of the cost has no end is rounded half even to 24 decimals, and the rest by subtraction', () => {
    const { fill } = open();
    fill('AAPL', '3', '33.333333333333333333333333');
    fill('AAPL', '4', '0.000000000000000000000001');
    expect(fill('AAPL', '-1', '10')).toMatchObject({
      // 100.000000000000000000000003 / 7 = 14.285714285714285714285714714…
      total_cost: '85.714285714285714285714288',
      realized_pnl: '-4.285714285714285714285715',
    });
  });

  test('in a currency of its own moves that cash, and a fee in a third one moves the third', () => {
    const { book, fill } = open();
    const position = fill('BTC/EUR', '2', '50000', { fee: '3', fee_currency: 'BNB' });
    expect(position).toMatchObject({ currency: 'EUR', fees: '0', amount: '2' });
    expect(Object.fromEntries(book.balances)).toEqual({ USD: '10000', EUR: '-100000', BNB: '-3' });
  });

  test('that earns a rebate adds it to the cash', () => {
    const { book, fill } = open();
    expect(fill('AAPL', '1', '100', { fee: '-0.25' })).toMatchObject({ fees: '-0.25' });
    expect(book.cash()).toBe('9900.25');
  });

  test('with a fee in the asset itself takes units at their average cost', () => {
    const { book, fill } = open();
    expect(fill('BTC/USD', '1', '50000', { fee: '0.001', fee_currency: 'BTC' })).toMatchObject({
      amount: '0.999',
      total_cost: '49950',
      cost_basis: '50000',
      fees: '50',
      realized_pnl: '0',
    });
    expect(book.cash()).toBe('-40000');
    expect(fill('BTC/USD', '-0.998', '50000', { fee: '0.001', fee_currency: 'BTC' })).toMatchObject({
      amount: '0',
      total_cost: '0',
      fees: '100',
      realized_pnl: '0',
    });
    expect(book.cash()).toBe('9900');
  });

  test('with a fee of more units than are held ends short of what it owes', () => {
    const { fill } = open();
    fill('BTC/USD', '1', '100');
    const owed = { amount: '-0.1', total_cost: '0', cost_basis: '0', fees: '0' };
    expect(fill('BTC/USD', '-1', '110', { fee: '0.1', fee_currency: 'BTC' })).toMatchObject({
      ...owed,
      realized_pnl: '10',
    });
    expect(fill('BTC/USD', '0.1', '110')).toMatchObject({ amount: '0', total_cost: '0', realized_pnl: '-1' });
  });

  test('of an asset that is called like its currency pays the fee in cash', () => {
    const { book, fill } = open();
    expect(fill('USD', '100', '1', { fee: '2' })).toMatchObject({ amount: '100', fees: '2' });
    expect(book.cash()).toBe('9898');
  });

  test('of a contract counts its multiplier, and its cost basis is still a price', () => {
    const { book, fill } = open({ ESZ5: { multiplier: '50' } });
    expect(fill('ESZ5', '2', '5000.25')).toMatchObject({ total_cost: '500025', cost_basis: '5000.25' });
    expect(fill('ESZ5', '-1', '5001.25')).toMatchObject({ total_cost: '250012.5', realized_pnl: '50' });
    expect(book.cash()).toBe('-239962.5');
  });

  test('whose price times quantity has more than 24 decimals is paid rounded half even, and still balances', () => {
    const { book, fill } = open({}, '0');
    expect(fill('A', '0.5', '0.000000000000000000000003')).toMatchObject({ total_cost: '0.000000000000000000000002' });
    expect(book.cash()).toBe('-0.000000000000000000000002');
    expect(fill('A', '-1', '0.000000000000000000000003')).toMatchObject({
      amount: '-0.5',
      total_cost: '-0.000000000000000000000001',
      realized_pnl: '0',
    });
    expect(book.cash()).toBe('0.000000000000000000000001');
  });

  test('keeps the decimals that a binary float would lose', () => {
    const { book, fill } = open();
    fill('AAPL', '0.1', '0.2');
    fill('AAPL', '0.2', '0.1');
    expect(book.cash()).toBe('9999.96');
    expect(book.position('AAPL')?.amount).toBe('0.3');
  });
});

describe('a fill that cannot be booked changes nothing', () => {
  test.each<[string, string, Partial<Fill>]>([
    ['an amount of zero', 'FILL_INVALID', { amount: '0.00' }],
    ['an amount with an exponent', 'DECIMAL_INVALID', { amount: '1e3' }],
    ['a price that is not a number', 'DECIMAL_INVALID', { price: 'NaN' }],
    ['a fee that is not a number', 'DECIMAL_INVALID', { fee: '' }],
    ['a currency that is none', 'FILL_INVALID', { fee_currency: 'usd' }],
    ['another currency than the position has', 'LEDGER_CURRENCY_MISMATCH', { currency: 'EUR' }],
    ['a sum with too many digits', 'LEDGER_OVERFLOW', { amount: '9'.repeat(24), price: '10' }],
    ['cash with too many digits', 'LEDGER_OVERFLOW', { fee: '9'.repeat(24), fee_currency: 'EUR' }],
  ])('%s', (_, code, more) => {
    const { book, fill } = open();
    fill('AAPL', '1', '100');
    book.setCash('-1', 'EUR');
    const before = book.text();
    expect(() => fill('AAPL', '1', '100', more)).toThrow(expect.objectContaining({ code }));
    expect(() => fill('AAPL', '1', '100', more)).toThrow(/mean_reversion.*AAPL|cash in EUR/);
    expect(book.text()).toBe(before);
  });
});

describe('restored positions', () => {
  test('of the seed format have their cost from amount and cost basis', () => {
    const { ledger, book, fill } = open();
    book.setPosition({ asset: 'AAPL', sid: 7, amount: '100', cost_basis: '150.25', last_price: null });
    ledger.instruments.restore(book.positions.values());
    expect(fill('AAPL', '-50', '160')).toMatchObject({
      sid: 7,
      total_cost: '7512.5',
      realized_pnl: '487.5',
      currency: 'USD',
    });
  });

  test('cost nothing until they are used', () => {
    const { ledger } = open();
    const broken = Object.freeze({ asset: 'AAPL', amount: 'x', cost_basis: '1', last_price: null });
    expect(() => ledger.instruments.restore([broken])).not.toThrow();
    expect(() => ledger.holding(broken)).toThrow(/position AAPL, amount/);
  });

  test('a rollback that brings back an older snapshot brings back its numbers', () => {
    const { book, fill } = open();
    const first = fill('AAPL', '1', '100');
    fill('AAPL', '1', '200');
    book.positions.set('AAPL', first);
    expect(fill('AAPL', '1', '100')).toMatchObject({ amount: '2', total_cost: '200' });
  });
});

describe('on a real host', () => {
  const buy: Fill = {
    execution_id: 'e1',
    order_id: 'o',
    broker_order_id: null,
    asset: 'AAPL',
    amount: '3',
    price: '33.33',
    fee: '0.01',
    at: '2025-10-02T14:30:00.000000Z',
  };

  test('a rollback takes a fill back, and a restore goes on from the last commit', () => {
    const host = memoryHostState();
    const ledger = new DecimalLedger(new Instruments(host.currency));
    const book = host.register('s');
    book.setCash('1000');
    ledger.applyFill(book, buy);
    host.commit();
    ledger.applyFill(book, { ...buy, amount: '-1' });
    host.rollback();
    expect(ledger.applyFill(book, { ...buy, amount: '-3', price: '40' })).toMatchObject({ realized_pnl: '20.01' });
    host.rollback();

    const restored = memoryHostState({ restored: host.snapshot().strategies });
    const again = restored.register('s');
    const other = new DecimalLedger(new Instruments(restored.currency));
    other.instruments.restore(again.positions());
    expect(other.applyFill(again, { ...buy, amount: '-3', price: '40' })).toMatchObject({
      sid: 1,
      amount: '0',
      realized_pnl: '20.01',
      fees: '0.02',
    });
    expect(again.cash()).toBe('1019.99');
  });
});

describe('an adjustment', () => {
  test('sets amount and cost, and leaves cash, realized profit and fees', () => {
    const { ledger, book, fill } = open();
    fill('AAPL', '10', '100', { fee: '1' });
    fill('AAPL', '-5', '110');
    const cash = book.cash();
    expect(ledger.adjustPosition(book, 'AAPL', '8', '105')).toMatchObject({
      amount: '8',
      total_cost: '840',
      cost_basis: '105',
      realized_pnl: '50',
      fees: '1',
      last_price: '110',
    });
    expect(book.cash()).toBe(cash);
  });

  test.each([
    ['fewer units keep the average', '4', '400'],
    ['more units come at the average', '16', '1600'],
    ['the other side begins at the last price', '-2', '-220'],
    ['none at all has no cost', '0', '0'],
  ])('without a cost basis: %s', (_, amount, totalCost) => {
    const { ledger, book, fill } = open();
    fill('AAPL', '9', '100');
    fill('AAPL', '-1', '110');
    expect(ledger.adjustPosition(book, 'AAPL', amount, null)).toMatchObject({ amount, total_cost: totalCost });
  });

  test('of an asset that was not held takes its cost basis, else the last price, else none', () => {
    const { ledger, book } = open();
    expect(ledger.adjustPosition(book, 'A', '2', '5')).toMatchObject({ total_cost: '10', last_price: null });
    expect(ledger.adjustPosition(book, 'B', '2', null, { lastPrice: '7' })).toMatchObject({ total_cost: '14' });
    expect(ledger.adjustPosition(book, 'C', '2', null, { currency: 'EUR' })).toMatchObject({
      total_cost: '0',
      currency: 'EUR',
      sid: 3,
    });
  });

  test('to nothing removes an entry without history', () => {
    const { ledger, book } = open();
    ledger.adjustPosition(book, 'A', '2', '5');
    expect(ledger.adjustPosition(book, 'A', '0', null)).toBeNull();
    expect(book.position('A')).toBeUndefined();
    expect(ledger.adjustPosition(book, 'A', '0', null)).toBeNull();
  });

  test('of cash sets the balance', () => {
    const { ledger, book } = open();
    ledger.adjustCash(book, '25000.50', 'USD');
    expect(book.cash()).toBe('25000.5');
    expect(() => ledger.adjustCash(book, '1e5', 'USD')).toThrow(/cash in USD/);
  });
});

describe('instruments', () => {
  test('restored sids stay and new ones are above them', () => {
    const instruments = new Instruments('USD');
    const position = (asset: string, sid: number | null) => ({
      asset,
      sid,
      amount: '1',
      cost_basis: '1',
      last_price: null,
    });
    instruments.restore([position('A', 5), position('B', 2), position('C', null), position('D', 5), position('A', 9)]);
    expect(['A', 'B', 'C', 'D', 'A'].map((asset) => instruments.get(asset).sid)).toEqual([5, 2, 6, 7, 5]);
  });

  test('are priced in the base currency unless their name is a pair or the host says otherwise', () => {
    const instruments = new Instruments('USD', { 'BTCUSDT.spot': { currency: 'USDT', unit: 'BTC' } });
    expect(instruments.get('AAPL')).toMatchObject({ currency: 'USD', unit: 'AAPL', multiplier: '1' });
    expect(instruments.get('BTC/USDT')).toMatchObject({ currency: 'USDT', unit: 'BTC' });
    expect(instruments.get('BTCUSDT.spot')).toMatchObject({ currency: 'USDT', unit: 'BTC' });
    expect(instruments.get('a/b')).toMatchObject({ currency: 'USD', unit: 'a/b' });
    expect(instruments.get('A/B/C')).toMatchObject({ currency: 'USD' });
  });

  test.each<[string, InstrumentSettings]>([
    ['a b', {}],
    ['A', { currency: 'usd' }],
    ['A', { unit: '?' }],
    ['A', { multiplier: '0.00' }],
    ['A', { multiplier: '-5' }],
    ['A', { multiplier: '1e2' }],
  ])('refuses %s %j', (asset, settings) => {
    expect(() => new Instruments('USD', { [asset]: settings })).toThrow(
      expect.objectContaining({ code: 'INSTRUMENT_INVALID' }),
    );
  });
});

/** An exact number without Decimal: an integer count of 10^-48. */
const scale = 48;
function exact(text: string): bigint {
  const [whole = '0', fraction = ''] = text.replace('-', '').split('.');
  const value = BigInt(whole + fraction.padEnd(scale, '0'));
  return text.startsWith('-') ? -value : value;
}

describe('the books balance to the last digit', () => {
  const assets = [
    { asset: 'AAPL', currency: 'USD', unit: 'AAPL' },
    { asset: 'BTC/USD', currency: 'USD', unit: 'BTC' },
    { asset: 'BTC/EUR', currency: 'EUR', unit: 'BTC' },
  ];
  const number = (digits: number, decimals: number, signed: boolean) =>
    fc
      .tuple(fc.bigInt({ min: 1n, max: 10n ** BigInt(digits) }), fc.nat(decimals), fc.boolean())
      .map(([value, places, negative]) => {
        const text = value.toString().padStart(places + 1, '0');
        const point = text.length - places;
        return `${negative && signed ? '-' : ''}${text.slice(0, point)}${places > 0 ? `.${text.slice(point)}` : ''}`;
      });
  const step = fc.record({
    instrument: fc.constantFrom(...assets),
    // Small whole amounts too, so that closes and crossings are common.
    amount: fc.oneof(fc.constantFrom('1', '-1', '2', '-2', '3', '-3'), number(9, 20, true)),
    price: number(9, 20, false),
    fee: fc.oneof(fc.constant('0'), number(5, 8, true)),
    fee_currency: fc.constantFrom('own', 'BNB', 'unit'),
  });

  test('under any fills: cash and cost equal what was put in, realized, and fees', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), fc.nat(), (steps, restartAt) => {
        const { book, fill } = open({}, '12345.678');
        const amounts = new Map<string, bigint>();
        const otherFees = new Map<string, bigint>();
        for (const { instrument, amount, price, fee, fee_currency } of steps) {
          const { asset, currency, unit } = instrument;
          const feeCurrency = { own: currency, BNB: 'BNB', unit }[fee_currency] ?? currency;
          fill(asset, amount, price, { fee, fee_currency: feeCurrency });
          const units = feeCurrency === unit ? exact(fee) : 0n;
          amounts.set(asset, (amounts.get(asset) ?? 0n) + exact(amount) - units);
          if (feeCurrency === 'BNB') otherFees.set('BNB', (otherFees.get('BNB') ?? 0n) + exact(fee));
        }
        for (const [asset, amount] of amounts) expect(exact(book.position(asset)?.amount ?? '0')).toBe(amount);
        const putIn: Record<string, bigint> = { USD: exact('12345.678'), EUR: 0n, BNB: 0n };
        for (const [currency, deposit] of Object.entries(putIn)) {
          const held = [...book.positions.values()].filter((position) => position.currency === currency);
          const sum = (field: 'total_cost' | 'realized_pnl' | 'fees') =>
            held.reduce((total, position) => total + exact(position[field] ?? '0'), 0n);
          const fees = sum('fees') + (otherFees.get(currency) ?? 0n);
          expect(exact(book.cash(currency)) + sum('total_cost')).toBe(deposit + sum('realized_pnl') - fees);
        }
        for (const { amount, total_cost } of book.positions.values()) {
          if (amount === '0') expect(total_cost).toBe('0');
          else if (total_cost !== '0') expect(total_cost?.startsWith('-')).toBe(amount.startsWith('-'));
        }

        // The same fills with a restart in between: another ledger that knows only the text of the book.
        const again = restartAt % (steps.length + 1);
        let replayed = open({}, '12345.678');
        let current: MapBook = replayed.book;
        for (const [index, { instrument, amount, price, fee, fee_currency }] of steps.entries()) {
          if (index === again) {
            const read = MapBook.read(current.text());
            replayed = open();
            replayed.ledger.instruments.restore(read.positions.values());
            current = read;
          }
          const { asset, currency, unit } = instrument;
          replayed.ledger.applyFill(current, {
            execution_id: String(index),
            order_id: 'o',
            broker_order_id: null,
            asset,
            amount,
            price,
            fee,
            fee_currency: { own: currency, BNB: 'BNB', unit }[fee_currency] ?? currency,
            at: '2025-10-02T14:30:00.000000Z',
          });
        }
        expect(current.text()).toBe(book.text());
      }),
      { numRuns: 150 },
    );
  });

  test('the total cost is what an average kept in fractions says, to the rounding of each release', () => {
    const trades = fc.array(
      fc.tuple(
        fc.integer({ min: -50, max: 50 }).filter((n) => n !== 0),
        fc.integer({ min: 1, max: 999 }),
      ),
      {
        maxLength: 40,
      },
    );
    fc.assert(
      fc.property(trades, (list) => {
        const { book, fill } = open();
        // total cost as numerator / denominator
        let [held, top, bottom] = [0n, 0n, 1n];
        for (const [quantity, price] of list) {
          fill('AAPL', String(quantity), String(price));
          const [q, p] = [BigInt(quantity), BigInt(price)];
          const after = held + q;
          if (held === 0n || held > 0n === q > 0n) top += q * p * bottom;
          else if (after === 0n || after > 0n !== held > 0n) [top, bottom] = [after * p, 1n];
          else [top, bottom] = [top * after, bottom * held];
          held = after;
          const unit = 10n ** BigInt(scale);
          const difference = exact(book.position('AAPL')?.total_cost ?? '0') - (top * unit) / bottom;
          expect(difference < 10n ** 27n && difference > -(10n ** 27n)).toBe(true);
        }
      }),
      { numRuns: 150 },
    );
  });
});
