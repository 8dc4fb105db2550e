import { styleText } from 'node:util';
import { HoldfastError } from '../model/errors.ts';

/** What a command ended with: 0 fine, 1 something was found, 2 cannot be done. */
export type ExitCode = 0 | 1 | 2;

/** Options that every command has. */
export interface CommonOptions {
  readonly json?: boolean;
  readonly verbose?: boolean;
}

export function writeLine(line = ''): void {
  process.stdout.write(`${line}\n`);
}

/** The one JSON document of a command with --json. */
export function writeJson(document: unknown): void {
  process.stdout.write(`${JSON.stringify(document, null, 2)}\n`);
}

/** One line on standard error that says what, where and what to do; the stack only where it was asked for. */
export function writeError(error: unknown, verbose: boolean): void {
  const known = error instanceof HoldfastError;
  const text = error instanceof Error ? error.message : String(error);
  const line = `holdfast: ${known ? `${error.code}: ` : ''}${text.replaceAll(/\s*\n\s*/g, ' ')}`;
  process.stderr.write(`${paint('red', line, process.stderr)}\n`);
  if (verbose && error instanceof Error) process.stderr.write(`${stackOf(error)}\n`);
}

type Colour = 'red' | 'green' | 'yellow' | 'cyan' | 'bold' | 'dim';

/** Coloured on a terminal, plain elsewhere and under NO_COLOR. */
export function paint(colour: Colour, text: string, stream: NodeJS.WriteStream = process.stdout): string {
  return styleText(colour, text, { stream });
}

export interface Column {
  readonly title: string;
  readonly align?: 'left' | 'right';
}

/** Rows under titles, each column as wide as its widest cell; numbers belong on the right. */
export function table(columns: readonly Column[], rows: readonly (readonly string[])[]): string {
  const widths = columns.map((column, index) =>
    Math.max(column.title.length, ...rows.map((row) => (row[index] ?? '').length)),
  );
  const line = (cells: readonly string[]) =>
    columns
      .map(({ align }, index) => {
        const cell = cells[index] ?? '';
        return align === 'right' ? cell.padStart(widths[index] ?? 0) : cell.padEnd(widths[index] ?? 0);
      })
      .join('  ')
      .trimEnd();
  return [
    line(columns.map(({ title }) => title)),
    line(widths.map((width) => '-'.repeat(width))),
    ...rows.map(line),
  ].join('\n');
}

/** "850 ms", "12.3 s", "4 min", "3.2 h", "5 d": for reading, not for computing. */
export function duration(ms: number | null): string {
  if (ms === null) return 'never';
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 60_000) return `${(ms / 1000).toFixed(1)} s`;
  if (ms < 3_600_000) return `${Math.round(ms / 60_000)} min`;
  if (ms < 172_800_000) return `${(ms / 3_600_000).toFixed(1)} h`;
  return `${Math.round(ms / 86_400_000)} d`;
}

function stackOf(error: Error): string {
  const own = error.stack ?? error.message;
  return error.cause instanceof Error ? `${own}\ncaused by: ${stackOf(error.cause)}` : own;
}
