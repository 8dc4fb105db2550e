import { expect, it } from 'vitest';
import { LagWatch } from '../../src/state/lag-watch.ts';

const kinds = (watch: LagWatch, lagMs: number, durable: number, nowMs: number): string[] =>
  watch.look(lagMs, durable, nowMs).map(({ kind }) => kind);

it('tells each state once, and what it lasted', () => {
  const watch = new LagWatch({ lagMsMax: 100, stallLimitMs: 1_000 });
  expect(kinds(watch, 99, 0, 0)).toEqual([]);
  expect(kinds(watch, 100, 0, 10)).toEqual(['lagging']);
  expect(kinds(watch, 500, 0, 400)).toEqual([]);
  expect(kinds(watch, 1_000, 0, 900)).toEqual(['stalled']);
  expect(watch.isStalled).toBe(true);
  expect(kinds(watch, 1_500, 0, 1_400)).toEqual([]);
  expect(watch.look(0, 5, 2_010)).toEqual([{ kind: 'recovered', lagMs: 2_000, error: null }]);
  expect(watch.isStalled).toBe(false);
  expect(kinds(watch, 2_000, 5, 3_000)).toEqual(['lagging', 'stalled']);
});

it('takes a failed write as lag until all of that attempt is durable', () => {
  const watch = new LagWatch({ lagMsMax: 100, stallLimitMs: 1_000 });
  const error = new Error('ENOSPC');
  watch.writeFailed(7, error);
  expect(watch.look(1, 3, 0)).toEqual([{ kind: 'lagging', lagMs: 1, error }]);
  watch.writeFailed(7, error);
  expect(kinds(watch, 1, 6, 1)).toEqual([]);
  expect(kinds(watch, 1, 7, 2)).toEqual(['recovered']);
});
