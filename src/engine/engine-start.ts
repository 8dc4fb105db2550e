import type { ReconciliationReport } from '../reconciliation/types.ts';
import { tellAbsent } from './absent-strategies.ts';
import type { StartReport } from './engine-options.ts';
import type { EngineParts } from './engine-parts.ts';
import type { FeedPump } from './feed-pump.ts';
import { StartUp } from './start-up.ts';

/** From restored to trading, or halted. @throws as LiveTradingEngine.start() */
export async function startEngine(parts: EngineParts): Promise<StartReport> {
  const { settings, core, desk, loop, phase, stream, watch, alert, life } = parts;
  const { state, broker, after, startDeadlineMs, random } = settings;
  watch.begin();
  const deadline = new AbortController();
  const cancelDeadline = after(startDeadlineMs, () => deadline.abort());
  const startUp = new StartUp({
    core,
    desk,
    state,
    broker,
    after,
    ...(random === undefined ? {} : { random }),
    alert,
    signal: AbortSignal.any([deadline.signal, life.signal]),
    inTurn: (work) => loop.inTurn(work),
  });
  try {
    await startUp.retry('connecting the stream of order updates', () => stream.open());
    core.transact(() => desk.markUnanswered());
    const before = core.orders.unknown().length;
    phase.enter({ kind: 'resolving', unknown: before });
    const unknown = { before, after: await startUp.resolveUnknown() };
    const opened = core.books.areNew;
    if (opened) await startUp.open();
    const fills = opened ? 0 : await startUp.catchUp();
    stream.release();
    core.transact(() => {
      for (const host of core.hosts.values()) core.lives.grant(host.strategy, host.book);
    });
    const reconciliation = await reconcileAtStart(parts, startUp);
    life.signal.throwIfAborted();
    begin(parts);
    return { recovery: state.recovery, opened, unknown, fills, reconciliation, phase: phase.current };
  } finally {
    cancelDeadline();
  }
}

async function reconcileAtStart(parts: EngineParts, startUp: StartUp): Promise<ReconciliationReport | null> {
  parts.phase.enter({ kind: 'reconciling', round: 1 });
  // Updates that were held are part of what is compared.
  await parts.loop.inTurn(() => {});
  const result = await startUp.retry('reconciling', () => parts.reconciling.run('start'));
  return result?.report ?? null;
}

function begin(parts: EngineParts): void {
  const { core, desk, phase, schedule, catchUp, settings, alert } = parts;
  const { halt } = core.books.unassigned;
  if (halt === null) phase.enter({ kind: 'trading', since: core.now() });
  else phase.enter({ kind: 'halted', reason: halt.reason, source: halt.source, since: halt.at });
  tellAbsent(core, alert);
  core.transact(() => desk.resumeCancels());
  if (phase.is('trading')) startHosts(parts);
  if (settings.reconcileIntervalMs > 0) schedule.every(settings.reconcileIntervalMs, 'reconcile');
  // The start has read once; what lagged behind then is read when it has settled.
  if (core.orders.open().length > 0) catchUp.onceSettled();
  if (core.orders.behind) catchUp.request();
}

/** Calls the onStart of each strategy that waits for it. */
export function startHosts({ core }: EngineParts): void {
  for (const host of [...core.hosts.values()]) if (host.isWaiting) core.startHost(host);
}

/** Resolves when the feed is at its end, or was stopped; `ended` is told in the first case. */
export async function runFeed({ alert, emitter }: EngineParts, pump: FeedPump): Promise<void> {
  let failure: Error | null = null;
  try {
    await pump.run();
  } catch (error) {
    failure = error instanceof Error ? error : new Error(String(error));
    alert('error', 'FEED_FAILED', `the feed of market data ended with an error: ${failure.message}`, {
      error: failure,
    });
  }
  if (!pump.stopped) emitter.emit('ended', failure);
}
