import { closeSync, openSync, writeFileSync } from 'node:fs';
import { ConfigError } from '../model/errors.ts';
import { onShutdownSignals } from '../state/shutdown-signals.ts';
import { checkLoad, type LoadCheck } from './load/check.ts';
import { loadPage } from './load/page.ts';
import { loadPlots } from './load/plots.ts';
import { loadReport, printReport } from './load/report.ts';
import { runLoad } from './load/run.ts';
import { makeLogger } from './logger.ts';
import { type CommonOptions, type ExitCode, paint, writeJson, writeLine } from './output.ts';
import { busy, Progress } from './progress.ts';
import { assertNamed } from './read-state.ts';

/** As the command line gives them: times in seconds and milliseconds as their names are told there. */
export interface LoadOptions extends CommonOptions {
  readonly dir: string;
  readonly check?: boolean;
  readonly strategies: number;
  readonly positions: number;
  readonly rate: number;
  readonly changes: number;
  /** Seconds. */
  readonly duration: number;
  /** Milliseconds. */
  readonly checkpointInterval: number;
  readonly seed: number;
  /** A file, or "-" for standard output, that gets a line "ack SEQUENCE" whenever the durable sequence has advanced. */
  readonly acks?: string;
  /** A file that gets one self-contained page with the plots. */
  readonly html?: string;
}

/**
 * The load test, or with `check` the comparison of what a restore gives with what was committed. SIGINT and SIGTERM end a run in order,
 * with exit code 0 once everything committed is durable.
 * @throws ConfigError LOAD_OPTIONS_INVALID, LOAD_OTHER_VALUES; StateError LOAD_FOREIGN, and what opening and restoring throw
 */
export async function load(options: LoadOptions): Promise<ExitCode> {
  assertNamed(options.dir);
  return options.check === true ? check(options) : await run(options);
}

async function run(options: LoadOptions): Promise<ExitCode> {
  const { acks = null, html = null, json = false } = options;
  if (acks === '-' && json) {
    throw new ConfigError(
      'LOAD_OPTIONS_INVALID',
      'load --acks - writes to standard output, and so does --json: give --acks a file, or leave --json out',
      { details: { path: 'acks' } },
    );
  }
  if (acks === '-' && html !== null) {
    throw new ConfigError(
      'LOAD_OPTIONS_INVALID',
      'load --acks - leaves out what a page would compare: give --acks a file, or leave --html out',
      { details: { path: 'html' } },
    );
  }
  if (html !== null) refuseUnwritable(html);
  const progress = new Progress();
  const stopping = new AbortController();
  const over = Promise.withResolvers<void>();
  const release = onShutdownSignals(() => {
    stopping.abort();
    return over.promise;
  });
  try {
    const result = await runLoad({
      directory: options.dir,
      strategies: options.strategies,
      positions: options.positions,
      changes: options.changes,
      seed: options.seed,
      rate: options.rate,
      durationMs: options.duration * 1000,
      checkpointIntervalMs: options.checkpointInterval,
      acks,
      // Who watches the acknowledgements on standard output wants load without a pause, and reads no report.
      compares: acks !== '-',
      signal: stopping.signal,
      logger: makeLogger('warn', { command: 'load' }),
      onProgress: (what) => progress.show(what),
    });
    progress.clear();
    if (acks !== '-') {
      const report = loadReport(options, result);
      if (html !== null) writeFileSync(html, loadPage(report, loadPlots(result)));
      if (json) writeJson(report);
      else printReport(report);
    }
    over.resolve();
    return 0;
  } catch (error) {
    if (stopping.signal.aborted) over.reject(error);
    throw error;
  } finally {
    progress.clear();
    release();
  }
}

function check(options: LoadOptions): ExitCode {
  const shown: string[] = [];
  const compare = (): LoadCheck =>
    checkLoad(options.dir, ({ strategy, field, expected, restored }) => {
      if (shown.length < mismatchesShown) {
        shown.push(`${strategy} ${field}: expected ${JSON.stringify(expected)}, restored ${JSON.stringify(restored)}`);
      }
    });
  const result = busy('restoring and comparing', compare);
  if (options.json === true) {
    writeJson(result);
  } else {
    const { sequence, strategies, mismatches, ok, lost } = result;
    const what = `sequence ${sequence}, ${strategies} strategies, ${mismatches} mismatches`;
    writeLine(`${options.dir}: ${ok ? paint('green', 'ok') : paint('red', 'NOT what was committed')}: ${what}`);
    for (const loss of lost) writeLine(paint('yellow', `${loss.what}: ${loss.file}: ${loss.why}`));
  }
  for (const line of shown) process.stderr.write(`${line}\n`);
  return result.ok ? 0 : 1;
}

/** A run of minutes must not end with a page that cannot be kept. */
function refuseUnwritable(path: string): void {
  try {
    closeSync(openSync(path, 'a'));
  } catch (cause) {
    throw new ConfigError(
      'LOAD_OPTIONS_INVALID',
      `load --html ${path}: cannot be written: ${(cause as Error).message}`,
      {
        cause,
        details: { path: 'html' },
      },
    );
  }
}

const mismatchesShown = 20;
