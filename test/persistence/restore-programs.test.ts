import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { SnapshotDelta, StrategyDelta } from '../../src/model/delta.ts';
import { StateError } from '../../src/model/errors.ts';
import type { StrategySnapshot } from '../../src/model/snapshot.ts';
import { encodeStateValue } from '../../src/model/state-value.ts';
import { errnoError } from '../../src/persistence/errno.ts';
import { coveredThrough } from '../../src/persistence/journal-retention.ts';
import { Mirror } from '../../src/persistence/mirror.ts';
import type { JournalRecord } from '../../src/persistence/records.ts';
import { at, checkpoint, MemoryFiles, open, restored, type Session, stateOf } from './journal-fixtures.ts';

// Random programs of what a worker does, with failures and crashes in between, against a mirror in memory.

const names = ['alpha', 'beta', 'gamma'];

type Step =
  | {
      readonly do: 'commit';
      readonly changes: readonly StrategyDelta[];
      readonly span: number;
      readonly fail: Failure | null;
    }
  | { readonly do: 'heartbeat' }
  | { readonly do: 'checkpoint'; readonly only: readonly string[] }
  | { readonly do: 'trim' }
  | { readonly do: 'crash'; readonly cut: number; readonly sameEpoch: boolean; readonly inBegin: number };
type Failure = {
  readonly call: 'create' | 'write' | 'fdatasync' | 'fsyncDirectory';
  readonly crash: boolean;
  readonly cut: number;
};

const amount = fc.integer({ min: -1000, max: 1000 }).map(String);
const asset = fc.constantFrom('AAPL', 'BTC/USD', 'X');
const order = fc.constantFrom('o-1', 'o-2', 'o-3');
// As commits encode them: what JSON would change, such as -0, never reaches a mirror bare.
const value = fc.jsonValue().map((each) => encodeStateValue(each, { strategy: 'alpha', key: 'a' }));
const change: fc.Arbitrary<StrategyDelta> = fc.record(
  {
    strategy: fc.constantFrom(...names),
    positions: fc.uniqueArray(fc.record({ asset, amount, cost_basis: amount, last_price: fc.option(amount) }), {
      selector: (position) => position.asset,
      maxLength: 2,
    }),
    orders: fc.uniqueArray(
      fc.record({
        order_id: order,
        asset,
        amount,
        order_type: fc.constant('market' as const),
        broker_order_id: fc.constant(null),
        status: fc.constant('open' as const),
        filled_amount: fc.constant('0'),
      }),
      { selector: (held) => held.order_id, maxLength: 2 },
    ),
    cash: fc.uniqueArray(fc.tuple(fc.constantFrom('USD', 'EUR'), amount), {
      selector: ([currency]) => currency,
      maxLength: 2,
    }),
    state: fc.uniqueArray(fc.tuple(fc.constantFrom('a', '__proto__', 'b'), value), {
      selector: ([key]) => key,
      maxLength: 2,
    }),
    state_removed: fc.constantFrom(['c'], []),
    halt: fc.option(
      fc.record({ reason: fc.string({ maxLength: 9 }), source: fc.constant('operator'), at: fc.constant(at(1)) }),
    ),
    cursor: fc.record({ activity_id: fc.option(fc.string({ maxLength: 5 })), at: fc.option(fc.constant(at(3))) }),
    events: fc.array(
      fc.record({
        kind: fc.constant('note' as const),
        name: fc.constant('n'),
        data: fc.constant(1),
        at: fc.constant(at(1)),
      }),
      { maxLength: 1 },
    ),
  },
  { requiredKeys: ['strategy'] },
);
const failure: fc.Arbitrary<Failure> = fc.record({
  call: fc.constantFrom('create', 'write', 'fdatasync', 'fsyncDirectory'),
  crash: fc.boolean(),
  cut: fc.nat(600),
});
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 10,
    arbitrary: fc.record({
      do: fc.constant('commit' as const),
      changes: fc.uniqueArray(change, { selector: ({ strategy }) => strategy, minLength: 1, maxLength: 3 }),
      span: fc.integer({ min: 1, max: 3 }),
      fail: fc.option(failure, { freq: 3 }),
    }),
  },
  { weight: 1, arbitrary: fc.constant({ do: 'heartbeat' as const }) },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant('checkpoint' as const),
      only: fc.oneof({ weight: 3, arbitrary: fc.constant(names) }, { weight: 1, arbitrary: fc.subarray(names) }),
    }),
  },
  { weight: 2, arbitrary: fc.constant({ do: 'trim' as const }) },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant('crash' as const),
      cut: fc.nat(600),
      sameEpoch: fc.boolean(),
      inBegin: fc.nat(5),
    }),
  },
);

let trimmed = 0;

class Program {
  fs = new MemoryFiles();
  epoch = 1;
  incarnation = 1;
  session: Session;
  /** State by sequence, since the last restart. */
  history = new Map<number, Record<string, StrategySnapshot>>([[0, {}]]);
  acknowledged = 0;
  committed = 0;
  engine = new Mirror({ currency: 'USD' });
  /** Posted and not acknowledged: given again after a failure. */
  pending: JournalRecord[] = [];
  coverage = new Map<string, number[]>();

  constructor() {
    this.session = this.begin(0);
  }

  run(step: Step): void {
    if (step.do === 'commit') this.commit(step);
    else if (step.do === 'heartbeat') this.append({ kind: 'heartbeat', at: at(this.acknowledged) });
    else if (step.do === 'checkpoint') this.checkpoint(step.only.filter((name) => this.session.mirror.has(name)));
    else if (step.do === 'trim') {
      const covered = coveredThrough(this.session.mirror.strategies(), this.coverage);
      trimmed += this.session.writer.trim(covered).length;
    } else this.crash(step.cut, step.sameEpoch, step.inBegin);
  }

  commit({ changes, span, fail }: Step & { do: 'commit' }): void {
    const previous = this.committed;
    const through = previous + span;
    const delta: SnapshotDelta = { previous, through, at: at(through), strategies: changes };
    this.engine.apply(delta);
    this.committed = through;
    this.history.set(through, stateOf(this.engine));
    this.pending.push({ kind: 'delta', ...delta });
    if (fail === null) {
      this.append();
      return;
    }
    let armed = true;
    this.fs.before = (call, path) => {
      if (!armed || call !== fail.call) return;
      armed = false;
      throw errnoError('EIO', call, path);
    };
    try {
      this.append();
    } catch (error) {
      if (!(error instanceof StateError) || error.code !== 'WRITE_FAILED') throw error;
      if (fail.crash) this.crash(fail.cut, false, 0);
    } finally {
      this.fs.before = () => {};
    }
  }

  append(...more: JournalRecord[]): void {
    this.session.writer.append([...this.pending, ...more]);
    for (const record of this.pending) if (record.kind === 'delta') this.session.mirror.apply(record);
    this.pending = [];
    this.acknowledged = this.committed;
  }

  checkpoint(strategies: readonly string[]): void {
    checkpoint(this.session, this.epoch, strategies);
    const { sequence } = this.session.mirror;
    for (const name of strategies) {
      const before = (this.coverage.get(name) ?? []).filter((older) => older !== sequence);
      this.coverage.set(name, [sequence, ...before]);
    }
  }

  /** Ends without a word; of what was never synced the files keep a part. */
  crash(cut: number, sameEpoch: boolean, inBegin: number): void {
    this.fs.lose(cut);
    this.fs.before = () => {};
    if (!sameEpoch) this.epoch += 1;
    this.incarnation += 1;
    if (inBegin > 0) {
      // A first restart dies at one of the calls of its beginning.
      let calls = 0;
      this.fs.before = (call, path) => {
        if (!/^(create|write|fdatasync|fsyncDirectory)$/.test(call) || path.includes('quarantine')) return;
        calls += 1;
        if (calls >= inBegin) throw errnoError('EIO', call, path);
      };
      try {
        open_(this.fs, this.epoch, this.incarnation);
      } catch (error) {
        if (!(error instanceof StateError)) throw error;
      }
      this.fs.before = () => {};
      this.fs.lose(cut);
      this.epoch += 1;
    }
    this.session = this.begin(this.acknowledged);
  }

  /** Damaged newest checkpoints cost nothing: the older ones and the journal give the same. */
  loseNewest(): void {
    for (const name of this.session.mirror.strategies()) {
      const file = `${name}_checkpoint.json`;
      if (this.fs.files.has(`/state/${file}`)) this.fs.put(file, this.fs.get(file).subarray(1));
    }
    const { mirror, recovery } = restored(this.fs);
    expect(stateOf(mirror)).toEqual(stateOf(this.session.mirror));
    expect(recovery.lost.every(({ what, acknowledged }) => what === 'damaged_checkpoint' && !acknowledged)).toBe(true);
    expect(stateOf(restored(this.fs).mirror)).toEqual(stateOf(mirror));
  }

  /** Invariant I, and that a second restore gives the same. */
  begin(acknowledged: number): Session {
    const looked = restored(this.fs, { readOnly: true });
    const session = open_(this.fs, this.epoch, this.incarnation);
    const { mirror, recovery, base } = session.restored;
    expect(recovery.sequence).toBeGreaterThanOrEqual(acknowledged);
    expect(recovery.sequence).toBeLessThanOrEqual(this.committed);
    expect(recovery.lost.filter(({ what, acknowledged: gone }) => gone || what !== 'torn_tail')).toEqual([]);
    expect(stateOf(mirror)).toEqual(this.history.get(recovery.sequence));
    expect(base).toBe(recovery.sequence);
    expect(looked.recovery).toEqual({ ...recovery, quarantined: [] });
    const again = restored(this.fs, { readOnly: true });
    expect(stateOf(again.mirror)).toEqual(stateOf(mirror));
    expect(again.recovery).toMatchObject({ epoch: this.epoch, sequence: base });
    this.engine = new Mirror({ currency: 'USD' });
    for (const name of mirror.strategies()) this.engine.load(mirror.snapshot(name), base);
    this.engine.start(base);
    this.history = new Map([[base, stateOf(mirror)]]);
    this.committed = base;
    this.acknowledged = base;
    this.pending = [];
    this.coverage = new Map(session.restored.coverage);
    return session;
  }
}

function open_(fs: MemoryFiles, epoch: number, incarnation: number): Session {
  return open(fs, epoch, { incarnation, segmentBytesMax: 700 });
}

describe('a restore after any program', () => {
  it('gives the exact state of one restore point, at or after what was acknowledged', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40, size: 'max' }), (steps) => {
        const program = new Program();
        for (const each of steps) program.run(each);
        program.crash(0, false, 0);
        program.loseNewest();
      }),
      { numRuns: Number(process.env['HOLDFAST_RUNS'] ?? 120) },
    );
    // Programs that never delete a segment would prove nothing about retention.
    expect(trimmed).toBeGreaterThan(10);
  });
});
