import { micros, systemClock, timestamp } from '../model/time.ts';
import { nodeFileSystem } from '../persistence/node-file-system.ts';
import { readStatus } from '../persistence/status-file.ts';
import { type CommonOptions, duration, type ExitCode, paint, table, writeJson, writeLine } from './output.ts';
import { readState } from './read-state.ts';

/** Prints who holds a state directory and what is in it. Exits 0 also when it is stale or halted: both are reported. */
export async function status(directory: string, options: CommonOptions): Promise<ExitCode> {
  const view = readState(directory);
  const { recovery, mirror } = view.restored;
  const live = readStatus(nodeFileSystem, view.directory);
  const now = systemClock.nowMicros();
  const strategies = mirror.strategies().map((name) => {
    const snapshot = mirror.snapshot(name);
    const used = recovery.used.find(({ strategy }) => strategy === name);
    return {
      strategy: name,
      sequence: recovery.sequence,
      checkpoint_sequence: used?.source === 'journal' ? null : (used?.sequence ?? null),
      age_ms: recovery.age_ms,
      positions: snapshot.positions.filter(({ amount }) => !/^-?0(\.0+)?$/.test(amount)).length,
      open_orders: snapshot.pending_orders.length,
      cash_balance: snapshot.cash_balance,
      currency: snapshot.currency,
      other_cash: snapshot.other_cash,
      stale: recovery.stale,
      halt: snapshot.halt,
    };
  });
  const document = {
    directory: view.directory,
    running: view.running,
    pid: view.running ? (view.holder?.pid ?? null) : null,
    since: view.running ? (view.holder?.since ?? null) : null,
    epoch: recovery.epoch,
    phase: view.running ? (live?.phase ?? null) : null,
    durable_sequence: recovery.sequence,
    durable_lag_ms: view.running ? (live?.durable_lag_ms ?? null) : null,
    status_age_ms: live === null ? null : Math.max(0, Math.round((now - micros(live.updated_at)) / 1000)),
    timestamp: recovery.timestamp,
    age_ms: recovery.age_ms,
    stale: recovery.stale,
    halted: strategies.some(({ halt }) => halt !== null),
    at: timestamp(now),
    strategies,
  };
  if (options.json === true) writeJson(document);
  else print(document);
  return 0;
}

type Document = Parameters<typeof writeJson>[0] & {
  readonly directory: string;
  readonly running: boolean;
  readonly pid: number | null;
  readonly since: string | null;
  readonly epoch: number;
  readonly phase: string | null;
  readonly durable_sequence: number;
  readonly durable_lag_ms: number | null;
  readonly age_ms: number | null;
  readonly stale: boolean;
  readonly halted: boolean;
  readonly strategies: readonly {
    readonly strategy: string;
    readonly sequence: number;
    readonly age_ms: number | null;
    readonly positions: number;
    readonly open_orders: number;
    readonly cash_balance: string;
    readonly currency: string;
    readonly halt: { readonly reason: string } | null;
  }[];
};

function print(view: Document): void {
  writeLine(view.directory);
  writeLine(
    view.running
      ? `${paint('green', 'running')}  pid ${view.pid ?? 'unknown'} since ${view.since ?? 'unknown'}, phase ${view.phase ?? 'unknown'}`
      : `${paint('yellow', 'not running')}`,
  );
  const lag = view.durable_lag_ms === null ? '' : `, lag ${duration(view.durable_lag_ms)}`;
  writeLine(
    `epoch ${view.epoch}, durable sequence ${view.durable_sequence}${lag}, last sign of life ${duration(view.age_ms)} ago`,
  );
  if (view.stale)
    writeLine(
      paint('yellow', 'stale: positions and orders may have moved at the broker since; a start reconciles them'),
    );
  writeLine();
  writeLine(
    table(
      [
        { title: 'strategy' },
        { title: 'sequence', align: 'right' },
        { title: 'age', align: 'right' },
        { title: 'positions', align: 'right' },
        { title: 'open orders', align: 'right' },
        { title: 'cash', align: 'right' },
        { title: 'halted' },
      ],
      view.strategies.map((row) => [
        row.strategy,
        String(row.sequence),
        duration(row.age_ms),
        String(row.positions),
        String(row.open_orders),
        `${row.cash_balance} ${row.currency}`,
        row.halt?.reason ?? '',
      ]),
    ),
  );
}
