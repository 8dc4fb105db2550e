import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MessageChannel } from 'node:worker_threads';
import { deltaLine, type SnapshotDelta, type StrategyDelta } from '../../src/model/delta.ts';
import { decodeError } from '../../src/model/errors.ts';
import type { PositionSnapshot } from '../../src/model/position.ts';
import { nodeFileSystem } from '../../src/persistence/node-file-system.ts';
import {
  type Answer,
  type DataReply,
  type DataRequest,
  type PersistenceOptions,
  sharedLayout,
} from '../../src/persistence/protocol.ts';
import { PersistenceService } from '../../src/persistence/service.ts';
import type { DataPort } from '../../src/state/delta-port.ts';
import { type FaultRule, type FaultyFileSystem, faulty } from '../../src/testing/faulty-file-system.ts';
import { ManualClock } from '../../src/testing/manual-clock.ts';

const startedAt = '2025-10-02T14:30:00.000000Z';

export function makeStateDirectory(): { readonly directory: string; remove(): void } {
  const directory = mkdtempSync(join(tmpdir(), 'holdfast-service-'));
  for (const name of ['journal', 'quarantine']) mkdirSync(join(directory, name), { mode: 0o700 });
  return { directory, remove: () => rmSync(directory, { recursive: true, force: true }) };
}

export function persistenceOptions(directory: string, changes: Partial<PersistenceOptions> = {}): PersistenceOptions {
  return {
    directory,
    epoch: 1,
    host: 'test-host',
    currency: 'USD',
    generations: 3,
    segmentBytesMax: 2 ** 24,
    segmentAheadBytes: 4_096,
    journalBytesMax: 2 ** 28,
    staleAfterMs: 3_600_000,
    heartbeatMs: 60_000,
    statusMs: 1_000,
    fileSystem: null,
    atLeast: 0,
    ...changes,
  };
}

export function position(asset: string, amount: string): PositionSnapshot {
  return { asset, amount, cost_basis: '1', last_price: null };
}

/** A delta (through − 1, through] in which the strategies' position in AAPL becomes `through`, unless told otherwise. */
export function delta(
  through: number,
  strategies: readonly string[] = ['alpha'],
  from: number = through - 1,
): SnapshotDelta {
  return {
    previous: from,
    through,
    at: startedAt,
    strategies: strategies.map(
      (strategy): StrategyDelta => ({
        strategy,
        positions: [position('AAPL', String(through))],
        state: [['seen', through]],
      }),
    ),
  };
}

/** The value of an answer. @throws the error in it */
export async function unwrap<T>(answered: Promise<Answer<T>>): Promise<T> {
  const answer = await answered;
  if (answer.ok) return answer.value;
  throw decodeError(answer.error);
}

/** The engine's end of a data lane, and of the shared words. */
export class EngineEnd {
  readonly replies: DataReply[] = [];
  readonly #port: DataPort;
  readonly #shared: BigInt64Array;
  readonly #incarnation: number;
  #waiters: { readonly matches: (reply: DataReply) => boolean; readonly resolve: (reply: DataReply) => void }[] = [];

  constructor(port: DataPort, shared: SharedArrayBuffer, incarnation: number) {
    this.#port = port;
    this.#shared = new BigInt64Array(shared);
    this.#incarnation = incarnation;
    port.on('message', (reply: DataReply) => {
      this.replies.push(reply);
      const due = this.#waiters.filter(({ matches }) => matches(reply));
      this.#waiters = this.#waiters.filter((waiter) => !due.includes(waiter));
      for (const { resolve } of due) resolve(reply);
    });
  }

  get durable(): number {
    return Number(Atomics.load(this.#shared, sharedLayout.durableSequence));
  }

  get received(): number {
    return Number(Atomics.load(this.#shared, sharedLayout.receivedSequence));
  }

  get acknowledged(): number[] {
    return this.of('acknowledged').map(({ sequence }) => sequence);
  }

  of<Kind extends DataReply['kind']>(kind: Kind): (DataReply & { readonly kind: Kind })[] {
    return this.replies.filter((reply) => reply.kind === kind) as (DataReply & { readonly kind: Kind })[];
  }

  post(...deltas: readonly SnapshotDelta[]): void {
    for (const each of deltas)
      this.send({ kind: 'delta', incarnation: this.#incarnation, through: each.through, line: deltaLine(each) });
  }

  send(request: DataRequest): void {
    this.#port.postMessage(request);
  }

  /** The next reply of a kind; one that came already does not count. */
  next<Kind extends DataReply['kind']>(kind: Kind): Promise<DataReply & { readonly kind: Kind }> {
    return this.#waitFor((reply) => reply.kind === kind) as Promise<DataReply & { readonly kind: Kind }>;
  }

  /** Resolves once everything up to `sequence` was acknowledged by a message. */
  async acknowledgedThrough(sequence: number): Promise<void> {
    if ((this.acknowledged.at(-1) ?? -1) >= sequence) return;
    await this.#waitFor((reply) => reply.kind === 'acknowledged' && reply.sequence >= sequence);
  }

  close(): void {
    this.#port.close();
  }

  #waitFor(matches: (reply: DataReply) => boolean): Promise<DataReply> {
    return new Promise((resolve) => this.#waiters.push({ matches, resolve }));
  }
}

/** A service on this thread, with a disk that fails and a clock that moves when told. */
export interface Harness {
  readonly service: PersistenceService;
  readonly engine: EngineEnd;
  readonly fs: FaultyFileSystem;
  readonly clock: ManualClock;
  readonly shared: SharedArrayBuffer;
  readonly fatal: unknown[];
  readonly closed: Promise<void>;
  /** open() and begin(), and then the rules. Returns the base. */
  begin(rules?: readonly FaultRule[]): Promise<number>;
  /** As when the thread is killed: nothing is said or written any more. */
  kill(): void;
}

export function startService(
  directory: string,
  changes: Partial<PersistenceOptions> & { readonly incarnation?: number } = {},
): Harness {
  const { incarnation = 1, ...options } = changes;
  const { port1, port2 } = new MessageChannel();
  const shared = new SharedArrayBuffer(sharedLayout.bytes);
  const fs = faulty(nodeFileSystem);
  const clock = new ManualClock(startedAt);
  const fatal: unknown[] = [];
  let onClosed: () => void = () => {};
  const closed = new Promise<void>((resolve) => {
    onClosed = resolve;
  });
  const service = new PersistenceService({
    worker: { data: port2, shared, ring: null, incarnation, options: persistenceOptions(directory, options) },
    fileSystem: fs,
    clock,
    after: clock.after,
    onFatal: (error) => fatal.push(error),
    onClosed,
  });
  const engine = new EngineEnd(port1, shared, incarnation);
  service.start();
  return {
    service,
    engine,
    fs,
    clock,
    shared,
    fatal,
    closed,
    async begin(rules = []) {
      await unwrap(service.open());
      const { sequence } = await unwrap(service.begin());
      fs.clearCalls();
      fs.setRules(rules);
      return sequence;
    },
    kill() {
      port2.close();
      fs.setRules([
        { call: ['create', 'write', 'rename', 'fsync', 'fdatasync'], times: Number.POSITIVE_INFINITY, errno: 'EIO' },
      ]);
    },
  };
}
