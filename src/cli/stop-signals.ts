import { writeSync } from 'node:fs';
import { stopRequests } from '../state/stop-requests.ts';

export interface StopSignals {
  /** Resolves with the first signal's name. */
  readonly requested: Promise<NodeJS.Signals>;
  /** The first signal, or null while there was none. */
  asked(): NodeJS.Signals | null;
  /** Gives the signals back to the process. */
  release(): void;
}

/** SIGINT and SIGTERM as two ways to say the same: the first asks to stop, a second one while stopping ends the process at once; the same within moments is one. */
export function stopSignals(): StopSignals {
  const { promise, resolve } = Promise.withResolvers<NodeJS.Signals>();
  const request = stopRequests();
  let first: NodeJS.Signals | null = null;
  const onSignal = (signal: NodeJS.Signals): void => {
    const asked = request(signal);
    if (asked === 'echo') return;
    if (asked === 'second') die(`a second signal (${signal}) while stopping`);
    first = signal;
    resolve(signal);
  };
  const signals = ['SIGINT', 'SIGTERM'] as const;
  for (const signal of signals) process.on(signal, onSignal);
  return {
    requested: promise,
    asked: () => first,
    release: () => {
      for (const signal of signals) process.off(signal, onSignal);
    },
  };
}

/** Ends the process by SIGKILL (137): process.exit() would hang behind a thread that is stuck in a system call. */
export function die(reason: string): never {
  try {
    writeSync(2, `holdfast: ${reason}; what was acknowledged is durable, the process ends itself (137)\n`);
  } catch {
    // Nobody reads standard error any more; the end must come all the same.
  }
  process.kill(process.pid, 'SIGKILL');
  throw new Error(reason);
}
