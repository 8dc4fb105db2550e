import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type Feed, merge, replay } from '../../src/engine/feed.ts';
import type { MarketEvent } from '../../src/model/market.ts';
import { timestamp } from '../../src/model/time.ts';
import { ManualClock } from '../../src/testing/manual-clock.ts';

const at = (ms: number, asset = 'A'): MarketEvent => ({
  kind: 'trade',
  asset,
  price: '1',
  amount: '1',
  aggressor: null,
  at: timestamp(ms * 1000),
});

/** A feed that tells when it is ended. */
function feedOf(events: readonly MarketEvent[], onEnd: () => void = () => {}): Feed {
  return (async function* () {
    try {
      yield* events;
    } finally {
      onEnd();
    }
  })();
}

function start(events: readonly MarketEvent[], speed: number, signal?: AbortSignal) {
  const clock = new ManualClock();
  const seen: number[] = [];
  let ended = false;
  const options = { speed, clock, after: clock.after, ...(signal === undefined ? {} : { signal }) };
  const done = (async () => {
    for await (const _ of replay(
      feedOf(events, () => {
        ended = true;
      }),
      options,
    ))
      seen.push(clock.monotonicMs());
  })();
  return { clock, seen, done, hasEnded: () => ended };
}

describe('a replay', () => {
  test('gives events at the pace at which they happened, counted from the first', async () => {
    const { clock, seen, done } = start([at(5000), at(5010), at(5010), at(6000)], 1);
    await clock.advanceInTurns(2000);
    await done;
    expect(seen).toEqual([0, 10, 10, 1000]);
  });

  test('ten times as fast', async () => {
    const { clock, seen, done } = start([at(0), at(1000), at(2500)], 10);
    await clock.advanceInTurns(1000);
    await done;
    expect(seen).toEqual([0, 100, 250]);
  });

  test.each([0, Number.POSITIVE_INFINITY])('at speed %s waits for nothing', async (speed) => {
    const { seen, done } = start([at(0), at(86_400_000)], speed);
    await done;
    expect(seen).toEqual([0, 0]);
  });

  test('does not wait for an event that is older than the one before it', async () => {
    const { clock, seen, done } = start([at(100), at(50), at(120)], 1);
    await clock.advanceInTurns(100);
    await done;
    expect(seen).toEqual([0, 0, 20]);
  });

  test('does not add its lateness up', async () => {
    const clock = new ManualClock();
    const seen: number[] = [];
    const late = { speed: 1, clock, after: (ms: number, run: () => void) => clock.after(ms + 4, run) };
    const done = (async () => {
      for await (const _ of replay(feedOf([at(0), at(10), at(20), at(30)]), late)) seen.push(clock.monotonicMs());
    })();
    await clock.advanceInTurns(100);
    await done;
    expect(seen).toEqual([0, 14, 24, 34]);
  });

  test('waits longer than a timer can', async () => {
    const monthMs = 31 * 86_400_000;
    const { clock, seen, done } = start([at(0), at(monthMs)], 1);
    await clock.advanceInTurns(monthMs);
    await done;
    expect(seen).toEqual([0, monthMs]);
  });

  test('ends when it is told to, also while it waits, and ends its source', async () => {
    const controller = new AbortController();
    const { clock, seen, done, hasEnded } = start([at(0), at(1000), at(2000)], 1, controller.signal);
    await clock.advanceInTurns(500);
    controller.abort();
    await done;
    expect(seen).toEqual([0]);
    expect(hasEnded()).toBe(true);
    expect(clock.pendingTimers).toBe(0);
  });

  test('gives nothing when it was told to end before it began', async () => {
    const { seen, done } = start([at(0), at(1)], 0, AbortSignal.abort());
    await done;
    expect(seen).toEqual([]);
  });

  test.each([-1, Number.NaN])('refuses the speed %s', async (speed) => {
    await expect(start([at(0)], speed).done).rejects.toMatchObject({ code: 'FEED_SPEED_INVALID' });
  });

  test('runs on real timers', async () => {
    const startMs = performance.now();
    const seen: string[] = [];
    for await (const event of replay(feedOf([at(0), at(20)]), { speed: 4 })) seen.push(event.at);
    expect(seen).toHaveLength(2);
    expect(performance.now() - startMs).toBeGreaterThanOrEqual(4.99);
  });
});

describe('merged feeds', () => {
  const collect = async (feeds: readonly Feed[]) => {
    const events: MarketEvent[] = [];
    for await (const event of merge(feeds)) events.push(event);
    return events;
  };

  test('come in the order of their times, the earlier feed first where they are the same', async () => {
    const events = await collect([feedOf([at(1, 'A'), at(3, 'A')]), feedOf([at(1, 'B'), at(2, 'B')]), feedOf([])]);
    expect(events.map((event) => `${event.asset}${event.at.slice(20, 23)}`)).toEqual(['A001', 'B001', 'B002', 'A003']);
  });

  test('are told apart by instant and not by text', async () => {
    const zoned: MarketEvent = { ...at(0, 'Z'), at: '1970-01-01T01:00:00.001+01:00' };
    const events = await collect([feedOf([at(0), at(2)]), feedOf([zoned])]);
    expect(events.map((event) => event.asset)).toEqual(['A', 'Z', 'A']);
  });

  test('hold every event once, each feed in its own order', async () => {
    const times = fc.array(fc.nat(50), { maxLength: 20 }).map((list) => list.sort((a, b) => a - b));
    await fc.assert(
      fc.asyncProperty(fc.array(times, { maxLength: 5 }), async (lists) => {
        const feeds = lists.map((list, index) => list.map((ms) => at(ms, `F${index}`)));
        const events = await collect(feeds.map((events) => feedOf(events)));
        const stable = feeds.flat().sort((a, b) => (a.at < b.at ? -1 : a.at > b.at ? 1 : 0));
        expect(events).toEqual(stable);
      }),
    );
  });

  test('end all their sources when the reader stops, and when one of them fails', async () => {
    const ended: string[] = [];
    const feeds = () => [feedOf([at(1), at(2)], () => ended.push('a')), feedOf([at(1), at(2)], () => ended.push('b'))];
    for await (const _ of merge(feeds())) break;
    expect(ended).toEqual(['a', 'b']);

    const failing: Feed = (async function* () {
      yield at(0);
      throw new Error('line 2');
    })();
    await expect(collect([failing, ...feeds()])).rejects.toThrow('line 2');
    expect(ended).toEqual(['a', 'b', 'a', 'b']);
  });
});
