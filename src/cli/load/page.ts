import type { Percentiles } from './histogram.ts';
import { pageStyle } from './page-style.ts';
import type { Curve, LoadPlots } from './plots.ts';
import type { LoadReport } from './report.ts';
import type { SeriesBin } from './series.ts';
import { escapeHtml, type Line, linearAxis, linePlot, logAxis, percentileAxis } from './svg.ts';

/**
 * A run of the load test as one page of HTML that needs nothing else: no script, no font, no picture, no address. Its tables hold
 * the figures of the JSON document as they stand there, and the document itself is at its end.
 */
export function loadPage(report: LoadReport, plots: LoadPlots): string {
  const { config } = report;
  const title = `Load test: ${config.strategies} strategies × ${config.positions} positions`;
  const rate = config.rate === 0 ? 'as fast as acknowledgements allow' : `${config.rate} commits a second`;
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>${escapeHtml(title)}</title>
<style>${pageStyle()}</style>
</head>
<body>
<main>
<h1>${escapeHtml(title)}</h1>
<p>${escapeHtml(rate)}, ${config.changes} changed in each, for ${config.duration_s} s in ${escapeHtml(config.directory)}.</p>
<p class="quiet">Open loop: a commit that is late counts from the time when it was due. Slices with and without persistence take turns.</p>
<h2>Figures</h2>
${percentileTable(report)}
${outcomeTable(report)}
<h2>How long things take</h2>
<div class="plots">
${curvePlot('engine', 'On the engine’s thread', [plots.commit, plots.dueToCommit])}
${curvePlot('durable', 'From commit to durable, and the disk by itself', [plots.durable, ...(plots.disk === null ? [] : [plots.disk.append])])}
${curvePlot('checkpoint', 'Checkpoints, and the disk by itself', [plots.checkpoint, ...(plots.disk === null ? [] : [plots.disk.replace])])}
${curvePlot('loop', 'Delay of the event loop', [plots.loop, plots.baseline])}
</div>
<h2>Along the run</h2>
<div class="plots">
${seriesPlots(plots.series.bins)}
</div>
<details><summary>The same as a table, ${Math.round(plots.series.binMs)} ms a row</summary>
${seriesTable(plots.series.bins)}
</details>
<h2>What ran</h2>
${facts('Configuration', config)}
${facts('Machine', report.machine)}
<details><summary>The JSON document of this run</summary>
<pre>${escapeHtml(JSON.stringify(report, null, 2))}</pre>
</details>
</main>
</body>
</html>
`;
}

function percentileTable(report: LoadReport): string {
  const rows: (readonly [string, Percentiles])[] = [
    ['commit, µs', report.commit_us],
    ['post, µs', report.flush_us],
    ['due to commit, µs', report.due_to_commit_us],
    ['commit to durable, µs', report.durable_us],
    ['checkpoint, ms', report.checkpoint_ms],
    ['event loop delay, ms', report.event_loop_delay_ms],
    ['the same without persistence, ms', report.event_loop_delay_baseline_ms],
    ...(report.disk === null
      ? []
      : ([
          ['the disk: append and fdatasync, µs', report.disk.append_fdatasync_us],
          ['the disk: replace one file, µs', report.disk.replace_us],
        ] as const)),
  ];
  return tableOf(
    'Percentiles',
    ['', 'count', 'p50', 'p90', 'p99', 'p99.9', 'max'],
    rows.map(([name, p]) => [name, p.count, p.p50, p.p90, p.p99, p.p999, p.max]),
  );
}

function outcomeTable(report: LoadReport): string {
  const { ratios, differences_ms: differences, rss_mb: rss } = report;
  return tableOf(
    'Outcome',
    ['', ''],
    [
      ['commits', report.commits],
      ['commits a second', report.commits_per_s],
      ['checkpoint files a second', report.checkpoints_per_s],
      ['bytes written', report.bytes_written],
      ['fsyncs', report.fsyncs],
      ['entries conflated', report.conflated],
      ['lag at most, ms', report.lag_max_ms],
      ['memory at the start, MiB', rss.start],
      ['memory at the end, MiB', rss.end],
      ['memory at most, MiB', rss.max],
      ['commit to durable ÷ the disk, p50', ratios.durable_p50_over_disk],
      ['event loop with ÷ without persistence, p99', ratios.event_loop_p99_over_baseline],
      ['event loop with ÷ without persistence, p99.9', ratios.event_loop_p999_over_baseline],
      ['event loop with − without, p99, ms', differences.event_loop_p99],
      ['event loop with − without, p99.9, ms', differences.event_loop_p999],
      ['event loop without ÷ without persistence', ratios.event_loop_spread],
      ['waiting for a processor, share of the time', report.processor_wait_share],
      ['the same without persistence', report.processor_wait_baseline_share],
    ],
  );
}

function curvePlot(id: string, title: string, curves: readonly Curve[]): string {
  const values = curves.flatMap(({ points }) => points.map(([, us]) => us));
  const most = curves.reduce((max, { points }) => Math.max(max, points.at(-1)?.[0] ?? 0), 0);
  return figure(id, title, percentileAxis(most), logAxis('µs', values), curves);
}

function seriesPlots(bins: readonly SeriesBin[]): string {
  const plot = (
    id: string,
    title: string,
    unit: string,
    lines: Readonly<Record<string, (bin: SeriesBin) => number | null>>,
  ): string => {
    const drawn = Object.entries(lines).map(([name, of]) => ({
      name,
      points: bins.map((bin) => [bin.fromMs / 1000, of(bin)] as const),
    }));
    const max = drawn.flatMap(({ points }) => points).reduce((most, [, value]) => Math.max(most, value ?? 0), 0);
    return figure(id, title, linearAxis('s', (bins.at(-1)?.fromMs ?? 0) / 1000), linearAxis(unit, max), drawn);
  };
  return [
    plot('lag', 'Lag: age of the oldest commit that is not durable, at most', 'ms', { lag: ({ lagMs }) => lagMs }),
    plot('delays', 'Delay of the event loop, p99', 'ms', {
      'with persistence': ({ loop }) => loop.p99Ms,
      'without persistence': ({ baseline }) => baseline.p99Ms,
    }),
    plot('conflation', 'Entries that no post carried: conflated, or waiting', 'entries', {
      entries: ({ unposted }) => unposted,
    }),
    plot('checkpoints', 'Checkpoints that ended: the longest', 'ms', {
      checkpoint: ({ checkpointMs }) => checkpointMs ?? 0,
    }),
    plot('commits', 'Commits', 'commits', { commits: ({ commits }) => commits }),
    plot('memory', 'Memory of the process', 'MiB', { memory: ({ rssMb }) => rssMb }),
  ].join('\n');
}

function seriesTable(bins: readonly SeriesBin[]): string {
  return tableOf(
    'Along the run',
    [
      'from, s',
      'commits',
      'lag, ms',
      'loop p99, ms',
      'loop max, ms',
      'without p99, ms',
      'without max, ms',
      'not posted',
      'checkpoints',
      'longest, ms',
      'memory, MiB',
    ],
    bins.map((bin) => [
      rounded(bin.fromMs / 1000),
      bin.commits,
      rounded(bin.lagMs),
      rounded(bin.loop.p99Ms),
      rounded(bin.loop.maxMs),
      rounded(bin.baseline.p99Ms),
      rounded(bin.baseline.maxMs),
      bin.unposted,
      bin.checkpoints,
      rounded(bin.checkpointMs),
      bin.rssMb,
    ]),
  );
}

function figure(
  id: string,
  title: string,
  x: Parameters<typeof linePlot>[2],
  y: Parameters<typeof linePlot>[3],
  lines: readonly Line[],
): string {
  const legend = lines.map(
    ({ name }, index) =>
      `<li><svg viewBox="0 0 32 12" aria-hidden="true"><path class="line line-${index}" d="M0 6H32"/></svg>${escapeHtml(name)}</li>`,
  );
  return `<figure><figcaption>${escapeHtml(title)}</figcaption>${linePlot(`plot-${id}`, title, x, y, lines)}<ul class="legend">${legend.join('')}</ul></figure>`;
}

type Cell = string | number | null;

function tableOf(caption: string, titles: readonly string[], rows: readonly (readonly Cell[])[]): string {
  const head = titles.some((title) => title !== '')
    ? `<thead><tr>${titles.map((title) => (title === '' ? '<td></td>' : `<th scope="col">${escapeHtml(title)}</th>`)).join('')}</tr></thead>`
    : '';
  const body = rows.map(([name, ...cells]) => {
    const values = cells.map(
      (cell) => `<td>${cell === null || cell === undefined ? '–' : escapeHtml(String(cell))}</td>`,
    );
    return `<tr><th scope="row">${escapeHtml(String(name))}</th>${values.join('')}</tr>`;
  });
  return `<div class="scroll" tabindex="0" role="region" aria-label="${escapeHtml(caption)}"><table><caption>${escapeHtml(caption)}</caption>${head}<tbody>${body.join('')}</tbody></table></div>`;
}

function facts(caption: string, values: object): string {
  const rows = Object.entries(values).map(
    ([name, value]) => `<tr><th scope="row">${escapeHtml(name)}</th><td>${escapeHtml(String(value))}</td></tr>`,
  );
  return `<table class="facts"><caption>${escapeHtml(caption)}</caption><tbody>${rows.join('')}</tbody></table>`;
}

function rounded(value: number | null): number | null {
  return value === null ? null : Math.round(value * 1000) / 1000;
}
