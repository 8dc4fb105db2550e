import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { StateManager } from '../../src/state/state-manager.ts';
import { auditedLog, journaledLog, query } from '../support/audited.ts';
import { root } from '../support/documents.ts';

let directory: string;
let children: ChildProcess[];

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'holdfast-audit-crash-'));
  children = [];
});

afterEach(() => {
  for (const child of children) child.kill('SIGKILL');
  rmSync(directory, { recursive: true, force: true, maxRetries: 5 });
});

interface Ended {
  readonly signal: NodeJS.Signals | null;
  readonly stderr: string;
  readonly lines: readonly string[];
}

/** Runs the child until `kill` says so of one of its lines. */
function live(kill: (line: string) => boolean): Promise<Ended> {
  const child = spawn(process.execPath, [join(root, 'test/support/audit-crash-child.ts'), directory], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  children.push(child);
  const lines: string[] = [];
  let stderr = '';
  child.stderr.on('data', (data) => {
    stderr += String(data);
  });
  createInterface({ input: child.stdout }).on('line', (line) => {
    lines.push(line);
    if (kill(line)) child.kill('SIGKILL');
  });
  return new Promise((resolve) => child.on('close', (_code, signal) => resolve({ signal, stderr, lines })));
}

function durable(lines: readonly string[]): number {
  return lines.reduce((most, line) => (line.startsWith('durable ') ? Math.max(most, Number(line.slice(8))) : most), 0);
}

describe('an audit whose process is killed', () => {
  it('holds after each kill -9 every acknowledged event exactly once, without a hole', async () => {
    // How many acknowledgements each life has; −1: it is killed as soon as it has restored.
    const lives = [1, 300, -1, 20, -1, 80];
    const inJournal = new Map<string, string>();
    let acknowledged = 0;
    for (const acknowledgements of lives) {
      const { signal, stderr, lines } = await live((line) =>
        acknowledgements < 0
          ? line.startsWith('restored ')
          : line.startsWith('durable ') && durable([line]) >= acknowledged + acknowledgements * 5,
      );
      expect(signal, stderr).toBe('SIGKILL');
      expect(lines.filter((line) => line.startsWith('audit '))).toEqual([]);
      acknowledged = Math.max(acknowledged, durable(lines));
      for (const { epoch, sequence, ordinal, event } of journaledLog(directory)) {
        if (ordinal >= 0) inJournal.set(`${epoch} ${sequence} ${ordinal}`, event);
      }
    }
    const state = await StateManager.open({
      directory,
      force: true,
      audit: { finishMs: 50_000 },
      logger: { info: () => {}, warn: () => {}, error: () => {} },
    });
    const number = Number(state.register('alpha').get('number'));
    await state.close();
    expect(number).toBeGreaterThanOrEqual(acknowledged);

    const log = auditedLog(directory);
    const events = log.filter(({ ordinal }) => ordinal >= 0);
    for (const strategy of ['alpha', 'beta']) {
      const told = events.filter((row) => row.strategy === strategy).map(({ event }) => JSON.parse(event).data);
      expect(told).toEqual(Array.from({ length: number }, (_, index) => index + 1));
    }
    // What the journal's files held after a kill is there at its place, to the byte.
    const audited = new Map(
      events.map(({ epoch, sequence, ordinal, event }) => [`${epoch} ${sequence} ${ordinal}`, event]),
    );
    expect(inJournal.size).toBeGreaterThan(0);
    expect([...inJournal].filter(([place, event]) => audited.get(place) !== event)).toEqual([]);
    expect(log.filter(({ ordinal }) => ordinal < 0).map(({ kind }) => kind)).toEqual(['beginning']);
    const amounts = query(directory, 'SELECT strategy, amount FROM live_positions ORDER BY strategy');
    expect(amounts).toEqual(['alpha', 'beta'].map((strategy) => ({ strategy, amount: String(number) })));
    expect(query(directory, 'PRAGMA integrity_check')).toEqual([{ integrity_check: 'ok' }]);
    process.stdout.write(
      `audit: ${lives.length} times kill -9, ${events.length} events, each exactly once, ${inJournal.size} compared with the journal\n`,
    );
  });
});
