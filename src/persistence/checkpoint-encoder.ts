import type { StrategySnapshot } from '../model/snapshot.ts';
import { encodeCheckpoint } from './checkpoint-codec.ts';
import type { CheckpointPlace } from './checkpoint-layout.ts';
import type { EncodedCheckpoint } from './checkpoint-text.ts';

/**
 * Encodes the checkpoints of all strategies, each from its last one. It holds about what the newest files are long, a sixteenth
 * more to grow, and one file that is to be written over: to have pages of memory made for a file takes longer than to fill them.
 */
export class CheckpointEncoder {
  readonly #last = new Map<string, EncodedCheckpoint>();
  #spare: ArrayBufferLike | null = null;

  /** As encodeCheckpoint(); the bytes are good until the strategy's next call. */
  encode(snapshot: StrategySnapshot, at: CheckpointPlace): EncodedCheckpoint {
    const name = snapshot.strategy_name;
    const last = this.#last.get(name) ?? null;
    const encoded = encodeCheckpoint(snapshot, at, last, (length) => this.#room(length));
    this.#last.set(name, encoded);
    if (last !== null) this.#retire(last.bytes.buffer);
    return encoded;
  }

  #room(length: number): Buffer {
    const spare = this.#spare;
    // A small file would keep most of a large one's room from any other.
    if (spare === null || spare.byteLength < length || spare.byteLength > length * 2) {
      return Buffer.allocUnsafeSlow(length + (length >> 4)).subarray(0, length);
    }
    this.#spare = null;
    return Buffer.from(spare, 0, length);
  }

  /** The largest is kept: small ones are soon made. */
  #retire(room: ArrayBufferLike): void {
    if (this.#spare === null || this.#spare.byteLength < room.byteLength) this.#spare = room;
  }
}
