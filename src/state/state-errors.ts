import { StateError } from '../model/errors.ts';
import { timestamp } from '../model/time.ts';
import type { SharedWords } from './shared-words.ts';

/** Where persistence stands, for messages. */
export interface Standing {
  readonly directory: string;
  readonly sequence: number;
  readonly durableSequence: number;
  readonly words: SharedWords;
  /** Of the last attempt to write, where it was not made good. */
  readonly failure: Error | null;
}

/** A clause about the system call that the worker is in, and since when, and how its last attempt to write failed where it did. */
export function whatTheWorkerDoes({ directory, words, failure }: Standing): string {
  const { stage, sinceMicros } = words.stage;
  if (sinceMicros === 0) return `the persistence worker of ${directory} has not made a file call yet`;
  const failed =
    failure === null ? '' : `, and its last attempt to write failed: ${failure.message.replace(/\.$/, '')}`;
  return `the persistence worker of ${directory} is in stage "${stage}" since ${timestamp(sinceMicros)}${failed}`;
}

export function stalled(lagMs: number, cause: Error | null, standing: Standing): StateError {
  return new StateError(
    'PERSISTENCE_STALLED',
    `nothing became durable for ${Math.round(lagMs)} ms, so no new orders until it does; ${whatTheWorkerDoes(standing)}`,
    {
      cause: cause ?? undefined,
      details: { lag_ms: lagMs, stage: standing.words.stage.stage },
      retryable: true,
    },
  );
}

export function deadlinePassed(deadlineMs: number, standing: Standing): StateError {
  const { sequence, durableSequence, words } = standing;
  const { stage, sinceMicros } = words.stage;
  return new StateError(
    'SHUTDOWN_DEADLINE',
    `the state was not closed within ${deadlineMs} ms: commits up to ${durableSequence} of ${sequence} are durable; ${whatTheWorkerDoes(standing)}. End this process by SIGKILL: exit would wait for that thread`,
    {
      cause: standing.failure ?? undefined,
      details: {
        deadline_ms: deadlineMs,
        stage,
        since_micros: sinceMicros,
        durable_sequence: durableSequence,
        sequence,
      },
    },
  );
}

export function sequenceUnknown(sequence: number, last: number): StateError {
  return new StateError(
    'SEQUENCE_UNKNOWN',
    `durable(${sequence}): the last commit is ${last}; wait for a sequence that commit() has returned`,
    { details: { sequence, last } },
  );
}

export function checkpointMissing(strategy: string, directory: string): StateError {
  return new StateError(
    'CHECKPOINT_MISSING',
    `strategy "${strategy}": the checkpoint file that was just written is gone from ${directory}; find out who removes files there`,
    { details: { strategy, directory } },
  );
}

export function stateClosed(): StateError {
  return new StateError('STATE_CLOSED', 'the state is closed; open it again to change or await it');
}
