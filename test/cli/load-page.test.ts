import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { DelayMeter } from '../../src/cli/load/delays.ts';
import { loadPage } from '../../src/cli/load/page.ts';
import { dark, light, type Palette } from '../../src/cli/load/page-style.ts';
import { type LoadPlots, loadPlots } from '../../src/cli/load/plots.ts';
import { type LoadReport, loadReport } from '../../src/cli/load/report.ts';
import { runLoad } from '../../src/cli/load/run.ts';
import { Series } from '../../src/cli/load/series.ts';
import { escapeHtml, linearAxis, linePlot, logAxis, percentileAxis, shortNumber } from '../../src/cli/load/svg.ts';
import { load } from '../../src/cli/load.ts';
import { captured } from './support.ts';

const quiet = { info: () => {}, warn: () => {}, error: () => {} };
const hostile = `<b onload="x">&'"`;
let scratch: string;
let report: LoadReport;
let plots: LoadPlots;
let page: string;
const told: string[] = [];

beforeAll(async () => {
  scratch = mkdtempSync(join(tmpdir(), 'holdfast-load-page-'));
  const directory = join(scratch, hostile);
  const plan = { strategies: 2, positions: 4, changes: 1, seed: 1 };
  const run = await runLoad({
    ...plan,
    directory,
    rate: 500,
    durationMs: 400,
    checkpointIntervalMs: 50,
    acks: null,
    compares: true,
    signal: new AbortController().signal,
    logger: quiet,
    onProgress: (what) => told.push(what),
  });
  report = loadReport({ ...plan, dir: directory, rate: 500, duration: 0.4, checkpointInterval: 50 }, run);
  plots = loadPlots(run);
  page = loadPage(report, plots);
});

afterAll(() => {
  rmSync(scratch, { recursive: true, force: true });
});

function rowOf(name: string): readonly string[] {
  const row = new RegExp(`<th scope="row">${name}</th>((?:<td>[^<]*</td>)*)`).exec(page)?.[1] ?? '';
  return [...row.matchAll(/<td>([^<]*)<\/td>/g)].map(([, text]) => String(text));
}

describe('the page of a load', () => {
  it('needs nothing but itself: no script, no address, nothing loaded', () => {
    expect(page).not.toMatch(/<script|<link|<img|<iframe|@import|url\(|\ssrc=|\shref=/i);
    expect(page.replaceAll(escapeHtml(hostile), '')).not.toMatch(/https?:|\/\/[a-z]/i);
    expect(page).toContain("default-src 'none'");
  });

  it('is one well-formed document, every element closed in its order', () => {
    expect(page.startsWith('<!doctype html>\n<html lang="en">')).toBe(true);
    const open: string[] = [];
    for (const [, slash, name, rest] of page.matchAll(/<(\/?)([a-z][a-z0-9]*)((?:"[^"]*"|[^">])*)>/g)) {
      if (slash === '/') expect(open.pop()).toBe(name);
      else if (name !== 'meta' && !rest?.endsWith('/')) open.push(String(name));
    }
    expect(open).toEqual([]);
    const ids = [...page.matchAll(/ id="([^"]*)"/g)].map(([, id]) => id);
    expect(new Set(ids).size).toBe(ids.length);
  });

  it('escapes what comes from outside', () => {
    expect(page).toContain('&lt;b onload=&quot;x&quot;&gt;&amp;&#39;&quot;');
    expect(page).not.toContain('<b ');
  });

  it('has a plot for each curve and each series, with a name for who cannot see it', () => {
    expect(page.match(/<svg [^>]*role="img"/g)).toHaveLength(10);
    expect(page.match(/<figcaption>/g)).toHaveLength(10);
    for (const id of ['engine', 'durable', 'checkpoint', 'loop', 'lag', 'delays', 'conflation', 'checkpoints']) {
      expect(page).toContain(`aria-labelledby="plot-${id}"><title id="plot-${id}">`);
    }
    for (const name of ['commit', 'due to commit', 'commit to durable', 'checkpoint of all strategies']) {
      expect(page).toContain(`</svg>${name}</li>`);
    }
    expect(page).toContain('</svg>the disk: append and fdatasync</li>');
    expect(page).toContain('</svg>the disk: replace one file</li>');
    expect(page).not.toMatch(/NaN|Infinity|undefined/);
  });

  it('shows the figures of the JSON document, and the document', () => {
    for (const [name, p] of [
      ['commit, µs', report.commit_us],
      ['post, µs', report.flush_us],
      ['due to commit, µs', report.due_to_commit_us],
      ['commit to durable, µs', report.durable_us],
      ['checkpoint, ms', report.checkpoint_ms],
      ['event loop delay, ms', report.event_loop_delay_ms],
      ['the same without persistence, ms', report.event_loop_delay_baseline_ms],
      ['the disk: append and fdatasync, µs', report.disk?.append_fdatasync_us],
      ['the disk: replace one file, µs', report.disk?.replace_us],
    ] as const) {
      expect(rowOf(name), name).toEqual([p?.count, p?.p50, p?.p90, p?.p99, p?.p999, p?.max].map(String));
    }
    expect(rowOf('commits a second')).toEqual([String(report.commits_per_s)]);
    expect(rowOf('commit to durable ÷ the disk, p50')).toEqual([String(report.ratios.durable_p50_over_disk)]);
    const text = /<pre>([^<]*)<\/pre>/.exec(page)?.[1] ?? '';
    const unescaped = text
      .replaceAll('&quot;', '"')
      .replaceAll('&#39;', "'")
      .replaceAll('&lt;', '<')
      .replaceAll('&gt;', '>')
      .replaceAll('&amp;', '&');
    expect(JSON.parse(unescaped)).toEqual(report);
  });

  it('draws the same distribution that the figures tell', () => {
    const at = (percentile: number): number =>
      plots.durable.points.findLast(([each]) => each <= percentile + 1e-9)?.[1] ?? 0;
    expect(Math.abs(at(90) - Number(report.durable_us.p90)) / Number(report.durable_us.p90)).toBeLessThan(0.01);
    for (const curve of [plots.commit, plots.durable, plots.loop, plots.baseline]) {
      expect(curve.points).toEqual(curve.points.toSorted(([a, x], [b, y]) => a - b || x - y));
      expect(curve.points.at(-1)?.[0]).toBeLessThan(100);
    }
  });

  it('fits a narrow screen and a dark one', () => {
    expect(page).toContain('name="viewport" content="width=device-width, initial-scale=1"');
    expect(page).toContain('prefers-color-scheme: dark');
    // A unit of the plot is about a pixel on a phone of 360, and text is 11 of them.
    expect(page).toContain('viewBox="0 0 340 220"');
    for (const [, class_, tail] of page.matchAll(/<div class="(\w+)"[^>]*>(<table)?/g)) {
      if (tail !== undefined) expect(class_).toBe('scroll');
    }
  });

  it.each([
    ['light', light],
    ['dark', dark],
  ] as const)('has colours that can be told from a %s background', (_name, palette: Palette) => {
    for (const colour of [palette.text, palette.quiet, ...palette.lines]) {
      expect(contrast(colour, palette.background), colour).toBeGreaterThanOrEqual(4.5);
    }
  });

  it('is told of while it is made', () => {
    expect(told[0]).toBe('preparing the state');
    expect(told).toContain('measuring the disk itself');
  });
});

describe('the series of a run', () => {
  it('holds every commit, and what was seen of loop and memory', () => {
    const { bins } = plots.series;
    expect(bins.reduce((sum, { commits }) => sum + commits, 0)).toBe(report.commits);
    expect(bins.reduce((sum, { checkpoints }) => sum + checkpoints, 0)).toBe(report.checkpoint_ms.count);
    expect(bins.some(({ loop }) => loop.p99Ms !== null)).toBe(true);
    expect(bins.some(({ baseline }) => baseline.p99Ms !== null)).toBe(true);
    expect(Math.max(...bins.map(({ rssMb }) => rssMb ?? 0))).toBeLessThanOrEqual(report.rss_mb.max);
    expect(Math.max(...bins.map(({ lagMs }) => lagMs))).toBeCloseTo(report.lag_max_ms, 2);
  });

  it('has a bounded number of intervals, and more where a load lasts longer than it should', () => {
    const series = new Series(600_000);
    series.at(599_999);
    expect(series.bins()).toHaveLength(120);
    series.at(610_000);
    expect(series.bins()).toHaveLength(123);
    expect(series.at(5_000)).toBe(series.bins()[1]);
  });

  it('keeps the delays of each interval and each slice apart', () => {
    const series = new Series(2_400);
    const meter = new DelayMeter((clockMs) => series.at(clockMs).loop);
    meter.moveTo(0);
    for (let i = 0; i < 99; i += 1) meter.addMs(1);
    meter.moveTo(25);
    meter.addMs(8);
    const slice = meter.endSlice();
    expect(slice?.p99).toBeCloseTo(1, 1);
    expect(slice?.p999).toBeCloseTo(8, 1);
    expect(meter.endSlice()).toBe(null);
    expect(series.bins().map(({ loop }) => Math.round(loop.maxMs ?? 0))).toEqual([1, 8]);
    expect(meter.all.count).toBe(100);
  });
});

describe('axes', () => {
  it('place percentiles by their nines', () => {
    const axis = percentileAxis(99.9);
    expect(axis.place(0)).toBe(0);
    expect(axis.place(90)).toBeCloseTo(1 / 3, 6);
    expect(axis.place(99)).toBeCloseTo(2 / 3, 6);
    expect(axis.ticks.map(({ text }) => text)).toEqual(['0', '50', '90', '99', '99.9']);
  });

  it('cover every value, none at all included', () => {
    const log = logAxis('µs', [3, 4_000]);
    expect([log.place(1), log.place(10_000)]).toEqual([0, 1]);
    expect(log.ticks.map(({ text }) => text)).toEqual(['1', '10', '100', '1k', '10k']);
    expect(logAxis('µs', []).ticks.length).toBeGreaterThan(1);
    expect(logAxis('µs', [10]).place(10)).toBe(0);
    for (const max of [0, 0.03, 1, 7, 99, 12_345]) {
      const { place, ticks } = linearAxis('ms', max);
      expect(place(max)).toBeLessThanOrEqual(1);
      expect(place(0)).toBe(0);
      expect(ticks.length).toBeGreaterThan(1);
      expect(ticks.length).toBeLessThan(8);
    }
    expect([shortNumber(0), shortNumber(0.02), shortNumber(1500), shortNumber(2e6)]).toEqual([
      '0',
      '0.02',
      '1.5k',
      '2M',
    ]);
  });

  it('leave gaps where nothing was measured', () => {
    const line = {
      name: 'a',
      points: [
        [0, 1],
        [1, null],
        [2, 1],
        [3, 2],
      ] as const,
    };
    const svg = linePlot('x', 'a', linearAxis('s', 3), linearAxis('ms', 2), [line, { name: 'b', points: [] }]);
    expect(/class="line line-0" d="([^"]*)"/.exec(svg)?.[1]?.match(/M/g)).toHaveLength(2);
    expect(svg).not.toContain('line-1');
  });
});

describe('load --html', () => {
  const given = {
    strategies: 1,
    positions: 2,
    rate: 100,
    changes: 1,
    duration: 0.1,
    checkpointInterval: 0,
    seed: 1,
  };

  it('writes the page beside the report', async () => {
    const html = join(scratch, 'page.html');
    const { code, stdout } = await captured(() => load({ ...given, dir: join(scratch, 'state'), html, json: true }));
    expect(code).toBe(0);
    expect(readFileSync(html, 'utf8')).toContain(`<td>${JSON.parse(stdout).commits_per_s}</td>`);
  });

  it('is refused before the load where it cannot be written, and where nothing is compared', async () => {
    const dir = join(scratch, 'never');
    for (const more of [
      { html: join(scratch, 'none', 'page.html') },
      { html: join(scratch, 'page.html'), acks: '-' },
    ]) {
      const { error } = await captured(() => load({ ...given, dir, ...more }));
      expect(error).toMatchObject({ code: 'LOAD_OPTIONS_INVALID', details: { path: 'html' } });
    }
    expect(existsSync(dir)).toBe(false);
  });
});

/** By WCAG 2. */
function contrast(one: string, other: string): number {
  const [high, low] = [luminance(one), luminance(other)].sort((a, b) => b - a);
  return (Number(high) + 0.05) / (Number(low) + 0.05);
}

function luminance(colour: string): number {
  const [red, green, blue] = [1, 3, 5].map((at) => {
    const part = Number.parseInt(colour.slice(at, at + 2), 16) / 255;
    return part <= 0.03928 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * Number(red) + 0.7152 * Number(green) + 0.0722 * Number(blue);
}
