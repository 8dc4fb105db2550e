/**
 * One line on a terminal that moves while somebody waits, and is gone when the wait is over. Elsewhere nothing is written: a log
 * file wants no progress. It is on standard error unless told otherwise, so that standard output stays what was asked for.
 */
export class Progress {
  readonly #out: NodeJS.WriteStream;
  #shown = false;

  constructor(out: NodeJS.WriteStream = process.stderr) {
    this.#out = out;
  }

  get isShown(): boolean {
    return this.#out.isTTY === true;
  }

  show(text: string): void {
    if (!this.isShown) return;
    this.clear();
    this.#out.write(text.slice(0, (this.#out.columns ?? 80) - 1));
    this.#shown = true;
  }

  clear(): void {
    if (this.#shown) this.#out.write('\r\u001b[2K');
    this.#shown = false;
  }
}

/** Waits for work that may take long. After a second a terminal shows what is waited for, and for how long. */
export async function waiting<T>(what: string, work: () => Promise<T>): Promise<T> {
  const progress = new Progress();
  const startedMs = performance.now();
  const tick = setInterval(() => {
    progress.show(`${what}: ${Math.floor((performance.now() - startedMs) / 1000)} s`);
  }, 1000);
  try {
    return await work();
  } finally {
    clearInterval(tick);
    progress.clear();
  }
}

/** Shows on a terminal what is under way while the thread itself is busy with it, and cannot move a line. */
export function busy<T>(what: string, work: () => T): T {
  const progress = new Progress();
  progress.show(`${what} …`);
  try {
    return work();
  } finally {
    progress.clear();
  }
}
