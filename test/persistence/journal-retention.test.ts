import { describe, expect, it } from 'vitest';
import { coveredThrough, deletable } from '../../src/persistence/journal-retention.ts';

describe('coveredThrough', () => {
  it.each([
    ['is the oldest of the second newest generations', { a: [9, 7, 3], b: [12, 5] }, 5],
    ['covers nothing where a strategy has one generation only', { a: [9, 7], b: [12] }, -1],
    ['covers nothing where a strategy has none', { a: [9, 7], b: [] }, -1],
    ['covers nothing where there is no strategy', {}, -1],
  ])('%s', (_name, coverage: Record<string, number[]>, expected) => {
    expect(coveredThrough(Object.keys(coverage), new Map(Object.entries(coverage)))).toBe(expected);
  });

  it('covers nothing for a strategy that nobody counted', () => {
    expect(coveredThrough(['a', 'new'], new Map([['a', [9, 7]]]))).toBe(-1);
  });
});

describe('deletable', () => {
  it('counts only the oldest in a row', () => {
    const closed = [{ last: 2 }, { last: 5 }, { last: 9 }, { last: 4 }];
    expect([-1, 2, 4, 5, 8, 9].map((covered) => deletable(closed, covered))).toEqual([0, 1, 1, 2, 2, 4]);
  });
});
