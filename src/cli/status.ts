import type { Halt } from '../model/event.ts';
import type { DecimalString } from '../model/money.ts';
import type { RecoveryLoss } from '../model/recovery.ts';
import { micros, systemClock, type Timestamp, timestamp } from '../model/time.ts';
import { nodeFileSystem } from '../persistence/node-file-system.ts';
import { readStatus, type StatusFile } from '../persistence/status-file.ts';
import {
  age,
  type CommonOptions,
  duration,
  type ExitCode,
  left,
  paint,
  right,
  table,
  writeJson,
  writeLine,
} from './output.ts';
import { readState, type StateView } from './read-state.ts';

/** What `status --json` prints. */
export interface StatusDocument {
  readonly directory: string;
  readonly running: boolean;
  /** Of whoever holds the directory; null where nobody does, or where the holder's file does not say. */
  readonly pid: number | null;
  readonly since: Timestamp | null;
  readonly epoch: number;
  /** Of the engine that runs; null where none does. */
  readonly phase: string | null;
  /** The last that any engine told of itself: another one than "stopped" where none runs means that it did not stop in order. */
  readonly last_phase: string | null;
  readonly durable_sequence: number;
  readonly durable_lag_ms: number | null;
  /** The last write that failed, of the engine that runs. */
  readonly last_error: string | null;
  readonly status_age_ms: number | null;
  readonly timestamp: Timestamp | null;
  readonly age_ms: number | null;
  readonly stale: boolean;
  readonly halted: boolean;
  /** Damage that a restore works around. */
  readonly lost: readonly RecoveryLoss[];
  readonly at: Timestamp;
  readonly strategies: readonly StrategyStatus[];
}

export interface StrategyStatus {
  readonly strategy: string;
  /** Of the restore point, the same for every strategy. */
  readonly sequence: number;
  /** That of the checkpoint from which a restore of it begins; null where it begins in the journal. */
  readonly checkpoint_sequence: number | null;
  readonly age_ms: number | null;
  /** Positions that are not zero. */
  readonly positions: number;
  readonly open_orders: number;
  readonly cash_balance: DecimalString;
  readonly currency: string;
  readonly other_cash: Readonly<Record<string, DecimalString>>;
  readonly stale: boolean;
  readonly halt: Halt | null;
}

/** Prints who holds a state directory and what is in it. Exits 1 where damage was found; stale and halted are reported, and exit 0. */
export async function status(directory: string, options: CommonOptions): Promise<ExitCode> {
  const document = statusOf(readState(directory));
  if (options.json === true) writeJson(document);
  else print(document);
  return document.lost.length === 0 ? 0 : 1;
}

function statusOf(view: StateView): StatusDocument {
  const { recovery } = view.restored;
  const told = readStatus(nodeFileSystem, view.directory);
  // What an earlier holder wrote says nothing about the one that holds the directory now.
  const live = view.running && told !== null && tellsOf(told, view) ? told : null;
  const now = systemClock.nowMicros();
  const strategies = strategiesOf(view);
  return {
    directory: view.directory,
    running: view.running,
    pid: view.holder?.pid ?? null,
    since: view.holder?.since ?? null,
    epoch: recovery.epoch,
    phase: live?.phase ?? null,
    last_phase: told?.phase ?? null,
    durable_sequence: recovery.sequence,
    durable_lag_ms: live?.durable_lag_ms ?? null,
    last_error: live?.last_error ?? null,
    status_age_ms: live === null ? null : Math.max(0, Math.round((now - micros(live.updated_at)) / 1000)),
    timestamp: recovery.timestamp,
    age_ms: recovery.age_ms,
    stale: recovery.stale,
    halted: strategies.some(({ halt }) => halt !== null),
    lost: recovery.lost,
    at: timestamp(now),
    strategies,
  };
}

function tellsOf(told: StatusFile, { holder }: StateView): boolean {
  return holder === null || (told.pid === holder.pid && told.epoch === holder.epoch);
}

function strategiesOf({ restored: { mirror, recovery } }: StateView): readonly StrategyStatus[] {
  return mirror.strategies().map((name) => {
    const { positions, pending_orders, cash_balance, currency, other_cash, halt } = mirror.snapshot(name);
    const used = recovery.used.find(({ strategy }) => strategy === name);
    return {
      strategy: name,
      sequence: recovery.sequence,
      checkpoint_sequence: used === undefined || used.source === 'journal' ? null : used.sequence,
      age_ms: recovery.age_ms,
      positions: positions.filter(({ amount }) => !/^-?0(\.0+)?$/.test(amount)).length,
      open_orders: pending_orders.length,
      cash_balance,
      currency,
      other_cash,
      stale: recovery.stale,
      halt,
    };
  });
}

function print(view: StatusDocument): void {
  writeLine(view.directory);
  if (view.running) {
    const who = `pid ${view.pid ?? 'unknown'} since ${view.since ?? 'unknown'}`;
    writeLine(`${paint('green', 'running')}  ${who}, phase ${view.phase ?? 'not told yet'}`);
  } else writeLine(`${paint('yellow', 'not running')}${ending(view.last_phase)}`);
  if (view.strategies.length === 0 && view.durable_sequence === 0) {
    writeLine('nothing has been kept here yet');
  } else {
    const lag = view.durable_lag_ms === null ? '' : `, lag ${duration(view.durable_lag_ms)}`;
    const old = view.age_ms === null ? '' : `, last sign of life ${age(view.age_ms)} ago`;
    writeLine(`epoch ${view.epoch}, durable sequence ${view.durable_sequence}${lag}${old}`);
  }
  if (view.last_error !== null) writeLine(paint('red', `writing fails: ${view.last_error}`));
  if (view.stale) {
    writeLine(
      paint('yellow', 'stale: positions and orders may have moved at the broker since; a start reconciles them'),
    );
  }
  if (view.strategies.length > 0) writeLine(`\n${strategyTable(view.strategies)}`);
  for (const { strategy, halt } of view.strategies) {
    if (halt !== null)
      writeLine(paint('red', `${strategy} is halted by ${halt.source} since ${halt.at}: ${halt.reason}`));
  }
  if (view.halted) {
    const when = view.running ? 'once the reason is gone and the engine is stopped' : 'once the reason is gone';
    writeLine(`${when}: holdfast resume ${view.directory} --reason "..."`);
  }
  printLosses(view.lost);
}

/** What a restore works around: one line each. */
export function printLosses(lost: readonly RecoveryLoss[], write: (line: string) => void = writeLine): void {
  for (const { what, file, why } of lost) write(paint('yellow', `${what}: ${file}: ${why}`));
}

function ending(lastPhase: string | null): string {
  if (lastPhase === null) return '';
  return lastPhase === 'stopped'
    ? '  the last engine stopped in order'
    : `  the last engine ended without stopping, in phase ${lastPhase}`;
}

function strategyTable(strategies: readonly StrategyStatus[]): string {
  return table(
    [
      left('strategy'),
      right('sequence'),
      right('age'),
      right('positions'),
      right('open orders'),
      right('cash'),
      left('halted'),
    ],
    strategies.map((row) => [
      row.strategy,
      String(row.sequence),
      row.age_ms === null ? '' : age(row.age_ms),
      String(row.positions),
      String(row.open_orders),
      [[row.currency, row.cash_balance], ...Object.entries(row.other_cash)].map((c) => `${c[1]} ${c[0]}`).join(', '),
      row.halt === null ? '' : 'halted',
    ]),
  );
}
