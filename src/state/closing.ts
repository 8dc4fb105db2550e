import { setTimeout as pause } from 'node:timers/promises';
import type { CheckpointDone } from '../persistence/protocol.ts';
import type { Deadline } from './deadline.ts';
import type { PersistenceSession } from './persistence-session.ts';
import { deadlinePassed, type Standing } from './state-errors.ts';

export interface ClosingOptions {
  readonly session: PersistenceSession;
  /** What must be durable. */
  readonly sequence: number;
  readonly checkpoint: boolean;
  readonly deadline: Deadline;
  readonly standing: () => Standing;
  /** Why persistence is gone for good, where it is: then there is nobody left to ask. */
  readonly failure: () => Error | null;
  readonly wrote: (done: CheckpointDone) => void;
  /** Called once, with the first failure that is tried again. */
  readonly onRetry: (failure: Error) => void;
}

/**
 * Has the worker make everything durable and close its files. A failed write is tried again until the deadline, since a disk may be
 * full for a moment. Null, or why it could not be done.
 * @throws StateError SHUTDOWN_DEADLINE where the worker does not even answer
 */
export async function finish(options: ClosingOptions): Promise<Error | null> {
  const { deadline } = options;
  let told = false;
  for (;;) {
    const failure = options.failure() ?? (await finishOnce(options));
    if (failure === null || options.failure() !== null) return failure;
    if (!told) options.onRetry(failure);
    told = true;
    await Promise.race([pause(retryMs), deadline.passed]);
    if (deadline.hasPassed) return failure;
  }
}

/**
 * Resolves when `ended` does. A worker whose last answer was an error may be stuck in the next attempt, and then it never ends.
 * @throws StateError SHUTDOWN_DEADLINE a second after the deadline: the worker still owns the files
 */
export async function endOf(ended: Promise<void>, deadline: Deadline, standing: () => Standing): Promise<void> {
  const tooLate = deadline.passed.then(() => pause(endMs, 'late' as const, { ref: false }));
  if ((await Promise.race([ended, tooLate])) === 'late') throw deadlinePassed(deadline.ms, standing());
}

/** How long a worker that was terminated at the deadline may take to end. */
const endMs = 1_000;
/** Between two attempts on a disk that fails. */
const retryMs = 100;

async function finishOnce(options: ClosingOptions): Promise<Error | null> {
  const { session, sequence, checkpoint, deadline, wrote, standing } = options;
  const asked = session.ask('close', { sequence, checkpoint }).then(
    (done) => {
      if (done !== null) wrote(done);
      return null;
    },
    (error: Error) => error,
  );
  const first = await Promise.race([asked, deadline.passed]);
  if (first === 'passed') throw deadlinePassed(deadline.ms, standing());
  return first;
}
