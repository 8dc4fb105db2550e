/** How {@link ModelDisk} behaves where real disks differ. */
export interface ModelDiskOptions {
  /** Bytes that are kept whole or not at all. Default 512. */
  readonly blockBytes?: number;
  /**
   * What a crash keeps of names that are not synced. 'any' (default): any subset of the operations, all that POSIX allows; 'prefix': those
   * up to some moment, as the journals of ext4 and XFS do.
   */
  readonly order?: 'any' | 'prefix';
  /** A write takes at most so many bytes, as the operating system may. Default: all. */
  readonly writeBytesMax?: number;
}

/** A call on a {@link ModelDisk} that changes or syncs something: a moment before which a crash is worth looking at. */
export interface ModelCall {
  /** Counted from 1 since the disk was made or cloned. */
  readonly number: number;
  readonly call:
    | 'create'
    | 'write'
    | 'truncate'
    | 'fsync'
    | 'fdatasync'
    | 'link'
    | 'rename'
    | 'unlink'
    | 'mkdir'
    | 'fsyncDirectory';
  readonly path: string;
  /** The second name of link and rename. */
  readonly to: string | null;
}

/** What every call throws once the power is cut: no errno, because the process that called is gone too. */
export class PowerCut extends Error {
  override readonly name: string = 'PowerCut';
}
