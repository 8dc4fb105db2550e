/** One point in time by which a call, with all its retries and pages, must be over. */
export interface Deadline {
  readonly timeoutMs: number;
  /** Aborts at the deadline, and when the adapter closes. */
  readonly signal: AbortSignal;
  remainingMs(): number;
}

export function startDeadline(timeoutMs: number, closing: AbortSignal): Deadline {
  const ends = performance.now() + timeoutMs;
  return {
    timeoutMs,
    signal: AbortSignal.any([AbortSignal.timeout(timeoutMs), closing]),
    remainingMs: () => ends - performance.now(),
  };
}

/** Exponential, with full jitter: somewhere between nothing and base × 2^attempt, at most `maxMs`. */
export function backoffMs(attempt: number, baseMs: number, maxMs: number, random: () => number): number {
  return random() * Math.min(maxMs, baseMs * 2 ** Math.min(attempt, 20));
}
