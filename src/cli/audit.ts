import { ConfigError, StateError } from '../model/errors.ts';
import { Decimal, decimal, decimalString } from '../model/money.ts';
import { micros, timestamp } from '../model/time.ts';
import { type AuditView, readAudit } from '../persistence/audit-reader.ts';
import type { AuditRow, ReportRow } from '../persistence/audit-rows.ts';
import type { JournalPlace } from '../persistence/journal-follower.ts';
import { nodeFileSystem } from '../persistence/node-file-system.ts';
import { type OrderLife, orderLives } from './audit/order-lives.ts';
import {
  type CommonOptions,
  counted,
  type ExitCode,
  left,
  paint,
  right,
  table,
  writeJson,
  writeLine,
} from './output.ts';
import { busy } from './progress.ts';
import { stateDirectory } from './read-state.ts';

export interface AuditOptions extends CommonOptions {
  readonly order?: string;
  readonly strategy?: string;
  /** A date or a time. */
  readonly since?: string;
  readonly reports?: boolean;
}

/** What `audit --json` prints, with the part that was asked for. */
export interface AuditDocument {
  readonly directory: string;
  /** Everything up to here is in audit.db; null where there is none. */
  readonly audited: JournalPlace | null;
  /** Everything up to here is told: what the journal alone has is in it. */
  readonly through: JournalPlace | null;
  readonly gaps: readonly { readonly at: string; readonly kind: string; readonly reason: string | null }[];
  readonly orders?: readonly OrderLife[];
  readonly order?: OrderLife & { readonly events: readonly unknown[] };
  readonly reports?: readonly unknown[];
}

/**
 * Prints the orders that the audit knows, the life of one from intent to last fill, or the reconciliation reports. Reads only, whether
 * an engine runs or not. Exits 1 where a stretch is missing from the audit.
 * @throws StateError ORDER_NOT_AUDITED, and as stateDirectory() and readAudit(); ConfigError USAGE
 */
export async function audit(directory: string, options: AuditOptions): Promise<ExitCode> {
  const absolute = stateDirectory(directory);
  const { order, strategy, since } = options;
  if (options.reports === true && (order !== undefined || strategy !== undefined)) {
    throw new ConfigError(
      'USAGE',
      'audit: reports are of the whole account: give --reports without --order and --strategy',
    );
  }
  const view = busy(`reading ${absolute}`, () =>
    readAudit(nodeFileSystem, absolute, {
      ...(order === undefined ? {} : { orderId: order }),
      ...(strategy === undefined ? {} : { strategy }),
      ...(since === undefined ? {} : { since: timeOf(since) }),
    }),
  );
  const orders = orderLives(view.log);
  const [life] = orders;
  if (order !== undefined && life === undefined) throw notAudited(order, absolute, view);
  const document: AuditDocument = {
    directory: absolute,
    audited: view.database,
    through: view.through,
    gaps: view.gaps.map(({ at, kind, reason }) => ({ at, kind, reason })),
    ...partOf(options, view, orders),
  };
  if (options.json === true) writeJson(document);
  else print(document, view, order === undefined ? null : (life ?? null));
  return view.gaps.length === 0 ? 0 : 1;
}

function partOf(options: AuditOptions, view: AuditView, orders: readonly OrderLife[]): Partial<AuditDocument> {
  if (options.reports === true) return { reports: view.reports.map(({ report }) => JSON.parse(report)) };
  const [life] = orders;
  if (options.order === undefined || life === undefined) return { orders };
  const events = view.log.map(({ epoch, sequence, ordinal, event }) => ({
    epoch,
    sequence,
    ordinal,
    ...(JSON.parse(event) as object),
  }));
  return { order: { ...life, events } };
}

function print(document: AuditDocument, view: AuditView, life: OrderLife | null): void {
  writeLine(document.directory);
  writeLine(standing(document));
  writeLine();
  if (life !== null) printLife(life, view.log);
  else if (document.reports !== undefined) printReports(view.reports);
  else printOrders(document.orders ?? []);
  for (const { at, reason } of document.gaps) writeLine(paint('yellow', `gap, told ${at}: ${reason}`));
}

function standing({ audited, through }: AuditDocument): string {
  if (through === null) return 'nothing has been kept here yet';
  const known = `through sequence ${through.sequence} of epoch ${through.epoch}`;
  if (audited === null)
    return `${known}, from the journal alone: there is no audit.db, and what the journal let go is not here`;
  const behind = audited.epoch !== through.epoch || audited.sequence !== through.sequence;
  return behind ? `${known}; the audit has it through ${audited.sequence}, the rest is from the journal` : known;
}

function printOrders(orders: readonly OrderLife[]): void {
  if (orders.length === 0) {
    writeLine('no orders');
    return;
  }
  const columns = [left('first'), left('order'), left('strategy'), left('asset'), right('amount'), right('filled')];
  writeLine(
    table(
      [...columns, right('fills'), left('status')],
      orders.map((life) => [
        life.first_at,
        life.order_id,
        life.strategy ?? '',
        life.asset ?? '',
        life.amount ?? '',
        life.filled_amount,
        String(life.fills),
        `${life.status ?? ''}${remark(life)}`,
      ]),
    ),
  );
  writeLine(`\n${counted(orders.length, 'order')}; --order ORDER prints one's life`);
}

function remark({ begins_with }: OrderLife): string {
  if (begins_with === 'found') return ' (open when the audit began)';
  return begins_with === 'missing' ? ' (its intent is not here)' : '';
}

function printLife(life: OrderLife, log: readonly AuditRow[]): void {
  const { order_id, strategy, asset, amount, broker_order_id } = life;
  writeLine(
    `order ${order_id} of ${strategy}: ${amount ?? '?'} ${asset ?? ''}, ${broker_order_id ?? 'never named by the broker'}`,
  );
  let filled = new Decimal(0);
  const rows = log.map((row) => {
    if (row.kind === 'fill') filled = filled.plus(decimal(row.amount ?? '0'));
    return [
      row.at,
      String(row.sequence),
      row.kind,
      row.status ?? '',
      row.amount ?? '',
      row.price ?? '',
      row.kind === 'fill' ? decimalString(filled) : '',
      row.execution_id ?? row.reason ?? '',
    ];
  });
  const columns = [left('at'), right('sequence'), left('event'), left('status'), right('amount'), right('price')];
  writeLine(table([...columns, right('filled'), left('execution, reason')], rows));
  const rest = amount === null ? '' : `, ${decimalString(decimal(amount).minus(filled))} left`;
  writeLine(
    `\n${life.status ?? 'no status'}: ${decimalString(filled)} filled in ${counted(life.fills, 'execution')}${rest}`,
  );
}

function printReports(reports: readonly ReportRow[]): void {
  if (reports.length === 0) {
    writeLine('no reconciliation reports');
    return;
  }
  const columns = [
    left('at'),
    left('report'),
    left('trigger'),
    left('policy'),
    left('outcome'),
    right('discrepancies'),
  ];
  writeLine(
    table(
      [...columns, right('actions'), left('halt')],
      reports.map((row) => [
        row.at,
        row.report_id,
        row.trigger ?? '',
        row.policy ?? '',
        row.outcome ?? '',
        String(row.discrepancies),
        String(row.actions),
        row.halt ?? '',
      ]),
    ),
  );
  writeLine(`\n${counted(reports.length, 'report')}; --json prints them whole`);
}

function timeOf(text: string): string {
  const instant = /^\d{4}-\d{2}-\d{2}$/.test(text) ? `${text}T00:00:00Z` : text;
  try {
    return timestamp(micros(instant));
  } catch (cause) {
    throw new ConfigError('USAGE', `audit --since: ${(cause as Error).message}, or a date such as 2025-10-02 (UTC)`, {
      cause,
    });
  }
}

function notAudited(order: string, directory: string, { through }: AuditView): StateError {
  const known = through === null ? 'it holds nothing yet' : `what is known goes through sequence ${through.sequence}`;
  return new StateError(
    'ORDER_NOT_AUDITED',
    `${directory}: no event of order ${JSON.stringify(order)}; ${known}. holdfast audit without --order lists what there is`,
    { details: { path: directory, order_id: order } },
  );
}
