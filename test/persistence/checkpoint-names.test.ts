import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  generationName,
  isTemporaryName,
  newestName,
  parseCheckpointName,
  temporaryName,
} from '../../src/persistence/checkpoint-names.ts';

const names = fc.stringMatching(/^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/).filter((name) => !name.includes('..'));
// Names made to look like other names' files.
const tricky = fc
  .array(fc.constantFrom('a', '_checkpoint', '.json', '.1-2', '_checkpoint.3-4.json', '.tmp', '-'), { maxLength: 6 })
  .map((parts) => `a${parts.join('')}`)
  .filter((name) => !name.includes('..') && name.length <= 100);
const strategies = fc.oneof(names, tricky);
const places = fc.tuple(fc.maxSafeNat(), fc.maxSafeNat());

describe('names of checkpoint files', () => {
  it('belong to one strategy and one generation', () => {
    fc.assert(
      fc.property(strategies, places, (strategy, [epoch, sequence]) => {
        expect(parseCheckpointName(newestName(strategy))).toEqual({ strategy, generation: null });
        const generation = generationName(strategy, epoch, sequence);
        expect(parseCheckpointName(generation)).toEqual({ strategy, generation: { epoch, sequence } });
      }),
    );
  });

  it('are short enough for every file system', () => {
    expect(generationName('s'.repeat(100), Number.MAX_SAFE_INTEGER, Number.MAX_SAFE_INTEGER).length).toBeLessThan(200);
  });

  it.each([
    'a.json',
    '_checkpoint.json',
    '.a_checkpoint.json',
    '../a_checkpoint.json',
    'a/b_checkpoint.json',
    'a\\b_checkpoint.json',
    'a..b_checkpoint.json',
    'a b_checkpoint.json',
    'a\n_checkpoint.json',
    'a_checkpoint.json\n',
    'a_checkpoint.1-02.json',
    'a_checkpoint.+1-2.json',
    'a_checkpoint.1-9007199254740992.json',
    'a_checkpoint.1-2.json.tmp',
    `${'s'.repeat(101)}_checkpoint.json`,
  ])('are not %j', (file) => {
    expect(parseCheckpointName(file)).toBeNull();
  });

  it('are told from temporary names, which never repeat', () => {
    fc.assert(
      fc.property(strategies, (strategy) => {
        const temporary = temporaryName(`${strategy}.1-2`);
        expect(isTemporaryName(temporary)).toBe(true);
        expect(parseCheckpointName(temporary)).toBeNull();
        expect(isTemporaryName(newestName(strategy))).toBe(false);
        expect(temporaryName(`${strategy}.1-2`)).not.toBe(temporary);
      }),
    );
    expect(['.bashrc', '.a.tmp', '..0123456789abcdef.tmp', 'a.0123456789abcdef.tmp'].filter(isTemporaryName)).toEqual(
      [],
    );
  });
});
