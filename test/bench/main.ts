import { readFileSync, writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { machine } from '../../src/cli/load/machine.ts';
import type { FigureGroup } from './figure.ts';
import { checkpoints } from './figures/checkpoints.ts';
import { commitCost } from './figures/commit.ts';
import { engineEvents } from './figures/engine.ts';
import { eventLoop } from './figures/event-loop.ts';
import { journal } from './figures/journal.ts';
import { parts } from './figures/parts.ts';
import { restoring } from './figures/restore.ts';
import { realTape } from './figures/tape.ts';
import { asMarkdown, asText, type BenchDocument, type GroupedFigure, intoDocument } from './report.ts';
import { note, Scratch } from './scratch.ts';
import { sideBySide } from './side-by-side.ts';

/*
 * npm run bench: ours beside the alternatives, and every figure that is promised beside its target. Everything that is compared is
 * measured in this run, on this disk, in turns. It takes about 20 minutes; with --quick about five.
 */

const groups: readonly FigureGroup[] = [
  commitCost,
  journal,
  checkpoints,
  parts,
  restoring,
  engineEvents,
  realTape,
  eventLoop,
];
const sideBySideKey = 'side-by-side';
const keys = [sideBySideKey, ...groups.map(({ key }) => key)];

const { values: given } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    only: { type: 'string', multiple: true, default: [] },
    dir: { type: 'string' },
    json: { type: 'boolean', default: false },
    out: { type: 'string' },
    doc: { type: 'string' },
    with: { type: 'string' },
    help: { type: 'boolean', default: false },
  },
});

if (given.help) {
  note(`npm run bench -- [--quick] [--only KEY]… [--dir PARENT] [--json] [--out FILE] [--doc FILE] [--with FILE]
  --only  ${keys.join(', ')}
  --dir   a directory on the disk to be measured (default: that of temporary files)
  --json  the figures as one JSON document on standard output;  --out  the same in a file
  --doc   also writes the tables into this document, such as docs/benchmarks.md
  --with  a document of --out from an earlier run: what this run does not measure is taken from there`);
} else {
  const wrong = given.only.find((key) => !keys.includes(key));
  if (wrong === undefined) await main();
  else {
    note(`--only ${wrong}: expected one of ${keys.join(', ')}`);
    process.exitCode = 2;
  }
}

async function main(): Promise<void> {
  using scratch = new Scratch(given.dir);
  const { quick } = given;
  const earlier = given.with === undefined ? null : (JSON.parse(readFileSync(given.with, 'utf8')) as BenchDocument);
  const wanted = (key: string): boolean => given.only.length === 0 || given.only.includes(key);
  let document: BenchDocument = {
    at: new Date().toISOString(),
    earlier: earlier === null ? [] : [earlier.at, ...earlier.earlier],
    quick,
    machine: machine(),
    side_by_side: earlier?.side_by_side ?? [],
    figures: earlier?.figures ?? [],
  };
  if (wanted(sideBySideKey)) {
    const rows = await sideBySide(scratch, {
      sizes: [10, 100, 1000, 10_000, 100_000],
      changes: [1, 100],
      rounds: quick ? 2 : 5,
      ms: quick ? 50 : 400,
    });
    document = { ...document, side_by_side: rows };
    keep(document);
  }
  for (const { key, what, measure } of groups) {
    if (!wanted(key)) continue;
    note(`${key}: ${what}`);
    const figures = (await measure({ scratch, quick })).map((figure): GroupedFigure => ({ group: key, ...figure }));
    document = {
      ...document,
      figures: inOrder([...document.figures.filter(({ group }) => group !== key), ...figures]),
    };
    keep(document);
  }
  if (given.json) process.stdout.write(`${JSON.stringify(document, null, 2)}\n`);
  else process.stdout.write(asText(document));
  if (given.doc !== undefined) intoDocument(given.doc, 'bench', asMarkdown(document));
}

/** After each part, because a run is long and may be cut short. */
function keep(document: BenchDocument): void {
  if (given.out !== undefined) writeFileSync(given.out, `${JSON.stringify(document, null, 2)}\n`);
}

function inOrder(figures: readonly GroupedFigure[]): readonly GroupedFigure[] {
  return figures.toSorted((a, b) => keys.indexOf(a.group) - keys.indexOf(b.group));
}
