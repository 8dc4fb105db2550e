import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { canaryKeys, searchForCanary } from './canary.ts';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'holdfast-canary-'));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

const { keyId, secretKey } = canaryKeys;

describe('the search for a secret', () => {
  it.each<[string, string | Buffer]>([
    ['the secret', `x ${secretKey} y`],
    ['the key id', `key=${keyId}`],
    ['its first half', secretKey.slice(0, 12)],
    ['its last half', secretKey.slice(-12)],
    ['JSON', JSON.stringify({ headers: { secret: secretKey } })],
    ['JSON in JSON', JSON.stringify({ message: JSON.stringify({ secret: secretKey }) })],
    ['a URL', `http://127.0.0.1/?secret=${encodeURIComponent(secretKey)}`],
    ['base64', Buffer.from(secretKey).toString('base64')],
    ['base64 of a pair', Buffer.from(`${keyId}:${secretKey}`).toString('base64')],
    ['base64 at any place', Buffer.from(`ab${secretKey}cd`).toString('base64')],
    ['hexadecimal', Buffer.from(secretKey).toString('hex')],
    ['UTF-16', Buffer.from(secretKey, 'utf16le')],
    ['bytes', Buffer.concat([Buffer.alloc(5_000, 0xff), Buffer.from(secretKey), Buffer.alloc(9)])],
  ])('finds it as %s, in a file and in a text', (_, content) => {
    mkdirSync(join(directory, 'below'));
    writeFileSync(join(directory, 'below', 'file'), content);
    const search = searchForCanary([directory]);
    expect(search.files).toBe(1);
    expect(search.found.length).toBeGreaterThan(0);
    if (typeof content === 'string') expect(searchForCanary([], { text: content }).found.length).toBeGreaterThan(0);
  });

  it('finds it in a database, also where its row was deleted', () => {
    const database = new DatabaseSync(join(directory, 'audit.db'));
    database.exec('pragma secure_delete = off; create table log (text)');
    database.prepare('insert into log values (?)').run(`order refused: ${secretKey}`);
    database.exec('delete from log');
    database.close();
    expect(searchForCanary([directory]).found.length).toBeGreaterThan(0);
  });

  it('finds it in the name of a file', () => {
    writeFileSync(join(directory, keyId), '');
    expect(searchForCanary([directory]).found).not.toEqual([]);
  });

  it('finds nothing where nothing is, and counts what it read', () => {
    writeFileSync(join(directory, 'file'), 'PKCANARY is the beginning of a key, and canary a bird');
    expect(searchForCanary([directory], { text: 'nothing' })).toMatchObject({ files: 1, found: [] });
  });
});
