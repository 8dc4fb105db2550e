import { readFileSync } from 'node:fs';

/*
 * What tells one process from another with the same pid: in containers every engine has pid 1. Null where the platform has no
 * /proc; a pid is all there is then.
 */

/** When this process began, in the kernel's ticks since boot: the same text in each of its threads. */
export function processStart(): string | null {
  const stat = procFile('/proc/self/stat');
  // The second field is the command's name in parentheses, which may hold spaces and parentheses itself.
  return stat === null ? null : (stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? null);
}

/** A new one for each boot of the machine. */
export function bootId(): string | null {
  return procFile('/proc/sys/kernel/random/boot_id')?.trim() ?? null;
}

function procFile(path: string): string | null {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    // Not Linux, or /proc is not mounted.
    return null;
  }
}
