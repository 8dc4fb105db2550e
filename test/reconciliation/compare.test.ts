import { describe, expect, it } from 'vitest';
import { compare } from '../../src/reconciliation/compare.ts';
import type { CompareOptions } from '../../src/reconciliation/options.ts';
import type { BrokerEvidence, LocalBooks } from '../../src/reconciliation/types.ts';
import { at, book, books, broker, fill, held, order, position, report } from './scene.ts';

const options: CompareOptions = { costBasisTolerance: '0.0001' };

function only(local: LocalBooks, evidence: BrokerEvidence, changes: Partial<CompareOptions> = {}) {
  const found = compare(local, evidence, { ...options, ...changes });
  expect(found).toHaveLength(1);
  return found[0];
}

describe('comparing positions', () => {
  it('finds nothing where the sum over strategies and UNASSIGNED is what the broker holds', () => {
    const local = books(
      book('a', { positions: [held('AAPL', '60')], cash: { USD: '1000.10' } }),
      book('b', { positions: [held('AAPL', '50')], cash: { USD: '0.20' } }),
      book('UNASSIGNED', { positions: [held('AAPL', '-10'), held('ETH', '0')] }),
    );
    expect(
      compare(local, broker({ positions: [position('AAPL', '100', '77')], cash: { USD: '1000.3' } }), options),
    ).toEqual([]);
  });

  it('says that the broker holds none of it', () => {
    const local = books(book('a', { positions: [held('AAPL', '60')] }), book('b', { positions: [held('AAPL', '40')] }));
    const found = only(local, broker());
    expect(found).toMatchObject({
      kind: 'position_missing_at_broker',
      subject: 'AAPL',
      local: '100',
      broker: '0',
      difference: '-100',
      strategies: ['a', 'b'],
    });
    expect(found?.message).toContain('a 60, b 40');
  });

  it('says that no book has what the broker holds', () => {
    expect(only(books(book('a')), broker({ positions: [position('MSFT', '5')] }))).toMatchObject({
      kind: 'position_missing_locally',
      subject: 'MSFT',
      local: '0',
      broker: '5',
      difference: '5',
      strategies: [],
    });
  });

  it('tells another quantity from another side', () => {
    const local = books(book('a', { positions: [held('AAPL', '10')] }));
    expect(only(local, broker({ positions: [position('AAPL', '9.5')] }))).toMatchObject({
      kind: 'position_quantity',
      difference: '-0.5',
    });
    expect(only(local, broker({ positions: [position('AAPL', '-9.5')] }))).toMatchObject({
      kind: 'position_side',
      difference: '-19.5',
    });
  });

  it('is exact where binary floats are not', () => {
    const local = books(book('a', { positions: [held('X', '0.1')] }), book('b', { positions: [held('X', '0.2')] }));
    expect(compare(local, broker({ positions: [position('X', '0.3')] }), options)).toEqual([]);
    expect(only(local, broker({ positions: [position('X', '0.300000000000000000000001')] }))).toMatchObject({
      difference: '0.000000000000000000000001',
    });
  });

  it('compares the average price within a relative tolerance', () => {
    const local = books(book('a', { positions: [held('AAPL', '10', '100.01')] }));
    expect(compare(local, broker({ positions: [position('AAPL', '10', '100')] }), options)).toEqual([]);
    const apart = broker({ positions: [position('AAPL', '10', '100.1')] });
    expect(only(local, apart)).toMatchObject({
      kind: 'position_cost_basis',
      local: '100.01',
      broker: '100.1',
      difference: '0.09',
    });
    expect(compare(local, broker({ positions: [position('AAPL', '10', null)] }), options)).toEqual([]);
  });

  it('takes the exact total cost where the book has it', () => {
    const local = books(book('a', { positions: [{ ...held('AAPL', '3', '33.33'), total_cost: '100.2' }] }));
    expect(compare(local, broker({ positions: [position('AAPL', '3', '33.4')] }), options)).toEqual([]);
  });

  it('leaves the average price alone where another book has sold all of it, since the broker’s average counts what that had paid', () => {
    const seen = broker({ positions: [position('AAPL', '10', '95')] });
    const a = book('a', { positions: [held('AAPL', '10', '90')] });
    expect(compare(books(a, book('b', { closed: ['AAPL'] })), seen, options)).toEqual([]);
    expect(only(books(a, book('b', { closed: ['MSFT'] })), seen)).toMatchObject({ kind: 'position_cost_basis' });
    // A book that had sold all of it before, and alone: that is no other book's average.
    expect(only(books({ ...a, closed: ['AAPL'] }, book('b')), seen)).toMatchObject({ kind: 'position_cost_basis' });
    const sold = books(a, book('b', { positions: [held('AAPL', '5', '100')], orders: [order('o1')] }));
    const sale = fill('e1', { amount: '-5' });
    expect(compare(sold, { ...seen, fills: [sale] }, options).map(({ kind }) => kind)).not.toContain(
      'position_cost_basis',
    );
  });

  it('finds nothing where an execution that is not booked yet took its fee in coins', () => {
    const local = books(book('a', { orders: [order('o1', { asset: 'ETH/USD' })], cash: { USD: '5000' } }));
    const bought = fill('e1', { asset: 'ETH/USD', amount: '2', price: '2000', fee: '0.005', fee_currency: 'ETH' });
    const filled = report('o1', { asset: 'ETH/USD', amount: '10', status: 'partially_filled', filled_amount: '2' });
    const seen = broker({
      positions: [position('ETH/USD', '1.995', '2000')],
      cash: { USD: '1000' },
      orders: [filled],
      fills: [bought],
    });
    expect(compare(local, seen, options)).toEqual([]);
  });

  it('leaves the average price alone where several books hold the asset', () => {
    const local = books(
      book('a', { positions: [held('X', '1', '10')] }),
      book('b', { positions: [held('X', '1', '20')] }),
    );
    expect(compare(local, broker({ positions: [position('X', '2', '11')] }), options)).toEqual([]);
  });
});

describe('comparing cash', () => {
  it('compares every currency of either side', () => {
    const local = books(book('a', { cash: { USD: '10', EUR: '5' } }));
    const found = compare(local, broker({ cash: { USD: '10', BTC: '1' } }), options);
    expect(found.map(({ kind, subject, difference }) => [kind, subject, difference])).toEqual([
      ['cash', 'BTC', '1'],
      ['cash', 'EUR', '-5'],
    ]);
  });

  it('lets it differ by the tolerance of its currency and no more', () => {
    const local = books(book('a', { cash: { USD: '10' } }));
    const tolerance = { cashTolerance: { USD: '0.05' } };
    expect(compare(local, broker({ cash: { USD: '10.05' } }), { ...options, ...tolerance })).toEqual([]);
    expect(only(local, broker({ cash: { USD: '9.94' } }), tolerance)).toMatchObject({
      kind: 'cash',
      difference: '-0.06',
    });
  });

  it('leaves ignored currencies out', () => {
    const ignore = { ...options, ignoreCurrencies: ['BTC'] };
    expect(compare(books(), broker({ cash: { BTC: '3' } }), ignore)).toEqual([]);
  });
});

describe('comparing orders', () => {
  const live = (changes = {}) => books(book('a', { orders: [order('o1', changes)] }));

  it('takes every live status of ours for the broker’s live ones', () => {
    for (const status of ['pending', 'open', 'partially_filled', 'pending_cancel', 'pending_replace'] as const) {
      expect(compare(live({ status }), broker({ orders: [report('o1')] }), options)).toEqual([]);
    }
  });

  it('matches by our own id first, and by the broker’s where ours is not known there', () => {
    const local = books(
      book('a', { orders: [order('o1', { broker_order_id: 'b-2' }), order('o2', { broker_order_id: null })] }),
    );
    const crossed = broker({
      orders: [report(null, { broker_order_id: 'b-2', amount: '10' }), report('o2', { broker_order_id: 'b-9' })],
    });
    expect(compare(local, crossed, options)).toEqual([]);
    // The report that has o1's client id is o1, whatever the other one's broker id says.
    const stolen = broker({
      orders: [report(null, { broker_order_id: 'b-2' }), report('o1', { broker_order_id: 'b-7' }), report('o2')],
    });
    expect(only(local, stolen)).toMatchObject({ kind: 'order_unknown_locally', subject: 'b-2' });
  });

  it('says that an order is final at the broker', () => {
    const found = only(live(), broker({ orders: [report('o1', { status: 'canceled', reason: 'by user' })] }));
    expect(found).toMatchObject({
      kind: 'order_status',
      subject: 'o1',
      local: 'open, 0 of 10 filled',
      broker: 'canceled, 0 of 10 filled',
      strategies: ['a'],
    });
    expect(found?.message).toContain('by user');
  });

  it('says that an unknown order has turned up, and that one is filled further or changed', () => {
    expect(only(live({ status: 'unknown' }), broker({ orders: [report('o1')] }))).toMatchObject({
      kind: 'order_status',
    });
    const further = report('o1', { status: 'partially_filled', filled_amount: '3' });
    expect(only(live(), broker({ orders: [further] }))).toMatchObject({ kind: 'order_status' });
    expect(only(live(), broker({ orders: [report('o1', { amount: '11' })] }))).toMatchObject({ kind: 'order_status' });
  });

  it('does not take a broker’s unknown for a status', () => {
    expect(
      compare(live({ status: 'unknown' }), broker({ orders: [report('o1', { status: 'unknown' })] }), options),
    ).toEqual([]);
    expect(compare(live(), broker({ orders: [report('o1', { status: 'unknown' })] }), options)).toEqual([]);
  });

  it('says that an order is missing, and whether the broker was asked for it', () => {
    const missing = only(live(), broker());
    expect(missing).toMatchObject({ kind: 'order_missing_at_broker', subject: 'o1', broker: null });
    expect(missing?.message).toContain('nothing is changed on this evidence');
    expect(only(live(), broker({ absent: ['o1'] }))?.message).toContain('asked for it by this id, has none');
  });

  it('says that nobody here placed an order, and ignores final ones', () => {
    const foreign = broker({ orders: [report(null, { broker_order_id: 'b-7' }), report('x', { status: 'filled' })] });
    expect(only(books(book('a')), foreign)).toMatchObject({
      kind: 'order_unknown_locally',
      subject: 'b-7',
      local: null,
    });
  });

  it('leaves alone what may be on its way between the two sides', () => {
    const inFlightSince = at(29);
    const young = { created_at: at(29, 30), updated_at: at(29, 30) };
    const now = { ...options, inFlightSince };
    expect(compare(live({ ...young, status: 'pending' }), broker(), now)).toEqual([]);
    expect(compare(books(), broker({ orders: [report('o1', young)] }), now)).toEqual([]);
    expect(
      compare(live(), broker({ orders: [report('o1', { status: 'canceled', updated_at: at(29, 30) })] }), now),
    ).toEqual([]);
    expect(compare(live(), broker(), now)).toHaveLength(1);
    expect(compare(books(), broker({ orders: [report('o1')] }), now)).toHaveLength(1);
    expect(compare(live(young), broker(), options)).toHaveLength(1);
  });

  it('leaves an order without an answer to the engine, a pending one until it is unknown and that for a minute', () => {
    const now = { ...options, inFlightSince: at(29) };
    const none = broker({ absent: ['o1'] });
    const pending = { created_at: at(20), updated_at: at(20), status: 'pending' } as const;
    expect(compare(live(pending), none, now)).toEqual([]);
    expect(compare(live(pending), none, options)).toHaveLength(1);
    const unknown = { created_at: at(28), updated_at: at(28, 1), status: 'unknown' } as const;
    expect(compare(live(unknown), none, now)).toEqual([]);
    expect(compare(live(unknown), broker({ orders: [report('o1')] }), now)).toEqual([]);
    expect(compare(live({ ...unknown, updated_at: at(27, 59) }), none, now)).toHaveLength(1);
    expect(compare(live(unknown), none, options)).toHaveLength(1);
  });
});

describe('executions that are not booked yet', () => {
  const local = books(book('a', { orders: [order('o1')], cash: { USD: '5000' } }), book('b', { cash: { USD: '1' } }));

  it('explain position, cash and order all at once', () => {
    const evidence = broker({
      positions: [position('AAPL', '4', '99.5')],
      orders: [report('o1', { status: 'partially_filled', filled_amount: '4' })],
      cash: { USD: '4602.5' },
      fills: [fill('e1', { amount: '3', price: '99', fee: '0.5' }), fill('e2', { amount: '1', price: '101' })],
    });
    expect(compare(local, evidence, options)).toEqual([]);
    expect(compare(local, { ...evidence, fills: [] }, options).map(({ kind }) => kind)).toEqual([
      'position_missing_locally',
      'cash',
      'order_status',
    ]);
  });

  it('complete an order, and an order list that still has it is the older word', () => {
    const evidence = { positions: [position('AAPL', '10')], cash: { USD: '4001' }, fills: [fill('e1')] };
    expect(compare(local, broker(evidence), options)).toEqual([]);
    expect(compare(local, broker({ ...evidence, orders: [report('o1')] }), options)).toEqual([]);
  });

  it('count once though they are listed twice', () => {
    const evidence = broker({
      positions: [position('AAPL', '10')],
      cash: { USD: '4001' },
      fills: [fill('e1'), fill('e1')],
    });
    expect(compare(local, evidence, options)).toEqual([]);
  });

  it('of an order that nobody here has, count as UNASSIGNED’s, and a fee in its own currency', () => {
    const evidence = broker({
      positions: [position('MSFT', '-2', '50')],
      orders: [report('o1')],
      cash: { USD: '5101', BTC: '-0.001' },
      fills: [
        fill('e1', {
          order_id: null,
          broker_order_id: 'b-x',
          asset: 'MSFT',
          amount: '-2',
          price: '50',
          fee: '0.001',
          fee_currency: 'BTC',
        }),
      ],
    });
    expect(compare(local, evidence, options)).toEqual([]);
  });
});
