import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, readFileSync, rmSync } from 'node:fs';

export interface StraceOptions {
  readonly thread: number;
  readonly log: string;
  /** Such as "fsync:error=EIO:when=1". */
  readonly inject?: readonly string[];
  /** Which calls are looked at, and counted; those of `inject` where absent. */
  readonly trace?: readonly string[];
  /** Only calls on these paths are looked at, and counted. */
  readonly paths?: readonly string[];
}

/** strace on one thread of another process: nothing else of that process is touched or slowed. */
export class Strace {
  readonly #options: StraceOptions;
  readonly #child: ChildProcess;
  readonly #ended: Promise<void>;
  #stderr = '';

  private constructor(options: StraceOptions) {
    const { thread, log, inject = [], paths = [] } = options;
    const trace = options.trace ?? inject.map((rule) => rule.slice(0, rule.indexOf(':')));
    rmSync(log, { force: true });
    this.#options = options;
    // -y: descriptors with the path that they are of.
    const args = ['-p', String(thread), '-o', log, '-y', '-e', `trace=${trace.join(',')}`];
    for (const rule of inject) args.push('-e', `inject=${rule}`);
    for (const path of paths) args.push('-P', path);
    this.#child = spawn('strace', args, { stdio: ['ignore', 'ignore', 'pipe'] });
    this.#ended = new Promise((resolve, reject) => {
      this.#child.on('error', reject);
      this.#child.on('close', () => resolve());
    });
  }

  /** Resolves when it is attached: what the thread calls from now on counts. */
  static async attach(options: StraceOptions): Promise<Strace> {
    const strace = new Strace(options);
    await new Promise<void>((resolve, reject) => {
      strace.#child.stderr?.on('data', (data) => {
        strace.#stderr += String(data);
        if (strace.#stderr.includes('attached')) resolve();
      });
      strace.#ended.then(() => reject(new Error(`strace did not attach: ${strace.#stderr}`)), reject);
    });
    return strace;
  }

  /** Lets the thread go on as if nothing had been, also where it is held back. Resolves when it is free. */
  async detach(): Promise<void> {
    this.#child.kill('SIGINT');
    await this.#ended;
  }

  /** A line for each call. */
  lines(): readonly string[] {
    return existsSync(this.#options.log) ? readFileSync(this.#options.log, 'utf8').split('\n') : [];
  }

  injected(): readonly string[] {
    return this.lines().filter((line) => line.includes('(INJECTED)'));
  }
}
