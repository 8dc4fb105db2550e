import { describe, expect, it } from 'vitest';
import type { ActivityReport } from '../../src/brokers/adapter.ts';
import { compare } from '../../src/reconciliation/compare.ts';
import { explain } from '../../src/reconciliation/explain.ts';
import { at, book, books, broker, held, position } from './scene.ts';

function activity(type: string, changes: Partial<ActivityReport> = {}): ActivityReport {
  return {
    activity_id: `${type}-1`,
    type,
    sub_type: null,
    asset: null,
    cash: '0',
    currency: null,
    amount: null,
    canceled: false,
    at: at(20),
    ...changes,
  };
}

const local = books(book('a', { positions: [held('AAPL', '10')], cash: { USD: '1000' } }));

function explained(cash: string, amount: string, ...activities: ActivityReport[]) {
  const seen = broker({ positions: [position('AAPL', amount)], cash: { USD: cash } });
  const found = compare(local, seen, { costBasisTolerance: '1' });
  return explain(found, activities, 'USD').map(({ subject, explained_by = [] }) => [
    subject,
    explained_by.map(({ type }) => type),
  ]);
}

describe('a difference', () => {
  it('is explained by a dividend, by interest, by a fee, and by what they are together', () => {
    const dividend = activity('DIV', { asset: 'AAPL', cash: '12.34' });
    const interest = activity('INT', { cash: '0.01', at: at(21) });
    expect(explained('1012.34', '10', dividend)).toEqual([['USD', ['DIV']]]);
    expect(explained('1012.35', '10', dividend, interest)).toEqual([['USD', ['INT', 'DIV']]]);
    // An older one was taken with an earlier sync.
    expect(explained('1000.01', '10', dividend, interest)).toEqual([['USD', ['INT']]]);
  });

  it('is explained by a split, in units', () => {
    const split = activity('SPLIT', { asset: 'AAPL', amount: '30' });
    expect(explained('1000', '40', split)).toEqual([['AAPL', ['SPLIT']]]);
    expect(explained('1000', '39', split)).toEqual([['AAPL', []]]);
  });

  it('is not explained by another asset or currency, by what was taken back, or by less than all of it', () => {
    expect(explained('1012.34', '10', activity('DIV', { cash: '12.34', currency: 'EUR' }))).toEqual([['USD', []]]);
    expect(explained('1012.34', '10', activity('DIV', { cash: '12.34', canceled: true }))).toEqual([['USD', []]]);
    expect(explained('1012.34', '10', activity('DIV', { cash: '12.33' }))).toEqual([['USD', []]]);
    expect(explained('1000', '40', activity('SPLIT', { asset: 'MSFT', amount: '30' }))).toEqual([['AAPL', []]]);
  });

  it('says what explains it, for the operator and for the record', () => {
    const seen = broker({ positions: [position('AAPL', '10')], cash: { USD: '1012.34' } });
    const [found] = explain(
      compare(local, seen, { costBasisTolerance: '1' }),
      [activity('DIV', { asset: 'AAPL', cash: '12.34' })],
      'USD',
    );
    expect(found?.message).toContain('what the broker booked without a trade: DIV AAPL 12.34 at 2025-10-02T14:20');
  });
});
