import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { LoadReport } from '../../src/cli/load/report.ts';
import { loadReport } from '../../src/cli/load/report.ts';
import { type LoadRun, type LoadRunOptions, runLoad } from '../../src/cli/load/run.ts';

/** Says nothing of info, and everything else: a benchmark with warnings is another benchmark. */
export const logger: LoadRunOptions['logger'] = {
  info: () => {},
  warn: (_fields: unknown, message?: string) => note(`warning: ${message ?? ''}`),
  error: (_fields: unknown, message?: string) => note(`error: ${message ?? ''}`),
};

export function note(line: string): void {
  process.stderr.write(`${line}\n`);
}

/** A directory for everything of one run, all of it on one disk, removed at the end. */
export class Scratch implements Disposable {
  readonly path: string;
  #count = 0;

  constructor(parent: string = tmpdir()) {
    this.path = mkdtempSync(join(parent, 'holdfast-bench-'));
  }

  /** A new empty directory. */
  directory(name: string): string {
    this.#count += 1;
    const path = join(this.path, `${this.#count}-${name}`);
    mkdirSync(path, { mode: 0o700 });
    return path;
  }

  [Symbol.dispose](): void {
    rmSync(this.path, { recursive: true, force: true, maxRetries: 5 });
  }
}

export type LoadGiven = Partial<LoadRunOptions> & Pick<LoadRunOptions, 'directory'>;

/** One run of the load test, by its own code, and its report. */
export async function loadOnce(given: LoadGiven): Promise<{ readonly run: LoadRun; readonly report: LoadReport }> {
  const options: LoadRunOptions = {
    strategies: 10,
    positions: 100,
    changes: 1,
    seed: 1,
    rate: 10_000,
    durationMs: 1000,
    checkpointIntervalMs: 1000,
    acks: null,
    compares: false,
    signal: new AbortController().signal,
    logger,
    ...given,
  };
  const run = await runLoad(options);
  const { strategies, positions, changes, seed, rate, directory } = options;
  const told = { strategies, positions, changes, seed, rate, dir: directory };
  const times = { duration: options.durationMs / 1000, checkpointInterval: options.checkpointIntervalMs };
  return { run, report: loadReport({ ...told, ...times }, run) };
}
