import { dirname } from 'node:path';
import { beforeEach, expect, it } from 'vitest';
import { strategyNameSchema } from '../../src/model/names.ts';
import { decodeCheckpoint, encodeCheckpoint } from '../../src/persistence/checkpoint-codec.ts';
import { newestName, parseCheckpointName } from '../../src/persistence/checkpoint-names.ts';
import { CheckpointStore } from '../../src/persistence/checkpoint-store.ts';
import { decodeRecords } from '../../src/persistence/journal-records.ts';
import { ModelDisk, seededRandom } from '../../src/testing/model-disk.ts';
import { at, checksumLineFor, snapshotOf } from '../support/checkpoint-fixtures.ts';
import { printRow } from '../support/fault-row.ts';

// Row 20 of the fault matrix.

const seed = Number(process.env['HOLDFAST_HOSTILE_SEED'] ?? 20);
let random = seededRandom(seed);
const below = (most: number): number => Math.floor(random() * most);
const one = <T>(choices: readonly T[]): T => choices[below(choices.length)] as T;
const count = 10_000;
const place = { epoch: 1, sequence: 1, timestamp: at };

beforeEach(() => {
  random = seededRandom(seed);
});

const pieces = [
  ...[
    '..',
    '../',
    '/',
    '\\',
    '..\\',
    './',
    '%2e%2e%2f',
    '~',
    '\0',
    '\n',
    '\r',
    ' ',
    '.',
    '-',
    '_',
    ':',
    'C:',
    '|',
    '*',
  ],
  ...[
    '_checkpoint.json',
    '_checkpoint.1-2.json',
    '.tmp',
    'journal',
    'quarantine',
    'lock.db',
    'holder.json',
    'status.json',
  ],
  ...[
    '__proto__',
    'constructor',
    'toString',
    'CON',
    'nul',
    'etc/passwd',
    '\u202e',
    'é',
    'e\u0301',
    '\ud800',
    '😀',
    '\ufeff',
  ],
  ...['a', 'B', '7', 'mean_reversion_v1', 'x'.repeat(60), 'x'.repeat(300)],
];

it('hostile names are refused, or name a file in the directory', () => {
  let accepted = 0;
  let written: string[] = [];
  const fresh = (): CheckpointStore => {
    const disk = new ModelDisk();
    disk.mkdir('/top/state');
    disk.before = ({ path, to }) => written.push(path, ...(to === null ? [] : [to]));
    return new CheckpointStore(disk, '/top/state', { generations: 2 });
  };
  let store = fresh();
  for (let number = 0; number < count; number += 1) {
    if (number % 200 === 0) store = fresh();
    const name = Array.from({ length: 1 + below(4) }, () => one(pieces)).join('');
    const allowed = strategyNameSchema.safeParse(name).success;
    written = [];
    let error: unknown = null;
    try {
      const { bytes } = encodeCheckpoint(snapshotOf(name), { ...place, sequence: number + 1 });
      const item = { strategy: name, ...place, sequence: number + 1, bytes };
      store.writeBatch([item], { between() {}, beforeRename() {} });
    } catch (thrown) {
      error = thrown;
    }
    expect(error === null, JSON.stringify(name)).toBe(allowed);
    for (const path of written) {
      expect(path === '/top/state' || dirname(path) === '/top/state', `${JSON.stringify(name)}: ${path}`).toBe(true);
    }
    if (!allowed) {
      expect(written).toEqual([]);
      continue;
    }
    accepted += 1;
    expect(parseCheckpointName(newestName(name))).toEqual({ strategy: name, generation: null });
  }
  expect(accepted).toBeGreaterThan(count / 20);
  printRow(
    20,
    `${count} hostile names (seed ${seed}), ${count - accepted} refused, ${accepted} written, 0 outside the directory`,
  );
});

const values = [
  ...[
    '{}',
    '[]',
    'null',
    'true',
    '0',
    '-0',
    '1e999',
    '9007199254740993',
    '"NaN"',
    '"Infinity"',
    '"0x10"',
    '"1e5"',
    '"1_000"',
  ],
  ...[
    '{"__proto__": {"polluted": true}}',
    '{"constructor": {"prototype": {"polluted": true}}}',
    '"\\ud800"',
    '"\\u0000"',
    '""',
  ],
  ...[
    '{"toJSON": 1}',
    '[[[[[[]]]]]]',
    `${'['.repeat(3000)}${']'.repeat(3000)}`,
    `"${'9'.repeat(500)}"`,
    '{"then": null}',
  ],
];

/** JSON text that is nearly a checkpoint, or nothing like one. */
function hostileText(whole: string): string {
  let text = whole;
  for (let edits = 1 + below(3); edits > 0; edits -= 1) {
    const fields = [...text.matchAll(/"[^"\\]*": ?("[^"\\]*"|-?\d+|null|\{|\[)/g)];
    const match = fields[below(fields.length)];
    if (match?.index === undefined) return one(values);
    const [found] = match;
    const key = found.slice(0, found.indexOf(':'));
    const at = match.index;
    const replacement = one([
      () => `${key}: ${one(values)}${/[{[]$/.test(found) ? `, "rest": ${found.at(-1)}` : ''}`,
      () => `"__proto__": ${one(values)}, ${found}`,
      () => `${key}: ${one(values)}, ${found}`,
      () => `"${one(['constructor', 'prototype', 'x', 'hasOwnProperty'])}": ${one(values)}, ${found}`,
    ])();
    text = text.slice(0, at) + replacement + text.slice(at + found.length);
    if (below(12) === 0) text = text.slice(0, below(text.length));
  }
  return text;
}

it('hostile JSON is refused or read as what it says, and Object.prototype stays as it was', () => {
  const prototype = JSON.stringify(Reflect.ownKeys(Object.prototype).map(String));
  const whole = Buffer.from(encodeCheckpoint(snapshotOf('alpha'), place).bytes).toString();
  const body = `${whole.slice(0, whole.lastIndexOf(',\n "checksum"'))}}\n`;
  const kinds = new Map<string, number>();
  for (let number = 0; number < count; number += 1) {
    const text = hostileText(body);
    // With a true checksum: what somebody would write who wants to be believed.
    const covered = `${text.replace(/\}\s*$/, '')},\n`;
    const bytes = Buffer.from(`${covered}${checksumLineFor(covered)}`);
    const decoded = decodeCheckpoint(bytes, { strategy: 'alpha', file: 'alpha_checkpoint.json' });
    kinds.set(decoded.kind, (kinds.get(decoded.kind) ?? 0) + 1);
    // What was believed can be written again, so every limit of the format holds for it.
    if (decoded.kind === 'ok') encodeCheckpoint(decoded.checkpoint, place);
    const record = Buffer.from(`${text.replaceAll('\n', ' ')}\n`);
    expect(() => decodeRecords(record, 0, record.length)).toThrow();
  }
  expect(JSON.stringify(Reflect.ownKeys(Object.prototype).map(String))).toBe(prototype);
  expect(({} as { polluted?: unknown }).polluted).toBeUndefined();
  const refused = count - (kinds.get('ok') ?? 0);
  expect(refused).toBeGreaterThan(count / 2);
  printRow(
    20,
    `${count} hostile JSON files (seed ${seed}), ${refused} refused, ${count - refused} within the format, Object.prototype untouched`,
  );
});
