import { hash } from 'node:crypto';
import { has, subsets } from './model-disk-random.ts';

/** What a crash may leave of a file. */
export interface FileOutcome {
  readonly bytes: Buffer;
  /** The same for the same bytes. */
  readonly digest: string;
}

/**
 * One block's part of a write, or a truncation (`bytes` null: to `position`).
 * pending: in the cache alone; the next sync makes it durable. synced: durable. lost: its sync failed. The cache holds it as if it
 * were clean, so no later sync writes it, and nobody knows whether the device has it.
 */
interface Piece {
  readonly position: number;
  readonly bytes: Buffer | null;
  readonly fate: 'pending' | 'synced' | 'lost';
}

/** A file's data: what reads show, what is surely on the disk, and what came between. Buffers are never changed in place. */
export class ModelFile {
  readonly inode: number;
  /** What a read shows. */
  cache: Buffer;
  /** Counts changes of data, and stands in for the time of the last one. */
  changes = 0;
  #durable: Buffer;
  #pieces: readonly Piece[] = [];
  #outcomes: readonly FileOutcome[] | null = null;

  constructor(inode: number, bytes: Buffer = Buffer.alloc(0)) {
    this.inode = inode;
    this.cache = bytes;
    this.#durable = bytes;
  }

  clone(): ModelFile {
    const clone = new ModelFile(this.inode, this.cache);
    clone.changes = this.changes;
    clone.#durable = this.#durable;
    clone.#pieces = this.#pieces;
    clone.#outcomes = this.#outcomes;
    return clone;
  }

  /** How many blocks are not surely durable. */
  get uncertain(): number {
    return this.#pieces.filter(({ fate }) => fate !== 'synced').length;
  }

  write(bytes: Buffer, position: number, blockBytes: number): void {
    const pieces: Piece[] = [];
    for (let from = 0; from < bytes.length; ) {
      const to = Math.min(bytes.length, from + blockBytes - ((position + from) % blockBytes));
      pieces.push({ position: position + from, bytes: bytes.subarray(from, to), fate: 'pending' });
      from = to;
    }
    this.cache = apply(this.cache, { position, bytes, fate: 'pending' });
    this.#change([...this.#pieces, ...pieces]);
  }

  truncate(length: number): void {
    const piece: Piece = { position: length, bytes: null, fate: 'pending' };
    this.cache = apply(this.cache, piece);
    this.#change([...this.#pieces, piece]);
  }

  sync(): void {
    this.#settle('synced');
    // What follows a lost piece must stay in order behind it; everything before the first one is settled for good.
    const first = this.#pieces.findIndex(({ fate }) => fate !== 'synced');
    const settled = first < 0 ? this.#pieces.length : first;
    for (const piece of this.#pieces.slice(0, settled)) this.#durable = apply(this.#durable, piece);
    this.#pieces = this.#pieces.slice(settled);
  }

  failSync(): void {
    this.#settle('lost');
  }

  /**
   * Every content that a crash may leave: any subset of the blocks that are not surely durable, each with the size that follows
   * from it and with the size that reads show now, because a size may reach the disk before the data, which then reads as zeros.
   * Beyond `most` subsets some are chosen.
   */
  outcomes(most: number, random: () => number): readonly FileOutcome[] {
    this.#outcomes ??= this.#enumerate(most, random);
    return this.#outcomes;
  }

  #enumerate(most: number, random: () => number): readonly FileOutcome[] {
    const uncertain = this.#pieces.filter(({ fate }) => fate !== 'synced');
    const outcomes = new Map<string, FileOutcome>();
    const add = (bytes: Buffer): void => {
      const outcome = outcomeOf(bytes);
      outcomes.set(outcome.digest, outcome);
    };
    for (const mask of subsets(uncertain.length, most, random)) {
      let bytes = this.#durable;
      for (const piece of this.#pieces) {
        if (piece.fate === 'synced' || has(mask, uncertain.indexOf(piece))) bytes = apply(bytes, piece);
      }
      add(bytes);
      if (bytes.length < this.cache.length) add(resized(bytes, this.cache.length));
    }
    return [...outcomes.values()];
  }

  #settle(fate: 'synced' | 'lost'): void {
    this.#pieces = this.#pieces.map((piece) => (piece.fate === 'pending' ? { ...piece, fate } : piece));
    this.#outcomes = null;
  }

  #change(pieces: readonly Piece[]): void {
    this.#pieces = pieces;
    this.#outcomes = null;
    this.changes += 1;
  }
}

export function outcomeOf(bytes: Buffer): FileOutcome {
  return { bytes, digest: hash('sha1', bytes, 'base64') };
}

function apply(before: Buffer, { position, bytes }: Piece): Buffer {
  if (bytes === null) return resized(before, position);
  const after = resized(before, Math.max(before.length, position + bytes.length), true);
  after.set(bytes, position);
  return after;
}

/** Longer by zeros, or cut. */
function resized(bytes: Buffer, length: number, copy = false): Buffer {
  if (length <= bytes.length && !copy) return bytes.subarray(0, length);
  const sized = Buffer.alloc(length);
  bytes.copy(sized);
  return sized;
}
