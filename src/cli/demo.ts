import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { killChildren } from './demo/child.ts';
import { closingTable } from './demo/closing-table.ts';
import { planDemo } from './demo/plan.ts';
import { type DemoOutcome, play } from './demo/play.ts';
import { Story } from './demo/story.ts';
import { demoTapes } from './demo/tapes.ts';
import {
  type CommonOptions,
  counted,
  type ExitCode,
  grouped,
  paint,
  writeJson,
  writeLine,
  writeNotice,
} from './output.ts';

export interface DemoOptions extends CommonOptions {
  readonly tape?: string;
  readonly seed: number;
  readonly fast?: boolean;
}

const playSeconds = { usual: 20, fast: 8 };

/*
 * The whole story in processes of its own: a paper broker that plays a tape, and an engine with several strategies that is
 * killed with orders in the market, misses a fill, finds a position that somebody moved, and ends with books that equal the
 * broker's.
 */

/** Exits 0 where the books equal the broker's to the last decimal, 1 where they do not. */
export async function demo(options: DemoOptions): Promise<ExitCode> {
  const story = new Story(options.json === true);
  story.progress('reading the tapes');
  const plan = await planDemo(demoTapes(options.tape), options.fast === true ? playSeconds.fast : playSeconds.usual);
  const directory = mkdtempSync(join(tmpdir(), 'holdfast-demo-'));
  const clean = (): void => rmSync(directory, { recursive: true, force: true, maxRetries: 5 });
  const release = onSignals(clean);
  try {
    const outcome = await play(plan, directory, options.seed, story);
    if (options.json === true) writeJson(outcome);
    else print(outcome);
    if (outcome.ok) clean();
    else keep(directory);
    return outcome.ok ? 0 : 1;
  } catch (error) {
    story.end();
    keep(directory);
    throw error;
  } finally {
    release();
  }
}

function keep(directory: string): void {
  writeNotice(`the state is kept for you to look at: holdfast inspect ${join(directory, 'state')}`);
}

/** The children would end with this process by themselves, but not before the directory that they write to is gone. */
function onSignals(clean: () => void): () => void {
  const codes = { SIGINT: 130, SIGTERM: 143 } as const;
  const onSignal = (signal: NodeJS.Signals): void => {
    killChildren();
    clean();
    process.exit(codes[signal as keyof typeof codes]);
  };
  const signals = Object.keys(codes) as (keyof typeof codes)[];
  for (const signal of signals) process.on(signal, onSignal);
  return () => {
    for (const signal of signals) process.off(signal, onSignal);
  };
}

function print(outcome: DemoOutcome): void {
  writeLine(`\n${closingTable(outcome.rows)}\n`);
  const width = Math.max(...outcome.checks.map(({ what }) => what.length));
  for (const { what, ok, figures } of outcome.checks) {
    writeLine(`${ok ? paint('green', 'yes') : paint('red', 'NO ')}  ${what.padEnd(width)}  ${figures}`);
  }
  const { market_events, orders, orders_filled, commits, seconds } = outcome;
  writeLine(
    `\n${grouped(market_events)} market events, ${counted(orders, 'order')} (${grouped(orders_filled)} filled), ${counted(commits, 'commit')}, ${seconds} s`,
  );
}
