import { describe, expect, it } from 'vitest';
import { lookUp } from '../../src/engine/resolve.ts';
import { timestamp } from '../../src/model/time.ts';
import { ManualClock } from '../../src/testing/manual-clock.ts';
import type { FakeOutcome } from '../support/fake-broker.ts';
import { FakeBroker, unreachable } from '../support/fake-broker.ts';

interface Case {
  readonly what: string;
  readonly ids?: 'enforced' | 'window' | 'none';
  /** How long the venue remembers ids, and how old the intent is when it is looked up. */
  readonly window?: readonly [windowMs: number, ageMs: number];
  readonly there?: boolean;
  readonly arrived?: boolean;
  readonly fetches?: readonly FakeOutcome[];
  readonly verdict: string;
  readonly reads: number;
}

const fail: FakeOutcome = { kind: 'fail', error: unreachable() };

describe('the look-up of an unknown order', () => {
  it.each<Case>([
    { what: 'finds it at once', there: true, verdict: 'found', reads: 1 },
    { what: 'finds it after failures', there: true, fetches: [fail, fail], verdict: 'found', reads: 3 },
    { what: 'gives it up after two negative reads that count', verdict: 'not_received', reads: 3 },
    { what: 'does not count failures as negative', fetches: [fail, fail, fail], verdict: 'not_received', reads: 6 },
    { what: 'proves nothing where ids are forgotten', ids: 'window', verdict: 'unsettled', reads: 3 },
    {
      what: 'takes a no while ids are remembered',
      ids: 'window',
      window: [60_000, 0],
      verdict: 'not_received',
      reads: 3,
    },
    { what: 'takes none after that', ids: 'window', window: [60_000, 59_000], verdict: 'unsettled', reads: 3 },
    {
      what: 'takes none from a clock that went back',
      ids: 'window',
      window: [60_000, -9000],
      verdict: 'unsettled',
      reads: 3,
    },
    { what: 'finds it all the same where ids are forgotten', ids: 'window', there: true, verdict: 'found', reads: 1 },
    { what: 'does not even ask where ids are not kept', ids: 'none', there: true, verdict: 'unsettled', reads: 0 },
    { what: 'never gives up what a duplicate has proved', arrived: true, verdict: 'unsettled', reads: 3 },
  ])('$what', async ({ ids = 'enforced', window, there = false, arrived = false, fetches = [], verdict, reads }) => {
    const remembered = window === undefined ? {} : { clientOrderIdWindowMs: window[0] };
    const broker = new FakeBroker({ capabilities: { clientOrderIds: ids, settleMs: 1000, ...remembered } });
    if (there) broker.placeElsewhere('AAPL', '1', 'ours');
    broker.next('fetchOrder', ...fetches);
    const clock = new ManualClock();
    const answer = lookUp({
      broker,
      orderId: 'ours',
      createdAt: timestamp(clock.nowMicros() - (window?.[1] ?? 0) * 1000),
      clock,
      arrived,
      stillUnknown: () => true,
      after: clock.after,
      signal: new AbortController().signal,
      random: () => 0,
    });
    for (let i = 0; i < 100; i += 1) await clock.advanceInTurns(100);
    expect((await answer).kind).toBe(verdict);
    expect(broker.called('fetchOrder')).toBe(reads);
    expect(clock.pendingTimers).toBe(0);
  });

  it('goes on while the broker shows it and does not know its status', async () => {
    const broker = new FakeBroker();
    broker.placeElsewhere('AAPL', '1', 'ours');
    const live = broker.end('ours', 'unknown');
    const clock = new ManualClock();
    const answer = lookUp({
      broker,
      orderId: 'ours',
      createdAt: null,
      clock,
      arrived: false,
      stillUnknown: () => true,
      after: clock.after,
      signal: new AbortController().signal,
    });
    for (let i = 0; i < 50; i += 1) await clock.advanceInTurns(100);
    broker.orders.set('ours', { ...live, status: 'open' });
    for (let i = 0; i < 400; i += 1) await clock.advanceInTurns(100);
    expect((await answer).kind).toBe('found');
  });

  it('ends with its signal, and says what failed last; and when other evidence came first', async () => {
    const broker = new FakeBroker();
    broker.next('fetchOrder', fail);
    const clock = new ManualClock();
    const control = new AbortController();
    const common = {
      broker,
      orderId: 'ours',
      createdAt: null,
      clock,
      arrived: false,
      after: clock.after,
      signal: control.signal,
    };
    const answer = lookUp({ ...common, stillUnknown: () => true });
    await clock.advanceInTurns(0);
    control.abort();
    expect(await answer).toMatchObject({ kind: 'aborted', error: { code: 'BROKER_UNREACHABLE' } });
    expect(await lookUp({ ...common, stillUnknown: () => false })).toEqual({ kind: 'gone' });
  });
});
