import { StateError } from '../model/errors.ts';
import type { RecoveryLoss, RecoveryUse } from '../model/recovery.ts';
import type { StateCheckpoint, StrategySnapshot } from '../model/snapshot.ts';
import type { Timestamp } from '../model/time.ts';
import { CheckpointStore, type GenerationFile } from '../persistence/checkpoint-store.ts';
import { nodeFileSystem } from '../persistence/node-file-system.ts';
import {
  age,
  type CommonOptions,
  type ExitCode,
  left,
  paint,
  right,
  table,
  writeJson,
  writeLine,
  writeNotice,
} from './output.ts';
import { readState, type StateView, stateDirectory } from './read-state.ts';
import { printLosses } from './status.ts';

/** What `inspect --json` prints; with a strategy it prints that one's entry of `strategies`. */
export interface InspectDocument {
  readonly directory: string;
  readonly epoch: number;
  readonly sequence: number;
  readonly timestamp: Timestamp | null;
  readonly age_ms: number | null;
  readonly stale: boolean;
  readonly used: readonly RecoveryUse[];
  readonly lost: readonly RecoveryLoss[];
  readonly strategies: readonly InspectedStrategy[];
}

export interface InspectedStrategy extends StrategySnapshot {
  readonly timestamp: Timestamp | null;
  readonly epoch: number;
  readonly sequence: number;
}

export interface InspectOptions extends CommonOptions {
  /** The n-th checkpoint file instead, 1 being the newest. */
  readonly generation?: number;
}

/**
 * Prints what a restore would give. Exits 1 where damage had to be worked around, which it then names.
 * @throws StateError STRATEGY_UNKNOWN, STRATEGY_NEEDED, GENERATION_MISSING, CHECKPOINT_UNREADABLE, and whatever a restore throws
 */
export async function inspect(
  directory: string,
  strategy: string | undefined,
  options: InspectOptions,
): Promise<ExitCode> {
  if (options.generation !== undefined) return inspectGeneration(directory, strategy, options.generation);
  const view = readState(directory);
  const { mirror, recovery } = view.restored;
  if (strategy !== undefined && !mirror.has(strategy)) throw unknownStrategy(view, strategy);
  const names = strategy === undefined ? mirror.strategies() : [strategy];
  const strategies = names.map((name) => inspected(view, mirror.snapshot(name)));
  const { epoch, sequence, timestamp, age_ms, stale, used, lost } = recovery;
  const document = {
    directory: view.directory,
    epoch,
    sequence,
    timestamp,
    age_ms,
    stale,
    used,
    lost,
    strategies,
  } satisfies InspectDocument;
  if (options.json !== true) print(document);
  else {
    writeJson(strategy === undefined ? document : strategies[0]);
    // One strategy's document has no place for what the exit code tells of.
    if (strategy !== undefined) printLosses(lost, writeNotice);
  }
  return lost.length === 0 ? 0 : 1;
}

function inspected(view: StateView, snapshot: StrategySnapshot): InspectedStrategy {
  const { epoch, sequence, timestamp } = view.restored.recovery;
  const { strategy_name, ...rest } = snapshot;
  return { strategy_name, timestamp, epoch, sequence, ...rest };
}

const attemptsMax = 10;

/** The file as it is, with or without --json: it is JSON that a person can read. */
function inspectGeneration(directory: string, strategy: string | undefined, generation: number): ExitCode {
  const absolute = stateDirectory(directory);
  const store = new CheckpointStore(nodeFileSystem, absolute, { generations: 100 });
  for (let attempt = 1; attempt <= attemptsMax; attempt += 1) {
    const file = generationFile(store.list(), absolute, strategy, generation);
    const decoded = store.read(file);
    // A running engine renamed it between the two: the list has moved on.
    if (decoded.kind === 'gone') continue;
    if (decoded.kind !== 'ok') throw unreadable(`${file.file}: ${decoded.why}`, absolute);
    writeJson(decoded.checkpoint satisfies StateCheckpoint);
    writeNotice(`${file.file}: valid`);
    return 0;
  }
  throw unreadable(`generation ${generation} went away ${attemptsMax} times while it was read; try again`, absolute);
}

function generationFile(
  listed: readonly GenerationFile[],
  directory: string,
  strategy: string | undefined,
  generation: number,
): GenerationFile {
  const names = [...new Set(listed.map((file) => file.strategy))].sort();
  const wanted = strategy ?? (names.length === 1 ? names[0] : undefined);
  if (wanted === undefined) {
    const known = names.join(', ') || '(there is no checkpoint yet)';
    throw new StateError('STRATEGY_NEEDED', `${directory}: --generation needs the name of a strategy: ${known}`);
  }
  const files = listed.filter((file) => file.strategy === wanted);
  const file = files[generation - 1];
  if (file !== undefined) return file;
  throw new StateError(
    'GENERATION_MISSING',
    `${directory}: ${wanted} has no generation ${generation}: there are ${files.length}, 1 being the newest`,
    { details: { strategy: wanted, generations: files.length } },
  );
}

function unreadable(why: string, directory: string): StateError {
  return new StateError(
    'CHECKPOINT_UNREADABLE',
    `${directory}: ${why}. "holdfast verify" tells what a restore uses instead.`,
    { details: { path: directory } },
  );
}

function unknownStrategy(view: StateView, strategy: string): StateError {
  const known = view.restored.mirror.strategies().join(', ') || '(none)';
  return new StateError(
    'STRATEGY_UNKNOWN',
    `${view.directory}: no strategy ${JSON.stringify(strategy)}; known here: ${known}`,
    { details: { strategy } },
  );
}

function print(document: InspectDocument): void {
  const { directory, epoch, sequence, age_ms, strategies } = document;
  const old = age_ms === null ? '' : `, ${age(age_ms)} old`;
  writeLine(
    sequence === 0 && strategies.length === 0
      ? `${directory}: nothing has been kept here yet`
      : `${directory}: a restore gives epoch ${epoch}, sequence ${sequence}${old}`,
  );
  if (document.stale) writeLine(paint('yellow', 'stale: positions and orders may have moved at the broker since'));
  for (const item of strategies) printStrategy(item);
  printLosses(document.lost);
}

function printStrategy(item: InspectedStrategy): void {
  const other = Object.entries(item.other_cash).map(([currency, amount]) => `, ${amount} ${currency}`);
  writeLine(`\n${paint('bold', item.strategy_name)}  cash ${item.cash_balance} ${item.currency}${other.join('')}`);
  if (item.halt !== null)
    writeLine(paint('red', `halted by ${item.halt.source} since ${item.halt.at}: ${item.halt.reason}`));
  if (item.positions.length > 0) {
    writeLine(
      table(
        [left('asset'), right('amount'), right('cost basis'), right('last price'), right('realized')],
        item.positions.map((p) => [p.asset, p.amount, p.cost_basis, p.last_price ?? '', p.realized_pnl ?? '']),
      ),
    );
  }
  if (item.pending_orders.length > 0) {
    writeLine(
      table(
        [left('order'), left('asset'), left('type'), right('amount'), right('filled'), right('limit'), left('status')],
        item.pending_orders.map((o) => [
          o.order_id,
          o.asset,
          o.order_type,
          o.amount,
          o.filled_amount,
          o.limit_price ?? '',
          o.status,
        ]),
      ),
    );
  }
  for (const [key, value] of Object.entries(item.strategy_state)) writeLine(`  ${key}: ${JSON.stringify(value)}`);
}
