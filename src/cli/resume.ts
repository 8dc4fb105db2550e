import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { ConfigError, StateError } from '../model/errors.ts';
import type { Halt } from '../model/event.ts';
import { UNASSIGNED } from '../model/names.ts';
import { systemClock, timestamp } from '../model/time.ts';
import { auditFile } from '../persistence/audit-database.ts';
import { StateManager } from '../state/state-manager.ts';
import { makeLogger } from './logger.ts';
import { type CommonOptions, type ExitCode, paint, writeJson, writeLine } from './output.ts';
import { waiting } from './progress.ts';
import { readState, type StateView } from './read-state.ts';

export interface ResumeOptions extends CommonOptions {
  readonly reason: string;
  /** Only these; all that are halted where none is named. */
  readonly strategy: readonly string[];
  /** Also on a network or memory file system. */
  readonly force?: boolean;
}

/** What `resume --json` prints. */
export interface ResumeDocument {
  readonly directory: string;
  readonly reason: string;
  readonly resumed: readonly { readonly strategy: string; readonly halt: Halt }[];
  /** What is still halted, because it was not named. */
  readonly halted: readonly { readonly strategy: string; readonly halt: Halt }[];
  /** The commit that did it; null where nothing was halted. */
  readonly sequence: number | null;
}

/**
 * Lifts halts, as a commit like any other that is durable when this resolves, and whose events say why. Where nothing is halted it
 * says so and changes nothing. It takes the directory's lock.
 * @throws StateError STATE_DIRECTORY_LOCKED where an engine holds it, STRATEGY_UNKNOWN, and what a restore throws; ConfigError USAGE
 */
export async function resume(directory: string, options: ResumeOptions): Promise<ExitCode> {
  const reason = options.reason.trim();
  if (reason === '' || reason.length > 2000) {
    throw new ConfigError(
      'USAGE',
      'resume --reason: expected 1 to 2,000 characters that say why it is safe to trade again',
    );
  }
  const view = readState(directory);
  const known = view.restored.mirror.strategies();
  for (const name of options.strategy) if (!known.includes(name)) throw unknown(name, view, known);
  // While an engine holds the directory its lock refuses what follows, naming who that is.
  const isHalted = known.some((name) => isNamed(name, options) && view.restored.mirror.snapshot(name).halt !== null);
  const document =
    isHalted || view.running
      ? await waiting(`resuming ${view.directory}`, () => lifted(view, reason, options))
      : { directory: view.directory, reason, resumed: [], halted: haltsOf(view, known), sequence: null };
  if (options.json === true) writeJson(document);
  else print(document);
  return 0;
}

async function lifted(view: StateView, reason: string, options: ResumeOptions): Promise<ResumeDocument> {
  const { directory, restored } = view;
  const [first] = restored.mirror.strategies();
  const state = await StateManager.open({
    directory,
    host: 'holdfast resume',
    // The host's base currency is that of every book in the directory.
    ...(first === undefined ? {} : { currency: restored.mirror.snapshot(first).currency }),
    checkpointIntervalMs: 0,
    // What is audited stays so to the last event.
    audit: existsSync(join(directory, auditFile)),
    force: options.force === true,
    logger: makeLogger('warn', {}),
  });
  try {
    const resumed: { readonly strategy: string; readonly halt: Halt }[] = [];
    const halted: { readonly strategy: string; readonly halt: Halt }[] = [];
    for (const strategy of state.strategies()) {
      const book = state.register(strategy);
      const { halt } = book;
      if (halt === null) continue;
      if (!isNamed(strategy, options)) {
        halted.push({ strategy, halt });
        continue;
      }
      book.setHalt(null);
      book.addEvent({ kind: 'resume', reason, at: timestamp(systemClock.nowMicros()) });
      resumed.push({ strategy, halt });
    }
    const sequence = resumed.length === 0 ? null : state.commit();
    if (sequence !== null) await state.durable(sequence);
    return { directory, reason, resumed, halted, sequence };
  } finally {
    await state.close();
  }
}

function isNamed(strategy: string, options: ResumeOptions): boolean {
  return options.strategy.length === 0 || options.strategy.includes(strategy);
}

function haltsOf({ restored }: StateView, names: readonly string[]): ResumeDocument['halted'] {
  return names.flatMap((strategy) => {
    const { halt } = restored.mirror.snapshot(strategy);
    return halt === null ? [] : [{ strategy, halt }];
  });
}

function print({ directory, resumed, halted, sequence }: ResumeDocument): void {
  if (sequence === null)
    writeLine(`${directory}: nothing ${halted.length === 0 ? '' : 'that you named '}is halted; nothing was changed`);
  for (const { strategy, halt } of resumed) {
    writeLine(
      `${paint('green', 'resumed')}  ${named(strategy)}, halted by ${halt.source} since ${halt.at}: ${halt.reason}`,
    );
  }
  if (sequence !== null) writeLine(`durable as sequence ${sequence}; the next start reconciles before it trades`);
  for (const { strategy, halt } of halted) {
    writeLine(paint('yellow', `still halted: ${named(strategy)}, by ${halt.source} since ${halt.at}: ${halt.reason}`));
  }
}

function named(strategy: string): string {
  return strategy === UNASSIGNED ? `${UNASSIGNED} (the whole account)` : strategy;
}

function unknown(name: string, { directory }: StateView, known: readonly string[]): StateError {
  const there = known.length === 0 ? 'it holds no strategies' : `it holds ${known.join(', ')}`;
  return new StateError('STRATEGY_UNKNOWN', `${directory}: no strategy ${JSON.stringify(name)}; ${there}`, {
    details: { path: directory, strategy: name },
  });
}
