import { paint } from '../output.ts';

/** Tells the demo as it happens: a line for each thing that happened, and on a terminal one line that moves while one waits. */
export class Story {
  readonly #startedMs = performance.now();
  readonly #out: NodeJS.WriteStream;
  readonly #moving: boolean;
  #shown = false;

  /** With `aside` the story goes to standard error, because standard output is a document. */
  constructor(aside: boolean) {
    this.#out = aside ? process.stderr : process.stdout;
    this.#moving = this.#out.isTTY === true;
  }

  tell(step: string, text: string): void {
    this.#clear();
    const at = paint('dim', `${this.seconds().padStart(5)} s`, this.#out);
    this.#out.write(`${at}  ${paint('bold', step.padEnd(10), this.#out)} ${text}\n`);
  }

  progress(text: string): void {
    if (!this.#moving) return;
    this.#clear();
    this.#out.write(paint('dim', `         ${text}`.slice(0, (this.#out.columns ?? 80) - 1), this.#out));
    this.#shown = true;
  }

  seconds(): string {
    return ((performance.now() - this.#startedMs) / 1000).toFixed(1);
  }

  end(): void {
    this.#clear();
  }

  #clear(): void {
    if (this.#shown) this.#out.write('\r\x1b[2K');
    this.#shown = false;
  }
}
