import { describe, expect, it } from 'vitest';
import { type AssessOptions, assess } from '../../src/reconciliation/quality.ts';
import type { BrokerEvidence, LocalBooks } from '../../src/reconciliation/types.ts';
import { at, book, books, broker, fill, held, order, position, report, type Sides } from './scene.ts';

const options: AssessOptions = { costBasisTolerance: '0.0001', settleMs: 1000 };
const local = books(book('a', { positions: [held('AAPL', '10'), held('MSFT', '5')], cash: { USD: '1000' } }));
const cursor = (id: string, minute: number) => ({ activity_id: id, at: at(minute) });

function why(first: BrokerEvidence, second: BrokerEvidence | null = null, ours: LocalBooks = local): string | null {
  const answer = assess(first, second, ours, options);
  return answer.ok ? null : answer.why;
}

/** A read that shows MSFT at 4 in place of 5, with nothing wrong in it. */
function good(changes: Sides = {}): BrokerEvidence {
  return broker({
    positions: [position('AAPL', '10'), position('MSFT', '4')],
    cash: { USD: '1000' },
    equity: '2400',
    ...changes,
  });
}

describe('a single read', () => {
  it('is good when it is whole and stood still, and confirms nothing alone', () => {
    expect(assess(good(), null, local, options)).toEqual({ ok: true, confirmed: false });
  });

  it('moved when the activities before and after it differ', () => {
    expect(why(good({ before: cursor('a-1', 28), after: cursor('a-2', 29) }))).toContain('moved while it was read');
    expect(why(good({ before: cursor('a-1', 28), after: cursor('a-2', 28) }))).toContain('moved while it was read');
  });

  it('is late when the activities went back, or have none where there were some', () => {
    expect(why(good({ before: cursor('a-2', 28), after: cursor('a-1', 27) }))).toContain('went back');
    expect(why(good({ before: cursor('a-2', 28), after: { activity_id: null, at: null } }))).toContain('went back');
    const begun = { before: { activity_id: null, at: null }, after: cursor('a-1', 27) };
    expect(why(good(begun))).toContain('moved');
  });

  it('names nothing twice', () => {
    expect(why(good({ positions: [position('AAPL', '10'), position('AAPL', '10')] }))).toContain('position AAPL twice');
    expect(why(good({ orders: [report('x'), report('y', { broker_order_id: 'b-x' })] }))).toContain('order b-x twice');
    expect(why(good({ orders: [report('x'), report('x', { broker_order_id: 'b-y' })] }))).toContain('order x twice');
    const foreign = [report(null, { broker_order_id: 'b-1' }), report(null, { broker_order_id: 'b-2' })];
    expect(why(good({ orders: foreign }))).toBeNull();
  });

  it('without a position is not believed unless equity is cash', () => {
    const empty = { positions: [] };
    expect(why(good({ ...empty, equity: '2500' }))).toContain(
      'equity of 2500 beside cash of 1000: the list is incomplete',
    );
    expect(why(good({ ...empty, equity: null }))).toContain('tells no equity');
    expect(why(good({ ...empty, equity: '1500', cash: { USD: '1000', EUR: '400' } }))).toContain('several currencies');
    expect(why(good({ positions: [position('AAPL', '0')], equity: '2500' }))).toContain('lists no position');
    expect(why(good({ ...empty, equity: '1000' }))).toBeNull();
    expect(why(good({ ...empty, equity: '1000' }), null, books(book('a', { cash: { USD: '3' } })))).toBeNull();
  });

  it('without any cash figure is not believed', () => {
    expect(why(good({ cash: {} }))).toContain('no cash figure');
    expect(why(good({ cash: {} }), null, books(book('a', { positions: [held('AAPL', '10')] })))).toBeNull();
  });

  it('must not omit a symbol that its equity still counts', () => {
    const omits = { positions: [position('AAPL', '10')] };
    expect(why(good({ ...omits, equity: '2500' }))).toContain('no position in MSFT');
    expect(why(good({ ...omits, equity: '2010' }))).toBeNull();
  });

  it('must not be older in several positions than its equity, where what they lack and have too much partly cancels out', () => {
    // 4 AAPL too many and 6 MSFT too few at 100 each: 200 less than the equity counts, and less than half of either alone.
    const old = { positions: [position('AAPL', '14'), position('MSFT', '-1')], cash: { USD: '1000' } };
    expect(why(good({ ...old, equity: '2500' }))).toContain('older than the account');
    // With an equity that does not count them, these are differences.
    expect(why(good({ ...old, equity: '2300' }))).toBeNull();
  });

  it('must not omit a symbol that its own open orders would close, unless equity counts it as gone', () => {
    const closing = report('x', { asset: 'MSFT', amount: '-5', status: 'open' });
    const omits = { positions: [position('AAPL', '10')], orders: [closing], equity: null, cash: { USD: '1500' } };
    expect(why(good(omits))).toContain('open order (b-x) that would close one');
    expect(why(good({ ...omits, equity: '2500' }))).toBeNull();
    expect(why(good({ ...omits, orders: [{ ...closing, amount: '5' }] }))).toBeNull();
    expect(why(good({ ...omits, orders: [{ ...closing, status: 'canceled' }] }))).toBeNull();
    const priceless = books(book('a', { positions: [held('AAPL', '10'), held('MSFT', '5', '100', null)] }));
    expect(why(good({ ...omits, equity: '2500' }), null, priceless)).toContain('would close one');
  });

  it('must not omit a symbol that nothing confirms as closed', () => {
    const omits = { positions: [position('AAPL', '10')], equity: null };
    expect(why(good(omits))).toContain('its cash shows no trade that closed it');
    expect(why(good({ ...omits, cash: { USD: '1500' } }))).toBeNull();
    expect(why(good({ ...omits, equity: '2000' }))).toBeNull();
  });

  it('must list the executions that its orders tell of, while they are recent', () => {
    const ours = books(book('a', { orders: [order('o1', { amount: '10' })], positions: [held('AAPL', '3')] }));
    const told = (changes: Sides & { updated?: string; filled?: string } = {}) =>
      broker({
        positions: [position('AAPL', '7')],
        orders: [
          report('o1', {
            status: 'partially_filled',
            filled_amount: changes.filled ?? '4',
            updated_at: changes.updated ?? at(30),
          }),
        ],
        ...changes,
      });
    expect(why(told(), null, ours)).toContain(
      'filled 4 at the broker, its executions add up to 0: they are not all listed yet',
    );
    expect(why(told({ fills: [fill('e1', { amount: '4' })] }), null, ours)).toBeNull();
    expect(why(told({ updated: at(29, 58) }), null, ours)).toBeNull();
    const fills = [fill('e1', { amount: '6' })];
    expect(why(told({ fills }), null, ours)).toContain('older than what is booked');
    const booked = books(book('a', { orders: [order('o1', { filled_amount: '6', updated_at: at(29, 59) })] }));
    expect(why(told({ updated: at(20) }), null, booked)).toContain('older than what is booked');
  });
});

describe('two reads', () => {
  it('that show the same differences confirm each other, though prices moved', () => {
    const second = good({ readAt: at(30, 1), equity: '2399' });
    expect(assess(good(), second, local, options)).toEqual({ ok: true, confirmed: true });
  });

  it('that trade in between still agree, because executions are counted', () => {
    const ours = books(
      book('a', { positions: [held('AAPL', '10'), held('MSFT', '5')], cash: { USD: '1000' }, orders: [order('o1')] }),
    );
    const first = good({ orders: [report('o1')] });
    const second = good({
      readAt: at(30, 1),
      positions: [position('AAPL', '12'), position('MSFT', '4')],
      orders: [report('o1', { filled_amount: '2', status: 'partially_filled' })],
      cash: { USD: '800' },
      fills: [fill('e1', { amount: '2' })],
      before: cursor('a-2', 30),
    });
    expect(assess(first, second, ours, options)).toEqual({ ok: true, confirmed: true });
  });

  it('that show different differences do not', () => {
    const second = good({
      readAt: at(30, 1),
      positions: [position('AAPL', '10'), position('MSFT', '3')],
      equity: '2300',
    });
    expect(why(good(), second)).toContain('two reads do not agree on position_quantity MSFT (-1)');
    const healed = good({
      readAt: at(30, 1),
      positions: [position('AAPL', '10'), position('MSFT', '5')],
      equity: '2500',
    });
    expect(why(good(), healed)).toContain('two reads do not agree');
  });

  it('do not, when the second is the older one or of another account', () => {
    expect(why(good(), good({ readAt: at(29, 59) }))).toContain('older than the first');
    expect(why(good(), good({ readAt: at(31), before: cursor('a-0', 27) }))).toContain('older than the first');
    expect(why(good(), good({ readAt: at(31), account: 'account-2' }))).toContain('two accounts');
  });

  it('do not, when either is bad alone', () => {
    const moved = good({ readAt: at(31), after: cursor('a-2', 29) });
    expect(why(good(), moved)).toContain('moved');
    expect(why(moved, good({ readAt: at(32) }))).toContain('moved');
  });
});
