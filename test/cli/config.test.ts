import { describe, expect, it } from 'vitest';
import { configJsonSchema, loadConfig } from '../../src/cli/config.ts';
import { configSchema } from '../../src/cli/config-schema.ts';
import { configFor } from './exchange.ts';
import { captured, Scratch } from './support.ts';

const valid = configFor('http://127.0.0.1:9');

function problemsOf(config: unknown): string {
  using scratch = new Scratch();
  try {
    loadConfig(scratch.file('engine.json', config));
  } catch (error) {
    return (error as Error).message;
  }
  return '';
}

describe('a configuration', () => {
  it('has defaults for what is left out', () => {
    using scratch = new Scratch();
    const { config } = loadConfig(scratch.file('engine.json', valid));
    expect(config).toMatchObject({
      host: 'holdfast',
      currency: 'USD',
      gate: 'durable',
      stale_after_ms: 3_600_000,
      checkpoint: { interval_ms: 60_000, generations: 3 },
      log_level: 'info',
    });
  });

  it('resolves paths against its own file', () => {
    using scratch = new Scratch();
    const loaded = loadConfig(scratch.file('engine.json', valid));
    expect(loaded.path('state')).toBe(scratch.at('state'));
    expect(loaded.path('/absolute')).toBe('/absolute');
  });

  it.each([
    ['a field that is missing', { ...valid, feed: undefined }, /feed: /],
    ['a field that there is not', { ...valid, reconcilliation: {} }, /reconcilliation: there is no such field/],
    [
      'a wrong field in a list',
      { ...valid, strategies: [{ name: 'a', module: 'x', cash: 1 }] },
      /strategies\.0\.cash: there is no such field/,
    ],
    [
      'a wrong type',
      { ...valid, checkpoint: { generations: 'three' } },
      /checkpoint\.generations: expected int|checkpoint\.generations: expected number/,
    ],
    ['a wrong choice', { ...valid, gate: 'fast' }, /gate: expected one of durable, async/],
    [
      'a wrong policy',
      { ...valid, reconciliation: { policy: 'SYNC' } },
      /reconciliation\.policy: expected one of WARN_ONLY, SYNC_TO_BROKER, HALT_AND_ALERT/,
    ],
    ['no strategy', { ...valid, strategies: [] }, /strategies: /],
    [
      'a strategy name that is taken',
      {
        ...valid,
        strategies: [
          { name: 'a', module: 'x' },
          { name: 'a', module: 'y' },
        ],
      },
      /strategies\.1\.name: "a" is named twice/,
    ],
    [
      'the name of what belongs to none',
      { ...valid, strategies: [{ name: 'UNASSIGNED', module: 'x' }] },
      /strategies\.0\.name: "UNASSIGNED" is the book/,
    ],
    ['a hostile strategy name', { ...valid, strategies: [{ name: '../x', module: 'x' }] }, /strategies\.0\.name: /],
    [
      'money as a number',
      { ...valid, strategies: [{ name: 'a', module: 'x', initial_cash: { USD: 5 } }] },
      /strategies\.0\.initial_cash\.USD: .*decimals are strings such as "150\.25"/,
    ],
    [
      'a currency that is none',
      { ...valid, reconciliation: { cash_tolerance: { usd: '1' } } },
      /reconciliation\.cash_tolerance\.usd: expected a currency/,
    ],
    [
      'a tolerance below nothing',
      { ...valid, reconciliation: { cost_basis_tolerance: '-0.1', cash_tolerance: { USD: '-1' } } },
      /cost_basis_tolerance: expected 0 or more; reconciliation\.cash_tolerance\.USD: expected 0 or more/,
    ],
    [
      'cash below nothing',
      { ...valid, strategies: [{ name: 'a', module: 'x', initial_cash: { USD: '-5' } }] },
      /strategies\.0\.initial_cash\.USD: expected 0 or more/,
    ],
    [
      'a notional below nothing',
      { ...valid, checkpoint: { significant_change: { notional: '-1' } } },
      /checkpoint\.significant_change\.notional: expected 0 or more/,
    ],
    // What a timer cannot wait for was refused by the engine alone, with the state open and the process never ending.
    [
      'intervals longer than a day',
      { ...valid, checkpoint: { interval_ms: 86_400_001 }, reconciliation: { interval_ms: 2_592_000_000 } },
      /checkpoint\.interval_ms: .*<=86400000; reconciliation\.interval_ms: .*<=86400000/,
    ],
    [
      'an owner that is no strategy',
      { ...valid, reconciliation: { owners: { SPY: 'nobody' } } },
      /reconciliation\.owners\.SPY: "nobody" is no strategy of this configuration: expected one of /,
    ],
    [
      'a state directory for a shell',
      { ...valid, state_dir: '~/state' },
      /state_dir: begins with "~", .* write the whole path/,
    ],
    ['a wrong top', [], /\(top\): expected object/],
  ])('with %s is refused by path', (_, config, told) => {
    expect(problemsOf(config)).toMatch(told);
  });

  it('names every wrong field, in one line that says where to look', () => {
    const told = problemsOf({ ...valid, gate: 'fast', log_level: 'loud', hosts: 'x' });
    expect(told).toMatch(/gate: .*; log_level: .*; hosts: /);
    expect(told).toContain('engine.json: ');
    expect(told).toContain('holdfast config-schema');
    expect(told).not.toContain('\n');
  });

  it('may begin with a byte order mark', () => {
    using scratch = new Scratch();
    expect(loadConfig(scratch.file('engine.json', `\uFEFF${JSON.stringify(valid)}`)).config.strategies).toHaveLength(1);
  });

  it('that is not JSON, or not there, is refused with its path', () => {
    using scratch = new Scratch();
    const file = scratch.file('engine.json', '{ "host": "x", }');
    expect(() => loadConfig(file)).toThrow(
      expect.objectContaining({ code: 'CONFIG_NOT_JSON', message: expect.stringContaining(file) }),
    );
    const absent = scratch.at('none.json');
    expect(() => loadConfig(absent)).toThrow(
      expect.objectContaining({ code: 'CONFIG_UNREADABLE', message: expect.stringContaining(absent) }),
    );
  });

  it('has a published schema that knows every field', async () => {
    const { code, stdout } = await captured(async () => configSchema());
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toEqual(configJsonSchema());
    const { properties, required, additionalProperties } = JSON.parse(stdout);
    expect(Object.keys(properties)).toEqual(expect.arrayContaining(Object.keys(valid)));
    expect(required).toEqual(['broker', 'feed', 'strategies']);
    expect(additionalProperties).toBe(false);
  });
});
