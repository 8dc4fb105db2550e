import { createHistogram, type RecordableHistogram } from 'node:perf_hooks';

/** Percentiles of durations, in the unit that the field's name tells; null where nothing was measured. */
export interface Percentiles {
  readonly count: number;
  readonly p50: number | null;
  readonly p90: number | null;
  readonly p99: number | null;
  readonly p999: number | null;
  readonly max: number | null;
}

/** Durations, kept in nanoseconds with three significant digits, from 1 ns to an hour. */
export class Durations {
  readonly #histogram: RecordableHistogram = createHistogram({ lowest: 1, highest: 3_600e9, figures: 3 });

  /** Rounded to nanoseconds; at least one, which is the least that can be kept. */
  addMs(ms: number): void {
    this.#histogram.record(Math.max(1, Math.round(ms * 1e6)));
  }

  /** Everything that another one has. */
  addAll(other: Durations): void {
    this.#histogram.add(other.#histogram);
  }

  /** Forgets everything. */
  reset(): void {
    this.#histogram.reset();
  }

  get count(): number {
    return this.#histogram.count;
  }

  /** @param percentile above 0, to 100, which is the longest */
  percentileMs(percentile: number): number | null {
    return this.count === 0 ? null : this.#histogram.percentile(percentile) / 1e6;
  }

  in(unit: 'us' | 'ms'): Percentiles {
    const perUnit = unit === 'us' ? 1e3 : 1e6;
    const at = (percentile: number): number | null =>
      this.count === 0 ? null : rounded(this.#histogram.percentile(percentile) / perUnit);
    return { count: this.count, p50: at(50), p90: at(90), p99: at(99), p999: at(99.9), max: at(100) };
  }
}

/** Three digits after the point, which is a nanosecond in microseconds. */
function rounded(value: number): number {
  return Math.round(value * 1000) / 1000;
}
