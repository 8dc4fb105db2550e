import { spawnSync } from 'node:child_process';

/** What a test may need of the machine beyond Node. Nothing of it is installed by tests. */
export type Need = 'linux' | 'root' | 'strace' | 'mount' | 'mkfs.ext4' | 'mkfs.xfs' | 'xfs_io' | 'prlimit';

/** Why a row cannot run here, which is printed; null where it can. */
export function whyNot(row: number, ...needs: readonly Need[]): string | null {
  const missing = needs.filter((need) => !isThere(need));
  if (missing.length === 0) return null;
  const reason = missing.map((need) => reasons[need] ?? `there is no ${need}`).join(', ');
  tell(`row ${row}: skipped: ${reason}`);
  return reason;
}

/** A line of its own, also while the test runner writes. */
export function tell(line: string): void {
  process.stderr.write(`${line}\n`);
}

/** The line of a row with its figures; where not every case came to its end, that alone. */
export function tellRow(row: number, cases: { readonly done: number; readonly of: number }, figures: string): void {
  if (cases.done === cases.of) tell(`row ${row}: ${cases.done} cases ${figures}`);
  else tell(`row ${row}: only ${cases.done} of ${cases.of} cases were run to the end without a failure`);
}

const reasons: Partial<Record<Need, string>> = {
  linux: 'this is not Linux',
  root: 'this needs root',
  'mkfs.xfs': 'there is no mkfs.xfs (package xfsprogs)',
  xfs_io: 'there is no xfs_io (package xfsprogs)',
  'mkfs.ext4': 'there is no mkfs.ext4 (package e2fsprogs)',
  prlimit: 'there is no prlimit (package util-linux)',
};

function isThere(need: Need): boolean {
  if (need === 'linux') return process.platform === 'linux';
  if (need === 'root') return process.getuid?.() === 0;
  // Any way of being started will do: an old tool may know no option to say its version.
  const found = spawnSync('sh', ['-c', `command -v ${need}`], { env: { ...process.env, PATH: searchPath } });
  return found.status === 0;
}

/** The tools of administrators are not in everybody's PATH. */
export const searchPath: string = `${process.env['PATH'] ?? ''}:/usr/sbin:/sbin`;
