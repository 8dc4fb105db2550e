import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { tell, tellRow, whyNot } from '../support/fault-gates.ts';
import { type Measured, SlowEngine } from '../support/fault-slow.ts';
import { Strace } from '../support/fault-strace.ts';

/*
 * Row 14: a disk whose fsync takes seconds, or hangs for a minute. The engine's thread does not feel it: its event loop is no later than
 * that of an engine that keeps nothing, measured in turns in the same process; name look-ups, which need the thread pool, are answered.
 * What changes over and over is conflated, events are all kept, memory stays bounded, `lagging` and `recovered` are told, and an orderly
 * stop on the stuck disk ends within its deadline, by SIGKILL (137).
 */

const skipped = whyNot(14, 'linux', 'strace');
const closeDeadlineMs = 4_000;
/** Deltas that are on their way at most, and what a checkpoint posts besides. */
const postsMax = 256 + 4;

interface Slowness {
  readonly name: string;
  readonly delayMs: number;
  readonly by: 'strace' | 'seam';
  readonly measureMs: number;
}

const kinds: readonly Slowness[] = [
  { name: 'takes 5 s', delayMs: 5_000, by: 'strace', measureMs: 9_000 },
  { name: 'takes 5 s behind the seam', delayMs: 5_000, by: 'seam', measureMs: 9_000 },
  { name: 'hangs for 60 s', delayMs: 60_000, by: 'strace', measureMs: 20_000 },
];

let home: string;
let cases = 0;

beforeAll(() => {
  home = mkdtempSync(join(tmpdir(), 'holdfast-slow-'));
  process.env['NODE_COMPILE_CACHE'] ??= join(home, 'compiled');
});

afterAll(() => {
  rmSync(home, { recursive: true, force: true });
  if (skipped !== null) return;
  tellRow(14, { done: cases, of: kinds.length }, '(delays), 0 events lost, 0 stalls of the engine');
});

describe.skipIf(skipped !== null)('a disk whose fsync', () => {
  it.each(kinds)('$name does not hold up the engine', async (kind) => {
    const { delayMs, by } = kind;
    const directory = join(home, `${by}-${delayMs}`);
    const seam = by === 'seam' ? { seamDelayMs: delayMs } : {};
    await using engine = new SlowEngine({ directory, closeDeadlineMs, ...seam });
    await engine.heard('opened');
    // Warm, and everything durable, before the disk slows down.
    await engine.measure(3_000);
    await engine.settle();

    let slow = await slowDown(engine, kind);
    const from = engine.said.length;
    const startMs = performance.now();
    const measured = await undisturbed(engine, kind);
    const lagging = await engine.heard('lagging', from);
    expect(lagging.lagMs).toBeGreaterThanOrEqual(1_000);
    expect(measured.lookupMsMax).toBeLessThan(1_000);
    expect(measured.rssGrownMb).toBeLessThan(64);
    // Each post may hold an event or two and the entries that changed, never as many as there were commits.
    expect(measured.entriesPosted).toBeLessThan(measured.commits / 2);
    if (delayMs >= 60_000) {
      expect(measured.posts).toBeLessThanOrEqual(postsMax);
      // It hangs for its whole minute, and nobody helps it.
      const stuck = await engine.measure(Math.max(1_000, delayMs - 5_000 - (performance.now() - startMs)));
      expect(stuck.posts).toBeLessThanOrEqual(postsMax);
      expect(stuck.acceptsIntents).toBe(false);
      expect(stuck.rssGrownMb).toBeLessThan(64);
      await new Promise((resolve) => setTimeout(resolve, Math.max(0, startMs + delayMs - performance.now()) + 200));
    }
    await slow.end();
    const settled = await engine.settle();
    await engine.heard('recovered', from);
    expect(ticksIn(directory)).toEqual(Array.from({ length: settled.events }, (_, index) => index + 1));
    expect(settled.entriesPosted).toBeLessThan(settled.commits);

    slow = await slowDown(engine, kind);
    await engine.measure(500);
    const stopMs = performance.now();
    engine.send('SIGTERM');
    // It has sent itself the signal then. strace keeps a thread that it holds back from dying, as nothing else would.
    await engine.wrote('ends itself by SIGKILL');
    const tookMs = performance.now() - stopMs;
    await slow.end();
    const ended = await engine.ended;
    expect(ended, engine.stderr).toEqual({ code: null, signal: 'SIGKILL' });
    expect(tookMs).toBeLessThan(closeDeadlineMs + 10_000);
    cases += 1;
    const ratio = measured.withState.p99 / measured.without.p99;
    tell(
      `row 14: an fsync that ${kind.name}: loop delay p99 ${measured.withState.p99.toFixed(3)} ms, ${ratio.toFixed(2)} of ` +
        `${measured.without.p99.toFixed(3)} ms without persistence; max ${measured.withState.max.toFixed(1)} of ` +
        `${measured.without.max.toFixed(1)} ms; dns.lookup ${measured.lookupMsMax.toFixed(1)} ms at most; ` +
        `${measured.commits} commits in ${measured.posts} posts; ${settled.events} events, all kept; memory +${measured.rssGrownMb} MiB; ` +
        `stopped in ${Math.round(tookMs)} ms with 137`,
    );
  });
});

/** What the p99 of the loop's delay may be. Some microseconds are what the clock does: below a tenth of a millisecond nobody is held up. */
const p99Max = ({ without }: Measured): number => Math.max(without.p99 * 1.1, without.p99 + 0.1);

/** A machine on which an engine without any persistence waits for longer than this has other work, and compares nothing so finely. */
const quietP99Ms = 5;

/** Measures until the machine gave both sides the same chance, three times at most: what blocks the engine blocks it every time. */
async function undisturbed(engine: SlowEngine, kind: Slowness): Promise<Measured> {
  for (let attempt = 1; ; attempt += 1) {
    const measured = await engine.measure(kind.measureMs);
    const { withState, without } = measured;
    if (withState.p99 <= p99Max(measured) && withState.max <= without.max + 50) return measured;
    if (attempt < 3) continue;
    // On any machine: not for as long as the disk.
    expect(withState.max, JSON.stringify(measured)).toBeLessThan(kind.delayMs / 2);
    if (without.p99 > quietP99Ms) {
      tell(
        `row 14: an fsync that ${kind.name}: this machine is too busy to compare to a tenth: ${JSON.stringify(measured)}`,
      );
      return measured;
    }
    expect(withState.p99, JSON.stringify(measured)).toBeLessThanOrEqual(p99Max(measured));
    expect(withState.max, JSON.stringify(measured)).toBeLessThanOrEqual(without.max + 50);
  }
}

async function slowDown(engine: SlowEngine, { delayMs, by }: Slowness): Promise<{ end(): Promise<void> }> {
  if (by === 'seam') {
    engine.tell({ do: 'slow', on: true });
    return { end: async () => engine.tell({ do: 'slow', on: false }) };
  }
  const strace = await Strace.attach({
    thread: engine.thread,
    log: join(home, 'slow.log'),
    inject: [`fsync,fdatasync:delay_enter=${delayMs * 1_000}`],
  });
  return { end: () => strace.detach() };
}

/** The events that the journal holds, in its order. */
function ticksIn(directory: string): readonly unknown[] {
  const folder = join(directory, 'journal');
  const ticks: unknown[] = [];
  for (const file of readdirSync(folder).sort()) {
    for (const line of readFileSync(join(folder, file), 'utf8').split('\n')) {
      if (!line.includes('"tick"')) continue;
      const { strategies } = JSON.parse(line) as { strategies: { events?: { name: string; data: unknown }[] }[] };
      for (const { events = [] } of strategies) ticks.push(...events.map(({ data }) => data));
    }
  }
  return ticks;
}
