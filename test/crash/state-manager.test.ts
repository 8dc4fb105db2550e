import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { pathToFileURL } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { StateManager } from '../../src/state/state-manager.ts';
import { root } from '../support/documents.ts';

let directory: string;
let children: ChildProcess[];

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'holdfast-crash-'));
  children = [];
});

afterEach(() => {
  for (const child of children) child.kill('SIGKILL');
  rmSync(directory, { recursive: true, force: true });
});

interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly lines: readonly string[];
  readonly stderr: string;
}

/** Runs the child in a mode; `onLine` sees each line that it says. */
function run(mode: string, onLine: (line: string, child: ChildProcess) => void = () => {}): Promise<Ended> {
  return start([join(root, 'test/support/state-crash-child.ts'), directory, mode], onLine);
}

function start(args: readonly string[], onLine: (line: string, child: ChildProcess) => void): Promise<Ended> {
  const child = spawn(process.execPath, args, {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, HOLDFAST_STATE_DIR: directory, FORCE: '1' },
  });
  children.push(child);
  const lines: string[] = [];
  let stderr = '';
  child.stderr?.on('data', (data) => {
    stderr += String(data);
  });
  createInterface({ input: child.stdout as NodeJS.ReadableStream }).on('line', (line) => {
    lines.push(line);
    onLine(line, child);
  });
  return new Promise((resolve) => child.on('close', (code, signal) => resolve({ code, signal, lines, stderr })));
}

function last(lines: readonly string[], word: string): number {
  return Number(
    lines
      .filter((line) => line.startsWith(`${word} `))
      .at(-1)
      ?.slice(word.length + 1) ?? 0,
  );
}

async function restored(): Promise<{ readonly number: number; readonly position: string | undefined }> {
  const state = await StateManager.open({
    directory,
    force: true,
    logger: { info: () => {}, warn: () => {}, error: () => {} },
  });
  try {
    const alpha = state.register('alpha');
    const beta = state.register('beta');
    // The same restore point for every strategy, and nothing that was only staged.
    expect(beta.get('number')).toBe(alpha.get('number'));
    return { number: Number(alpha.get('number')), position: beta.position('AAPL')?.amount };
  } finally {
    await state.close({ checkpoint: false });
  }
}

describe('a process that uses the state manager', () => {
  it('finds after each kill -9 exactly one restore point, at or after what it was told is durable', async () => {
    let number = 0;
    for (const acknowledgements of [1, 2, 3, 7, 19, 40, 80, 120]) {
      const ended = await run('trade', (line, child) => {
        if (line.startsWith('durable ') && last([line], 'durable') >= number + acknowledgements * 5)
          child.kill('SIGKILL');
      });
      expect(ended.signal, ended.stderr).toBe('SIGKILL');
      expect(last(ended.lines, 'restored')).toBe(number);
      const durable = last(ended.lines, 'durable');
      const found = await restored();
      expect(found.number).toBeGreaterThanOrEqual(durable);
      expect(found.position).toBe(found.number % 3 === 0 ? undefined : String(found.number));
      number = found.number;
    }
  });

  it.each([
    ['throw', 1],
    ['exit', 3],
  ])('has everything that it committed when it ends by %s in the same turn', async (mode, code) => {
    const ended = await run(mode);
    expect(ended.code, ended.stderr).toBe(code);
    expect((await restored()).number).toBe(1_000);
  });

  it('ends gracefully on SIGTERM, with a last checkpoint', async () => {
    const ended = await run('signal', (line, child) => {
      if (line === 'ready') child.kill('SIGTERM');
    });
    expect(ended, ended.stderr).toMatchObject({ code: 0, signal: null });
    expect(existsSync(join(directory, 'alpha_checkpoint.json'))).toBe(true);
    expect(JSON.parse(readFileSync(join(directory, 'alpha_checkpoint.json'), 'utf8')).strategy_state).toEqual({
      number: 1,
    });
    expect((await restored()).number).toBe(1);
  });

  it('kills itself when stopping takes longer than it may, and says why', async () => {
    const ended = await run('stuck', (line, child) => {
      if (line === 'ready') child.kill('SIGTERM');
    });
    expect(ended.signal).toBe('SIGKILL');
    expect(ended.stderr).toContain('holdfast: the state was not closed within 50 ms of SIGTERM');
  });

  it('kills itself when the state could not be closed in time, because exit would wait for the stuck thread', async () => {
    const ended = await run('deadline', (line, child) => {
      if (line === 'ready') child.kill('SIGTERM');
    });
    expect(ended.signal).toBe('SIGKILL');
    expect(ended.stderr).toContain('stopping after SIGTERM failed: the worker is in fsync');
  });

  it('kills itself at a second signal', async () => {
    const ended = await run('stuck', (line, child) => {
      if (line !== 'ready') return;
      child.kill('SIGTERM');
      child.kill('SIGINT');
    });
    expect(ended.signal).toBe('SIGKILL');
  });

  it('exits with 1 and the reason when stopping failed', async () => {
    const ended = await run('fails', (line, child) => {
      if (line === 'ready') child.kill('SIGINT');
    });
    expect(ended.code).toBe(1);
    expect(ended.stderr).toContain('stopping after SIGINT failed: the disk is gone');
  });

  it('is kept alive by an open state, and ends by itself once it is closed', async () => {
    const ended = await run('forgets');
    expect(ended, ended.stderr).toMatchObject({ code: 0 });
    expect(ended.lines.at(-1)).toBe('closed');
  });
});

describe('the example of the documents', () => {
  it('keeps its count over restarts', async () => {
    const source = readFileSync(join(root, 'docs/examples/state-manager.ts'), 'utf8');
    const program = join(directory, 'program.ts');
    const module = pathToFileURL(join(root, 'src/state/state-manager.ts')).href;
    expect(source).toContain("from 'holdfast'");
    writeFileSync(program, source.replace("'holdfast'", `'${module}'`));
    for (const count of [1, 2, 3]) {
      const ended = await start([program], () => {});
      expect(ended.code, ended.stderr).toBe(0);
      expect(ended.lines).toEqual([`start ${count}: ${count}00 AAPL, cash 25000.00`]);
    }
    expect(readdirSync(directory)).toContain('my_strategy_checkpoint.json');
  });
});
