import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { machine } from '../../src/cli/load/machine.ts';
import type { Figure, FigureGroup } from './figure.ts';
import { checkpoints } from './figures/checkpoints.ts';
import { commitCost } from './figures/commit.ts';
import { engineEvents } from './figures/engine.ts';
import { eventLoop } from './figures/event-loop.ts';
import { journal } from './figures/journal.ts';
import { restoring } from './figures/restore.ts';
import { realTape } from './figures/tape.ts';
import { asMarkdown, asText, type BenchDocument, intoDocument } from './report.ts';
import { note, Scratch } from './scratch.ts';
import { type Row, sideBySide } from './side-by-side.ts';

/*
 * npm run bench: ours beside the alternatives, and every figure that is promised beside its target. Everything that is compared is
 * measured in this run, on this disk, in turns. It takes about a quarter of an hour; with --quick about two minutes.
 */

const groups: readonly FigureGroup[] = [commitCost, journal, checkpoints, restoring, engineEvents, realTape, eventLoop];
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
    help: { type: 'boolean', default: false },
  },
});

if (given.help) {
  note(`npm run bench -- [--quick] [--only KEY]… [--dir PARENT] [--json] [--out FILE] [--doc FILE]
  --only  ${keys.join(', ')}
  --dir   a directory on the disk to be measured (default: that of temporary files)
  --json  the figures as one JSON document on standard output;  --out  the same in a file
  --doc   also writes the tables into this document, such as docs/benchmarks.md`);
} else {
  const wrong = given.only.find((key) => !keys.includes(key));
  if (wrong === undefined) await main();
  else {
    note(`--only ${wrong}: expected one of ${keys.join(', ')}`);
    process.exitCode = 2;
  }
}

async function main(): Promise<void> {
  const startedAt = new Date().toISOString();
  using scratch = new Scratch(given.dir);
  const { quick } = given;
  const wanted = (key: string): boolean => given.only.length === 0 || given.only.includes(key);
  let rows: readonly Row[] = [];
  if (wanted(sideBySideKey)) {
    rows = await sideBySide(scratch, {
      sizes: [10, 100, 1000, 10_000, 100_000],
      changes: [1, 100],
      rounds: quick ? 2 : 5,
      ms: quick ? 50 : 400,
    });
  }
  const figures: Figure[] = [];
  for (const group of groups) {
    if (!wanted(group.key)) continue;
    note(`${group.key}: ${group.what}`);
    figures.push(...(await group.measure({ scratch, quick })));
  }
  const document: BenchDocument = { at: startedAt, quick, machine: machine(), side_by_side: rows, figures };
  const text = `${JSON.stringify(document, null, 2)}\n`;
  if (given.out !== undefined) writeFileSync(given.out, text);
  if (given.json) process.stdout.write(text);
  else process.stdout.write(asText(document));
  if (given.doc !== undefined) intoDocument(given.doc, 'bench', asMarkdown(document));
}
