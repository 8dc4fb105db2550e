import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { checkLoad } from '../../src/cli/load/check.ts';
import { machine } from '../../src/cli/load/machine.ts';
import { parseCheckpointName } from '../../src/persistence/checkpoint-names.ts';
import { growthMb } from './figures/journal.ts';
import { intoDocument, machineLine } from './report.ts';
import { loadOnce, note, Scratch } from './scratch.ts';
import { median, short } from './stats.ts';

/*
 * npm run test:soak: ten minutes at 10,000 commits a second (--seconds or SOAK_SECONDS for another time), with a checkpoint of
 * everything each second. Memory must not grow, the lag must not either, no file may be left that should be gone, and what a restore
 * gives must be what was committed. Exit 1 where one of these is not so. --doc FILE writes the figures into a document, too.
 */

const generationsMax = 3;
// The open one, those that the two newest generations need, and one that is being given up.
const segmentsMax = 5;

const { values: given } = parseArgs({
  options: {
    seconds: { type: 'string' },
    dir: { type: 'string' },
    json: { type: 'boolean', default: false },
    doc: { type: 'string' },
  },
});
const seconds = Number(given.seconds ?? process.env['SOAK_SECONDS'] ?? 600);
if (Number.isFinite(seconds) && seconds > 0) await soak();
else {
  note(`--seconds ${given.seconds ?? process.env['SOAK_SECONDS']}: expected a number above 0`);
  process.exitCode = 2;
}

async function soak(): Promise<void> {
  const startedAt = new Date().toISOString();
  using scratch = new Scratch(given.dir);
  const directory = scratch.directory('soak');
  const onProgress = process.stderr.isTTY ? note : (): void => {};
  const { run, report } = await loadOnce({ directory, durationMs: seconds * 1000, onProgress });
  const bins = run.measures.series.bins();
  const third = Math.floor(bins.length / 3);
  const lagOf = (some: typeof bins): number => median(some.map(({ lagMs }) => lagMs));
  const [lagBefore, lagAfter] = [lagOf(bins.slice(third, 2 * third)), lagOf(bins.slice(2 * third))];
  const grownMb = growthMb(bins);
  const rssMb = bins.slice(third, 2 * third).map((bin) => bin.rssMb ?? 0);
  const files = leftovers(directory);
  const check = checkLoad(directory);
  const checks = [
    {
      name: 'memory: median of the last third less that of the second',
      unit: 'MiB',
      value: grownMb,
      // Half a tenth of a heap is what two thirds of an idle engine differ by.
      limit: Math.max(16, 0.05 * median(rssMb)),
    },
    {
      name: 'lag: median of the last third less that of the second',
      unit: 'ms',
      value: lagAfter - lagBefore,
      limit: Math.max(10, lagBefore),
    },
    { name: 'files left over', unit: '', value: files.length, limit: 0 },
    { name: 'fields that a restore gives otherwise', unit: '', value: check.mismatches, limit: 0 },
    { name: 'commits that are not durable', unit: '', value: report.sequence - check.sequence, limit: 0 },
  ].map((each) => ({ ...each, ok: each.value <= each.limit }));
  const ok = checks.every((each) => each.ok);
  if (given.json) {
    const document = { seconds, machine: machine(), ok, checks, leftovers: files, report };
    process.stdout.write(`${JSON.stringify(document, null, 2)}\n`);
  } else {
    const lines = checks.map(
      ({ name, unit, value, limit, ok: fine }) =>
        `${fine ? 'ok ' : 'NOT'} ${name}: ${short(value)} ${unit} (at most ${short(limit)})`,
    );
    const { commits, commits_per_s, commit_us, durable_us, rss_mb, lag_max_ms, conflated, bytes_written } = report;
    lines.push(
      `${commits} commits in ${seconds} s (${commits_per_s}/s), ${bytes_written} bytes written, ${conflated} entries conflated`,
      `commit ${commit_us.p50} µs p50, ${commit_us.p999} µs p99.9; durable ${durable_us.p50} µs p50, ${durable_us.p999} µs p99.9`,
      `lag at most ${lag_max_ms} ms; memory ${rss_mb.start} MiB at the start, ${rss_mb.end} at the end, ${rss_mb.max} at most`,
    );
    if (files.length > 0) lines.push(`left over: ${files.slice(0, 20).join(', ')}`);
    process.stdout.write(`${lines.join('\n')}\n`);
    if (given.doc !== undefined) {
      const block = [`Run of ${startedAt} on: ${machineLine(machine())}.`, '', '```', ...lines, '```'];
      intoDocument(given.doc, 'soak', block.join('\n'));
    }
  }
  process.exitCode = ok ? 0 : 1;
}

/** Everything in a closed state directory that should not be there, or not in such a number. */
function leftovers(directory: string): readonly string[] {
  const known = /^(lock\.db(-journal|-wal|-shm)?|holder\.json|status\.json|journal)$/;
  const generations = new Map<string, number>();
  const wrong: string[] = [];
  for (const name of readdirSync(directory)) {
    const checkpoint = parseCheckpointName(name);
    if (checkpoint === null) {
      if (name === 'quarantine') wrong.push(...readdirSync(join(directory, name)).map((file) => `${name}/${file}`));
      else if (!known.test(name)) wrong.push(name);
      continue;
    }
    const count = (generations.get(checkpoint.strategy) ?? 0) + 1;
    generations.set(checkpoint.strategy, count);
    if (count > generationsMax) wrong.push(name);
  }
  const segments = readdirSync(join(directory, 'journal'));
  if (segments.length > segmentsMax) wrong.push(...segments.slice(segmentsMax).map((name) => `journal/${name}`));
  return wrong;
}
