import { stripVTControlCharacters, styleText } from 'node:util';
import { HoldfastError } from '../model/errors.ts';

/** What a command ended with: 0 fine, 1 something was found, 2 cannot be done. */
export type ExitCode = 0 | 1 | 2;

/** Options that every command has. */
export interface CommonOptions {
  readonly json?: boolean;
}

export function writeLine(line = ''): void {
  process.stdout.write(`${line}\n`);
}

/** The one JSON document of a command with --json. */
export function writeJson(document: unknown): void {
  process.stdout.write(`${JSON.stringify(document, null, 2)}\n`);
}

/** Something that a person should see and that is no part of the answer: one line on standard error. */
export function writeNotice(line: string): void {
  process.stderr.write(`${line}\n`);
}

/** One line on standard error that says what, where and what to do; the stack only where it was asked for. */
export function writeError(error: unknown, verbose: boolean): void {
  process.stderr.write(`${paint('red', errorLine(error), process.stderr)}\n`);
  if (verbose && error instanceof Error) process.stderr.write(`${stackOf(error)}\n`);
}

/** The line of an error. One that nobody foresaw names its place, because the stack may be gone when somebody asks for it. */
export function errorLine(error: unknown): string {
  if (error instanceof HoldfastError) return `holdfast: ${error.code}: ${oneLine(error.message)}`;
  if (!(error instanceof Error)) return `holdfast: UNEXPECTED: ${oneLine(String(error))}`;
  const place = /^\s+at (.+)$/m.exec(error.stack ?? '')?.[1];
  const where = place === undefined ? '' : ` (${place})`;
  return `holdfast: UNEXPECTED: ${oneLine(error.message)}${where}; --verbose shows the whole stack`;
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

export function left(title: string): Column {
  return { title };
}

export function right(title: string): Column {
  return { title, align: 'right' };
}

/** Rows under titles, each column as wide as its widest cell; numbers belong on the right. */
export function table(columns: readonly Column[], rows: readonly (readonly string[])[]): string {
  const widths = columns.map((column, index) =>
    Math.max(column.title.length, ...rows.map((row) => widthOf(row[index] ?? ''))),
  );
  const line = (cells: readonly string[]) =>
    columns
      .map(({ align }, index) => {
        const cell = cells[index] ?? '';
        const space = ' '.repeat(Math.max(0, (widths[index] ?? 0) - widthOf(cell)));
        return align === 'right' ? space + cell : cell + space;
      })
      .join('  ')
      .trimEnd();
  return [
    line(columns.map(({ title }) => title)),
    line(widths.map((width) => '-'.repeat(width))),
    ...rows.map(line),
  ].join('\n');
}

/** The text in lines of at most `width` characters, broken between words; a word that is longer has a line of its own. */
export function wrap(text: string, width: number): readonly string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(/\s+/).filter((each) => each !== '')) {
    if (line !== '' && line.length + 1 + word.length > width) {
      lines.push(line);
      line = word;
    } else line = line === '' ? word : `${line} ${word}`;
  }
  return line === '' ? lines : [...lines, line];
}

/** How wide a page is: that of the terminal between 60 and 120, and 100 where there is none. */
export function pageWidth(stream: NodeJS.WriteStream = process.stdout): number {
  const { columns } = stream;
  return columns === undefined || columns === 0 ? 100 : Math.min(120, Math.max(60, columns));
}

/** "850 ms", "12.3 s", "4 min", "3.2 h", "5 d": for reading, not for computing. */
export function duration(ms: number): string {
  if (ms < 0) return `-${duration(-ms)}`;
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 60_000) return `${(ms / 1000).toFixed(1)} s`;
  if (ms < 3_600_000) return `${Math.round(ms / 60_000)} min`;
  if (ms < 172_800_000) return `${(ms / 3_600_000).toFixed(1)} h`;
  return `${Math.round(ms / 86_400_000)} d`;
}

/** How old something is: a moment from now, as clocks and reads cross, is no age. */
export function age(ms: number): string {
  return duration(ms > -60_000 ? Math.max(0, ms) : ms);
}

/** "73,826", the same in every locale. */
export function grouped(count: number): string {
  return count.toLocaleString('en-US', { maximumFractionDigits: 0 });
}

/** "1 order", "2 orders". */
export function counted(count: number, one: string, many = `${one}s`): string {
  return `${grouped(count)} ${count === 1 ? one : many}`;
}

function widthOf(cell: string): number {
  return stripVTControlCharacters(cell).length;
}

function oneLine(text: string): string {
  return text.replaceAll(/\s*[\r\n]+\s*/g, ' ').trim();
}

function stackOf(error: Error): string {
  const own = error.stack ?? error.message;
  return error.cause instanceof Error ? `${own}\ncaused by: ${stackOf(error.cause)}` : own;
}
