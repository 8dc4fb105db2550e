import { afterAll, describe, expect, it } from 'vitest';
import { explore } from '../support/crash-exploration.ts';
import { crashMutants, mutantPrograms } from '../support/crash-mutants.ts';
import { crashPrograms } from '../support/crash-programs.ts';

// Row 28: a row of the fault matrix that catches nothing tests nothing.

const programs = [...crashPrograms, ...mutantPrograms];
const table: string[] = [];

afterAll(() => {
  process.stdout.write(`\n| mutant | row | program | caught | how |\n|---|---|---|---|---|\n${table.join('\n')}\n`);
});

describe('deliberately broken code', () => {
  it.each(crashMutants)('is caught: $name (row $row)', async (mutant) => {
    const program = programs.find(({ name }) => name === mutant.program);
    if (program === undefined) throw new Error(`there is no program "${mutant.program}"`);
    const { explorer } = await explore(program, 16, { wrap: mutant.wrap, badMax: 20 });
    const [first] = explorer.bad;
    const how = first === undefined ? '' : `${first.why.split('\n')[0]?.slice(0, 110)}`.replaceAll('|', '¦');
    table.push(
      `| ${mutant.name} | ${mutant.row} | ${mutant.program} | ${explorer.badCount > 0 ? 'yes' : 'NO'} | ${how} |`,
    );
    expect(explorer.badCount).toBeGreaterThan(0);
  });

  it.each(mutantPrograms)('and the true code is not: $name', async (program) => {
    const { explorer } = await explore(program, 6);
    expect(explorer.bad.slice(0, 3)).toEqual([]);
  });
});
