import { type ChildProcess, spawn } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { root } from './documents.ts';

export interface EngineOptions {
  readonly directory: string;
  /** How long an fsync takes while it is told to be slow, behind the file-system seam; absent: real files. */
  readonly seamDelayMs?: number;
  readonly closeDeadlineMs: number;
}

export type EngineCommand =
  | { readonly do: 'slow'; readonly on: boolean }
  | { readonly do: 'settle' }
  | { readonly do: 'measure'; readonly ms: number };

/** Milliseconds. */
export interface Delays {
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
}

export interface Measured {
  readonly is: 'measured';
  readonly withState: Delays;
  readonly without: Delays;
  readonly lookupMsMax: number;
  readonly commits: number;
  readonly posts: number;
  readonly entriesPosted: number;
  readonly rssGrownMb: number;
  readonly acceptsIntents: boolean;
  readonly lagMs: number;
}

export interface Settled {
  readonly is: 'settled';
  readonly commits: number;
  readonly events: number;
  readonly posts: number;
  readonly entriesPosted: number;
}

export type EngineSays =
  | { readonly is: 'opened' }
  | { readonly is: 'lagging'; readonly lagMs: number; readonly message: string | null }
  | { readonly is: 'recovered'; readonly laggedMs: number }
  | Measured
  | Settled;

/** test/support/fault-engine.ts as a process. */
export class SlowEngine implements AsyncDisposable {
  readonly said: EngineSays[] = [];
  readonly ended: Promise<{ readonly code: number | null; readonly signal: NodeJS.Signals | null }>;
  readonly #child: ChildProcess;
  readonly #waiting = new Set<() => void>();
  #stderr = '';
  #over = false;

  constructor(options: EngineOptions) {
    this.#child = spawn(process.execPath, [join(root, 'test/support/fault-engine.ts'), JSON.stringify(options)], {
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    this.#child.stdin?.on('error', () => {});
    this.#child.stderr?.on('data', (data) => {
      this.#stderr += String(data);
      for (const look of this.#waiting) look();
    });
    createInterface({ input: this.#child.stdout as NodeJS.ReadableStream }).on('line', (line) => {
      this.said.push(JSON.parse(line) as EngineSays);
      for (const look of this.#waiting) look();
    });
    this.ended = new Promise((resolve, reject) => {
      this.#child.on('error', reject);
      this.#child.on('close', (code, signal) => {
        this.#over = true;
        for (const look of this.#waiting) look();
        resolve({ code, signal });
      });
    });
  }

  get stderr(): string {
    return this.#stderr;
  }

  /** The persistence worker's thread, as the kernel numbers it. */
  get thread(): number {
    const tasks = `/proc/${this.#child.pid}/task`;
    const isIt = (task: string): boolean => readFileSync(join(tasks, task, 'comm'), 'utf8').trim() === 'persistence';
    return Number(readdirSync(tasks).find(isIt));
  }

  tell(command: EngineCommand): void {
    this.#child.stdin?.write(`${JSON.stringify(command)}\n`);
  }

  send(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  /** The first of the kind from index `from` of what it said. @throws where the process ends before it */
  async heard<K extends EngineSays['is']>(kind: K, from = 0): Promise<Extract<EngineSays, { is: K }>> {
    const find = (): EngineSays | undefined => this.said.slice(from).find(({ is }) => is === kind);
    return (await this.#until(kind, find)) as Extract<EngineSays, { is: K }>;
  }

  /** Resolves once its standard error has the text. @throws where the process ends without it */
  async wrote(text: string): Promise<void> {
    await this.#until(text, () => (this.#stderr.includes(text) ? true : undefined));
  }

  async #until<T>(what: string, find: () => T | undefined): Promise<T> {
    const met = Promise.withResolvers<T>();
    const look = (): void => {
      const found = find();
      if (found !== undefined) met.resolve(found);
      else if (this.#over) met.reject(new Error(`the engine ended before it said "${what}": ${this.#stderr}`));
    };
    this.#waiting.add(look);
    look();
    try {
      return await met.promise;
    } finally {
      this.#waiting.delete(look);
    }
  }

  async measure(ms: number): Promise<Measured> {
    const from = this.said.length;
    this.tell({ do: 'measure', ms });
    return await this.heard('measured', from);
  }

  async settle(): Promise<Settled> {
    const from = this.said.length;
    this.tell({ do: 'settle' });
    return await this.heard('settled', from);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.send('SIGKILL');
    await this.ended;
  }
}
