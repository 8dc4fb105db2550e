/** Runs `run` once after `ms` milliseconds and returns what cancels it. Where timers come from, so that tests need not wait. */
export type After = (ms: number, run: () => void) => () => void;

/** Timers of this thread. One that is not cancelled keeps the thread alive until it has run. */
export const systemAfter: After = (ms, run) => {
  const timer = setTimeout(run, ms);
  return () => clearTimeout(timer);
};
