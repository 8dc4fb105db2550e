import { performance } from 'node:perf_hooks';

/** What a signal asks for: to stop, the same once more, or to end at once because stopping takes too long. */
export type StopRequest = 'first' | 'echo' | 'second';

/**
 * Tells requests to stop from echoes of the first. Ctrl-C reaches every process of a terminal's group, and npm, like timeout, passes
 * on to its child what it got itself: the same signal twice within moments is one request.
 */
export function stopRequests(nowMs: () => number = () => performance.now()): (signal: NodeJS.Signals) => StopRequest {
  let first: { readonly signal: NodeJS.Signals; readonly atMs: number } | null = null;
  return (signal) => {
    if (first === null) {
      first = { signal, atMs: nowMs() };
      return 'first';
    }
    return signal === first.signal && nowMs() - first.atMs < echoMs ? 'echo' : 'second';
  };
}

const echoMs = 500;
