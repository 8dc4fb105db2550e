import { lookup } from 'node:dns/promises';
import { writeSync } from 'node:fs';
import { createHistogram, performance, type RecordableHistogram } from 'node:perf_hooks';
import { createInterface } from 'node:readline';
import type { SnapshotDelta } from '../../src/model/delta.ts';
import { systemClock } from '../../src/model/time.ts';
import type { DataRequest } from '../../src/persistence/protocol.ts';
import { HostBooks } from '../../src/state/host-books.ts';
import type { StrategyState } from '../../src/state/host-state.ts';
import { startPersistenceThread } from '../../src/state/persistence-thread.ts';
import { onShutdownSignals } from '../../src/state/shutdown-signals.ts';
import { StateManager } from '../../src/state/state-manager.ts';
import type { Delays, EngineCommand, EngineOptions, EngineSays } from './fault-slow.ts';

/*
 * An engine's thread under load on a disk that may be slow: it commits at a steady rate and measures how late its event loop is, in
 * turns with a state behind it and with books that nothing is behind. It takes commands as lines of JSON and answers in kind.
 */

const options = JSON.parse(String(process.argv[2])) as EngineOptions;
const positions = 100;
const commitsPerMs = 2;
const commitsPerEvent = 20;
const sliceMs = 250;

const slow = new Int32Array(new SharedArrayBuffer(4));
const rule = { call: ['fsync', 'fdatasync'], delayMs: options.seamDelayMs, times: Number.POSITIVE_INFINITY };
let posts = 0;
let entriesPosted = 0;
const state = await StateManager.openWith(
  {
    directory: options.directory,
    checkpointIntervalMs: 1_000,
    force: true,
    logger: { info: () => {}, warn: () => {}, error: () => {} },
    ...(options.seamDelayMs === undefined
      ? {}
      : {
          fileSystem: {
            module: new URL('../../src/testing/faulty-file-system.ts', import.meta.url).href,
            options: { rules: [{ ...rule, while: slow.buffer }] },
          },
        }),
  },
  (start) => {
    const thread = startPersistenceThread(start);
    const post = thread.data.postMessage.bind(thread.data);
    thread.data.postMessage = (message: DataRequest): void => {
      post(message);
      if (message.kind !== 'delta') return;
      posts += 1;
      for (const { positions: changed = [] } of (JSON.parse(message.line) as SnapshotDelta).strategies)
        entriesPosted += changed.length;
    };
    return thread;
  },
);
const bare = new HostBooks({ currency: 'USD', epoch: 1, clock: systemClock });
bare.begin(0);
const books = state.register('engine');
const bareBooks = bare.register('engine');
let commits = 0;
let events = 0;

state.on('lagging', ({ lagMs, error }) => say({ is: 'lagging', lagMs, message: error?.message ?? null }));
state.on('recovered', ({ laggedMs }) => say({ is: 'recovered', laggedMs }));
onShutdownSignals(() => state.close({ deadlineMs: options.closeDeadlineMs }));
say({ is: 'opened' });

for await (const line of createInterface({ input: process.stdin })) {
  const command = JSON.parse(line) as EngineCommand;
  if (command.do === 'slow') Atomics.store(slow, 0, command.on ? 1 : 0);
  else if (command.do === 'settle') await settle();
  else await measure(command.ms);
}

async function settle(): Promise<void> {
  state.commit();
  await state.durable();
  say({ is: 'settled', commits, events, posts, entriesPosted });
}

async function measure(ms: number): Promise<void> {
  const before = { commits, posts, entriesPosted, rss: rss() };
  const withState = createHistogram();
  const without = createHistogram();
  let rssMax = before.rss;
  let lookupMsMax = 0;
  for (let slice = 0; slice * sliceMs < ms; slice += 1) {
    // In the order with, without, without, with, so that a drift of the machine counts for both.
    if (slice % 4 === 0 || slice % 4 === 3) {
      const startMs = performance.now();
      const looked = lookup('localhost').then(() => {
        lookupMsMax = Math.max(lookupMsMax, performance.now() - startMs);
      });
      await run(withState, books, () => state.commit());
      await looked;
    } else {
      await run(without, bareBooks, () => bare.commit());
      bare.takePost();
    }
    rssMax = Math.max(rssMax, rss());
  }
  say({
    is: 'measured',
    withState: delays(withState),
    without: delays(without),
    lookupMsMax,
    commits: commits - before.commits,
    posts: posts - before.posts,
    entriesPosted: entriesPosted - before.entriesPosted,
    rssGrownMb: rssMax - before.rss,
    acceptsIntents: state.acceptsIntents,
    lagMs: state.durableLagMs,
  });
}

/** One slice: commits as they are due, and how late an event would be that is due every quarter of a millisecond. */
function run(late: RecordableHistogram, book: StrategyState, commit: () => void): Promise<void> {
  return new Promise((resolve) => {
    const startMs = performance.now();
    let made = 0;
    let dueMs = startMs;
    const turn = (): void => {
      const nowMs = performance.now();
      for (; dueMs <= nowMs; dueMs += 0.25) late.record(Math.max(1, Math.round((nowMs - dueMs) * 1e6)));
      const due = Math.floor(Math.min(nowMs - startMs, sliceMs) * commitsPerMs);
      for (; made < due; made += 1) {
        change(book, made);
        commit();
      }
      if (nowMs - startMs >= sliceMs) resolve();
      else setImmediate(turn);
    };
    setImmediate(turn);
  });
}

function change(book: StrategyState, made: number): void {
  const isReal = book === books;
  if (isReal) commits += 1;
  const amount = String(1 + made);
  book.setPosition({ asset: `ASSET${made % positions}`, amount, cost_basis: '1.25', last_price: '1.50' });
  if (made % commitsPerEvent !== 0) return;
  if (isReal) events += 1;
  book.addEvent({ kind: 'note', name: 'tick', data: isReal ? events : 0, at: '2025-10-02T14:30:00Z' });
}

function delays(histogram: RecordableHistogram): Delays {
  const at = (percentile: number): number => histogram.percentile(percentile) / 1e6;
  return { p50: at(50), p99: at(99), max: at(100) };
}

function rss(): number {
  return Math.round(process.memoryUsage.rss() / 2 ** 20);
}

function say(what: EngineSays): void {
  writeSync(1, `${JSON.stringify(what)}\n`);
}
