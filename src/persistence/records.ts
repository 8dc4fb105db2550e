import type { SnapshotDelta } from '../model/delta.ts';
import type { Timestamp } from '../model/time.ts';

/** What one line of a journal group holds. docs/internals/file-formats.md specifies the bytes. */
export type JournalRecord =
  /**
   * The first record of every segment. On a segment that begins an incarnation, `from` is the restore point that it
   * stands on and `base` the sequence from which it counts: records of older epochs beyond `from` are void. The
   * `delta` records that follow, up to `ready`, hold the whole restored state of every strategy (`whole: true`), each
   * with previous = through = base. On a segment opened by rotation or after a failed write `from` is null.
   */
  | {
      readonly kind: 'segment';
      readonly format_version: number;
      readonly epoch: number;
      readonly incarnation: number;
      readonly from: { readonly epoch: number; readonly sequence: number } | null;
      readonly base: number;
      /** The host's base currency, in which positions without a currency of their own are. */
      readonly currency?: string;
      readonly at: Timestamp;
    }
  | ({ readonly kind: 'delta' } & SnapshotDelta)
  /** The restored state before this record is complete: from here the segment stands alone. */
  | { readonly kind: 'ready'; readonly base: number; readonly strategies: number; readonly at: Timestamp }
  /** The worker lives: for telling stale from idle. */
  | { readonly kind: 'heartbeat'; readonly at: Timestamp }
  /** These checkpoint files are renamed and their directory fsynced. */
  | {
      readonly kind: 'checkpointed';
      readonly at: Timestamp;
      readonly files: readonly {
        readonly strategy: string;
        readonly epoch: number;
        readonly sequence: number;
        readonly checksum: string;
      }[];
    };
