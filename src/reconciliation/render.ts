import type { Discrepancy, PlanAction, ReconciliationReport } from './types.ts';

/** The report as plain text for a person; it ends with a line feed. */
export function renderReport(report: ReconciliationReport): string {
  return `${[...head(report), ...findings(report), ...planned(report)].join('\n')}\n`;
}

function head(report: ReconciliationReport): string[] {
  const { compared } = report;
  const outcome = {
    ok: 'books and broker agree',
    discrepancies: count(report.discrepancies.length, 'discrepancy', 'discrepancies'),
    inconclusive: 'inconclusive',
  }[report.outcome];
  const lines = [
    `Reconciliation ${report.report_id} at ${report.at}: ${outcome}`,
    `  ${report.trigger}, ${report.policy}, books at sequence ${report.sequence}, ${Math.round(report.duration_ms)} ms; compared ${count(compared.positions, 'position')}, ${count(compared.orders, 'order')}, ${count(compared.currencies, 'currency', 'currencies')}`,
  ];
  if (report.why_inconclusive !== null)
    lines.push(`  Why: ${report.why_inconclusive}. Nothing is changed on this evidence.`);
  const fills = report.broker?.fills.length ?? 0;
  if (fills > 0) lines.push(`  ${count(fills, 'execution')} at the broker not booked yet; counted as if booked`);
  return lines;
}

function findings({ discrepancies, outcome }: ReconciliationReport): string[] {
  if (discrepancies.length === 0) return [];
  const rows = discrepancies.map((found) => [
    found.kind,
    found.subject,
    found.local ?? '-',
    found.broker ?? '-',
    found.difference ?? '-',
    found.strategies.join(', ') || '-',
  ]);
  const title = outcome === 'inconclusive' ? ['', 'As far as was read:'] : [''];
  return [
    ...title,
    ...table([['kind', 'subject', 'local', 'broker', 'difference', 'owners'], ...rows]),
    '',
    ...discrepancies.map(({ subject, message }: Discrepancy) => `  ${subject}: ${message}`),
  ];
}

function planned({ plan }: ReconciliationReport): string[] {
  const lines: string[] = [];
  if (plan.actions.length > 0)
    lines.push('', `Plan: ${count(plan.actions.length, 'action')}`, ...plan.actions.map(action));
  if (plan.halt !== null) lines.push('', `Halt: ${plan.halt}`);
  return lines;
}

function action(step: PlanAction): string {
  switch (step.kind) {
    case 'set_position': {
      const cost = step.cost_basis === null ? '' : ` at ${step.cost_basis}`;
      return `  set_position  ${step.strategy}  ${step.asset}: ${step.before} → ${step.after}${cost}`;
    }
    case 'set_cash':
      return `  set_cash      ${step.strategy}  ${step.currency}: ${step.before} → ${step.after}`;
    case 'set_order': {
      const after = step.report === null ? 'unknown to the broker' : step.report.status;
      return `  set_order     ${step.strategy}  ${step.order_id}: ${step.before.status} → ${after}`;
    }
    case 'adopt_order':
      return `  adopt_order   ${step.strategy}  ${step.report.order_id ?? step.report.broker_order_id}: ${step.report.amount} ${step.report.asset}`;
  }
}

function table(rows: readonly (readonly string[])[]): string[] {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => (row[column] ?? '').length)));
  return rows.map((row) => `  ${row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join('  ')}`.trimEnd());
}

function count(number: number, one: string, many = `${one}s`): string {
  return `${number} ${number === 1 ? one : many}`;
}
