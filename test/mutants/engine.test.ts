import { afterAll, describe, expect, it } from 'vitest';
import { engineMutants } from '../support/engine-mutants.ts';

// Row 28: a row of the fault matrix that catches nothing tests nothing.

const table: string[] = [];

afterAll(() => {
  process.stdout.write(`\n| mutant | row | caught | how |\n|---|---|---|---|\n${table.join('\n')}\n`);
});

describe('deliberately broken code between engine, state and broker', () => {
  it.each(engineMutants)('is caught: $name (row $row)', async ({ name, row, run }) => {
    const found = await run(true);
    const how = (found[0] ?? '').split('\n')[0]?.slice(0, 110).replaceAll('|', '¦');
    table.push(`| ${name} | ${row} | ${found.length > 0 ? 'yes' : 'NO'} | ${how} |`);
    expect(found.length).toBeGreaterThan(0);
  });

  it.each(engineMutants)('and the true code is not: $name', async ({ run }) => {
    expect((await run(false)).slice(0, 3)).toEqual([]);
  });
});
