import { CheckpointCorrupted, StateError } from '../model/errors.ts';
import type { Recovery, RecoveryLoss } from '../model/recovery.ts';
import { micros, timestamp } from '../model/time.ts';
import { CheckpointStore } from './checkpoint-store.ts';
import type { FileSystem } from './file-system.ts';
import { type JournalDamage, journalDamages } from './journal-damage.ts';
import { replay } from './journal-replay.ts';
import type { SegmentInfo } from './journal-writer.ts';
import { Mirror } from './mirror.ts';
import { inDirectory, unrestorable } from './restore-errors.ts';
import { type ReadEvidence, readEvidence } from './restore-evidence.ts';
import { keepDamages } from './restore-keep.ts';
import { planRestore, type RestorePlan } from './restore-plan.ts';
import { RestoreTrace } from './restore-trace.ts';

export interface RestoreOptions {
  /** The host's base currency; null: the one that the files name, for whoever looks on. */
  readonly currency: string | null;
  readonly staleAfterMs: number;
  /** Microseconds since the epoch. */
  readonly now: number;
  /** True: writes nothing, for whoever looks on; files that go away under it are looked for again. */
  readonly readOnly: boolean;
  /** An engine runs on the directory: the torn end of the journal is what it is writing now, and no damage. */
  readonly lockHeld?: boolean;
  /** What an operator may want to know although nothing failed. */
  readonly notice?: (message: string) => void;
}

export interface Restored {
  /** At the restore point. */
  readonly mirror: Mirror;
  readonly recovery: Recovery;
  /** The restore point's sequence where nothing later was found, else above everything that was found: deltas go on from it. */
  readonly base: number;
  /** The highest epoch found anywhere. */
  readonly maxEpoch: number;
  /** The journal's, oldest first, for retention. */
  readonly segments: readonly SegmentInfo[];
  /** Above the number of every segment. */
  readonly nextSegment: number;
  /** For each strategy the sequences of its valid generations in the restored history, the newest first. */
  readonly coverage: ReadonlyMap<string, number[]>;
}

const attemptsMax = 10;

/**
 * The newest state that the directory holds: of each strategy the newest valid checkpoint that stands in the journal's history,
 * and the journal after it, all at one restore point. What is damaged and not needed is reported and, unless `readOnly`, kept in
 * quarantine/ once everything else has succeeded, so that a restore that fails leaves the directory as it was.
 * @throws CheckpointCorrupted CHECKPOINT_CORRUPTED, JOURNAL_DAMAGED, JOURNAL_MISSING; StateError FORMAT_NEWER, CURRENCY_MISMATCH,
 *   READ_FAILED, WRITE_FAILED
 */
export function restore(fs: FileSystem, directory: string, options: RestoreOptions): Restored {
  for (let attempt = 1; ; attempt++) {
    const again = options.readOnly && attempt < attemptsMax;
    try {
      const restored = restoreOnce(fs, directory, options);
      if (restored !== null) return restored;
    } catch (error) {
      // Beside a running engine a file may have been replaced between two reads, which looks like damage once.
      if (!(again && options.lockHeld === true && error instanceof CheckpointCorrupted))
        throw inDirectory(directory, error);
    }
    if (!again) throw changedUnder(directory);
  }
}

/** Null where a file has gone since it was listed. */
function restoreOnce(fs: FileSystem, directory: string, options: RestoreOptions): Restored | null {
  // Generations are counted only when checkpoints are written, which this store never does.
  const store = new CheckpointStore(fs, directory, {
    generations: 2,
    currency: options.currency ?? defaultCurrency,
    ...noticeOf(options),
  });
  if (!options.readOnly) store.sweep();
  const evidence = readEvidence(fs, directory, store);
  if (evidence === null) return null;
  const plan = planRestore(evidence.chain, evidence.generations);
  const mirror = new Mirror({ currency: baseCurrency(directory, evidence, plan, options.currency) });
  const trace = new RestoreTrace(plan, mirror, evidence);
  for (const [strategy, { generation }] of plan.starts) {
    const held = evidence.newest.get(strategy);
    const decoded = held?.generation === generation ? { kind: 'ok' as const, ...held } : store.read(generation.file);
    if (decoded.kind === 'gone') return null;
    if (decoded.kind !== 'ok')
      throw unrestorable('CHECKPOINT_CORRUPTED', `${generation.file} changed while it was read`, evidence);
    // The journal's word counts for more than a seed file's, which anybody may have put there since: even at sequence 0.
    mirror.load(decoded.checkpoint, generation.kind === 'seed' ? -1 : (generation.sequence ?? 0));
  }
  if (plan.replayFrom === null) mirror.start(plan.sequence);
  else if (!replay(fs, directory, evidence.chain, mirror, plan.replayFrom, trace)) return null;
  trace.check();

  const damages = journalDamages(evidence.chain);
  const quarantined = options.readOnly ? [] : quarantineAll(fs, directory, store, evidence, damages);
  return {
    mirror,
    recovery: {
      epoch: plan.epoch,
      sequence: plan.sequence,
      ...aged(trace.timestamp, options),
      used: trace.used(),
      lost: losses(evidence, plan, damages, options.lockHeld === true),
      quarantined,
    },
    ...counted(evidence, plan),
    coverage: plan.coverage,
  };
}

const defaultCurrency = 'USD';

/** Positions without a currency are in the base currency, so that another one would change what they are worth. */
function baseCurrency(
  directory: string,
  { chain, newest }: ReadEvidence,
  plan: RestorePlan,
  wanted: string | null,
): string {
  const named = new Set<string>();
  for (const [strategy, { generation }] of plan.starts) {
    const held = newest.get(strategy);
    if (generation.kind === 'ok' && held !== undefined) named.add(held.checkpoint.currency);
  }
  const journal = chain.segments.findLast(({ currency }) => currency !== null)?.currency ?? null;
  if (plan.replayFrom !== null && journal !== null) named.add(journal);
  const [first] = named;
  const other = [...named].find((currency) => currency !== (wanted ?? first));
  if (other === undefined) return wanted ?? first ?? defaultCurrency;
  throw new StateError(
    'CURRENCY_MISMATCH',
    `${directory}: the state is kept in ${other}, and the host's base currency is ${wanted ?? first}. Nothing was changed. Set the currency to ${other}, or use another directory.`,
    { details: { path: directory, currency: wanted ?? first ?? null, expected: other } },
  );
}

function quarantineAll(
  fs: FileSystem,
  directory: string,
  store: CheckpointStore,
  { generations }: ReadEvidence,
  damages: readonly JournalDamage[],
): readonly string[] {
  const kept = [...keepDamages(fs, directory, damages)];
  for (const { file, kind, why } of generations) {
    if (kind === 'damaged' || kind === 'foreign') kept.push(store.quarantine(file, why ?? kind));
  }
  return kept;
}

function aged(
  alive: string | null,
  { now, staleAfterMs }: RestoreOptions,
): Pick<Recovery, 'timestamp' | 'age_ms' | 'stale'> {
  if (alive === null) return { timestamp: null, age_ms: null, stale: false };
  const aliveMicros = micros(alive);
  const ageMs = Math.floor((now - aliveMicros) / 1000);
  // Two clocks may differ a little; a state from further in the future says that one of them is wrong.
  const futureMsMax = 60_000;
  // A file that a person wrote may tell its time in another zone.
  return { timestamp: timestamp(aliveMicros), age_ms: ageMs, stale: ageMs > staleAfterMs || ageMs < -futureMsMax };
}

function losses(
  { chain, generations }: ReadEvidence,
  plan: RestorePlan,
  damages: readonly JournalDamage[],
  lockHeld: boolean,
): RecoveryLoss[] {
  const lost: RecoveryLoss[] = [];
  for (const { file, damage, role } of damages) {
    if (role === 'superseded' || (role === 'torn' && lockHeld)) continue;
    const what = role === 'torn' ? 'torn_tail' : 'damaged_journal';
    lost.push({
      what,
      file,
      why: `at byte ${damage.offset}, ${damage.bytes} bytes: ${damage.why}`,
      acknowledged: false,
    });
  }
  for (const { toIndex, reached, found } of chain.gaps) {
    const file = chain.segments[toIndex]?.file ?? 'journal';
    if (lost.some(({ what }) => what === 'damaged_journal')) break;
    const why = `it goes on from sequence ${found}, the records before it end at ${reached}; checkpoints stand past both`;
    lost.push({ what: 'damaged_journal', file, why, acknowledged: false });
  }
  if (plan.replayFrom === null && plan.sequence > 0) {
    const end = chain.run === null ? 'is missing' : `ends at sequence ${chain.run.last}`;
    const why = `it ${end}; the checkpoints are of sequence ${plan.sequence}, and commits after it, if there were any, are gone`;
    lost.push({ what: 'damaged_journal', file: 'journal', why, acknowledged: false });
  }
  for (const { file, kind, why } of generations) {
    if (kind === 'damaged') lost.push({ what: 'damaged_checkpoint', file, why: why ?? kind, acknowledged: false });
    if (kind === 'foreign') lost.push({ what: 'foreign_file', file, why: why ?? kind, acknowledged: false });
  }
  for (const file of chain.foreign) {
    lost.push({
      what: 'foreign_file',
      file,
      why: 'its name is not that of a journal segment; it was left alone',
      acknowledged: false,
    });
  }
  return lost;
}

function counted(
  { chain, generations }: ReadEvidence,
  plan: RestorePlan,
): Pick<Restored, 'base' | 'maxEpoch' | 'segments' | 'nextSegment'> {
  const sequenceMax = generations.reduce((most, { sequence }) => Math.max(most, sequence ?? 0), chain.sequenceMax);
  const epochMax = generations.reduce((most, { epoch }) => Math.max(most, epoch ?? 0), chain.epochMax);
  return {
    // One above, not at, what was found: a checkpoint at that sequence is of another history than the one that begins now.
    base: sequenceMax > plan.sequence ? sequenceMax + 1 : plan.sequence,
    maxEpoch: epochMax,
    segments: chain.segments.map(({ file, segment, name, first, last, bytes }) => ({
      file,
      segment,
      epoch: name.epoch,
      first,
      last,
      bytes,
    })),
    nextSegment: chain.nextSegment,
  };
}

function noticeOf({ notice }: RestoreOptions): { readonly notice?: (message: string) => void } {
  return notice === undefined ? {} : { notice };
}

function changedUnder(directory: string): StateError {
  return new StateError(
    'STATE_CHANGED',
    `${directory}: files went away while the state was read, ${attemptsMax} times over: another process writes there. Try again.`,
    { details: { path: directory }, retryable: true },
  );
}
