/**
 * The sequence through which the two newest generations of every strategy hold everything, so that journal segments which end
 * there or before are needed no more, not even when a newest checkpoint turns out to be damaged. −1 where any strategy has fewer
 * than two: then no segment may go, one that ends at 0 included, because it may hold the state that a strategy began with.
 * @param strategies all that have state
 * @param coverage sequences of each strategy's valid generations, the newest first
 */
export function coveredThrough(strategies: Iterable<string>, coverage: ReadonlyMap<string, readonly number[]>): number {
  let covered = Number.POSITIVE_INFINITY;
  for (const strategy of strategies) covered = Math.min(covered, coverage.get(strategy)?.[1] ?? -1);
  // Without any strategy there is nothing that a checkpoint could hold.
  return Number.isFinite(covered) ? covered : -1;
}

/**
 * How many of the oldest closed segments may be deleted: only a prefix, so that a crash in between leaves a journal without holes.
 * @param closed oldest first
 */
export function deletable(closed: readonly { readonly last: number }[], covered: number): number {
  const kept = closed.findIndex(({ last }) => last > covered);
  return kept < 0 ? closed.length : kept;
}
