import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { extname } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { HoldfastError } from '../../model/errors.ts';
import { endWithParentVariable } from '../end-with-parent.ts';

const main = fileURLToPath(new URL(`../main${extname(fileURLToPath(import.meta.url))}`, import.meta.url));

const running = new Set<ChildProcess>();

/** For who must end at once: kills every child. What they hold open is free a moment later. */
export function killChildren(): void {
  for (const child of running) child.kill('SIGKILL');
}

/** A line that a child said: JSON where it was JSON. */
export type Said = Readonly<Record<string, unknown>>;

/** One `holdfast …` in a process of its own: what it says can be awaited, and it ends when its parent does. */
export class Child {
  readonly name: string;
  readonly #process: ChildProcess;
  readonly #lines: Said[] = [];
  readonly #listeners = new Set<() => void>();
  #ended: { readonly code: number | null; readonly signal: NodeJS.Signals | null } | null = null;

  constructor(name: string, args: readonly string[], env: NodeJS.ProcessEnv) {
    this.name = name;
    this.#process = spawn(process.execPath, [main, ...args], {
      env: { ...env, [endWithParentVariable]: '1' },
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    running.add(this.#process);
    // A child that is gone already closes the pipe, which is told by its end.
    this.#process.stdin?.on('error', () => {});
    for (const stream of [this.#process.stdout, this.#process.stderr]) {
      if (stream !== null) createInterface({ input: stream }).on('line', (line) => this.#heard(line));
    }
    this.#process.once('close', (code, signal) => {
      running.delete(this.#process);
      this.#ended = { code, signal };
      this.#wake();
    });
  }

  get pid(): number {
    return this.#process.pid ?? 0;
  }

  get ended(): { readonly code: number | null; readonly signal: NodeJS.Signals | null } | null {
    return this.#ended;
  }

  /** Everything said so far that matches. */
  said(test: (line: Said) => boolean): readonly Said[] {
    return this.#lines.filter(test);
  }

  /**
   * Resolves with the first line that matches, said already or to come.
   * @throws HoldfastError DEMO_CHILD_FAILED naming what was awaited, with the child's last words, when it ends or `timeoutMs` passes first
   */
  async hear(what: string, test: (line: Said) => boolean, timeoutMs = 45_000): Promise<Said> {
    await this.until(what, () => this.#lines.some(test), timeoutMs);
    return this.#lines.find(test) as Said;
  }

  /** Resolves once the child has ended. */
  async end(timeoutMs = 30_000): Promise<number | null> {
    await this.until('its end', () => this.#ended !== null, timeoutMs);
    return this.#ended?.code ?? null;
  }

  kill(signal: NodeJS.Signals): void {
    this.#process.kill(signal);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#ended !== null) return;
    const closed = once(this.#process, 'close');
    this.#process.kill('SIGKILL');
    await closed;
  }

  private async until(what: string, test: () => boolean, timeoutMs: number): Promise<void> {
    const deadline = performance.now() + timeoutMs;
    while (!test()) {
      const left = deadline - performance.now();
      if (this.#ended !== null || left <= 0) {
        const why =
          this.#ended === null
            ? `not within ${timeoutMs} ms`
            : `it ended with ${this.#ended.code ?? this.#ended.signal}`;
        const last = this.#lines.slice(-3).map((line) => String(line['msg'] ?? line['text'] ?? JSON.stringify(line)));
        throw new HoldfastError(
          'DEMO_CHILD_FAILED',
          `${this.name}: waited for ${what}: ${why}; it said last: ${last.join(' | ') || 'nothing'}`,
        );
      }
      await this.#next(left);
    }
  }

  #next(timeoutMs: number): Promise<void> {
    return new Promise((resolve) => {
      const done = () => {
        clearTimeout(timer);
        this.#listeners.delete(done);
        resolve();
      };
      const timer = setTimeout(done, timeoutMs);
      this.#listeners.add(done);
    });
  }

  #heard(line: string): void {
    let said: Said;
    try {
      const parsed: unknown = JSON.parse(line);
      said = typeof parsed === 'object' && parsed !== null ? (parsed as Said) : { text: line };
    } catch {
      // Not every line is JSON: an error of the command line is a sentence.
      said = { text: line };
    }
    this.#lines.push(said);
    this.#wake();
  }

  #wake(): void {
    for (const listener of [...this.#listeners]) listener();
  }
}
