import type { PositionSnapshot } from '../../src/model/position.ts';

/** A way to keep positions through a crash. */
export interface Contender {
  readonly key: string;
  readonly name: string;
  /** Makes the positions durable in a directory of its own, and is ready for commits. */
  start(directory: string, positions: readonly PositionSnapshot[]): Promise<RunningContender>;
}

export interface RunningContender {
  /**
   * Replaces these positions. Resolves once they are durable, with the milliseconds for which the calling thread was taken: from the
   * first change until everything was handed over, and not what it does later when it hears that they are durable.
   */
  commit(changed: readonly PositionSnapshot[]): Promise<number>;
  close(): Promise<void>;
}

/** The whole state as those keep it that write or send all of it. */
export class WholeState {
  readonly state: { readonly positions: PositionSnapshot[] };
  readonly #places = new Map<string, number>();

  constructor(positions: readonly PositionSnapshot[]) {
    this.state = { positions: [...positions] };
    for (const [place, { asset }] of positions.entries()) this.#places.set(asset, place);
  }

  replace(changed: readonly PositionSnapshot[]): void {
    for (const position of changed) this.state.positions[this.#places.get(position.asset) ?? 0] = position;
  }
}
