import { StateError } from '../model/errors.ts';
import type { StrategySnapshot } from '../model/snapshot.ts';
import { CheckpointStore } from '../persistence/checkpoint-store.ts';
import { nodeFileSystem } from '../persistence/node-file-system.ts';
import { type CommonOptions, duration, type ExitCode, paint, table, writeJson, writeLine } from './output.ts';
import { readState, type StateView, stateDirectory } from './read-state.ts';

/** Prints what a restore would give. Exits 1 where damage had to be worked around, which it then names. */
export async function inspect(
  directory: string,
  strategy: string | undefined,
  options: CommonOptions & { readonly generation?: number },
): Promise<ExitCode> {
  if (options.generation !== undefined) return inspectGeneration(directory, strategy, options.generation, options);
  const view = readState(directory);
  const { mirror, recovery } = view.restored;
  if (strategy !== undefined && !mirror.has(strategy)) throw unknownStrategy(view, strategy);
  const names = strategy === undefined ? mirror.strategies() : [strategy];
  const documents = names.map((name) => document(view, mirror.snapshot(name)));
  if (options.json === true) {
    const { epoch, sequence, timestamp, age_ms, stale, used, lost } = recovery;
    const whole = {
      directory: view.directory,
      epoch,
      sequence,
      timestamp,
      age_ms,
      stale,
      used,
      lost,
      strategies: documents,
    };
    writeJson(strategy === undefined ? whole : documents[0]);
  } else {
    print(view, documents);
  }
  return recovery.lost.length === 0 ? 0 : 1;
}

function document(view: StateView, snapshot: StrategySnapshot) {
  const { epoch, sequence, timestamp } = view.restored.recovery;
  const { strategy_name, ...rest } = snapshot;
  return { strategy_name, timestamp, epoch, sequence, ...rest };
}

function inspectGeneration(
  directory: string,
  strategy: string | undefined,
  generation: number,
  options: CommonOptions,
): ExitCode {
  const store = new CheckpointStore(nodeFileSystem, stateDirectory(directory), { generations: 100 });
  const names = [...new Set(store.list().map((file) => file.strategy))].sort();
  if (strategy === undefined && names.length !== 1) {
    throw new StateError(
      'STRATEGY_NEEDED',
      `--generation needs a strategy: one of ${names.join(', ') || '(none here)'}`,
    );
  }
  const wanted = strategy ?? (names[0] as string);
  const files = store
    .list()
    .filter((file) => file.strategy === wanted)
    .sort((a, b) => Number(b.newest) - Number(a.newest) || order(b) - order(a));
  const file = files[generation - 1];
  if (file === undefined) {
    throw new StateError(
      'GENERATION_MISSING',
      `${wanted}: no generation ${generation}; there are ${files.length}, 1 being the newest`,
    );
  }
  const decoded = store.read(file);
  if (decoded.kind !== 'ok') {
    throw new StateError('CHECKPOINT_UNREADABLE', `${file.file}: ${decoded.kind === 'gone' ? 'gone' : decoded.why}`);
  }
  writeJson(decoded.checkpoint);
  if (options.json !== true) process.stderr.write(`${file.file}: valid\n`);
  return 0;
}

function order(file: { readonly epoch: number | null; readonly sequence: number | null }): number {
  return (file.epoch ?? 0) * 2 ** 40 + (file.sequence ?? 0);
}

function unknownStrategy(view: StateView, strategy: string): StateError {
  const known = view.restored.mirror.strategies().join(', ') || '(none)';
  return new StateError(
    'STRATEGY_UNKNOWN',
    `${view.directory}: no strategy ${JSON.stringify(strategy)}; known here: ${known}`,
    {
      details: { strategy },
    },
  );
}

function print(view: StateView, documents: readonly ReturnType<typeof document>[]): void {
  const { recovery } = view.restored;
  writeLine(
    `${view.directory}: a restore gives epoch ${recovery.epoch}, sequence ${recovery.sequence}, ${duration(recovery.age_ms)} old`,
  );
  for (const item of documents) {
    writeLine();
    const other = Object.entries(item.other_cash).map(([currency, amount]) => `, ${amount} ${currency}`);
    writeLine(`${paint('bold', item.strategy_name)}  cash ${item.cash_balance} ${item.currency}${other.join('')}`);
    if (item.halt !== null)
      writeLine(paint('red', `  halted by ${item.halt.source} at ${item.halt.at}: ${item.halt.reason}`));
    const right = (title: string) => ({ title, align: 'right' }) as const;
    if (item.positions.length > 0) {
      const rows = item.positions.map((p) => [
        p.asset,
        p.amount,
        p.cost_basis,
        p.last_price ?? '',
        p.realized_pnl ?? '',
      ]);
      writeLine(
        table([{ title: 'asset' }, right('amount'), right('cost basis'), right('last price'), right('realized')], rows),
      );
    }
    if (item.pending_orders.length > 0) {
      const rows = item.pending_orders.map((o) => [
        o.order_id,
        o.asset,
        o.order_type,
        o.amount,
        o.filled_amount,
        o.limit_price ?? '',
        o.status,
      ]);
      writeLine(
        table(
          [
            { title: 'order' },
            { title: 'asset' },
            { title: 'type' },
            right('amount'),
            right('filled'),
            right('limit'),
            { title: 'status' },
          ],
          rows,
        ),
      );
    }
    for (const [key, value] of Object.entries(item.strategy_state)) writeLine(`  ${key}: ${JSON.stringify(value)}`);
  }
  for (const loss of recovery.lost) writeLine(paint('yellow', `${loss.what}: ${loss.file}: ${loss.why}`));
}
