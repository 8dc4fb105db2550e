#!/usr/bin/env node
import { readFileSync } from 'node:fs';
import { Command, CommanderError, InvalidArgumentError, Option } from 'commander';
import { reconciliationPolicies } from '../reconciliation/types.ts';
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
  .showHelpAfterError('(holdfast COMMAND --help tells what it takes)')
  .addHelpText('after', '\nTry it: holdfast demo\nExit codes: 0 fine, 1 something was found, 2 cannot be done.');

function command(name: string, description: string): Command {
  return program.command(name).description(description).exitOverride().option('--json', 'print one JSON document');
}

command('demo', 'the whole story in under a minute: trade, kill -9, restore, reconcile, trade on, compare the books')
  .option('--tape <file>', 'CSV or gzipped CSV of trades or bars (default: real daily bars of AAPL and the S&P 500)')
  .option('--seed <n>', 'moves the moment of the kill', wholeNumber, 1)
  .option('--fast', 'as fast as the machine can')
  .addHelpText('after', "\nExit codes: 0 the books equal the broker's, 1 they do not, 2 the demo could not run.")
  .action((options) => runs(async () => (await import('./demo.ts')).demo(options)));

command('run <config>', 'the live engine, until SIGINT or SIGTERM or the end of a finite tape')
  .option('--acks <file>', 'write a line "ack SEQUENCE" whenever the durable sequence has advanced')
  .addHelpText(
    'after',
    '\nExit codes: 0 orderly stop, 1 ended halted, 2 could not start, 137 the shutdown deadline passed.\n' +
      'The configuration is JSON; `holdfast config-schema` prints its JSON schema.',
  )
  .action((config, options) => runs(async () => (await import('./run.ts')).run(config, options)));

command('config-schema', 'the JSON schema of the configuration that `run` takes').action(() =>
  runs(async () => (await import('./config-schema.ts')).configSchema()),
);

command('status <dir>', 'running or not, holder, phase, durable sequence and lag, and a line for each strategy').action(
  (directory, options) => runs(async () => (await import('./status.ts')).status(directory, options)),
);

command('inspect <dir> [strategy]', 'what a restore would give, in the field names of a checkpoint; read-only')
  .option('--generation <n>', 'instead: what is in the n-th checkpoint file, 1 being the newest', positiveNumber)
  .action((directory, strategy, options) =>
    runs(async () => (await import('./inspect.ts')).inspect(directory, strategy, options)),
  );

command(
  'verify <dir>',
  'reads every checkpoint and every journal segment: what is valid, damaged, usable, lost',
).action((directory, options) => runs(async () => (await import('./verify.ts')).verifyDirectory(directory, options)));

command('reconcile <config>', "fetches the broker's side and prints the plan: a dry run unless --apply")
  .addOption(new Option('--policy <policy>', 'in place of the one configured').choices(reconciliationPolicies))
  .option('--apply', 'apply the plan and make it durable; the engine must not be running')
  .action((config, options) => runs(async () => (await import('./reconcile.ts')).reconcile(config, options)));

command('paper-broker', 'a paper exchange behind the Alpaca Trading API (REST and the trade_updates stream)')
  .option('--port <n>', 'port on 127.0.0.1; 0 takes a free one', wholeNumber, 0)
  .option('--tape <file>', 'market data that fills orders; ASSET=FILE names what bars are of (repeatable)', collect, [])
  .option('--from <time>', 'leave out what is before, such as 2014-01-01')
  .option('--to <time>', 'end the tape after it')
  .option('--speed <x>', 'times real time; 0 as fast as possible', positiveOrZero, 1)
  .option('--cash <amount>', 'cash at the start, such as 100000 or 100000:USDT (repeatable)', collect, [])
  .option('--seed <n>', 'makes ids follow from it; random otherwise', wholeNumber)
  .option('--paused', 'wait for POST /paper/play before the tape starts')
  .addHelpText(
    'after',
    '\nKeys are read from APCA_API_KEY_ID and APCA_API_SECRET_KEY; without them it makes some and prints them.',
  )
  .action((options) => runs(async () => (await import('./paper-broker.ts')).paperBroker(options)));

await main();

async function main(): Promise<void> {
  try {
    await program.parseAsync();
  } catch (error) {
    if (error instanceof CommanderError) process.exitCode = error.exitCode === 0 ? 0 : 2;
    else fail(error);
  }
}

async function runs(run: Run): Promise<void> {
  process.exitCode = await run();
}

function fail(error: unknown): void {
  writeError(error, program.opts().verbose === true);
  process.exitCode = 2;
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

function collect(value: string, before: readonly string[]): readonly string[] {
  return [...before, value];
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
