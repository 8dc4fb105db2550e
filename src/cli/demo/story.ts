import { pageWidth, paint, wrap } from '../output.ts';
import { Progress } from '../progress.ts';

const indent = ' '.repeat(21);

/** Tells the demo as it happens: a paragraph for each thing that happened, and on a terminal one line that moves while one waits. */
export class Story {
  readonly #startedMs = performance.now();
  readonly #out: NodeJS.WriteStream;
  readonly #progress: Progress;

  /** With `aside` the story goes to standard error, because standard output is a document. */
  constructor(aside: boolean) {
    this.#out = aside ? process.stderr : process.stdout;
    this.#progress = new Progress(this.#out);
  }

  tell(step: string, text: string): void {
    this.#progress.clear();
    const at = paint('dim', `${this.seconds().padStart(6)} s`, this.#out);
    const [first = '', ...more] = wrap(text, pageWidth(this.#out) - indent.length - 1);
    const lines = [
      `${at}  ${paint('bold', step.padEnd(10), this.#out)} ${first}`,
      ...more.map((line) => indent + line),
    ];
    this.#out.write(`${lines.join('\n')}\n`);
  }

  /** Nothing where nobody watches. */
  progress(text: string): void {
    this.#progress.show(`${this.seconds().padStart(6)} s  ${text}`);
  }

  get isWatched(): boolean {
    return this.#progress.isShown;
  }

  seconds(): string {
    return ((performance.now() - this.#startedMs) / 1000).toFixed(1);
  }

  end(): void {
    this.#progress.clear();
  }
}
