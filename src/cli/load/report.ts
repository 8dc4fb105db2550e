import { resolve } from 'node:path';
import { paint, table, writeLine } from '../output.ts';
import { Durations, type Percentiles } from './histogram.ts';
import { machine } from './machine.ts';
import type { SlicePair } from './measures.ts';
import type { LoadRun } from './run.ts';

export interface LoadConfig {
  readonly directory: string;
  readonly strategies: number;
  readonly positions: number;
  readonly rate: number;
  readonly changes: number;
  readonly duration_s: number;
  readonly checkpoint_interval_ms: number;
  readonly seed: number;
}

/** One figure of the disk: all of it, and before and after the run apart. */
export type DiskPercentiles = Percentiles & { readonly before: Percentiles; readonly after: Percentiles };

/** What a run of the load test prints with --json. */
export interface LoadReport {
  readonly config: LoadConfig;
  readonly machine: Readonly<Record<string, string | number>>;
  /** Commits that this run made, and the durable sequence that it ended at. */
  readonly commits: number;
  readonly sequence: number;
  readonly commit_us: Percentiles;
  readonly flush_us: Percentiles;
  readonly due_to_commit_us: Percentiles;
  readonly durable_us: Percentiles;
  readonly checkpoint_ms: Percentiles;
  readonly event_loop_delay_ms: Percentiles;
  readonly event_loop_delay_baseline_ms: Percentiles;
  /** The share of the time for which the engine's thread was ready and had no processor; null where the system does not tell. */
  readonly processor_wait_share: number | null;
  readonly processor_wait_baseline_share: number | null;
  readonly commits_per_s: number;
  readonly checkpoints_per_s: number;
  readonly bytes_written: number | null;
  readonly fsyncs: number | null;
  readonly conflated: number;
  readonly lag_max_ms: number;
  readonly rss_mb: { readonly start: number; readonly end: number; readonly max: number };
  readonly disk: { readonly append_fdatasync_us: DiskPercentiles; readonly replace_us: DiskPercentiles } | null;
  readonly ratios: {
    readonly durable_p50_over_disk: number | null;
    /** Median over the pairs of slices that stand beside each other. */
    readonly event_loop_p99_over_baseline: number | null;
    readonly event_loop_p999_over_baseline: number | null;
    /**
     * Median of the larger p99 over the smaller of slices without persistence that follow each other: what a ratio near it says
     * nothing about.
     */
    readonly event_loop_spread: number | null;
  };
  /** Medians over the same pairs: the delay with persistence less the delay without. */
  readonly differences_ms: {
    readonly event_loop_p99: number | null;
    readonly event_loop_p999: number | null;
  };
  /** How many pairs of slices the event loop's ratios are medians of. */
  readonly event_loop_pairs: number;
}

export function loadReport(options: LoadReportOptions, run: LoadRun): LoadReport {
  const { measures, disk, loadMs } = run;
  const { pairs } = measures;
  const append = disk === null ? null : together(disk.before.append, disk.after.append);
  return {
    config: {
      directory: resolve(options.dir),
      strategies: options.strategies,
      positions: options.positions,
      rate: options.rate,
      changes: options.changes,
      duration_s: options.duration,
      checkpoint_interval_ms: options.checkpointInterval,
      seed: options.seed,
    },
    machine: machine(),
    commits: run.commits,
    sequence: run.sequence,
    commit_us: measures.commit.in('us'),
    flush_us: measures.flush.in('us'),
    due_to_commit_us: measures.dueToCommit.in('us'),
    durable_us: measures.durable.in('us'),
    checkpoint_ms: measures.checkpoint.in('ms'),
    event_loop_delay_ms: measures.loopDelay.all.in('ms'),
    event_loop_delay_baseline_ms: measures.loopDelayBaseline.all.in('ms'),
    processor_wait_share: share(measures.loopDelay.waitedShare),
    processor_wait_baseline_share: share(measures.loopDelayBaseline.waitedShare),
    commits_per_s: perSecond(run.commits, loadMs),
    checkpoints_per_s: perSecond(measures.checkpoints, loadMs),
    bytes_written: run.written?.bytes ?? null,
    fsyncs: run.written?.fsyncs ?? null,
    conflated: run.conflated,
    lag_max_ms: rounded(measures.lagMsMax),
    rss_mb: { start: measures.rssMb.start, end: run.rssEndMb, max: Math.max(measures.rssMb.max, run.rssEndMb) },
    disk:
      disk === null
        ? null
        : {
            append_fdatasync_us: diskPercentiles(disk.before.append, disk.after.append),
            replace_us: diskPercentiles(disk.before.replace, disk.after.replace),
          },
    ratios: {
      durable_p50_over_disk: ratio(measures.durable, append, 50),
      event_loop_p99_over_baseline: median(pairs.map(({ loop, baseline }) => loop.p99 / baseline.p99)),
      event_loop_p999_over_baseline: median(pairs.map(({ loop, baseline }) => loop.p999 / baseline.p999)),
      event_loop_spread: median(spreads(pairs)),
    },
    differences_ms: {
      event_loop_p99: median(pairs.map(({ loop, baseline }) => loop.p99 - baseline.p99)),
      event_loop_p999: median(pairs.map(({ loop, baseline }) => loop.p999 - baseline.p999)),
    },
    event_loop_pairs: pairs.length,
  };
}

/** For a person: the same figures, in the units in which they are measured. */
export function printReport(report: LoadReport): void {
  const { config, ratios, disk, differences_ms: differences } = report;
  const rate = config.rate === 0 ? 'as fast as acknowledgements allow' : `${config.rate} commits/s`;
  writeLine(
    `${config.directory}: ${report.commits} commits to sequence ${report.sequence}, ${config.strategies} strategies × ${config.positions} positions, ${rate}`,
  );
  writeLine();
  const right = (title: string) => ({ title, align: 'right' }) as const;
  const row = (name: string, p: Percentiles): string[] => [
    name,
    ...[p.count, p.p50, p.p90, p.p99, p.p999, p.max].map((value) => (value === null ? '-' : String(value))),
  ];
  writeLine(
    table(
      [{ title: '' }, ...['count', 'p50', 'p90', 'p99', 'p99.9', 'max'].map(right)],
      [
        row('commit, µs', report.commit_us),
        row('post, µs', report.flush_us),
        row('due to commit, µs', report.due_to_commit_us),
        row('commit to durable, µs', report.durable_us),
        row('checkpoint, ms', report.checkpoint_ms),
        row('event loop delay, ms', report.event_loop_delay_ms),
        row('  without persistence', report.event_loop_delay_baseline_ms),
        ...(disk === null
          ? []
          : [row('disk: append, µs', disk.append_fdatasync_us), row('disk: replace, µs', disk.replace_us)]),
      ],
    ),
  );
  writeLine();
  const { rss_mb: rss } = report;
  writeLine(
    `${report.commits_per_s} commits/s, ${report.checkpoints_per_s} checkpoint files/s, ${shown(report.bytes_written)} bytes, ` +
      `${shown(report.fsyncs)} fsyncs, ${report.conflated} entries conflated, lag at most ${report.lag_max_ms} ms, ` +
      `memory ${rss.start} to ${rss.end} MiB, at most ${rss.max}`,
  );
  writeLine(
    paint(
      'dim',
      `durable / disk ${shown(ratios.durable_p50_over_disk)}; event loop with / without persistence, median of ${report.event_loop_pairs} pairs: ` +
        `p99 ${shown(ratios.event_loop_p99_over_baseline)} (${shown(differences.event_loop_p99)} ms more), ` +
        `p99.9 ${shown(ratios.event_loop_p999_over_baseline)} (${shown(differences.event_loop_p999)} ms more); ` +
        `without / without ${shown(ratios.event_loop_spread)}; ` +
        `waiting for a processor ${percent(report.processor_wait_share)} of the time, without persistence ${percent(report.processor_wait_baseline_share)}`,
    ),
  );
}

/** What of the command's options the report repeats. */
export interface LoadReportOptions {
  readonly dir: string;
  readonly strategies: number;
  readonly positions: number;
  readonly rate: number;
  readonly changes: number;
  readonly duration: number;
  readonly checkpointInterval: number;
  readonly seed: number;
}

function together(...parts: readonly Durations[]): Durations {
  const all = new Durations();
  for (const part of parts) if (part.count > 0) all.addAll(part);
  return all;
}

function diskPercentiles(before: Durations, after: Durations): DiskPercentiles {
  return { ...together(before, after).in('us'), before: before.in('us'), after: after.in('us') };
}

function ratio(over: Durations, under: Durations | null, percentile: number): number | null {
  const above = over.percentileMs(percentile);
  const below = under?.percentileMs(percentile) ?? null;
  return above === null || below === null || below === 0 ? null : rounded(above / below);
}

function spreads(pairs: readonly SlicePair[]): number[] {
  return pairs.slice(1).map(({ baseline }, before) => {
    const there = baseline.p99 / (pairs[before]?.baseline.p99 ?? baseline.p99);
    return Math.max(there, 1 / there);
  });
}

function median(values: readonly number[]): number | null {
  const sorted = values.toSorted((a, b) => a - b);
  const [low, high] = [sorted[Math.floor((sorted.length - 1) / 2)], sorted[Math.floor(sorted.length / 2)]];
  return low === undefined || high === undefined ? null : rounded((low + high) / 2);
}

function perSecond(count: number, ms: number): number {
  return ms <= 0 ? 0 : rounded((count * 1000) / ms);
}

function rounded(value: number): number {
  return Math.round(value * 1000) / 1000;
}

function share(value: number | null): number | null {
  return value === null ? null : rounded(value);
}

/** "8.1 %". */
export function percent(value: number | null): string {
  return value === null ? '-' : `${rounded(value * 100)} %`;
}

function shown(value: number | null): string {
  return value === null ? '-' : String(value);
}
