import type { CheckpointCorrupted } from '../model/errors.ts';
import type { RecoveryUse } from '../model/recovery.ts';
import { micros, type Timestamp } from '../model/time.ts';
import type { ChainSegment } from './journal-chain.ts';
import { journalDamages } from './journal-damage.ts';
import type { WholeOutline } from './journal-records.ts';
import type { ReplayTrace } from './journal-replay.ts';
import type { Mirror } from './mirror.ts';
import type { JournalRecord } from './records.ts';
import { type Evidence, unrestorable } from './restore-errors.ts';
import { isAbandoned, type RestorePlan } from './restore-plan.ts';

type Use = { -readonly [K in keyof RecoveryUse]: RecoveryUse[K] };

/**
 * Follows a replay: where each strategy's state begins, how new the newest sign of life is, and that no strategy is brought
 * forward from a state that it hasn't got.
 */
export class RestoreTrace implements ReplayTrace {
  readonly #plan: RestorePlan;
  readonly #mirror: Mirror;
  readonly #evidence: Evidence;
  readonly #uses = new Map<string, Use>();
  /** Strategies that start from a seed file which no record builds on yet. */
  readonly #apart = new Set<string>();
  #timestamp: Timestamp | null = null;

  constructor(plan: RestorePlan, mirror: Mirror, evidence: Evidence) {
    this.#plan = plan;
    this.#mirror = mirror;
    this.#evidence = evidence;
    for (const [strategy, { generation, connects }] of plan.starts) {
      const { file, kind, epoch, sequence, timestamp } = generation;
      const source = kind === 'seed' ? 'seed_checkpoint' : 'checkpoint';
      this.#uses.set(strategy, { strategy, source, file, epoch: epoch ?? 0, sequence: sequence ?? 0, records: 0 });
      if (!connects) this.#apart.add(strategy);
      if (timestamp !== null) this.#alive(timestamp);
    }
  }

  /** The newest of what was used; null where nothing was. */
  get timestamp(): Timestamp | null {
    return this.#timestamp;
  }

  /** Sorted by strategy. */
  used(): RecoveryUse[] {
    return this.#mirror.strategies().flatMap((strategy) => this.#uses.get(strategy) ?? []);
  }

  covers({ strategy, sequence }: Pick<WholeOutline, 'strategy' | 'sequence'>): boolean {
    const use = this.#uses.get(strategy);
    return use !== undefined && use.source === 'checkpoint' && sequence <= use.sequence;
  }

  /**
   * Call before the record is applied.
   * @throws CheckpointCorrupted where it changes a strategy whose earlier state is missing
   */
  see(record: JournalRecord | WholeOutline, { file, name }: ChainSegment): void {
    if (record.kind === 'heartbeat' || record.kind === 'whole') this.#alive(record.at);
    if (record.kind !== 'delta') return;
    this.#alive(record.at);
    const { previous, through } = record;
    const reached = this.#mirror.sequence;
    if (through < reached || (through === reached && previous < through)) return;
    for (const { strategy, whole } of record.strategies) {
      const use = this.#uses.get(strategy);
      // Where its whole state comes later in the journal, what it was before does not count.
      const restatedAt = this.#evidence.chain.run?.wholes.get(strategy)?.sequence ?? -1;
      if (whole === true) {
        this.#apart.delete(strategy);
        if (this.covers({ strategy, sequence: through })) continue;
        this.#uses.set(strategy, {
          strategy,
          source: 'journal',
          file,
          epoch: name.epoch,
          sequence: through,
          records: 0,
        });
      } else if (through > restatedAt) {
        if (use === undefined || this.#apart.has(strategy)) {
          throw this.#missing(strategy, `${file} changes it at sequence ${through}`);
        }
        if (through > use.sequence) use.records += 1;
      }
    }
  }

  /** At the end of the replay. @throws CheckpointCorrupted where a strategy that the directory knows has not been restored */
  check(): void {
    const { chain, generations } = this.#evidence;
    for (const { strategy, kind } of generations) {
      if (this.#mirror.has(strategy) || kind === 'seed') continue;
      const valid = generations.filter((other) => other.strategy === strategy && other.kind === 'ok');
      // What an abandoned history alone knew is rightly gone.
      const abandoned = valid.length > 0 && valid.every((generation) => this.#isAbandoned(generation));
      if (!abandoned) throw this.#missing(strategy, 'it has checkpoint files');
    }
    if (this.#plan.replayFrom === null || chain.run === null) return;
    const { strategies, wholes } = chain.run;
    const known = this.#mirror.strategies().filter((strategy) => {
      const use = this.#uses.get(strategy);
      return use?.source !== 'seed_checkpoint' || use.records > 0 || wholes.has(strategy);
    });
    if (known.length === strategies) return;
    throw unrestorable(
      this.#journalCode(),
      `the journal knows ${strategies} strategies at sequence ${chain.run.last}, and state was found for ${known.length} of them: ${known.join(', ')}`,
      this.#evidence,
    );
  }

  #isAbandoned({ epoch, sequence }: { readonly epoch: number | null; readonly sequence: number | null }): boolean {
    return isAbandoned(this.#evidence.chain, epoch ?? 0, sequence ?? 0);
  }

  #missing(strategy: string, evidence: string): CheckpointCorrupted {
    const own = this.#evidence.generations.filter((generation) => generation.strategy === strategy);
    const bad = own.some(({ kind }) => kind === 'damaged' || kind === 'foreign');
    const code = bad ? 'CHECKPOINT_CORRUPTED' : this.#journalCode();
    return unrestorable(
      code,
      `strategy ${strategy} has no valid checkpoint that the journal continues, and the journal does not hold its beginning (${evidence})`,
      this.#evidence,
    );
  }

  #journalCode(): 'JOURNAL_DAMAGED' | 'JOURNAL_MISSING' {
    const { chain } = this.#evidence;
    const damaged = journalDamages(chain).some(({ role }) => role === 'damaged' || role === 'fatal');
    return damaged ? 'JOURNAL_DAMAGED' : 'JOURNAL_MISSING';
  }

  #alive(at: Timestamp): void {
    const newest = this.#timestamp;
    if (newest === null || isLater(at, newest)) this.#timestamp = at;
  }
}

/** Ours are all of one length and sort as text; a seed file's may have another form. */
function isLater(a: Timestamp, b: Timestamp): boolean {
  return a.length === b.length && a.endsWith('Z') && b.endsWith('Z') ? a > b : micros(a) > micros(b);
}
