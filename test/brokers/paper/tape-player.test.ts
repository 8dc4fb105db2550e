import { describe, expect, it } from 'vitest';
import { TapePlayer } from '../../../src/brokers/paper/tape-player.ts';
import type { MarketEvent } from '../../../src/model/market.ts';
import { trade } from '../../contract/broker-requests.ts';

async function* everySecond(count: number): AsyncGenerator<MarketEvent> {
  for (let index = 0; index < count; index += 1) {
    yield trade('AAPL', '100', '1', new Date(Date.UTC(2025, 0, 1, 0, 0, index)).toISOString());
  }
}

/** Plays to the end in a time of its own, and tells when each event was played. */
async function played(count: number, speed: number, during: (player: TapePlayer, event: number) => number = () => 0) {
  let now = 5_000;
  const times: number[] = [];
  const ended = Promise.withResolvers<Error | null>();
  const player: TapePlayer = new TapePlayer({
    tape: everySecond(count),
    speed,
    paused: false,
    congested: () => false,
    timing: {
      monotonicMs: () => now,
      sleep: async (ms) => {
        now += ms;
      },
    },
    play(events) {
      for (const _ of events) {
        times.push(Math.round(now - 5_000));
        now += during(player, times.length);
      }
    },
    ended: (error) => ended.resolve(error),
  });
  player.start();
  expect(await ended.promise).toBeNull();
  return times;
}

describe('a tape', () => {
  it('is played in its own time', async () => {
    expect(await played(4, 1)).toEqual([0, 1000, 2000, 3000]);
  });

  it('is played faster by a factor', async () => {
    expect(await played(4, 4)).toEqual([0, 250, 500, 750]);
  });

  it('is played at once at infinite speed', async () => {
    expect(await played(1_000, Number.POSITIVE_INFINITY)).toEqual(new Array(1_000).fill(0));
  });

  it('catches up when it is late', async () => {
    expect(await played(4, 1, (_, event) => (event === 1 ? 2_500 : 0))).toEqual([0, 2500, 2500, 3000]);
  });

  it('does not catch up on a pause: what came later is as far apart as it was', async () => {
    const times = await played(4, 1, (player, event) => {
      if (event !== 2) return 0;
      player.pause();
      setImmediate(() => player.play());
      return 10_000;
    });
    expect(times).toEqual([0, 1000, 11_000, 12_000]);
  });
});
