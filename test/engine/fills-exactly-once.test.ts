import { describe, expect, it } from 'vitest';
import { type FillCounts, fillStory } from '../support/fill-story.ts';

// Row 23: executions partial, duplicate, reordered, late, while down.

const seeds = Number(process.env['SEEDS'] ?? 1000);

describe('executions that come in parts, twice, in another order, late, or while nobody listens', () => {
  it('leave quantity and cash of every book exact', async () => {
    const total: FillCounts = { fills: 0, partial: 0, duplicate: 0, reordered: 0, late: 0, down: 0 };
    const bad: { readonly seed: number; readonly wrong: readonly string[] }[] = [];
    for (let seed = 1; seed <= seeds; seed += 1) {
      const { wrong, counts } = await fillStory(seed);
      if (wrong.length > 0) bad.push({ seed, wrong });
      for (const key of Object.keys(total) as (keyof FillCounts)[]) total[key] += counts[key];
    }
    const { fills, partial, duplicate, reordered, late, down } = total;
    process.stdout.write(
      `row 23: ${seeds} seeds, ${fills} fills (${partial} partial, ${duplicate} duplicate, ${reordered} reordered, ${late} late, ${down} while down), ${bad.length} not exact\n`,
    );
    expect(bad.slice(0, 3)).toEqual([]);
  }, 120_000);
});
