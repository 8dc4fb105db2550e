import { expect, test } from 'vitest';
import { lineOf } from '../../src/persistence/journal-lines.ts';
import { decodeRecords, outlineRecords } from '../../src/persistence/journal-records.ts';
import { at, change, delta } from './journal-fixtures.ts';

const whole = (strategy: string, previous: number, through: number) => {
  const { strategy: _, ...entries } = change(strategy, through);
  return {
    kind: 'delta',
    previous,
    through,
    at: at(through),
    strategies: [{ strategy, whole: true, ...entries }],
  } as const;
};
const others = [delta(3, 4), whole('new', 4, 5), { kind: 'heartbeat', at: at(5) } as const];
const bytes = Buffer.from([whole('alpha', 3, 3), whole('beta', 3, 3), ...others].map(lineOf).join(''));

test('a whole state in a beginning is told by its outline where that is enough, and everything else is read', () => {
  const all = decodeRecords(bytes, 0, bytes.length);
  const outline = { kind: 'whole', strategy: 'beta', sequence: 3, at: at(3) };
  expect(outlineRecords(bytes, 0, bytes.length, ({ strategy }) => strategy === 'beta')).toEqual([
    all[0],
    outline,
    ...others,
  ]);
  expect(outlineRecords(bytes, 0, bytes.length, () => false)).toEqual(all);
});
