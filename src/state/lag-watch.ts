/** What lag has come to. */
export interface LagChange {
  readonly kind: 'lagging' | 'recovered' | 'stalled';
  readonly lagMs: number;
  readonly error: Error | null;
}

/** Turns the age of the oldest commit that is not durable, and failed writes, into few events: each state is told once. */
export class LagWatch {
  readonly #lagMsMax: number;
  readonly #stallLimitMs: number;
  #laggingSinceMs: number | null = null;
  #stalled = false;
  /** The last failed attempt and the sequence up to which it is not made good. */
  #failed: { readonly through: number; readonly error: Error } | null = null;

  constructor(options: { readonly lagMsMax: number; readonly stallLimitMs: number }) {
    this.#lagMsMax = options.lagMsMax;
    this.#stallLimitMs = options.stallLimitMs;
  }

  /** True from when lag came to the limit until it recovered. */
  get isStalled(): boolean {
    return this.#stalled;
  }

  /** Of the last failed attempt, until what it was to write is durable. */
  get failure(): Error | null {
    return this.#failed?.error ?? null;
  }

  writeFailed(through: number, error: Error): void {
    this.#failed = { through, error };
  }

  look(lagMs: number, durableSequence: number, nowMs: number): readonly LagChange[] {
    if (this.#failed !== null && durableSequence >= this.#failed.through) this.#failed = null;
    const error = this.#failed?.error ?? null;
    const lags = error !== null || lagMs >= this.#lagMsMax;
    const changes: LagChange[] = [];
    if (lags && this.#laggingSinceMs === null) {
      this.#laggingSinceMs = nowMs;
      changes.push({ kind: 'lagging', lagMs, error });
    }
    if (lagMs >= this.#stallLimitMs && !this.#stalled) {
      this.#stalled = true;
      changes.push({ kind: 'stalled', lagMs, error });
    }
    if (!lags && this.#laggingSinceMs !== null) {
      changes.push({ kind: 'recovered', lagMs: nowMs - this.#laggingSinceMs, error: null });
      this.#laggingSinceMs = null;
      this.#stalled = false;
    }
    return changes;
  }
}
