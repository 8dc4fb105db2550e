import { afterAll, describe, expect, it } from 'vitest';
import { type CrashResult, crashBetween, crashPoints, idKinds } from '../support/crash-between.ts';

// Row 22: a crash between intent durable, sent, accepted, answered and outcome durable, at brokers that enforce client order ids, do so
// for a while, or do not at all.

const seeds = Number(process.env['SEEDS'] ?? 100);
const total = { crashes: 0, duplicated: 0, lost: 0, resolved: 0, halted: 0 };

afterAll(() => {
  const { crashes, duplicated, lost, resolved, halted } = total;
  process.stdout.write(
    `row 22: ${crashes} crashes, ${duplicated} duplicated, ${lost} lost, ${resolved} resolved, ${halted} halted\n`,
  );
});

describe.each(crashPoints)('a crash when the state of an order is: %s', (point) => {
  it.each(idKinds)(
    'duplicates, loses and guesses nothing where client order ids are: %s',
    async (ids) => {
      const bad: (CrashResult & { readonly seed: number })[] = [];
      for (let seed = 1; seed <= seeds; seed += 1) {
        const result = await crashBetween(point, ids, seed);
        total.crashes += Number(result.crashed);
        total.duplicated += result.duplicated.length;
        total.lost += result.lost.length;
        total.resolved += Number(result.resolved);
        total.halted += Number(result.halted);
        const isBad = result.duplicated.length + result.lost.length + result.wrong.length > 0 || !result.crashed;
        if (isBad) bad.push({ seed, ...result });
      }
      expect(bad.slice(0, 3)).toEqual([]);
    },
    120_000,
  );
});
