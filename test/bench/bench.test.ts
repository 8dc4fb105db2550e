import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { positionAt } from '../../src/cli/load/plan.ts';
import type { SeriesBin } from '../../src/cli/load/series.ts';
import { figure } from './figure.ts';
import { growthMb } from './figures/journal.ts';
import { asMarkdown, asText, type BenchDocument, intoDocument } from './report.ts';
import { Scratch } from './scratch.ts';
import { contenders } from './side-by-side.ts';
import { short, spreadOf } from './stats.ts';

const plan = { strategies: 1, positions: 20, changes: 1, seed: 1 };

describe('the contenders of the benchmarks', () => {
  it.each(contenders.map((contender) => [contender.name, contender] as const))(
    '%s takes a commit and says how long the thread was taken',
    async (_name, contender) => {
      using scratch = new Scratch();
      const directory = scratch.directory('one');
      const base = Array.from({ length: plan.positions }, (_, index) => positionAt(plan, 0, 0, index));
      const running = await contender.start(directory, base);
      try {
        for (let commit = 1; commit <= 2; commit += 1) {
          expect(await running.commit([positionAt(plan, 0, commit, 3)])).toBeGreaterThan(0);
        }
      } finally {
        await running.close();
      }
    },
  );
});

describe('figures', () => {
  it('are medians, with how far the rounds lie apart', () => {
    expect(spreadOf([3, 1, 2])).toEqual({ median: 2, low: 1, high: 3, rounds: 3 });
    expect(spreadOf([4, 1, 2, 3]).median).toBe(2.5);
    expect([short(0.12345), short(1234.6), short(Number.NaN)]).toEqual(['0.123', '1,235', '-']);
  });

  it('are reached by their median, on the right side of the target', () => {
    const how = '';
    expect(figure({ name: 'a', values: [1, 2, 9], atMost: 2, how }).met).toBe(true);
    expect(figure({ name: 'a', values: [1, 2.1, 1.9, 9], atMost: 1.9, how }).met).toBe(false);
    expect(figure({ name: 'a', values: [5], atLeast: 6, how }).met).toBe(false);
    expect(figure({ name: 'a', values: [6], atLeast: 6, how }).met).toBe(true);
    expect(figure({ name: 'a', values: [1, 5, 9], atLeast: 6, how }).met).toBe(false);
    expect(figure({ name: 'a', values: [5], atMost: 1, or: { met: true, text: 'small' }, how }).met).toBe(true);
    expect(figure({ name: 'a', values: [5], how }).met).toBe(null);
    // What could not be measured is not reached.
    expect(figure({ name: 'a', values: [Number.NaN], atMost: 1, how }).met).toBe(false);
  });

  it('tell growth from the second third to the last, and not what a start takes', () => {
    const bins = [10, 100, 100, 100, 130, 130].map((rssMb) => ({ rssMb }) as SeriesBin);
    expect(growthMb(bins)).toBe(30);
    expect(growthMb(bins.slice(0, 3))).toBe(0);
  });
});

describe('the report', () => {
  const spread = spreadOf([1, 2, 3]);
  const document: BenchDocument = {
    at: '2026-01-01T00:00:00.000Z',
    earlier: ['2025-12-31T00:00:00.000Z', '2025-12-30T00:00:00.000Z'],
    quick: false,
    machine: { cpu: 'abacus' },
    side_by_side: [
      {
        contender: 'x',
        key: 'a',
        positions: 10,
        changes: 1,
        engineUs: spread,
        durableUs: spread,
        engineOverOurs: spread,
        durableOverOurs: spread,
      },
    ],
    figures: [{ group: 'commit', ...figure({ name: 'cost | of it', values: [5], atMost: 1, how: 'so' }) }],
  };

  it('says every figure in both forms', () => {
    for (const text of [asText(document), asMarkdown(document)]) {
      expect(text).toContain('cpu abacus');
      expect(text).toContain('NO');
      expect(text).toContain('2 (1–3)');
    }
    expect(asMarkdown(document)).toContain(
      'Run of 2026-01-01T00:00:00.000Z, what it did not measure of 2025-12-31T00:00:00.000Z and 2025-12-30T00:00:00.000Z on: ',
    );
    expect(asMarkdown(document)).toContain('| cost \\| of it | 5 × | ≤ 1 | NO | so |');
  });

  it('goes into its place in a document, again and again, and nowhere else', () => {
    using scratch = new Scratch();
    const path = join(scratch.path, 'page.md');
    writeFileSync(path, 'before\n<!-- bench:begin -->\nold\n<!-- bench:end -->\nafter\n');
    for (const text of ['new', 'newer']) intoDocument(path, 'bench', text);
    expect(readFileSync(path, 'utf8')).toBe('before\n<!-- bench:begin -->\nnewer\n<!-- bench:end -->\nafter\n');
    expect(() => intoDocument(path, 'soak', 'x')).toThrow('<!-- soak:begin -->');
  });
});
