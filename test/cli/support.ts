import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { vi } from 'vitest';
import { root } from '../support/documents.ts';

/** What a command wrote and ended with. */
export interface Ran {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** `holdfast …` in a process of its own, which can be listened to while it runs. */
export class Process implements AsyncDisposable {
  readonly child: ChildProcess;
  readonly ended: Promise<Ran>;
  #stdout = '';
  #stderr = '';
  #over = false;
  readonly #listeners = new Set<() => void>();

  constructor(args: readonly string[], env: Readonly<Record<string, string | undefined>> = {}) {
    this.child = spawn(process.execPath, [join(root, 'src/cli/main.ts'), ...args], {
      env: { ...process.env, APCA_API_KEY_ID: keys.keyId, APCA_API_SECRET_KEY: keys.secretKey, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.child.stdout?.on('data', (data) => this.#heard(() => (this.#stdout += String(data))));
    this.child.stderr?.on('data', (data) => this.#heard(() => (this.#stderr += String(data))));
    this.ended = new Promise((resolve) => {
      this.child.on('close', (code, signal) => {
        this.#heard(() => (this.#over = true));
        resolve({ code, signal, stdout: this.#stdout, stderr: this.#stderr });
      });
    });
  }

  /** All that was said so far, standard output first. */
  get said(): string {
    return this.#stdout + this.#stderr;
  }

  /** Resolves with the text so far once it holds `text`; rejects, with all that was said, where the process ends first. */
  async says(text: string): Promise<string> {
    while (!this.said.includes(text)) {
      if (this.#over) throw new Error(`it ended and never said ${text}:\n${this.said}`);
      await new Promise<void>((resolve) => this.#listeners.add(resolve));
    }
    return this.said;
  }

  kill(signal: NodeJS.Signals): void {
    this.child.kill(signal);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.child.kill('SIGKILL');
    await this.ended;
  }

  #heard(change: () => void): void {
    change();
    const listeners = [...this.#listeners];
    this.#listeners.clear();
    for (const listener of listeners) listener();
  }
}

export const keys: { readonly keyId: string; readonly secretKey: string } = {
  keyId: 'TESTKEY',
  secretKey: 'canary-secret-7f3a',
};

/** Runs a command to its end. */
export function holdfast(
  args: readonly string[],
  env: Readonly<Record<string, string | undefined>> = {},
): Promise<Ran> {
  return new Process(args, env).ended;
}

/** What a command's function writes, in this process. What it throws comes as `error`. */
export async function captured(work: () => Promise<number>): Promise<{
  readonly code: number | null;
  readonly error: (Error & { readonly code?: string }) | null;
  readonly stdout: string;
  readonly stderr: string;
}> {
  const out: string[] = [];
  const err: string[] = [];
  const spies = [
    vi.spyOn(process.stdout, 'write').mockImplementation((text) => out.push(String(text)) > 0),
    vi.spyOn(process.stderr, 'write').mockImplementation((text) => err.push(String(text)) > 0),
  ];
  try {
    const code = await work();
    return { code, error: null, stdout: out.join(''), stderr: err.join('') };
  } catch (error) {
    return { code: null, error: error as Error, stdout: out.join(''), stderr: err.join('') };
  } finally {
    for (const spy of spies) spy.mockRestore();
  }
}

/** A temporary directory, and files in it. */
export class Scratch implements Disposable {
  readonly path: string = mkdtempSync(join(tmpdir(), 'holdfast-cli-'));

  file(name: string, content: unknown): string {
    const path = join(this.path, name);
    writeFileSync(path, typeof content === 'string' ? content : JSON.stringify(content));
    return path;
  }

  at(name: string): string {
    return join(this.path, name);
  }

  [Symbol.dispose](): void {
    rmSync(this.path, { recursive: true, force: true, maxRetries: 5 });
  }
}

/** Bars of one asset whose close goes up and down, one a day. */
export function barTape(days: number): string {
  const rows = Array.from({ length: days }, (_, day) => {
    const close = 100 + (day % 4 < 2 ? 0 : 2);
    const date = new Date(Date.UTC(2020, 0, 1 + day)).toISOString().slice(0, 10);
    return `${date},${close},${close + 3},${close - 3},${close},1000`;
  });
  return `date,open,high,low,close,volume\n${rows.join('\n')}\n`;
}
