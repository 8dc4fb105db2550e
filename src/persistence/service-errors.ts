import { StateError } from '../model/errors.ts';

/** A call that came before or after its time. */
export function wrongPhase(what: string, phase: string): StateError {
  if (phase === 'closed') return closed();
  if (phase === 'failed') {
    const message = `${what} was not done: the persistence worker has failed and ends; ask its replacement`;
    return new StateError('PERSISTENCE_FAILED', message, { retryable: true });
  }
  const expected = what === 'open' ? 'one open() in the life of a worker' : 'open(), then begin(), before it';
  return new StateError(
    'PERSISTENCE_PHASE',
    `${what} came while the persistence worker is ${phase}: expected ${expected}`,
    {
      details: { phase },
    },
  );
}

export function closed(): StateError {
  return new StateError('PERSISTENCE_CLOSED', 'persistence was closed before this was done; open the state again');
}

export function epochTooLow(directory: string, epoch: number, found: number): StateError {
  return new StateError(
    'EPOCH_TOO_LOW',
    `${directory} holds files of epoch ${found}, and this start was given epoch ${epoch}: expected a higher one. Nothing was written; raise the epoch and open again.`,
    { details: { path: directory, epoch, found } },
  );
}

export function stateLost(directory: string, restored: number, atLeast: number): StateError {
  return new StateError(
    'STATE_LOST',
    `${directory} gives back sequence ${restored}, and everything up to ${atLeast} had been acknowledged as durable: the disk lost or lied. Keep the directory as it is for inspection.`,
    { details: { path: directory, restored, acknowledged: atLeast } },
  );
}
