import { describe, expect, it } from 'vitest';
import type { SnapshotDelta } from '../../src/model/delta.ts';
import { errnoError } from '../../src/persistence/errno.ts';
import { Audit, noted, upTo } from './audit-fixtures.ts';
import { checkpoint, commit, directory, MemoryFiles, open } from './journal-fixtures.ts';

function failNext(fs: MemoryFiles, call: string): void {
  fs.before = (name, path) => {
    if (name !== call) return;
    fs.before = () => {};
    throw errnoError('EIO', name, path);
  };
}

describe('what the audit takes', () => {
  it('begins with an empty state, in so many words', () => {
    const fs = new MemoryFiles();
    commit(open(fs, 1), noted(0, 1));
    const audit = new Audit(fs);
    audit.read();
    expect(audit.words).toEqual(['beginning']);
    expect(audit.batch.log[0]?.reason).toBe('the audit begins with an empty state');
    expect(audit.batch.cursor).toMatchObject({ epoch: 1, sequence: 1 });
  });

  it('takes a commit once that stands in two segments, because a write failed', () => {
    const fs = new MemoryFiles();
    const session = open(fs, 1);
    commit(session, noted(0, 1));
    failNext(fs, 'fdatasync');
    expect(() => session.writer.append([noted(1, 2)])).toThrow(/EIO/);
    const audit = new Audit(fs);
    // The bytes are there, and so is what the reader made of them.
    audit.read();
    // It comes again together with what followed it.
    session.writer.append([noted(1, 2), noted(2, 3)]);
    audit.read();
    expect(audit.numbers).toEqual([1, 2, 3]);
    expect(audit.words).toEqual(['beginning']);
  });

  it('goes on over starts, each of which writes the whole state anew', () => {
    const fs = new MemoryFiles();
    const audit = new Audit(fs);
    for (let epoch = 1, n = 0; epoch <= 4; epoch += 1) {
      const session = open(fs, epoch);
      for (let i = 0; i < 3; i += 1, n += 1) commit(session, noted(n, n + 1, i === 0 ? 'beta' : 'alpha'));
      if (epoch % 2 === 0) audit.read();
    }
    expect(audit.numbers).toEqual(upTo(12));
    expect(audit.words).toEqual(['beginning']);
    expect(audit.intake.place).toEqual({ epoch: 4, sequence: 12 });
  });

  it('goes on with a worker that replaced another in the same epoch', () => {
    const fs = new MemoryFiles();
    const audit = new Audit(fs);
    commit(open(fs, 1), noted(0, 1), noted(1, 2));
    audit.read();
    commit(open(fs, 1, { incarnation: 2 }), noted(2, 3));
    audit.read();
    expect(audit.numbers).toEqual([1, 2, 3]);
    expect(audit.words).toEqual(['beginning']);
  });

  it('makes nothing of a start that died in its beginning', () => {
    const fs = new MemoryFiles();
    const first = noted(0, 1);
    // So much that the beginning takes two groups.
    const state = [['large', 'x'.repeat(5_000_000)]] as const;
    const large = { ...first, strategies: first.strategies.map((each) => ({ ...each, state })) };
    commit(open(fs, 1), large, noted(1, 2, 'beta'));
    let syncs = 0;
    fs.before = (call, path) => {
      if (call === 'unlink' || (call === 'fdatasync' && ++syncs > 1)) throw errnoError('EIO', call, path);
      if (call === 'write' && syncs > 0) throw errnoError('EIO', call, path);
    };
    expect(() => open(fs, 2)).toThrow(/EIO/);
    fs.before = () => {};
    expect(fs.names()).toContain('2-2.journal');
    const audit = new Audit(fs);
    audit.read();
    expect(audit.intake.place).toEqual({ epoch: 1, sequence: 2 });
    commit(open(fs, 3), noted(2, 3));
    audit.read();
    expect(audit.numbers).toEqual([1, 2, 3]);
    expect(audit.words).toEqual(['beginning']);
    expect(audit.intake.place).toEqual({ epoch: 3, sequence: 3 });
  });

  it('says what it does not have where segments went before it read them', () => {
    const fs = new MemoryFiles();
    commit(open(fs, 1), noted(0, 1));
    const audit = new Audit(fs);
    audit.read();
    const session = open(fs, 2);
    commit(session, noted(1, 2), noted(2, 3));
    checkpoint(session, 2);
    for (const name of fs.names()) fs.files.delete(`${directory}/journal/${name}`);
    commit(open(fs, 3), noted(3, 4));
    audit.read();
    expect(audit.numbers).toEqual([1, 4]);
    expect(audit.words).toEqual(['beginning', 'gap']);
    const gap = audit.batch.log.find(({ kind }) => kind === 'gap');
    expect(gap).toMatchObject({ epoch: 3, sequence: 3, ordinal: -1 });
    expect(JSON.parse(gap?.event ?? '')).toMatchObject({
      reached: { epoch: 1, sequence: 1 },
      found: { epoch: 2, sequence: 3 },
    });
    // From the whole state on the entries are right again.
    expect(audit.batch.books.get('alpha')?.whole).toBe(true);
  });

  it('says that the journal went back where somebody restored older files, and keeps what it had', () => {
    const fs = new MemoryFiles();
    const session = open(fs, 1);
    commit(session, noted(0, 1));
    const backup = fs.copy();
    commit(session, noted(1, 2), noted(2, 3));
    const before = new Audit(fs);
    before.read();
    expect(before.numbers).toEqual([1, 2, 3]);
    commit(open(backup, 2), noted(1, 2));
    const after = new Audit(backup, before.intake.place);
    after.read();
    expect(after.words).toEqual(['abandoned']);
    expect(after.numbers).toEqual([2]);
    expect(after.batch.gaps[0]).toContain('sequence 1 of epoch 1, behind 3 of epoch 1');
  });

  it('declares the state that it begins with, with the orders that are open in it', () => {
    const fs = new MemoryFiles();
    const session = open(fs, 1);
    const first = noted(0, 1);
    const order = { order_id: 'o-1', asset: 'AAPL', amount: '10', order_type: 'market' as const };
    const orders = [{ ...order, broker_order_id: 'b-1', status: 'open' as const, filled_amount: '0' }];
    commit(session, { ...first, strategies: first.strategies.map((each) => ({ ...each, orders })) });
    checkpoint(session, 1);
    for (const name of fs.names()) fs.files.delete(`${directory}/journal/${name}`);
    commit(open(fs, 2), noted(1, 2));
    const audit = new Audit(fs);
    audit.read();
    expect(audit.words).toEqual(['beginning', 'order_found']);
    expect(audit.batch.log[0]?.reason).toContain('restored as sequence 1 of epoch 2');
    expect(audit.batch.log[1]).toMatchObject({ ordinal: -2, order_id: 'o-1', asset: 'AAPL', status: 'open' });
  });

  it('takes a group only once where it is given twice', () => {
    const fs = new MemoryFiles();
    commit(open(fs, 1), noted(0, 1), noted(1, 2));
    const audit = new Audit(fs);
    audit.read();
    const again = new Audit(fs);
    for (;;) {
      const group = again.follower.next(Number.MAX_SAFE_INTEGER);
      if (group === null) break;
      audit.intake.take(group, audit.batch);
    }
    expect(audit.numbers).toEqual([1, 2]);
  });

  it('conflates entries to the newest of a batch, and prices to the last mark', () => {
    const fs = new MemoryFiles();
    const session = open(fs, 1);
    const removed: SnapshotDelta['strategies'] = [
      { strategy: 'alpha', positions_removed: ['ASSET1'], state_removed: ['last'] },
    ];
    commit(session, noted(0, 1), noted(1, 2), { ...noted(2, 3), strategies: removed, marks: [['ASSET2', '12']] });
    const audit = new Audit(fs);
    audit.read();
    const book = audit.batch.books.get('alpha');
    expect(book?.positions.get('ASSET1')).toBeNull();
    expect(book?.positions.get('ASSET2')).toMatchObject({ amount: '2', last_price: '12' });
    expect(book?.state.get('last')).toBeNull();
    expect(book?.sequence).toBe(3);
  });
});
