import { StateError } from '../model/errors.ts';
import { pause } from './backoff.ts';
import type { EngineParts } from './engine-parts.ts';
import type { FeedPump } from './feed-pump.ts';
import { stoppedWhileStarting } from './start-up.ts';

/** The orderly end: no new orders, what is under way is heard out, the final checkpoint. @throws as LiveTradingEngine.stop() */
export async function stopEngine(parts: EngineParts, reason: string, pump: () => FeedPump | null): Promise<void> {
  const { phase, settings, schedule, loop, strategies, catchUp, life } = parts;
  const wasRunning = phase.is('trading', 'halted');
  if (phase.is('stopped')) return;
  if (!phase.is('idle')) phase.enter({ kind: 'stopping', reason });
  if (!wasRunning) {
    // Whatever the start waits for, its own end is the next thing that it does; nothing of it is committed after this.
    life.abort(stoppedWhileStarting());
    await endEngine(parts, reason);
    return;
  }
  const deadline = new AbortController();
  const cancelDeadline = settings.after(settings.stopDeadlineMs, () => deadline.abort());
  try {
    schedule.clearAll();
    pump()?.stop();
    await loop.inTurn(() => strategies.stopAll(reason));
    await hearOut(parts, deadline.signal);
    // The stream may still owe what the broker has done already; the final checkpoint is to hold it.
    if (!deadline.signal.aborted) await Promise.race([catchUp.last(), aborted(deadline.signal)]);
    leaveBehind(parts);
    await loop.drain();
    await endEngine(parts, reason, deadline.signal);
  } finally {
    cancelDeadline();
  }
}

/** Ends everything, with a checkpoint; the engine is stopped also where that rejects. */
export async function endEngine(
  parts: EngineParts,
  reason: string,
  deadline: AbortSignal | null = null,
): Promise<void> {
  const { settings, desk, stream, loop, phase, watch, emitter, life } = parts;
  life.abort(stoppedWhileStarting());
  desk.close();
  const { state, ownsState, stopDeadlineMs, after } = settings;
  const own = new AbortController();
  const cancel = deadline === null ? after(stopDeadlineMs, () => own.abort()) : null;
  const limit = deadline ?? own.signal;
  try {
    // A stream that does not close in time dies with the process; the books do not depend on it.
    await Promise.race([stream.close(), aborted(limit)]);
    await loop.close();
    const kept = ownsState ? state.close() : state.checkpoint('shutdown').then(() => {});
    await Promise.race([kept, aborted(limit).then(() => Promise.reject(stopDeadline(stopDeadlineMs)))]);
  } finally {
    cancel?.();
    watch.end();
    phase.enter({ kind: 'stopped', reason });
    emitter.emit('stopped', reason);
  }
}

/** Until orders and cancels have left and are answered, and so are those that an answer asked for: a cancel waits for its order. */
async function hearOut({ desk, loop }: EngineParts, deadline: AbortSignal): Promise<void> {
  do {
    await Promise.race([desk.drained(), aborted(deadline)]);
    await loop.drain();
  } while (desk.underWay > 0 && !deadline.aborted);
}

/** What could not be sent or answered in time. */
function leaveBehind({ desk, core, alert }: EngineParts): void {
  if (desk.underWay === 0) {
    // An order that follows another one would wait as long as that lives.
    core.transact(() => desk.withdrawAll(null, 'the engine stopped'));
    return;
  }
  const { waiting, inFlight } = desk.outbox;
  const cancels = desk.underWay - waiting - inFlight;
  const message = `stop deadline: ${waiting} orders were not sent and are taken back, ${inFlight} have no answer and will be looked up at the next start, ${cancels} cancels have no answer and are asked for again then: these orders may live on`;
  alert('warn', 'STOP_DEADLINE', message, { details: { waiting, in_flight: inFlight, cancels } });
  core.transact(() => desk.withdrawAll(null, 'the engine stopped'));
}

function aborted(signal: AbortSignal): Promise<void> {
  return pause(() => () => {}, 0, signal);
}

function stopDeadline(ms: number): StateError {
  return new StateError(
    'STOP_DEADLINE',
    `stop(): the final checkpoint was not acknowledged within ${ms} ms; what is durable is as durableSequence says, and the rest comes again from the broker`,
  );
}
