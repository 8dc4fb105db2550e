import fs from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { readSegment } from '../../src/persistence/journal-scan.ts';
import { nodeFileSystem } from '../../src/persistence/node-file-system.ts';
import { temporaryDirectory } from '../support/checkpoint-fixtures.ts';

it('refuses a file that is larger than any segment before it takes memory for it', () => {
  using temporary = temporaryDirectory();
  const { path } = temporary;
  const file = '1-0.journal';
  fs.writeFileSync(join(path, file), 'x');
  fs.truncateSync(join(path, file), 3 * 2 ** 30);
  expect(() => readSegment(nodeFileSystem, path, file)).toThrow(
    expect.objectContaining({
      code: 'STATE_PATH_REFUSED',
      message: expect.stringContaining(`${join(path, file)} has 3221225472 bytes`),
    }),
  );
  expect(readSegment(nodeFileSystem, path, file, 1)?.toString()).toBe('x');
});
