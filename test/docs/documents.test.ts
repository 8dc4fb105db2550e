import { execFile } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { loadConfig } from '../../src/cli/config.ts';
import { type Block, blocks, documents, root } from '../support/documents.ts';

// Every command and every program in the documents runs here, in the order of the page, in an empty directory of the page's own.
//   ```sh            each line is run by a shell; `exit=N` where another code than 0 is meant; `run=ci` where .ci/run runs it
//   ```ts file=x.ts  is written, and run unless `run=no` (a module that something else on the page loads)
//   ```json file=x   is written; a configuration is checked against the schema
//   ```text output   must be what the block before it printed (`contains`: each of its lines must be in there)

const execute = promisify(execFile);
const installed: Readonly<Record<string, string>> = {
  holdfast: 'src/index.ts',
  'holdfast/testing': 'src/testing/index.ts',
  'holdfast/brokers': 'src/brokers/index.ts',
};

describe.each(documents())('%s', (document) => {
  const page = blocks(document);
  let directory: string;
  let output = '';

  beforeAll(() => {
    directory = mkdtempSync(join(tmpdir(), 'holdfast-docs-'));
    const bin = join(directory, 'bin');
    mkdirSync(bin);
    writeFileSync(
      join(bin, 'holdfast'),
      `#!/bin/sh\nexec "${process.execPath}" "${join(root, 'src/cli/main.ts')}" "$@"\n`,
    );
    chmodSync(join(bin, 'holdfast'), 0o755);
    symlinkSync(process.execPath, join(bin, 'node'));
  });
  afterAll(() => rmSync(directory, { recursive: true, force: true }));

  async function run(file: string, args: readonly string[]): Promise<{ code: number; stdout: string; stderr: string }> {
    const env = {
      ...process.env,
      PATH: `${join(directory, 'bin')}${delimiter}${process.env['PATH']}`,
      HOLDFAST_STATE_DIR: join(directory, 'state'),
      NO_COLOR: '1',
    };
    try {
      return { code: 0, ...(await execute(file, [...args], { cwd: directory, env, timeout: 100_000 })) };
    } catch (error) {
      const { code, stdout, stderr } = error as { code: number; stdout: string; stderr: string };
      return { code, stdout, stderr };
    }
  }

  it('has only links that lead somewhere', () => {
    const text = readFileSync(join(root, document), 'utf8');
    const targets = [...text.matchAll(/\]\((?!https?:|#)([^)#]+)[^)]*\)/g)].map((match) => match[1] as string);
    expect(targets.filter((target) => !existsSync(join(root, dirname(document), target)))).toEqual([]);
  });

  for (const block of page) {
    const title = `line ${block.line}: ${block.language} ${block.text.split('\n')[0]}`;
    if (block.language === 'sh' && block.attributes['run'] !== 'ci') {
      it(title, async () => {
        const { code, stdout, stderr } = await run('sh', ['-e', '-c', block.text]);
        output = stdout;
        expect(code, stderr || stdout).toBe(Number(block.attributes['exit'] ?? 0));
      });
    }
    if (block.language === 'ts' && block.attributes['file'] !== undefined) {
      it(title, async () => {
        const file = write(block);
        if (block.attributes['run'] === 'no') return;
        const { code, stdout, stderr } = await run(process.execPath, [file]);
        output = stdout;
        expect(code, stderr).toBe(0);
      });
    }
    if (block.language === 'json' && block.attributes['file'] !== undefined) {
      it(title, () => {
        const file = write(block);
        const content: unknown = JSON.parse(block.text);
        if (typeof content === 'object' && content !== null && 'strategies' in content) loadConfig(file);
      });
    }
    if (block.language === 'text' && 'output' in block.attributes) {
      it(`${title} is what was printed`, () => {
        if (!('contains' in block.attributes)) expect(output.trim()).toBe(block.text.trim());
        else for (const line of block.text.trim().split('\n')) expect(output).toContain(line);
      });
    }
  }

  function write(block: Block): string {
    const file = join(directory, block.attributes['file'] as string);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(
      file,
      block.text.replaceAll(/from '(holdfast[^']*)'/g, (whole, name: string) => {
        const source = installed[name];
        return source === undefined ? whole : `from '${pathToFileURL(join(root, source)).href}'`;
      }),
    );
    return file;
  }
});
