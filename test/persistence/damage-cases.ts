import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { encodeGroup } from '../../src/persistence/journal-format.ts';
import {
  checkpoint,
  commit,
  delta,
  directory,
  groupOffsets,
  MemoryFiles,
  open,
  type Session,
} from './journal-fixtures.ts';

/** One line of the table: what was on disk, what was done to it, what a restore gives, what it says. */
export interface DamageCase {
  /** Of the fault matrix. */
  readonly row: 7 | 9 | 19 | 27;
  readonly onDisk: keyof typeof beginnings;
  readonly done: string;
  readonly damage: (home: string) => void | Promise<void>;
  /** The restore point, or the code of the error. */
  readonly gives: number | string;
  /** What the recovery or the error says; null where nothing is lost, so that nothing is said. */
  readonly says: RegExp | null;
  readonly onlyRoot?: true;
}

const both = ['alpha', 'beta'];

/** Commits 1, 3 and 4 of two strategies; checkpoints of both at 1 and at 3; 4 is in the journal alone. */
function usual(): Session {
  const session = open(new MemoryFiles(), 1);
  commit(session, delta(0, 1, both));
  checkpoint(session, 1);
  commit(session, delta(1, 3, ['alpha']));
  checkpoint(session, 1);
  commit(session, delta(3, 4, ['beta']));
  return session;
}

function journalOnly(): Session {
  const session = open(new MemoryFiles(), 1, { segmentBytesMax: 1 });
  commit(session, delta(0, 1, both), delta(1, 3, ['alpha']), delta(3, 4, ['beta']));
  return session;
}

function seeds(): Session['fs'] {
  const files = new MemoryFiles();
  for (const name of both) files.put(`${name}_checkpoint.json`, Buffer.from(seed(name)));
  return files;
}

/** What a directory holds before anything is done to it. */
export const beginnings = {
  'checkpoints at 1 and 3, journal to 4': () => usual().fs,
  'a journal of four segments, to 4': () => journalOnly().fs,
  "files in the seed's format": seeds,
} as const;

/** Writes what the case begins with below `home`. */
export function lay(home: string, onDisk: DamageCase['onDisk']): void {
  for (const name of ['journal', 'quarantine']) fs.mkdirSync(join(home, name), { mode: 0o700 });
  for (const [path, { bytes }] of beginnings[onDisk]().files) {
    fs.writeFileSync(join(home, path.slice(directory.length)), bytes, { mode: 0o600 });
  }
}

export function seed(name: string, more: Record<string, unknown> = {}): string {
  return JSON.stringify({
    strategy_name: name,
    timestamp: '2025-10-02T14:00:00Z',
    strategy_state: { custom_data: { last_signal: 'buy' } },
    positions: [{ asset: 'AAPL', sid: 1, amount: '100', cost_basis: '150.25', last_price: '155.50' }],
    pending_orders: [],
    cash_balance: '25000.00',
    ...more,
  });
}

const alpha = 'alpha_checkpoint.json';
const older = 'alpha_checkpoint.1-1.json';
const segment = 'journal/1-0.journal';
const checkpoints = 'checkpoints at 1 and 3, journal to 4';
const segments = 'a journal of four segments, to 4';
const seedFiles = "files in the seed's format";

/** The bytes of a file are replaced by what `change` makes of them. */
const changed =
  (file: string, change: (bytes: Buffer) => Uint8Array) =>
  (home: string): void =>
    fs.writeFileSync(join(home, file), change(fs.readFileSync(join(home, file))), { mode: 0o600 });
/** Something else stands in the place of a file. */
const replaced =
  (file: string, make: (path: string) => void | Promise<void>) =>
  (home: string): void | Promise<void> => {
    fs.rmSync(join(home, file), { recursive: true, force: true });
    return make(join(home, file));
  };
const copied = (from: string, to: string) => (home: string) => fs.copyFileSync(join(home, from), join(home, to));
const all =
  (...steps: readonly ((home: string) => void | Promise<void>)[]) =>
  async (home: string): Promise<void> => {
    for (const step of steps) await step(home);
  };
const removed = (file: string) => (home: string) => fs.rmSync(join(home, file));
const empty = (): Buffer => Buffer.alloc(0);
const zeros = (bytes: Buffer): Buffer => Buffer.alloc(bytes.length);
const half = (bytes: Buffer): Buffer => bytes.subarray(0, bytes.length >> 1);
const newer = (bytes: Buffer): Buffer =>
  Buffer.from(bytes.toString().replace('"format_version": 1', '"format_version": 2'));
const pipe = (path: string): void => void execFileSync('mkfifo', [path]);
const device = (path: string): void => void execFileSync('mknod', [path, 'c', '1', '3']);
const socket = (path: string): Promise<void> =>
  new Promise((resolve, reject) => {
    const server = createServer().on('error', reject);
    // Ending the server removes its name, so a second name is what stays.
    server.listen(`${path}.0`, () => {
      fs.linkSync(`${path}.0`, path);
      server.close(() => resolve());
    });
  });
const everyFile = ['alpha', 'beta'].flatMap((name) => [`${name}_checkpoint.json`, `${name}_checkpoint.1-1.json`]);

function firstSegmentOfVersion(version: number): Buffer {
  const group = { group: 1, segment: 1, epoch: 1, first: 0, last: 0, strategies: 0 };
  return encodeGroup(group, [`{"kind":"segment","format_version":${version}}\n`]);
}

/** Where the nth group of a segment begins, counted from 1. */
const group = (bytes: Buffer, nth: number): number => groupOffsets(bytes)[nth - 1] ?? 0;

// biome-ignore format: a table is read by its columns
const table: readonly (readonly [DamageCase['row'], DamageCase['onDisk'], string, DamageCase['damage'], number | string, RegExp | null, 'root'?])[] = [
  [7, checkpoints, 'the end of the journal cut in its last group', changed(segment, (bytes) => bytes.subarray(0, -3)), 3, /torn_tail in journal\/1-0/],
  [7, checkpoints, 'the last group of the journal cut off', changed(segment, (bytes) => bytes.subarray(0, group(bytes, 4))), 3, null],
  [7, checkpoints, '4,096 zeros after the journal', changed(segment, (bytes) => Buffer.concat([bytes, Buffer.alloc(4096)])), 4, null],
  [7, checkpoints, 'garbage after the journal', changed(segment, (bytes) => Buffer.concat([bytes, Buffer.from('\u0001 garbage {"group": 9}\n')])), 4, /torn_tail/],
  [7, checkpoints, 'a stale group of its own after the journal', changed(segment, (bytes) => Buffer.concat([bytes, bytes.subarray(group(bytes, 2), group(bytes, 3))])), 4, /torn_tail/],
  [7, checkpoints, 'the last group zeroed', changed(segment, (bytes) => Buffer.concat([bytes.subarray(0, group(bytes, 4)), Buffer.alloc(bytes.length - group(bytes, 4))])), 3, null],
  [7, checkpoints, 'a group that checkpoints stand past changed', changed(segment, (bytes) => flip(bytes, group(bytes, 2) + 150)), 4, /damaged_journal in journal\/1-0/],
  [7, checkpoints, 'the journal removed', removed(segment), 3, /damaged_journal in journal: it is missing/],
  [7, segments, 'a group in the middle changed, and no checkpoint', changed('journal/1-1.journal', (bytes) => flip(bytes, bytes.length - 9)), 'JOURNAL_DAMAGED', /1-1\.journal/],
  [7, segments, 'a segment in the middle removed, and no checkpoint', removed('journal/1-1.journal'), 'JOURNAL_MISSING', /records before it end at 1/],
  [7, segments, 'a segment in the middle empty, and no checkpoint', changed('journal/1-1.journal', empty), 'JOURNAL_MISSING', /records before it end at 1/],
  [7, segments, 'the last segment empty', changed('journal/1-3.journal', empty), 3, null],
  [7, segments, 'a segment copied over the last', copied('journal/1-1.journal', 'journal/1-3.journal'), 'JOURNAL_DAMAGED', /1-3\.journal/],

  [9, checkpoints, 'empty', changed(alpha, empty), 4, /damaged_checkpoint in alpha_checkpoint\.json: it is empty/],
  [9, checkpoints, 'cut in half', changed(alpha, half), 4, /damaged_checkpoint/],
  [9, checkpoints, 'its last byte cut off', changed(alpha, (bytes) => bytes.subarray(0, -1)), 4, /damaged_checkpoint/],
  [9, checkpoints, 'all zeros', changed(alpha, zeros), 4, /nothing but zero bytes/],
  [9, checkpoints, 'a block of it zeroed', changed(alpha, (bytes) => Buffer.from(bytes).fill(0, 100, 300)), 4, /checksum does not match/],
  [9, checkpoints, 'garbage', changed(alpha, (bytes) => Buffer.from('\u0007?'.repeat(bytes.length >> 1))), 4, /not JSON/],
  [9, checkpoints, 'a byte more at its end', changed(alpha, (bytes) => Buffer.concat([bytes, Buffer.from(' ')])), 4, /does not end with a checksum line/],
  [9, checkpoints, 'a byte order mark before it', changed(alpha, (bytes) => Buffer.concat([Buffer.from('\ufeff'), bytes])), 4, /checksum does not match/],
  [9, checkpoints, 'in another encoding', changed(alpha, (bytes) => Buffer.from(bytes.toString(), 'utf16le')), 4, /not JSON text in UTF-8/],
  [9, checkpoints, 'a number edited by hand', changed(alpha, (bytes) => Buffer.from(bytes.toString().replace('"3"', '"4"'))), 4, /checksum does not match/],
  [9, checkpoints, 'its checksum line cut off by hand', changed(alpha, (bytes) => Buffer.from(`${bytes.toString().split(',\n "checksum"')[0]}}\n`)), 4, /does not end with a checksum line/],
  [9, checkpoints, 'an empty object', changed(alpha, () => Buffer.from('{}\n')), 4, /damaged_checkpoint/],
  [9, checkpoints, "another strategy's file", copied('beta_checkpoint.json', alpha), 4, /foreign_file in alpha_checkpoint\.json: it is a checkpoint of strategy beta/],
  [9, checkpoints, 'an older file copied over the newer', copied(older, alpha), 4, null],
  [9, checkpoints, 'a newer file copied over the older', copied(alpha, older), 4, /not what its name says/],
  [9, checkpoints, 'the newest removed', removed(alpha), 4, null],
  [9, checkpoints, 'every checkpoint empty', all(...everyFile.map((file) => changed(file, empty))), 4, /alpha_checkpoint\.1-1\.json: it is empty/],
  [9, checkpoints, 'every checkpoint empty, the journal removed', all(...everyFile.map((file) => changed(file, empty)), removed(segment)), 'CHECKPOINT_CORRUPTED', /alpha_checkpoint\.json.*it is empty/s],
  [9, checkpoints, 'the newest empty, the journal removed', all(changed(alpha, empty), removed(segment)), 'JOURNAL_MISSING', /alpha_checkpoint\.1-1\.json is older/],
  [9, seedFiles, 'a byte order mark before it', changed(alpha, (bytes) => Buffer.concat([Buffer.from('\ufeff'), bytes])), 0, null],
  [9, seedFiles, 'cut in half', changed(alpha, half), 'CHECKPOINT_CORRUPTED', /alpha_checkpoint\.json/],

  [19, checkpoints, 'a link to a true checkpoint', replaced(alpha, (path) => fs.symlinkSync('alpha_checkpoint.1-1.json', path)), 4, /it is a symbolic link/],
  [19, checkpoints, 'a link out of the directory', replaced(alpha, (path) => fs.symlinkSync('/etc/passwd', path)), 4, /it is a symbolic link/],
  [19, checkpoints, 'a pipe for a checkpoint', replaced(alpha, pipe), 4, /it is a named pipe \(FIFO\)/],
  [19, checkpoints, 'a socket for a checkpoint', replaced(alpha, socket), 4, /it is a socket/],
  [19, checkpoints, 'a device for a checkpoint', replaced(alpha, device), 4, /it is a device/, 'root'],
  [19, checkpoints, 'a directory for a checkpoint', replaced(alpha, (path) => fs.mkdirSync(path)), 4, /it is a directory/],
  [19, checkpoints, 'a checkpoint that everybody can write', (home) => fs.chmodSync(join(home, alpha), 0o666), 4, /everybody can write it/],
  [19, checkpoints, "a checkpoint of another user's", (home) => fs.chownSync(join(home, alpha), 65_534, 65_534), 4, /belongs to user 65534/, 'root'],
  [19, checkpoints, 'a link for a segment', replaced(segment, (path) => fs.symlinkSync('/etc/passwd', path)), 'STATE_PATH_REFUSED', /1-0\.journal is a symbolic link/],
  [19, checkpoints, 'a pipe for a segment', replaced(segment, pipe), 'STATE_PATH_REFUSED', /1-0\.journal is a named pipe \(FIFO\)/],
  [19, checkpoints, 'a socket for a segment', replaced(segment, socket), 'STATE_PATH_REFUSED', /1-0\.journal is a socket/],
  [19, checkpoints, 'a device for a segment', replaced(segment, device), 'STATE_PATH_REFUSED', /1-0\.journal is a device/, 'root'],
  [19, checkpoints, 'a directory for a segment', replaced(segment, (path) => fs.mkdirSync(path)), 'STATE_PATH_REFUSED', /1-0\.journal is a directory/],
  [19, checkpoints, 'a state directory that others can write', (home) => fs.chmodSync(home, 0o777), 'STATE_DIRECTORY_UNSAFE', /can be written by others/],
  [19, checkpoints, "a state directory of another user's", (home) => fs.chownSync(home, 65_534, 65_534), 'STATE_DIRECTORY_UNSAFE', /belongs to user 65534/, 'root'],
  [19, checkpoints, 'a link for journal/', replaced('journal', (path) => fs.symlinkSync('quarantine', path)), 'STATE_DIRECTORY_UNSAFE', /is a symbolic link/],
  [19, checkpoints, 'a file for quarantine/', replaced('quarantine', (path) => fs.writeFileSync(path, '')), 'STATE_DIRECTORY_UNSAFE', /is a regular file, not a directory/],
  [19, checkpoints, 'a journal/ that others can write', (home) => fs.chmodSync(join(home, 'journal'), 0o770), 'STATE_DIRECTORY_UNSAFE', /can be written by others/],

  [27, checkpoints, 'the newest checkpoint of a newer format', changed(alpha, newer), 4, /checksum does not match/],
  [27, checkpoints, 'the newest checkpoint of a newer format, with the checksum of another kind', changed(alpha, (bytes) => Buffer.from(newer(bytes).toString().replace(/"checksum": .*/, '"checksum": "blake3:0"}'))), 'FORMAT_NEWER', /format_version 2/],
  [27, checkpoints, 'an older generation of a newer format', changed(older, (bytes) => Buffer.from(newer(bytes).toString().replace(/"checksum": .*/, '"checksum": "blake3:0"}'))), 'FORMAT_NEWER', /format_version 2/],
  [27, checkpoints, 'a journal of a newer format', changed(segment, () => firstSegmentOfVersion(2)), 'FORMAT_NEWER', /1-0\.journal/],
  [27, checkpoints, 'nothing: format 1', () => {}, 4, null],
  [27, seedFiles, 'nothing: the format before 1', () => {}, 0, null],
  [27, seedFiles, 'a field that only a newer one has', changed(alpha, () => Buffer.from(seed('alpha', { format_version: 2 }))), 'CHECKPOINT_CORRUPTED', /alpha_checkpoint\.json/],
  [27, checkpoints, "a third strategy's file in the seed's format", (home) => fs.writeFileSync(join(home, 'gamma_checkpoint.json'), seed('gamma'), { mode: 0o600 }), 4, null],
];

function flip(bytes: Buffer, at: number): Buffer {
  const flipped = Buffer.from(bytes);
  flipped[at] = (flipped[at] ?? 0) ^ 4;
  return flipped;
}

export const damageCases: readonly DamageCase[] = table.map(([row, onDisk, done, damage, gives, says, root]) => ({
  row,
  onDisk,
  done,
  damage,
  gives,
  says,
  ...(root === 'root' ? { onlyRoot: true } : {}),
}));
