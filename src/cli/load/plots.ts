import { Durations } from './histogram.ts';
import type { LoadRun } from './run.ts';
import type { SeriesBin } from './series.ts';

/** A distribution as points of a curve. */
export interface Curve {
  readonly name: string;
  /** Percentile, from 0 to below 100, and the value at it in microseconds; both grow. */
  readonly points: readonly (readonly [percentile: number, us: number])[];
}

/** What a page draws and the JSON document leaves out. */
export interface LoadPlots {
  readonly commit: Curve;
  readonly dueToCommit: Curve;
  readonly durable: Curve;
  readonly checkpoint: Curve;
  readonly loop: Curve;
  readonly baseline: Curve;
  /** Null where the disk was not measured. */
  readonly disk: { readonly append: Curve; readonly replace: Curve } | null;
  readonly series: { readonly binMs: number; readonly bins: readonly SeriesBin[] };
}

export function loadPlots({ measures, disk }: LoadRun): LoadPlots {
  return {
    commit: curve('commit', measures.commit),
    dueToCommit: curve('due to commit', measures.dueToCommit),
    durable: curve('commit to durable', measures.durable),
    checkpoint: curve('checkpoint of all strategies', measures.checkpoint),
    loop: curve('with persistence', measures.loopDelay.all),
    baseline: curve('without persistence', measures.loopDelayBaseline.all),
    disk:
      disk === null
        ? null
        : {
            append: curve('the disk: append and fdatasync', disk.before.append, disk.after.append),
            replace: curve('the disk: replace one file', disk.before.replace, disk.after.replace),
          },
    series: { binMs: measures.series.binMs, bins: measures.series.bins() },
  };
}

/** Eight points for each nine, as far as there is a measurement behind them. */
function curve(name: string, ...parts: readonly Durations[]): Curve {
  const all = new Durations();
  for (const part of parts) if (part.count > 0) all.addAll(part);
  const points: [number, number][] = [];
  for (let step = 0; 10 ** (step / stepsPerNine) <= all.count; step += 1) {
    const percentile = 100 * (1 - 10 ** (-step / stepsPerNine));
    points.push([percentile, (all.percentileMs(Math.max(percentile, lowest)) ?? 0) * 1000]);
  }
  return { name, points };
}

const stepsPerNine = 8;
/** A percentile of nothing at all does not exist; this one is the least of any count that can be had. */
const lowest = 1e-9;
