import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type AuditReply, type AuditRequest, AuditWords } from '../../src/persistence/audit-protocol.ts';
import { AuditService } from '../../src/persistence/audit-service.ts';
import { errnoError } from '../../src/persistence/errno.ts';
import type { FileSystem } from '../../src/persistence/file-system.ts';
import { JournalWriter } from '../../src/persistence/journal-writer.ts';
import { nodeFileSystem } from '../../src/persistence/node-file-system.ts';
import { sharedLayout } from '../../src/persistence/protocol.ts';
import { ServiceWords } from '../../src/persistence/service-words.ts';
import { auditedLog } from '../support/audited.ts';
import { noted, upTo } from './audit-fixtures.ts';
import { at } from './journal-fixtures.ts';

// The service without its thread: turns are taken by hand.

let directory: string;
let writer: JournalWriter;
let shared: SharedArrayBuffer;
let words: AuditWords;
let durable: (sequence: number) => void;
let replies: AuditReply[];
let fatal: unknown[];
let closed: boolean;
let hear: (request: AuditRequest) => void;
let timers: { readonly ms: number; readonly run: () => void }[];
/** What a call of the file system throws. */
let before: (call: string, path: string) => void;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'holdfast-audit-service-'));
  shared = new SharedArrayBuffer(sharedLayout.bytes);
  words = new AuditWords(shared);
  words.expect();
  const service = new ServiceWords(shared, () => 0);
  durable = (sequence) => service.durable(sequence);
  writer = new JournalWriter(nodeFileSystem, directory, {
    epoch: 1,
    incarnation: 1,
    segmentBytesMax: 1 << 20,
    segmentAheadBytes: 4_096,
    nextSegment: 1,
  });
  writer.begin({ epoch: 0, sequence: 0 }, 0, [], at(0));
  [replies, fatal, timers, closed] = [[], [], [], false];
  before = () => {};
});

afterEach(() => {
  hear({ kind: 'finish', sequence: -1 });
  for (let i = 0; i < 5; i += 1) turn();
  rmSync(directory, { recursive: true, force: true });
});

function start(incarnation = 1): void {
  const fileSystem: FileSystem = {
    ...nodeFileSystem,
    read(...args) {
      before('read', args[0].path);
      return nodeFileSystem.read(...args);
    },
  };
  const service = new AuditService({
    worker: {
      port: {
        on: (_event: string, listener: (request: AuditRequest) => void) => {
          hear = listener;
        },
        postMessage: (reply: AuditReply) => replies.push(reply),
        close: () => {
          closed = true;
        },
      } as never,
      shared,
      incarnation,
      options: { directory, everyMs: 200, fileSystem: null },
    },
    fileSystem,
    after: (ms, run) => {
      const timer = { ms, run };
      timers.push(timer);
      return () => {
        timers = timers.filter((each) => each !== timer);
      };
    },
    onFatal: (error) => fatal.push(error),
  });
  service.start();
}

/** The next turn. Says after how long it would have come. */
function turn(): number | null {
  const timer = timers.shift();
  timer?.run();
  return timer?.ms ?? null;
}

function numbers(): readonly number[] {
  return auditedLog(directory).flatMap(({ event }) => (JSON.parse(event) as { data?: number }).data ?? []);
}

describe('the audit service', () => {
  it('takes what is durable and no more, and says how far it is once that is in the database', () => {
    writer.append([noted(0, 1)]);
    writer.append([noted(1, 2)]);
    start();
    expect(words.floor).toBe(-1);
    durable(1);
    turn();
    expect(numbers()).toEqual([1]);
    expect(words.floor).toBe(1);
    durable(2);
    expect(turn()).toBe(200);
    expect(numbers()).toEqual([1, 2]);
    expect(words.floor).toBe(2);
    expect(replies).toEqual([]);
  });

  it('beats with each turn, so that a turn that never ends shows', () => {
    start();
    const beats = words.beats;
    turn();
    turn();
    expect(words.beats).toBeGreaterThanOrEqual(beats + 2n);
  });

  it('writes a backlog in transactions of bounded size, one turn after the other', () => {
    for (let n = 0; n < 6; n += 1) {
      const delta = noted(n, n + 1);
      const state = [['large', 'x'.repeat(3_000_000)]] as const;
      writer.append([{ ...delta, strategies: delta.strategies.map((each) => ({ ...each, state })) }]);
    }
    durable(6);
    start();
    turn();
    expect(numbers()).toEqual([1, 2, 3]);
    expect(turn()).toBe(0);
    expect(numbers()).toEqual(upTo(6));
  });

  it('ends once what it is asked for is in the database, and not before', () => {
    writer.append([noted(0, 1)]);
    start();
    turn();
    hear({ kind: 'finish', sequence: 1 });
    expect(turn()).toBe(0);
    expect(closed).toBe(false);
    durable(1);
    turn();
    expect(closed).toBe(true);
    expect(timers).toEqual([]);
    expect(numbers()).toEqual([1]);
  });

  it('stands still while the disk fails, says so once, and goes on where it was', () => {
    writer.append([noted(0, 1)]);
    durable(1);
    start();
    turn();
    writer.append([noted(1, 2)]);
    durable(2);
    before = (call, path) => {
      throw errnoError('EIO', call, path);
    };
    const waits = [turn(), turn(), turn(), turn(), turn(), turn(), turn(), turn(), turn()];
    expect(waits).toEqual([200, 250, 500, 1000, 2000, 4000, 8000, 10_000, 10_000]);
    expect(replies.map(({ kind }) => kind)).toEqual(['notice']);
    expect(replies[0]).toMatchObject({ level: 'error', message: expect.stringContaining('EIO') });
    expect(words.floor).toBe(1);
    before = () => {};
    turn();
    expect(numbers()).toEqual([1, 2]);
    expect(words.floor).toBe(2);
    expect(replies.at(-1)).toMatchObject({ level: 'info' });
  });

  it('waits for another process that holds the database, and takes nothing twice', () => {
    writer.append([noted(0, 1)]);
    durable(1);
    start();
    turn();
    // A second audit on the same directory, as of an engine that was thought dead.
    const [first, firstTimers] = [hear, timers];
    timers = [];
    start(2);
    writer.append([noted(1, 2)]);
    durable(2);
    turn();
    expect(numbers()).toEqual([1, 2]);
    const second = hear;
    timers = firstTimers;
    turn();
    expect(replies.some((reply) => 'message' in reply && reply.message.includes('another process'))).toBe(true);
    turn();
    expect(numbers()).toEqual([1, 2]);
    second({ kind: 'finish', sequence: -1 });
    hear = first;
  });

  it('ends with an error of its own where the journal cannot be understood', () => {
    writer.append([noted(0, 1)]);
    durable(1);
    start();
    before = () => {
      throw new TypeError('a bug');
    };
    turn();
    expect(fatal).toEqual([expect.objectContaining({ message: 'a bug' })]);
    expect(timers).toEqual([]);
    expect(closed).toBe(true);
  });

  it('stands still, and says so, where somebody took a table away', () => {
    writer.append([noted(0, 1)]);
    durable(1);
    start();
    turn();
    const other = new DatabaseSync(join(directory, 'audit.db'));
    other.exec('DROP TABLE audit_cursor');
    other.close();
    writer.append([noted(1, 2)]);
    durable(2);
    turn();
    expect(replies.at(-1)).toMatchObject({ kind: 'notice', level: 'error' });
    expect(words.floor).toBe(1);
  });
});
