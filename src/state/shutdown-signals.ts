import { writeSync } from 'node:fs';
import { ConfigError, StateError } from '../model/errors.ts';
import { stopRequests } from './stop-requests.ts';

export interface ShutdownOptions {
  /** After this long the process ends itself by SIGKILL. Default 15,000. */
  readonly deadlineMs?: number;
  /** Default SIGINT and SIGTERM. */
  readonly signals?: readonly NodeJS.Signals[];
}

/**
 * On the first of the signals calls `stop`, once. When it resolves the process exits with 0, when it rejects with 1 and the reason on
 * stderr. When the deadline passes first, the state's own deadline did (SHUTDOWN_DEADLINE), or a second signal comes (another one, or
 * the same half a second after the first), the reason is written and the process ends itself by SIGKILL (137): behind a thread that is
 * stuck in a system call process.exit() never returns.
 * Returns what takes the handlers away again.
 * @throws ConfigError SHUTDOWN_INVALID at once, and not at the signal, where `stop` is no function
 */
export function onShutdownSignals(
  stop: (signal: NodeJS.Signals) => Promise<void>,
  options: ShutdownOptions = {},
): () => void {
  if (typeof stop !== 'function') {
    throw new ConfigError(
      'SHUTDOWN_INVALID',
      `onShutdownSignals(): expected a function that stops, got ${typeof stop}`,
    );
  }
  const { deadlineMs = 15_000, signals = ['SIGINT', 'SIGTERM'] } = options;
  const request = stopRequests();
  const onSignal = (signal: NodeJS.Signals): void => {
    const asked = request(signal);
    if (asked === 'echo') return;
    if (asked === 'second') die(`a second ${signal} came before the state was closed`);
    const timer = setTimeout(() => die(`the state was not closed within ${deadlineMs} ms of ${signal}`), deadlineMs);
    // One that throws where it should reject has failed all the same.
    new Promise<void>((resolve) => resolve(stop(signal))).then(
      () => {
        clearTimeout(timer);
        process.exit(0);
      },
      (error: unknown) => {
        const reason = `stopping after ${signal} failed: ${error instanceof Error ? error.message : String(error)}`;
        if (error instanceof StateError && error.code === 'SHUTDOWN_DEADLINE') die(reason);
        say(reason);
        process.exit(1);
      },
    );
  };
  for (const signal of signals) process.on(signal, onSignal);
  return () => {
    for (const signal of signals) process.off(signal, onSignal);
  };
}

function die(reason: string): never {
  say(`${reason}; what was acknowledged is durable, the process ends itself by SIGKILL`);
  process.kill(process.pid, 'SIGKILL');
  throw new Error(reason);
}

function say(reason: string): void {
  writeSync(2, `holdfast: ${reason}\n`);
}
