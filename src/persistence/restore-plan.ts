import type { ChainRun, JournalChain } from './journal-chain.ts';
import { journalDamages } from './journal-damage.ts';
import { type Evidence, type Generation, unrestorable } from './restore-errors.ts';

export interface Start {
  readonly generation: Generation;
  /** False for a seed file that the journal may know nothing of: no record may build on it. */
  readonly connects: boolean;
}

export interface RestorePlan {
  readonly epoch: number;
  readonly sequence: number;
  /** Each strategy's checkpoint to start from. Those of the journal that have none begin in its records. */
  readonly starts: ReadonlyMap<string, Start>;
  /** Groups that end before this need not be read; null where the journal has no part in this restore. */
  readonly replayFrom: number | null;
  /** Sequences of the valid generations that stand in the restored history, the newest first. */
  readonly coverage: ReadonlyMap<string, number[]>;
}

/**
 * Decides from what a restore begins: a pure function of what was found. Everything ends at one restore point, the same for all.
 * @throws CheckpointCorrupted where some strategy cannot be brought there
 */
export function planRestore(chain: JournalChain, generations: readonly Generation[]): RestorePlan {
  const byStrategy = Map.groupBy(generations, ({ strategy }) => strategy);
  const evidence: Evidence = { chain, generations };
  const beyond = generations.some((generation) => isValid(generation) && isBeyond(chain, generation));
  if (chain.run === null || beyond) return fromCheckpointsAlone(evidence, byStrategy);
  if (journalDamages(chain).some(({ role }) => role === 'fatal')) {
    throw unrestorable('JOURNAL_DAMAGED', 'records that were durable are damaged at the end of the journal', evidence);
  }
  return withJournal(chain, chain.run, byStrategy);
}

/** Whether what a later incarnation stood on leaves the checkpoint out: its history was abandoned. */
export function isAbandoned(chain: JournalChain, epoch: number, sequence: number): boolean {
  return chain.cuts.some(({ epoch: later, from, base }) => {
    if (epoch > later || !isAfter({ epoch, sequence }, from)) return false;
    // An incarnation of the same epoch counts on from `base`, which is above everything that was there.
    return epoch < later || (from.epoch === epoch && sequence < base);
  });
}

function withJournal(chain: JournalChain, run: ChainRun, byStrategy: Map<string, Generation[]>): RestorePlan {
  const starts = new Map<string, Start>();
  const coverage = new Map<string, number[]>();
  const known = new Map([...run.wholes].map(([name, { sequence }]) => [name, sequence]));
  for (const [strategy, generations] of byStrategy) {
    const usable = generations
      .filter((generation) => isValid(generation) && stands(chain, run, generation))
      .sort(newestFirst);
    const seed = generations.find(({ kind }) => kind === 'seed');
    coverage.set(strategy, [...new Set(usable.map(({ sequence }) => sequence ?? 0))]);
    const [newest] = usable;
    if (newest !== undefined) {
      starts.set(strategy, { generation: newest, connects: true });
      known.set(strategy, Math.max(known.get(strategy) ?? 0, newest.sequence ?? 0));
    } else if (seed !== undefined) {
      const connects = run.spans.some(({ epoch, first }) => epoch === 0 && first === 0);
      starts.set(strategy, { generation: seed, connects });
    }
  }
  // With a start for every strategy of the journal, nothing before the oldest of them has to be read.
  const replayFrom = known.size === run.strategies ? Math.min(run.last, ...known.values()) : run.first;
  return { epoch: run.epoch, sequence: run.last, starts, replayFrom, coverage };
}

/** Without a journal that reaches as far as the checkpoints, they must all be of one restore point. */
function fromCheckpointsAlone(evidence: Evidence, byStrategy: Map<string, Generation[]>): RestorePlan {
  const { chain } = evidence;
  const starts = new Map<string, Start>();
  for (const [strategy, generations] of byStrategy) {
    const valid = generations
      .filter((generation) => isValid(generation) && !isAbandonedFile(chain, generation))
      .sort(newestFirst);
    const newest = valid[0] ?? generations.find(({ kind }) => kind === 'seed');
    if (newest === undefined) {
      throw unrestorable(
        'CHECKPOINT_CORRUPTED',
        `no checkpoint of strategy ${strategy} is valid, and no journal reaches it`,
        evidence,
      );
    }
    const lostNewer = generations.find((generation) => mayBeNewer(generation, newest));
    if (lostNewer !== undefined) {
      throw unrestorable(
        'JOURNAL_MISSING',
        `${newest.file} is older than ${lostNewer.file}, which is damaged, and the journal that leads from one to the other is missing`,
        evidence,
      );
    }
    starts.set(strategy, { generation: newest, connects: true });
  }
  const points = new Set([...starts.values()].map(({ generation }) => `${generation.epoch}-${generation.sequence}`));
  const kinds = new Set([...starts.values()].map(({ generation }) => generation.kind));
  const point = starts.values().next().value?.generation;
  const damages = journalDamages(chain).filter(({ role }) => role !== 'superseded');
  if (points.size > 1 || kinds.size > 1 || starts.size < (chain.run?.strategies ?? 0)) {
    const code = damages.length > 0 ? 'JOURNAL_DAMAGED' : 'JOURNAL_MISSING';
    throw unrestorable(
      code,
      'the checkpoints are of different restore points, and the journal does not reach the newest',
      evidence,
    );
  }
  const sequence = point?.sequence ?? 0;
  // A checkpoint past the journal's end says that the end was durable, torn or not: none of it may reach beyond the checkpoint.
  const reachesFurther = damages.some(
    ({ damage, role }) => (damage.claimed ?? (role === 'fatal' ? Infinity : 0)) > sequence,
  );
  if (reachesFurther)
    throw unrestorable('JOURNAL_DAMAGED', `durable records after sequence ${sequence} are damaged`, evidence);
  const coverage = new Map([...starts].map(([strategy, { generation }]) => [strategy, coverageOf(generation)]));
  return { epoch: point?.epoch ?? 0, sequence, starts, replayFrom: null, coverage };
}

function coverageOf(generation: Generation): number[] {
  return generation.kind === 'ok' ? [generation.sequence ?? 0] : [];
}

function isValid(generation: Generation): boolean {
  return generation.kind === 'ok';
}

function isAbandonedFile(chain: JournalChain, { epoch, sequence }: Generation): boolean {
  return isAbandoned(chain, epoch ?? 0, sequence ?? 0);
}

/** Later than where the journal ends: its end was lost, because a checkpoint is renamed only once the journal is durable. */
function isBeyond(chain: JournalChain, generation: Generation): boolean {
  const epoch = generation.epoch ?? 0;
  const sequence = generation.sequence ?? 0;
  if (isAbandonedFile(chain, generation)) return false;
  return chain.run === null || isAfter({ epoch, sequence }, { epoch: chain.run.epoch, sequence: chain.run.last });
}

/** Is one of the run's own restore points, so that the run's records continue it. */
function stands(chain: JournalChain, run: ChainRun, generation: Generation): boolean {
  const epoch = generation.epoch ?? 0;
  const sequence = generation.sequence ?? 0;
  return (
    run.spans.some((span) => span.epoch === epoch && span.first <= sequence && sequence <= span.last) &&
    !isAbandonedFile(chain, generation)
  );
}

/** A damaged file that may have held a later state than `chosen`. */
function mayBeNewer(generation: Generation, chosen: Generation): boolean {
  if (generation.kind !== 'damaged' && generation.kind !== 'foreign') return false;
  if (generation.epoch === null || generation.sequence === null) return true;
  return isAfter(placeOf(generation), placeOf(chosen));
}

function placeOf({ epoch, sequence }: Generation): { readonly epoch: number; readonly sequence: number } {
  return { epoch: epoch ?? 0, sequence: sequence ?? 0 };
}

function isAfter(
  a: { readonly epoch: number; readonly sequence: number },
  b: { readonly epoch: number; readonly sequence: number },
): boolean {
  return a.epoch > b.epoch || (a.epoch === b.epoch && a.sequence > b.sequence);
}

function newestFirst(a: Generation, b: Generation): number {
  return (b.epoch ?? 0) - (a.epoch ?? 0) || (b.sequence ?? 0) - (a.sequence ?? 0);
}
