import { StateError } from '../../src/model/errors.ts';
import type { FileSystem } from '../../src/persistence/file-system.ts';
import type { Mirror } from '../../src/persistence/mirror.ts';
import { restore } from '../../src/persistence/restore.ts';
import { prepareStateDirectory } from '../../src/persistence/state-directory.ts';
import type { DiskState } from '../../src/testing/model-disk.ts';
import { directory } from './crash-host.ts';

/** Which restore points a crash may bring back, and what the state of each one is. */
export interface Expectation {
  /** Everything up to here was acknowledged. */
  readonly floor: number;
  /** The whole state of all strategies at each restore point that was ever committed and not abandoned. */
  readonly states: ReadonlyMap<number, string>;
  /** Of each checkpoint file that was reported as durable: the digests that it may have, its successors' included. */
  readonly saved: ReadonlyMap<string, ReadonlySet<string>>;
}

/** As it is now, whatever comes. */
export function frozen({ floor, states, saved }: Expectation): Expectation {
  return {
    floor,
    states: new Map(states),
    saved: new Map([...saved].map(([path, digests]) => [path, new Set(digests)])),
  };
}

/** What a restore gave: a restore point, or why there is none. */
export type Found =
  | {
      readonly kind: 'restored';
      readonly epoch: number;
      readonly sequence: number;
      readonly state: string;
      readonly lost: string;
    }
  | { readonly kind: 'failed'; readonly why: string };

/** 2025-10-02T15:00:00Z */
export const now = 1_759_417_200_000_000;

/** What a start finds: it makes the directory where there is none, and restores. Nothing else is written. */
export function found(fs: FileSystem): Found {
  try {
    prepareStateDirectory(fs, directory, { force: false });
    const { mirror, recovery } = restore(fs, directory, {
      currency: 'USD',
      staleAfterMs: 3_600_000,
      now,
      readOnly: true,
    });
    // A torn end of the journal was never acknowledged. Any other loss is damage, and a crash alone does none.
    const lost = recovery.lost.filter(({ what, acknowledged }) => what !== 'torn_tail' || acknowledged);
    return {
      kind: 'restored',
      epoch: recovery.epoch,
      sequence: recovery.sequence,
      state: stateText(mirror),
      lost: lost.map(({ what, file, why }) => `${what} in ${file}: ${why}`).join('; '),
    };
  } catch (error) {
    return { kind: 'failed', why: error instanceof StateError ? `${error.code}: ${error.message}` : String(error) };
  }
}

/** Invariant I, or null where it holds. */
export function whyBroken(result: Found, state: DiskState, { floor, states, saved }: Expectation): string | null {
  for (const [path, digests] of saved) {
    if (!digests.has(state.digest(path) ?? ''))
      return `${path} was reported as saved, and is not what was saved or a later one`;
  }
  if (result.kind === 'failed') return `the restore failed: ${result.why}`;
  if (result.sequence < floor) return `sequence ${floor} was acknowledged, and ${result.sequence} came back`;
  const committed = states.get(result.sequence);
  if (committed === undefined) return `${result.sequence} came back, which is no restore point that may come back`;
  if (committed !== result.state)
    return `the state at ${result.sequence} is not what was committed: ${result.state} instead of ${committed}`;
  return result.lost === '' ? null : `a crash alone damaged something: ${result.lost}`;
}

/** Everything that every strategy has, as one text; the order of a strategy's own keys is not part of its state. */
export function stateText(mirror: Mirror): string {
  return JSON.stringify(
    mirror.strategies().map((strategy) => {
      const snapshot = mirror.snapshot(strategy);
      const keys = Object.keys(snapshot.strategy_state).sort();
      return {
        ...snapshot,
        strategy_state: Object.fromEntries(keys.map((key) => [key, snapshot.strategy_state[key]])),
      };
    }),
  );
}
