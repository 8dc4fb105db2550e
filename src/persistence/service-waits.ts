/** Those who wait for a sequence. */
export class ServiceWaits {
  #waits: { readonly sequence: number; readonly resolve: () => void; readonly reject: (error: unknown) => void }[] = [];

  wait(sequence: number): Promise<void> {
    return new Promise((resolve, reject) => this.#waits.push({ sequence, resolve, reject }));
  }

  reached(sequence: number): void {
    if (this.#waits.length === 0) return;
    const reached = this.#waits.filter((wait) => wait.sequence <= sequence);
    this.#waits = this.#waits.filter((wait) => wait.sequence > sequence);
    for (const wait of reached) wait.resolve();
  }

  /** Everyone gets the error, also those whose sequence has not come yet: they would wait for the same disk. */
  failed(error: unknown): void {
    const waits = this.#waits;
    this.#waits = [];
    for (const wait of waits) wait.reject(error);
  }
}
