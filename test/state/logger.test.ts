import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';

const logger = fileURLToPath(new URL('../../src/state/logger.ts', import.meta.url));

it('writes a line of JSON for each call to stderr, where nobody gave a logger', () => {
  const program = `
    const { stderrLogger } = await import(${JSON.stringify(logger)});
    const logger = stderrLogger();
    logger.info({ a: 1 }, 'one');
    logger.warn({}, 'two');
    logger.error({ b: null }, 'three');`;
  const { stderr, stdout } = spawnSync(process.execPath, ['--input-type=module', '-e', program], { encoding: 'utf8' });
  const lines = stderr
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
  expect(lines).toMatchObject([
    { name: 'holdfast', level: 30, a: 1, msg: 'one' },
    { level: 40, msg: 'two' },
    { level: 50, b: null, msg: 'three' },
  ]);
  expect(stdout).toBe('');
});
