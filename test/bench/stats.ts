import { performance } from 'node:perf_hooks';

/** A value of several rounds: their median, and how far they lie apart. */
export interface Spread {
  readonly median: number;
  readonly low: number;
  readonly high: number;
  readonly rounds: number;
}

export function spreadOf(values: readonly number[]): Spread {
  const sorted = values.toSorted((a, b) => a - b);
  return { median: percentile(sorted, 50), low: sorted[0] ?? 0, high: sorted.at(-1) ?? 0, rounds: values.length };
}

/** The value at a percentile of sorted numbers; the mean of the middle two for the median of an even count. */
export function percentile(sorted: readonly number[], at: number): number {
  if (sorted.length === 0) return Number.NaN;
  const place = ((sorted.length - 1) * at) / 100;
  const [low, high] = [sorted[Math.floor(place)] ?? 0, sorted[Math.ceil(place)] ?? 0];
  return at === 50 ? (low + high) / 2 : high;
}

export function median(values: readonly number[]): number {
  return spreadOf(values).median;
}

/** Milliseconds that `work` takes, synchronously. */
export function timed(work: () => void): number {
  const beforeMs = performance.now();
  work();
  return performance.now() - beforeMs;
}

/** The same of something that is awaited. */
export async function timedAsync(work: () => Promise<unknown>): Promise<number> {
  const beforeMs = performance.now();
  await work();
  return performance.now() - beforeMs;
}

/** Four significant digits at most, for tables. */
export function short(value: number): string {
  if (!Number.isFinite(value)) return '-';
  if (Math.abs(value) >= 1000) return Math.round(value).toLocaleString('en-US');
  return String(Number(value.toPrecision(3)));
}
