import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, resolve } from 'node:path';
import { ConfigError } from '../../model/errors.ts';

/** A tape of the demo and what it trades. */
export interface DemoTape {
  readonly path: string;
  readonly asset?: string;
}

/** Real daily bars that npm brings: AAPL 2013 to 2018, and the S&P 500 since 2000. */
const bundled = [
  { package: '@observablehq/sample-datasets', file: 'aapl.csv', asset: 'AAPL' },
  { package: 'vega-datasets', file: 'data/sp500-2000.csv', asset: 'SP500' },
] as const;

/** @throws ConfigError DEMO_TAPE_MISSING naming what to install or to give */
export function demoTapes(given: string | undefined): readonly DemoTape[] {
  if (given !== undefined) {
    const path = resolve(given);
    if (existsSync(path)) return [{ path }];
    throw new ConfigError(
      'DEMO_TAPE_MISSING',
      `--tape ${path}: no such file; give a CSV or gzipped CSV of trades or bars`,
    );
  }
  return bundled.map(({ package: name, file, asset }) => ({ path: join(packageDirectory(name), file), asset }));
}

function packageDirectory(name: string): string {
  const require = createRequire(import.meta.url);
  for (const directory of require.resolve.paths(name) ?? []) {
    if (existsSync(join(directory, name, 'package.json'))) return dirname(join(directory, name, 'package.json'));
  }
  const packages = bundled.map((entry) => entry.package).join(' ');
  throw new ConfigError(
    'DEMO_TAPE_MISSING',
    `the demo's market data is not installed: run "npm install ${packages}", or give --tape FILE`,
    { details: { package: name } },
  );
}
