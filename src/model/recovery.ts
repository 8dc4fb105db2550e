import type { Timestamp } from './time.ts';

/** What a restore used and what it lost: never silent about either. */
export interface Recovery {
  /** The restore point, the same for every strategy. 0 and 0 where nothing was there. */
  readonly epoch: number;
  readonly sequence: number;
  /** The newest of checkpoint, journal record and heartbeat; null where nothing was there. */
  readonly timestamp: Timestamp | null;
  readonly age_ms: number | null;
  /** Older than the threshold, or from the future: reported, never refused. */
  readonly stale: boolean;
  readonly used: readonly RecoveryUse[];
  readonly lost: readonly RecoveryLoss[];
  /** Where damaged files and cut tails were kept, relative to the state directory. */
  readonly quarantined: readonly string[];
}

export interface RecoveryUse {
  readonly strategy: string;
  /** Where the strategy's state began, before journal records were applied to it. */
  readonly source: 'checkpoint' | 'journal' | 'seed_checkpoint';
  /** Relative to the state directory. */
  readonly file: string;
  readonly epoch: number;
  readonly sequence: number;
  /** Journal records applied after it. */
  readonly records: number;
}

export interface RecoveryLoss {
  /**
   * torn_tail: bytes of a group that was never acknowledged. damaged_checkpoint: an older generation or the journal served instead.
   * damaged_journal: a damaged stretch that later checkpoints or records make unnecessary. unsupported, foreign: not ours to read.
   */
  readonly what: 'torn_tail' | 'damaged_checkpoint' | 'damaged_journal' | 'foreign_file';
  readonly file: string;
  readonly why: string;
  /** True when something acknowledged is gone; such a restore is refused unless the operator accepts it. */
  readonly acknowledged: boolean;
}
