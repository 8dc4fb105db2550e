import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

// The house rules that matter: imports go one way, and nothing on the engine's side can reach a file call.

const root = fileURLToPath(new URL('..', import.meta.url));

/** What a room may import besides itself: a room's name, or one file of it. */
const doors: Readonly<Record<string, readonly string[]>> = {
  'src/model': [],
  'src/actor': ['src/model'],
  'src/persistence': ['src/model', 'src/actor'],
  'src/brokers': ['src/model'],
  'src/reconciliation': ['src/model', 'src/brokers/adapter.ts'],
  'src/state': [
    'src/model',
    'src/actor',
    'src/reconciliation',
    'src/brokers/adapter.ts',
    'src/persistence/protocol.ts',
    'src/persistence/audit-protocol.ts',
    'src/persistence/lock.ts',
    'src/persistence/state-directory.ts',
    'src/persistence/node-file-system.ts',
  ],
  'src/engine': ['src/model', 'src/actor', 'src/state', 'src/reconciliation/types.ts', 'src/brokers/adapter.ts'],
  'src/testing': [
    'src/model',
    'src/actor',
    'src/persistence',
    'src/brokers',
    'src/reconciliation',
    'src/state',
    'src/engine',
  ],
  'src/cli': ['src'],
  'src/index.ts': ['src'],
  workers: ['src/model', 'src/actor', 'src/persistence', 'src/reconciliation', 'src/brokers'],
};

describe('the house', () => {
  const files = ['src', 'workers'].flatMap(sources);

  it('has a rule for every room', () => {
    for (const file of files) expect(Object.keys(doors), file).toContain(room(file));
  });

  it('imports one way only', () => {
    const wrong = files.flatMap((file) =>
      imports(file)
        .filter((target) => !mayImport(room(file), target))
        .map((target) => `${file} → ${target}`),
    );
    expect(wrong).toEqual([]);
  });

  it('lets nothing import a worker', () => {
    const wrong = files.flatMap((file) => imports(file).filter((target) => target.startsWith('workers/')));
    expect(wrong).toEqual([]);
  });

  it('gives the engine no way to a file call, also not by what it imports', () => {
    // A tape is read as a stream beside trading, and is the one exception.
    const engine = files.filter((file) => room(file) === 'src/engine' && !file.startsWith('src/engine/tape'));
    const reached = new Set(engine);
    for (const file of reached) for (const target of imports(file, 'values')) reached.add(target);
    expect([...reached].filter((file) => room(file) === 'src/persistence')).toEqual([]);
    expect([...reached].filter((file) => /from 'node:(fs|sqlite)/.test(read(file)))).toEqual([]);
  });

  it('keeps comments free of promises to finish later', () => {
    expect(files.filter((file) => /\b(TODO|FIXME|XXX)\b/.test(read(file)))).toEqual([]);
  });
});

function sources(directory: string): string[] {
  return readdirSync(join(root, directory), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts'))
    .map((name) => join(directory, name))
    .sort();
}

function room(file: string): string {
  const parts = file.split('/');
  if (parts[0] === 'workers') return 'workers';
  return parts.length === 2 ? file : `src/${parts[1]}`;
}

function mayImport(from: string, target: string): boolean {
  const allowed = [from, ...(doors[from] ?? [])];
  return allowed.some((door) => target === door || target.startsWith(`${door}/`));
}

/** What a file imports of ours; `values` leaves out what is only types, which are gone when it runs. */
function imports(file: string, which: 'all' | 'values' = 'all'): string[] {
  const pattern = /(?:^|\n)(?:import|export) (type )?[^;]*?from '(\.[^']+)'|import\('(\.[^']+)'\)/g;
  return [...read(file).matchAll(pattern)]
    .filter((match) => which === 'all' || match[1] === undefined)
    .map((match) => relative(root, resolve(root, dirname(file), (match[2] ?? match[3]) as string)));
}

function read(file: string): string {
  return readFileSync(join(root, file), 'utf8');
}
