/** Numbers that follow from a seed, so that what was found can be looked for again. */
export class KillRandom {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** A whole number from `min` to `max`, both included. */
  from(min: number, max: number): number {
    return min + Math.floor(this.#next() * (max - min + 1));
  }

  // A Weyl sequence, each member of it scrambled.
  #next(): number {
    this.#state = (this.#state + 0x9e3779b9) >>> 0;
    let bits = Math.imul(this.#state ^ (this.#state >>> 16), 0x21f0aaad);
    bits = Math.imul(bits ^ (bits >>> 15), 0x735a2d97);
    return ((bits ^ (bits >>> 15)) >>> 0) / 2 ** 32;
  }
}
