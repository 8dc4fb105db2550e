/** Commits that are not acknowledged, oldest first, with the time of each: a ring that grows, and makes nothing while it does not. */
export class TimeQueue {
  #sequences = new Float64Array(1024);
  #times = new Float64Array(1024);
  #first = 0;
  #size = 0;

  get size(): number {
    return this.#size;
  }

  push(sequence: number, timeMs: number): void {
    if (this.#size === this.#times.length) this.#grow();
    const index = (this.#first + this.#size) % this.#times.length;
    this.#sequences[index] = sequence;
    this.#times[index] = timeMs;
    this.#size += 1;
  }

  /** Takes out everything up to `sequence`. */
  takeThrough(sequence: number, taken: (timeMs: number) => void): void {
    while (this.#size > 0 && (this.#sequences[this.#first] as number) <= sequence) {
      taken(this.#times[this.#first] as number);
      this.#first = (this.#first + 1) % this.#times.length;
      this.#size -= 1;
    }
  }

  #grow(): void {
    this.#sequences = unrolled(this.#sequences, this.#first);
    this.#times = unrolled(this.#times, this.#first);
    this.#first = 0;
  }
}

function unrolled(ring: Float64Array, first: number): Float64Array<ArrayBuffer> {
  const longer = new Float64Array(ring.length * 2);
  longer.set(ring.subarray(first));
  longer.set(ring.subarray(0, first), ring.length - first);
  return longer;
}
