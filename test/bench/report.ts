import { readFileSync, writeFileSync } from 'node:fs';
import { left, right, table } from '../../src/cli/output.ts';
import type { Figure } from './figure.ts';
import type { Row } from './side-by-side.ts';
import { type Spread, short } from './stats.ts';

/** What one run of the benchmarks found. */
export interface BenchDocument {
  readonly at: string;
  /** When the runs were that gave what this one did not measure, the newest first. */
  readonly earlier: readonly string[];
  readonly quick: boolean;
  readonly machine: Readonly<Record<string, string | number>>;
  readonly side_by_side: readonly Row[];
  readonly figures: readonly GroupedFigure[];
}

export type GroupedFigure = Figure & { readonly group: string };

/** For a terminal. */
export function asText({ machine, side_by_side: rows, figures }: BenchDocument): string {
  const lines = [machineLine(machine), ''];
  if (rows.length > 0) {
    const [titles, cells] = rowCells(rows);
    lines.push('Side by side: median of the rounds (lowest to highest round)', '', textTable(titles, cells, 2), '');
  }
  if (figures.length > 0) {
    const [titles, cells] = figureCells(figures);
    lines.push('Figures: median of the rounds (lowest to highest)', '', textTable(titles, cells, 1), '');
  }
  return `${lines.join('\n')}\n`;
}

/** For a document, in the same words. */
export function asMarkdown({ at, earlier, quick, machine, side_by_side: rows, figures }: BenchDocument): string {
  const parts = earlier.length === 0 ? '' : `, what it did not measure of ${earlier.join(' and ')}`;
  const lines = [`Run of ${at}${quick ? ' (quick)' : ''}${parts} on: ${machineLine(machine)}.`, ''];
  if (figures.length > 0) lines.push(markdownTable(...figureCells(figures)), '');
  if (rows.length > 0) lines.push(markdownTable(...rowCells(rows)), '');
  return lines.join('\n');
}

/** Puts `text` between `<!-- NAME:begin -->` and `<!-- NAME:end -->` of a file. @throws where the file has no such place */
export function intoDocument(path: string, name: string, text: string): void {
  const document = readFileSync(path, 'utf8');
  const [begin, end] = [`<!-- ${name}:begin -->`, `<!-- ${name}:end -->`];
  const [from, to] = [document.indexOf(begin), document.indexOf(end)];
  if (from < 0 || to < from) throw new Error(`${path}: expected the lines ${begin} and ${end}`);
  writeFileSync(path, `${document.slice(0, from + begin.length)}\n${text.trimEnd()}\n${document.slice(to)}`);
}

export function machineLine(machine: BenchDocument['machine']): string {
  return Object.entries(machine)
    .map(([name, value]) => `${name} ${value}`)
    .join(', ');
}

type Cells = readonly [titles: readonly string[], cells: readonly (readonly string[])[]];

function rowCells(rows: readonly Row[]): Cells {
  return [
    [
      '',
      'contender',
      'positions',
      'changes',
      'engine thread, µs',
      'until durable, µs',
      'engine ÷ ours',
      'durable ÷ ours',
    ],
    rows.map((row) => [
      row.key,
      row.contender,
      String(row.positions),
      String(row.changes),
      shown(row.engineUs),
      shown(row.durableUs),
      shown(row.engineOverOurs),
      shown(row.durableOverOurs),
    ]),
  ];
}

function figureCells(figures: readonly Figure[]): Cells {
  return [
    ['figure', 'measured', 'target', 'reached', 'how'],
    figures.map(({ name, unit, value, sense, target, met, how }) => [
      name,
      `${shown(value)} ${unit}`,
      target === null ? 'reported' : `${sense === 'at most' ? '≤' : '≥'} ${short(target)}`,
      met === null ? '' : met ? 'yes' : 'NO',
      how,
    ]),
  ];
}

function textTable(titles: readonly string[], cells: Cells[1], words: number): string {
  const isText = (index: number): boolean => index < words || titles[index] === 'how' || titles[index] === 'reached';
  return table(
    titles.map((title, index) => (isText(index) ? left(title) : right(title))),
    cells,
  );
}

function markdownTable(titles: readonly string[], cells: Cells[1]): string {
  const row = (texts: readonly string[]): string =>
    `| ${texts.map((text) => text.replaceAll('|', '\\|')).join(' | ')} |`;
  return [row(titles), row(titles.map(() => '---')), ...cells.map(row)].join('\n');
}

function shown({ median, low, high, rounds }: Spread): string {
  return rounds < 2 ? short(median) : `${short(median)} (${short(low)}–${short(high)})`;
}
