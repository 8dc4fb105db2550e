import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { DecimalLedger } from '../../src/engine/decimal-ledger.ts';
import { Instruments } from '../../src/engine/instrument.ts';
import { Decimal, decimal } from '../../src/model/money.ts';
import type { PositionSnapshot } from '../../src/model/position.ts';
import type { FillReport } from '../../src/model/report.ts';
import { withFills } from '../../src/reconciliation/fills.ts';
import { book, books, fill } from './scene.ts';

// What a comparison books in advance is what the ledger will book: any difference would be taken for one between books and broker.

const settings = { 'ES.fut': { multiplier: '50' }, BTCUSDT: { currency: 'USDT', unit: 'BTC' } };
/** Shares; coins priced in the base currency, in a coin, and by a name that is no pair; contracts. Each with what its fees may be in. */
const kinds = [
  { asset: 'AAPL', fees: [null, 'USD', 'EUR'] },
  { asset: 'ETH/USD', fees: [null, 'ETH', 'USD', 'BNB'] },
  { asset: 'ETH/BTC', fees: [null, 'ETH', 'BTC'] },
  { asset: 'BTCUSDT', fees: [null, 'BTC', 'USDT'] },
  { asset: 'ES.fut', fees: [null] },
] as const;

const execution = fc.constantFrom(...kinds).chain(({ asset, fees }) =>
  fc.record({
    asset: fc.constant(asset),
    amount: fc.integer({ min: -50, max: 50 }).filter((units) => units !== 0),
    cents: fc.integer({ min: 1, max: 50_000 }),
    fee: fc.constantFrom('0', '0', '0.01', '-0.002', '0.5'),
    fee_currency: fc.constantFrom<(string | null)[]>(...fees),
  }),
);

function ledgerBook() {
  const positions = new Map<string, PositionSnapshot>();
  const cash = new Map<string, string>();
  return {
    name: 'a',
    positions,
    cashes: cash,
    position: (asset: string) => positions.get(asset),
    setPosition: (position: PositionSnapshot) => void positions.set(position.asset, position),
    removePosition: (asset: string) => void positions.delete(asset),
    cash: (currency = 'USD') => cash.get(currency) ?? '0',
    setCash: (amount: string, currency = 'USD') => void cash.set(currency, amount),
  };
}

describe('executions that are counted in advance', () => {
  it('make of the books what the ledger makes of them, fees in units, prices in coins and multipliers included', () => {
    fc.assert(
      fc.property(fc.array(execution, { minLength: 1, maxLength: 12 }), (executions) => {
        const fills: FillReport[] = executions.map(({ asset, amount, cents, fee, fee_currency }, index) =>
          fill(`e${index}`, {
            ...{ asset, fee, fee_currency, currency: null },
            amount: new Decimal(amount).div(10).toFixed(),
            price: new Decimal(cents).div(100).toFixed(),
          }),
        );
        const booked = ledgerBook();
        const ledger = new DecimalLedger(new Instruments('USD', settings));
        for (const { currency: _, fee_currency, ...rest } of fills) {
          ledger.applyFill(booked, { ...rest, order_id: 'o1', ...(fee_currency === null ? {} : { fee_currency }) });
        }
        const ours = { ...books(book('UNASSIGNED')), instruments: settings };
        const [ahead] = withFills(ours, fills).strategies;

        const held = [...booked.positions.values()].filter(({ amount }) => amount !== '0');
        const amounts = (positions: readonly PositionSnapshot[]) =>
          positions.map(({ asset, amount, currency }) => `${asset} ${amount} ${currency}`).sort();
        expect(amounts(ahead?.positions ?? [])).toEqual(amounts(held));
        expect(new Set(ahead?.closed)).toEqual(
          new Set([...booked.positions.values()].filter(({ amount }) => amount === '0').map(({ asset }) => asset)),
        );
        const cash = (balances: Iterable<readonly [string, string]>) =>
          [...balances].filter(([, amount]) => amount !== '0').sort();
        expect(cash(Object.entries(ahead?.cash ?? {}))).toEqual(cash(booked.cashes));
        for (const position of ahead?.positions ?? []) {
          const exact = decimal(booked.position(position.asset)?.total_cost ?? '0');
          // The ledger rounds what it releases at each trade, to 24 places.
          expect(
            exact
              .minus(position.total_cost ?? '0')
              .abs()
              .lt('1e-20'),
          ).toBe(true);
        }
      }),
      { numRuns: 500 },
    );
  });
});
