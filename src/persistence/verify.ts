import { StateError } from '../model/errors.ts';
import type { Recovery, RecoveryLoss, RecoveryUse } from '../model/recovery.ts';
import type { Timestamp } from '../model/time.ts';
import { CheckpointStore } from './checkpoint-store.ts';
import type { FileSystem } from './file-system.ts';
import { type JournalChain, readChain } from './journal-chain.ts';
import { journalDamages } from './journal-damage.ts';
import { type RestoreOptions, restore } from './restore.ts';

/** What `verify` prints as JSON. */
export interface VerifyReport {
  readonly directory: string;
  /** Nothing is damaged, and a restore succeeds. */
  readonly ok: boolean;
  /** A restore succeeds, perhaps in spite of damage. */
  readonly restorable: boolean;
  readonly generations: readonly VerifiedGeneration[];
  /** In the order of their numbers. */
  readonly segments: readonly VerifiedSegment[];
  /** Null where a restore fails. */
  readonly would_use: {
    readonly epoch: number;
    readonly sequence: number;
    readonly timestamp: Timestamp | null;
    readonly age_ms: number | null;
    readonly stale: boolean;
    readonly strategies: readonly RecoveryUse[];
  } | null;
  readonly would_lose: readonly RecoveryLoss[];
  readonly error: { readonly code: string; readonly message: string } | null;
}

export interface VerifiedGeneration {
  readonly file: string;
  readonly strategy: string;
  readonly epoch: number | null;
  readonly sequence: number | null;
  readonly timestamp: Timestamp | null;
  readonly valid: boolean;
  /** A file of a newer format, or of another strategy, may be as whole as its writer left it. Null where it is valid. */
  readonly problem: 'damaged' | 'foreign' | 'newer_format' | null;
  readonly why: string | null;
}

export interface VerifiedSegment {
  readonly file: string;
  /** Null where no group is whole, so that nothing tells it. */
  readonly segment: number | null;
  readonly epoch: number;
  readonly groups: number;
  readonly first_sequence: number;
  readonly last_sequence: number;
  readonly bytes: number;
  /** False where bytes are damaged that were durable once; a torn tail is not that. */
  readonly valid: boolean;
  readonly damages: readonly {
    readonly offset: number;
    readonly bytes: number;
    readonly why: string;
    /** True where the bytes are the end that a crash tore off, or that an engine is writing now. */
    readonly torn_tail: boolean;
  }[];
}

/**
 * Reads every generation and every segment, changes nothing, and says what a restore would use and lose.
 * @throws StateError READ_FAILED where the directory cannot be read at all; what a restore would throw is in `error`
 */
export function verify(fs: FileSystem, directory: string, options: Omit<RestoreOptions, 'readOnly'>): VerifyReport {
  const generations = verifyGenerations(fs, directory, options.currency ?? 'USD');
  const journal = verifyJournal(fs, directory);
  const { recovery, error } = tryRestore(fs, directory, options);
  const segments = journal.chain === null ? [] : verifySegments(journal.chain);
  const lost = recovery?.lost ?? [];
  const sound = generations.every(({ valid }) => valid) && segments.every(({ valid }) => valid);
  return {
    directory,
    ok: error === null && journal.error === null && sound && lost.length === 0,
    restorable: error === null,
    generations,
    segments,
    would_use:
      recovery === null
        ? null
        : {
            epoch: recovery.epoch,
            sequence: recovery.sequence,
            timestamp: recovery.timestamp,
            age_ms: recovery.age_ms,
            stale: recovery.stale,
            strategies: recovery.used,
          },
    would_lose: lost,
    error: error ?? journal.error,
  };
}

function verifyGenerations(fs: FileSystem, directory: string, currency: string): VerifiedGeneration[] {
  const store = new CheckpointStore(fs, directory, { generations: 2, currency });
  return store.list().flatMap((listed): VerifiedGeneration[] => {
    const { file, strategy } = listed;
    const decoded = store.read(listed);
    if (decoded.kind === 'gone') return [];
    if (decoded.kind !== 'ok') {
      const { epoch, sequence } = listed;
      const { kind, why } = decoded;
      return [{ file, strategy, epoch, sequence, timestamp: null, valid: false, problem: kind, why }];
    }
    const { epoch, sequence, timestamp } = decoded.checkpoint;
    return [{ file, strategy, epoch, sequence, timestamp, valid: true, problem: null, why: null }];
  });
}

interface JournalRead {
  readonly chain: JournalChain | null;
  readonly error: VerifyReport['error'];
}

interface RestoreTried {
  readonly recovery: Recovery | null;
  readonly error: VerifyReport['error'];
}

/** A journal of which a file went away while it was read is read again; a running engine deletes one now and then. */
function verifyJournal(fs: FileSystem, directory: string): JournalRead {
  return caught<JournalRead>(
    () => {
      for (let attempt = 0; attempt < 10; attempt++) {
        const chain = readChain(fs, directory);
        if (chain !== null) return { chain, error: null };
      }
      return { chain: null, error: null };
    },
    (error) => ({ chain: null, error }),
  );
}

function verifySegments(chain: JournalChain): VerifiedSegment[] {
  const damages = Map.groupBy(journalDamages(chain), ({ file }) => file);
  return chain.segments.map(({ file, segment, name, groups, first, last, bytes }) => {
    const own = damages.get(file) ?? [];
    return {
      file,
      segment: Number.isInteger(segment) ? segment : null,
      epoch: name.epoch,
      groups,
      first_sequence: first,
      last_sequence: last,
      bytes,
      valid: own.every(({ role }) => role === 'torn' || role === 'superseded'),
      damages: own.map(({ damage, role }) => ({
        offset: damage.offset,
        bytes: damage.bytes,
        why: damage.why,
        torn_tail: role === 'torn' || role === 'superseded',
      })),
    };
  });
}

function tryRestore(fs: FileSystem, directory: string, options: Omit<RestoreOptions, 'readOnly'>): RestoreTried {
  return caught<RestoreTried>(
    () => ({ recovery: restore(fs, directory, { ...options, readOnly: true }).recovery, error: null }),
    (error) => ({ recovery: null, error }),
  );
}

/** An error that says something about the state is part of the report; any other is a fault of this program. */
function caught<T>(work: () => T, report: (error: { readonly code: string; readonly message: string }) => T): T {
  try {
    return work();
  } catch (error) {
    if (error instanceof StateError) return report({ code: error.code, message: error.message });
    throw error;
  }
}
