import { setTimeout as sleep } from 'node:timers/promises';
import type { OrderSnapshot } from '../../model/order.ts';
import { micros } from '../../model/time.ts';
import { counted, grouped } from '../output.ts';
import type { BrokerClient, TapeStatus } from './broker-client.ts';
import type { DemoPlan } from './plan.ts';
import type { Story } from './story.ts';

/*
 * What the demo waits for at the broker. A tape does not wait for a slow machine, so every wish gives way as the tape goes on, and
 * what the story then tells is what happened.
 */

export interface MarketWatch {
  readonly market: BrokerClient;
  readonly plan: DemoPlan;
  readonly story: Story;
}

/** What the market had come to when the wait ended. */
export interface Seen {
  readonly marketEvents: number;
  readonly ordersFilled: number;
}

/**
 * Waits until a tenth of the tape is over, some orders were filled, and one rests on each side of the price: whichever way it goes,
 * one of them will be filled. With 40 % of the tape gone any resting order does, and with 60 % it is as it is.
 */
export async function ordersInTheMarket({ market, plan, story }: MarketWatch): Promise<Seen> {
  for (;;) {
    const [open, closed, tape] = await Promise.all([market.orders('open'), market.orders('closed'), market.status()]);
    const filled = closed.filter((order) => order.status === 'filled').length;
    const seen = { marketEvents: tape.tape_position, ordersFilled: filled };
    story.progress(`${told(tape)}, ${counted(filled, 'order')} filled, ${open.length} in the market`);
    const resting = open.filter(({ type }) => type === 'limit');
    const sides = new Set(resting.map(({ side }) => side)).size;
    const gone = share(plan, tape);
    if ((gone > 0.1 && filled >= 4 && sides === 2) || (gone > 0.4 && sides > 0) || gone > 0.6) return seen;
    await sleep(20);
  }
}

/** True once an order that the files have as open was filled while nobody listened; false where the market does not get there. */
export async function fillWhileDown(
  { market, plan, story }: MarketWatch,
  pending: readonly OrderSnapshot[],
): Promise<boolean> {
  const waiting = new Set(pending.map(({ order_id }) => order_id));
  for (;;) {
    const [closed, tape] = await Promise.all([market.orders('closed'), market.status()]);
    story.progress(`engine down, ${told(tape)}`);
    if (closed.some(({ client_order_id, status }) => waiting.has(client_order_id) && status === 'filled')) return true;
    if (waiting.size === 0 || share(plan, tape) > 0.7) return false;
    await sleep(20);
  }
}

/**
 * Waits for `until`, and has the tape wait too where less than a quarter of it would be left to trade. Resolves with whether it
 * had to.
 */
export async function keepTapeFor(watch: MarketWatch, until: Promise<unknown>): Promise<boolean> {
  const { market, plan, story } = watch;
  const done = { yes: false };
  const end = (): void => {
    done.yes = true;
  };
  until.then(end, end);
  let paused = false;
  while (!done.yes) {
    const tape = await market.status();
    story.progress(`the engine starts again, ${told(tape)}`);
    if (!paused && !tape.ended && share(plan, tape) > 0.75) {
      await market.pause();
      paused = true;
    }
    await Promise.race([until.catch(() => {}), sleep(50)]);
  }
  return paused;
}

/** Shows how far the tape is, while `until` is awaited. */
export async function watchTape<T>({ market, story }: MarketWatch, until: Promise<T>): Promise<T> {
  if (!story.isWatched) return await until;
  const done = new AbortController();
  const settled = until.finally(() => done.abort());
  settled.catch(() => {});
  while (!done.signal.aborted) {
    story.progress(told(await market.status()));
    await sleep(200, undefined, { signal: done.signal }).catch(() => {});
  }
  return await settled;
}

function told(tape: TapeStatus): string {
  return `${grouped(tape.tape_position)} market events${tape.ended ? ', the tape has ended' : ''}`;
}

/** How much of the tape's time is over, from 0 to 1. */
function share(plan: DemoPlan, tape: TapeStatus): number {
  if (tape.ended) return 1;
  if (tape.tape_time === null) return 0;
  const from = micros(plan.from);
  return (micros(tape.tape_time) - from) / Math.max(1, micros(plan.to) - from);
}
