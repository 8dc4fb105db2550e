interface Waiter {
  readonly sequence: number;
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

/** Those who wait for a sequence to be durable, in the order of their sequences. */
export class DurableWaiters {
  readonly #waiters: Waiter[] = [];

  get size(): number {
    return this.#waiters.length;
  }

  add(sequence: number): Promise<void> {
    return new Promise((resolve, reject) => {
      // Sequences grow, so the place of a new one is nearly always the end.
      let index = this.#waiters.length;
      while (index > 0 && (this.#waiters[index - 1] as Waiter).sequence > sequence) index -= 1;
      this.#waiters.splice(index, 0, { sequence, resolve, reject });
    });
  }

  /** Everything up to here is durable. */
  resolve(through: number): void {
    for (const waiter of this.#take(through)) waiter.resolve();
  }

  /** An attempt that held everything up to here failed. */
  reject(through: number, error: Error): void {
    for (const waiter of this.#take(through)) waiter.reject(error);
  }

  rejectAll(error: Error): void {
    this.reject(Number.POSITIVE_INFINITY, error);
  }

  #take(through: number): Waiter[] {
    let count = 0;
    while (count < this.#waiters.length && (this.#waiters[count] as Waiter).sequence <= through) count += 1;
    return this.#waiters.splice(0, count);
  }
}
