import type { Clock } from '../model/time.ts';
import type { Durability } from './durability.ts';
import type { Posting } from './posting.ts';
import type { SharedWords } from './shared-words.ts';
import { whatTheWorkerDoes } from './state-errors.ts';

export interface LastWordsOptions {
  /** How long they may take, from the first of them; 0 turns them off. */
  readonly ms: number;
  readonly clock: Clock;
  readonly words: SharedWords;
  readonly posting: Posting;
  readonly durability: Durability;
}

/**
 * What an open state does when the process exits by process.exit() or an uncaught exception: it posts what is committed, and waits a
 * bounded time until it is durable. In an exit handler nothing asynchronous happens any more on this thread, and the worker still
 * runs. A kill -9 or a power cut gives nobody a last word: what was acknowledged needs none.
 */
export class LastWords {
  readonly #options: LastWordsOptions;
  readonly #listener = (): void => this.speak();
  #endsAtMs: number | null = null;
  #told = false;

  constructor(options: LastWordsOptions) {
    this.#options = options;
    if (options.ms > 0) process.on('exit', this.#listener);
  }

  /** True once the process exits: no turn of the event loop will post anything, so who commits now has to speak() again. */
  get begun(): boolean {
    return this.#endsAtMs !== null;
  }

  /** There is nothing left to say. */
  end(): void {
    process.off('exit', this.#listener);
  }

  speak(): void {
    const { ms, clock, words, posting, durability } = this.#options;
    this.#endsAtMs ??= clock.monotonicMs() + ms;
    if (durability.failure !== null) return;
    const sequence = posting.postLast();
    const leftMs = Math.max(0, this.#endsAtMs - clock.monotonicMs());
    if (words.waitDurable(sequence, leftMs, () => clock.monotonicMs()) || this.#told) return;
    this.#told = true;
    process.stderr.write(
      `holdfast: the process exits with commits up to ${durability.sequence} of ${sequence} durable; ${whatTheWorkerDoes(durability.standing)}\n`,
    );
  }
}
