import { readFileSync } from 'node:fs';

/**
 * For how long, since it began, this thread has been ready to run while no processor was free for it, in milliseconds: the second
 * figure of /proc/thread-self/schedstat (Linux, Documentation/scheduler/sched-stats). Null where the system does not tell.
 */
export function processorWaitMs(): number | null {
  try {
    const waited = Number(readFileSync('/proc/thread-self/schedstat', 'latin1').split(' ')[1]);
    return Number.isFinite(waited) ? waited / 1e6 : null;
  } catch {
    // Another system, or a kernel that was built without it.
    return null;
  }
}
