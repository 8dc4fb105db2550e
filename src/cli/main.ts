#!/usr/bin/env node
import { readFileSync } from 'node:fs';
import { Command, CommanderError, InvalidArgumentError, Option } from 'commander';
import { ConfigError } from '../model/errors.ts';
import { reconciliationPolicies } from '../reconciliation/types.ts';
import { endWithParent } from './end-with-parent.ts';
import { assertNode } from './node-version.ts';
import { type ExitCode, writeError } from './output.ts';

/*
 * The command line. Each command is a file of its own, loaded only when it is called, whose function takes what was given
 * and resolves with an exit code: 0 fine, 1 something was found, 2 cannot be done.
 */

type Run = () => Promise<ExitCode>;

const program = new Command('holdfast')
  .description('Crash-safe state for live trading engines.')
  .version(version(), '--version')
  .option('--verbose', 'show stacks of errors')
  .exitOverride()
  // Its own answer to a name that it does not know would be the whole help, on standard error.
  .helpCommand(false)
  .configureHelp({ showGlobalOptions: true, helpWidth: Math.min(process.stdout.columns ?? 100, 120) })
  // What commander says of a mistake is said once, by fail(), in the form of every other error.
  .configureOutput({ outputError: () => {}, writeErr: () => {} })
  .addHelpText('after', '\nTry it: holdfast demo\nExit codes: 0 fine, 1 something was found, 2 cannot be done.');

function command(name: string, description: string, example: string): Command {
  return program
    .command(name)
    .description(description)
    .exitOverride()
    .option('--json', 'print one JSON document')
    .addHelpText('after', `\nExample: holdfast ${name} ${example}`.trimEnd());
}

command(
  'demo',
  'the whole story in under a minute: trade, kill -9, restore, reconcile, trade on, compare the books',
  '--fast',
)
  .option('--tape <file>', 'CSV or gzipped CSV of trades or bars (default: real daily bars of AAPL and the S&P 500)')
  .option('--seed <n>', 'moves the moment of the kill', wholeNumber, 1)
  .option('--fast', 'play the tape in 8 seconds in place of 20')
  .addHelpText('after', "\nExit codes: 0 the books equal the broker's, 1 they do not, 2 the demo could not run.")
  .action((options) => runs(async () => (await import('./demo.ts')).demo(options)));

const stateDirectory = ['<dir>', "an engine's state directory (its state_dir, or $HOLDFAST_STATE_DIR)"] as const;
const configuration = ['<config>', 'a JSON file, as `holdfast config-schema` describes it'] as const;

command('run', 'the live engine, until SIGINT or SIGTERM or the end of a finite tape', 'engine.json')
  .argument(...configuration)
  .option(
    '--acks <file>',
    'write a line "ack SEQUENCE" whenever the durable sequence has advanced; - is standard output',
  )
  .addHelpText(
    'after',
    '\nExit codes: 0 orderly stop, 1 ended halted or the feed broke off, 2 could not start, 137 the shutdown deadline\n' +
      'passed, or a second signal came. With --json the document is printed when it has stopped; the log is on standard error.',
  )
  .action((config, options) => runs(async () => (await import('./run.ts')).run(config, options)));

command('config-schema', 'the JSON schema of the configuration that `run` takes', '> engine.schema.json')
  .addHelpText('after', '\nIt is JSON with and without --json. Exit code: 0.')
  .action(() => runs(async () => (await import('./config-schema.ts')).configSchema()));

command('status', 'running or not, holder, phase, durable sequence and lag, and a line for each strategy', 'state')
  .argument(...stateDirectory)
  .addHelpText(
    'after',
    '\nTakes no lock and changes nothing, also while an engine runs. Exit codes: 0 fine (stale and halted are told, and no\n' +
      'error), 1 damage that a restore works around, 2 cannot be done.',
  )
  .action((directory, options) => runs(async () => (await import('./status.ts')).status(directory, options)));

command('inspect', 'what a restore would give, in the field names of a checkpoint; read-only', 'state ladder --json')
  .argument(...stateDirectory)
  .argument('[strategy]', 'this one alone')
  .option('--generation <n>', 'instead: what is in the n-th checkpoint file, 1 being the newest', positiveNumber)
  .addHelpText(
    'after',
    '\nTakes no lock, also while an engine runs. Exit codes: 0 fine, 1 damage that a restore works around, 2 cannot be done.',
  )
  .action((directory, strategy, options) =>
    runs(async () => (await import('./inspect.ts')).inspect(directory, strategy, options)),
  );

command('verify', 'reads every checkpoint and every journal segment: what is valid, damaged, usable, lost', 'state')
  .argument(...stateDirectory)
  .addHelpText(
    'after',
    '\nTakes no lock and changes nothing. Exit codes: 0 all valid, 1 damaged and restorable, 2 not restorable, or cannot be done.',
  )
  .action((directory, options) => runs(async () => (await import('./verify.ts')).verifyDirectory(directory, options)));

command('audit', "the orders that the audit knows, or one order's life from intent to last fill; read-only", 'state')
  .argument(...stateDirectory)
  .option('--order <id>', 'the client order id of the one whose life to print')
  .option('--strategy <name>', 'only what is of this strategy')
  .option('--since <time>', 'only what happened then or later, such as 2025-10-02 or 2025-10-02T14:30:00Z')
  .option('--reports', 'the reconciliation reports in place of orders')
  .addHelpText('after', '\nExit codes: 0 fine, 1 a stretch is missing from the audit, 2 cannot be done.')
  .action((directory, options) => runs(async () => (await import('./audit.ts')).audit(directory, options)));

command(
  'resume',
  'lifts the halts that the state holds; refused while an engine runs',
  'state --reason "the split is booked"',
)
  .argument(...stateDirectory)
  .requiredOption('--reason <text>', 'why it is safe to trade again: it is kept in the journal and in the audit')
  .addOption(repeatable('--strategy <name>', 'only this one (repeatable)', 'all that are halted'))
  .option('--force', 'use a network or memory file system all the same')
  .addHelpText('after', '\nExit codes: 0 resumed, or nothing was halted; 2 cannot be done.')
  .action((directory, options) => runs(async () => (await import('./resume.ts')).resume(directory, options)));

command(
  'reconcile',
  "fetches the broker's side and prints the plan: a dry run unless --apply",
  'engine.json --policy SYNC_TO_BROKER',
)
  .argument(...configuration)
  .addOption(new Option('--policy <policy>', 'in place of the one configured').choices(reconciliationPolicies))
  .option('--apply', 'apply the plan and make it durable; the engine must not be running')
  .addHelpText(
    'after',
    '\nExit codes: 0 the books agree (with --apply: after the plan), 1 they do not, 2 cannot be done, or what the broker\n' +
      'said is no evidence.',
  )
  .action((config, options) => runs(async () => (await import('./reconcile.ts')).reconcile(config, options)));

command(
  'paper-broker',
  'a paper exchange behind the Alpaca Trading API (REST and the trade_updates stream)',
  '--port 8400 --tape AAPL=aapl.csv --speed 3600',
)
  .option('--port <n>', 'port on 127.0.0.1; 0 takes a free one', port, 0)
  .addOption(
    repeatable(
      '--tape <file>',
      'market data that fills orders; ASSET=FILE names what bars are of (repeatable)',
      'none',
    ),
  )
  .option('--from <time>', 'leave out what is before, such as 2014-01-01')
  .option('--to <time>', 'end the tape after it')
  .option('--speed <x>', 'times real time; 0 as fast as possible', positiveOrZero, 1)
  .addOption(repeatable('--cash <amount>', 'cash at the start, such as 50000 or 50000:USDT (repeatable)', '100000 USD'))
  .option('--seed <n>', 'makes ids follow from it; random otherwise', wholeNumber)
  .option('--paused', 'wait for POST /paper/play before the tape starts')
  .addHelpText(
    'after',
    '\nKeys are read from APCA_API_KEY_ID and APCA_API_SECRET_KEY; without them it makes some and prints them. It serves until\n' +
      'SIGINT or SIGTERM, and then exits 0; 2 where it could not start. With --json its address is one line of JSON.',
  )
  .action((options) => runs(async () => (await import('./paper-broker.ts')).paperBroker(options)));

command(
  'load',
  'the load test of checkpoint latency; with --check, whether a restore gives exactly what was committed',
  '--dir load --rate 1000 --html load.html',
)
  .requiredOption('--dir <dir>', 'a state directory of its own; one that load has used before is continued')
  .option('--check', 'restore the directory, without a lock, and compare every field')
  .option('--strategies <n>', 'N: how many', positiveNumber, 10)
  .option('--positions <m>', 'M: of each strategy', positiveNumber, 100)
  .option('--rate <r>', 'commits a second; 0 is as fast as acknowledgements allow', positiveOrZero, 10_000)
  .option('--changes <k>', 'K: positions that a commit replaces', positiveNumber, 1)
  .option('--duration <s>', 'seconds under load; figures to compare it with take as long again', positiveOrZero, 10)
  .option('--checkpoint-interval <ms>', 'milliseconds; 0 is off', wholeNumber, 1000)
  .option('--seed <x>', 'makes what is committed follow from it', wholeNumber, 1)
  .option(
    '--acks <file>',
    'write a line "ack SEQUENCE" whenever the durable sequence has advanced; - is standard output',
  )
  .option('--html <file>', 'write one self-contained page with percentile plots and time series')
  .addHelpText(
    'after',
    '\nN, M, K and the seed are recorded in the directory: it is continued with the same values only.\n' +
      'Exit codes: 0 everything committed is durable (--check: ok), 1 --check found a mismatch, 2 cannot be done.',
  )
  .action((options) => runs(async () => (await import('./load.ts')).load(options)));

program
  .command('help')
  .description('the help of a command')
  .argument('[command]')
  .exitOverride()
  .action((name?: string) => {
    const known = name === undefined ? program : program.commands.find((each) => each.name() === name);
    if (known === undefined) throw usage(`unknown command '${name}': give one of ${commandNames()}`);
    known.outputHelp();
  });

await main();

async function main(): Promise<void> {
  // A reader that has seen enough (| head) is no error of ours, and ends nothing that runs.
  for (const stream of [process.stdout, process.stderr]) stream.on('error', ignoreBrokenPipe);
  process.once('uncaughtException', (error) => {
    fail(error);
    process.exit();
  });
  endWithParent();
  try {
    await program.parseAsync();
  } catch (error) {
    if (!(error instanceof CommanderError)) fail(error);
    else if (error.exitCode !== 0) fail(usage(mistakeOf(error)));
  }
}

function mistakeOf({ code, message }: CommanderError): string {
  if (code === 'commander.help') return `no command: give one of ${commandNames()}`;
  return message.replace(/^error: /, '').replace(/\.$/, '');
}

async function runs(run: Run): Promise<void> {
  assertNode();
  process.exitCode = await run();
}

function fail(error: unknown): void {
  writeError(error, program.opts().verbose === true || process.argv.includes('--verbose'));
  process.exitCode = 2;
}

function usage(message: string): ConfigError {
  const name = process.argv.slice(2).find((word) => program.commands.some((known) => known.name() === word));
  return new ConfigError('USAGE', `${message}; see holdfast ${name === undefined ? '' : `${name} `}--help`);
}

function commandNames(): string {
  return program.commands.map((known) => known.name()).join(', ');
}

function ignoreBrokenPipe(error: NodeJS.ErrnoException): void {
  if (error.code !== 'EPIPE' && error.code !== 'ERR_STREAM_DESTROYED') throw error;
}

function version(): string {
  // dist/src/cli/main.js when installed, src/cli/main.ts in the repository.
  for (const up of ['../../package.json', '../../../package.json']) {
    try {
      const found = JSON.parse(readFileSync(new URL(up, import.meta.url), 'utf8'));
      if (found.name === 'holdfast') return found.version;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    }
  }
  throw new Error('package.json of holdfast not found');
}

function repeatable(flags: string, text: string, otherwise: string): Option {
  return new Option(flags, text).argParser(collect).default([], otherwise);
}

function collect(value: string, before: readonly string[]): readonly string[] {
  return [...before, value];
}

function port(text: string): number {
  const number = wholeNumber(text);
  if (number > 65_535) throw new InvalidArgumentError('expected a port from 0 to 65535');
  return number;
}

function wholeNumber(text: string): number {
  if (!/^\d{1,9}$/.test(text)) throw new InvalidArgumentError('expected a whole number from 0');
  return Number(text);
}

function positiveNumber(text: string): number {
  if (!/^[1-9]\d{0,8}$/.test(text)) throw new InvalidArgumentError('expected a whole number from 1');
  return Number(text);
}

function positiveOrZero(text: string): number {
  if (!/^\d{1,9}(\.\d{1,9})?$/.test(text)) throw new InvalidArgumentError('expected a number, 0 or more');
  return Number(text);
}
