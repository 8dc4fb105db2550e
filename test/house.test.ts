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
  'src/persistence': ['src/model'],
  'src/brokers': ['src/model'],
  'src/reconciliation': ['src/model', 'src/brokers/adapter.ts'],
  'src/state': [
    'src/model',
    'src/actor',
    'src/reconciliation',
    'src/brokers/adapter.ts',
    'src/persistence/protocol.ts',
    'src/persistence/lock.ts',
    'src/persistence/state-directory.ts',
    'src/persistence/node-file-system.ts',
  ],
  'src/engine': ['src/model', 'src/actor', 'src/state', 'src/reconciliation/types.ts', 'src/brokers/adapter.ts'],
  'src/testing': ['src/model', 'src/actor', 'src/persistence', 'src/brokers', 'src/reconciliation', 'src/state', 'src/engine'],
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

  it('makes no file call in the engine', () => {
    const wrong = files.filter((file) => room(file) === 'src/engine' && /from 'node:(fs|sqlite)/.test(read(file)));
    // A tape is read before or beside trading, as a stream, and is the only one.
    expect(wrong.filter((file) => !file.startsWith('src/engine/tape'))).toEqual([]);
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

function imports(file: string): string[] {
  const pattern = /(?:from|import)\s*\(?\s*'(\.[^']+)'/g;
  return [...read(file).matchAll(pattern)].map((match) =>
    relative(root, resolve(root, dirname(file), match[1] as string)),
  );
}

function read(file: string): string {
  return readFileSync(join(root, file), 'utf8');
}
